//! A module built on sessions, beside a page that uses it.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpListener,
    thread,
};

use fantoccini::Locator;
use lemon_session_tests::{Client, Launch, Reply, Server, browser::Browser, build, client};

fn launch() -> Launch {
    let ini = fs::read_to_string(build::root().join("examples/auth/lemon.ini")).unwrap();
    let module = build::component("auth_module");
    Launch::new("auth_page").ini(&ini).arg("--with").arg(module.to_str().expect("a path of ours is text"))
}

fn server() -> Server {
    launch().start()
}

fn sign_in(server: &Server, visitor: &Client, user: &str, password: &str) -> Reply {
    server.post(visitor, "/sign-in", &[("user", user), ("password", password)])
}

fn post(server: &Server, visitor: &Client, path: &str) -> String {
    server.post(visitor, path, &[]).body
}

fn hello(server: &Server, visitor: &Client) -> String {
    server.get(visitor, "/").body
}

#[test]
fn a_visitor_signs_in_under_a_new_id_and_out_again() {
    let server = server();
    let visitor = Client::new();
    let hello = |visitor: &Client| hello(&server, visitor);
    assert!(hello(&visitor).contains("Visit 1 of an unknown visitor."), "{}", server.log());

    for (user, password) in [("ada", "wrong"), ("ada", ""), ("nobody", "analytical engine"), ("", "")] {
        assert!(sign_in(&server, &visitor, user, password).body.contains("That is not right."), "{user}");
    }
    assert!(hello(&visitor).contains("Visit 2 of an unknown visitor."));

    let before = visitor.cookie("page").expect("the cookie is kept");
    assert!(sign_in(&server, &visitor, "ada", "analytical engine").body.contains("Welcome, ada."));
    let signed_in = visitor.cookie("page").expect("the cookie is kept");
    assert_ne!(signed_in, before);
    assert!(hello(&visitor).contains("Visit 3 of ada, signed in at "), "what was stored before stays");
    let stolen = client::get_with_cookie(&server.url("/"), &format!("page={before}"));
    assert!(stolen.body.contains("Visit 1 of an unknown visitor."), "the id from before is dead: {stolen:?}");

    assert!(post(&server, &visitor, "/sign-out").contains("Signed out."));
    assert_eq!(visitor.cookie("page"), None);
    let stolen = client::get_with_cookie(&server.url("/"), &format!("page={signed_in}"));
    assert!(
        stolen.body.contains("Visit 1 of an unknown visitor."),
        "so is the one of the session that has ended: {stolen:?}"
    );
}

#[test]
fn nothing_that_one_user_stored_is_shown_to_the_next() {
    let server = server();
    let visitor = Client::new();
    sign_in(&server, &visitor, "ada", "analytical engine");
    assert!(hello(&server, &visitor).contains("Visit 1 of ada, "));
    sign_in(&server, &visitor, "ada", "analytical engine");
    assert!(hello(&server, &visitor).contains("Visit 2 of ada, "), "the same user goes on");

    assert!(sign_in(&server, &visitor, "grace", "wrong").body.contains("That is not right."));
    assert!(hello(&server, &visitor).contains("Visit 3 of ada, "), "a sign-in that fails changes nothing");
    let cookie = visitor.cookie("page").expect("the cookie is kept");

    assert!(sign_in(&server, &visitor, "grace", "first actual bug").body.contains("Welcome, grace."));
    assert!(hello(&server, &visitor).contains("Visit 1 of grace, "));
    let stolen = client::get_with_cookie(&server.url("/"), &format!("page={cookie}"));
    assert!(stolen.body.contains("Visit 1 of an unknown visitor."), "the other user's session has ended: {stolen:?}");

    post(&server, &visitor, "/sign-out");
    assert!(hello(&server, &visitor).contains("Visit 1 of an unknown visitor."));
}

#[test]
fn sign_out_everywhere_ends_the_other_sessions_of_the_user_alone() {
    let server = server();
    let visitors: Vec<_> = (0..3).map(|_| Client::new()).collect();
    for (visitor, (user, password)) in
        visitors.iter().zip([("ada", "analytical engine"), ("ada", "analytical engine"), ("grace", "first actual bug")])
    {
        assert!(sign_in(&server, visitor, user, password).body.contains(&format!("Welcome, {user}.")));
    }
    assert!(post(&server, &visitors[0], "/sign-out-everywhere").contains("in 1 other places"));
    assert!(hello(&server, &visitors[0]).contains("of an unknown visitor."));
    assert!(hello(&server, &visitors[1]).contains("of an unknown visitor."));
    assert!(hello(&server, &visitors[2]).contains("of grace, signed in at "));
    assert!(post(&server, &visitors[0], "/sign-out-everywhere").contains("in 0 other places"), "no user is signed in");
}

/// The seconds after which a sign-in may be tried again.
#[track_caller]
fn early(reply: &Reply) -> u32 {
    assert_eq!(reply.status, 429, "{reply:?}");
    assert!(reply.body.contains("Too many attempts failed."), "{reply:?}");
    let [seconds] = reply.headers("retry-after")[..] else { panic!("no Retry-After: {reply:?}") };
    seconds.parse().unwrap()
}

/// Lets time pass for what is stored.
fn wait(launch: &Launch, seconds: u32) {
    let store = rusqlite::Connection::open(launch.folder().join("sessions.db")).unwrap();
    store.execute("UPDATE \"Session\" SET created = created - ?1", [seconds]).unwrap();
}

#[test]
fn guesses_wait_longer_and_longer_on_every_host_and_are_logged() {
    let launch = launch();
    let (one, other) = (launch.clone().start(), launch.clone().start());
    let guess = |server: &Server, password: &str| sign_in(server, &Client::new(), "ada", password);
    for _ in 0..3 {
        assert_eq!(guess(&one, "hunter2").status, 200);
    }
    assert!((1..=2).contains(&early(&guess(&other, "hunter2"))));
    assert!((1..=2).contains(&early(&guess(&one, "analytical engine"))), "the right one has to wait too");
    let grace = sign_in(&one, &Client::new(), "grace", "first actual bug");
    assert!(grace.body.contains("Welcome, grace."), "other accounts do not wait: {grace:?}");

    for longest in [4_u32, 8, 16, 32] {
        wait(&launch, longest / 2);
        assert!(guess(&other, "hunter2").body.contains("That is not right."));
        let seconds = early(&guess(&one, "hunter2"));
        // However slow the machine is that tests it.
        assert!((longest.saturating_sub(6).max(1)..=longest).contains(&seconds), "{seconds} of {longest} seconds");
    }

    wait(&launch, 32);
    assert!(guess(&one, "analytical engine").body.contains("Welcome, ada."));
    assert!(guess(&one, "hunter2").body.contains("That is not right."), "a success forgets the failures");

    // Nor what was typed as a name, which may be a password.
    let typed = ["hunter3", "nobody\nelse"];
    for _ in 0..2 {
        for name in typed {
            sign_in(&one, &Client::new(), name, "hunter2");
        }
    }
    let log = one.log();
    assert_eq!(log.matches("sign-in failed for the account \"ada\"").count(), 8, "{log}");
    assert_eq!(log.matches("sign-in failed for an account that does not exist").count(), 4, "{log}");
    assert!(!log.contains("hunter") && !log.contains("engine") && !log.contains("nobody"), "{log}");
}

#[test]
fn names_that_are_none_wait_as_accounts_do() {
    let server = server();
    let guess = |user: &str| sign_in(&server, &Client::new(), user, "hunter2");
    let long = "a".repeat(10_000);
    for user in ["nobody", "", "\r\n\0", &long] {
        for _ in 0..3 {
            assert_eq!(guess(user).status, 200, "{user:?}");
        }
        early(&guess(user));
    }
}

#[test]
fn of_many_guesses_at_once_no_more_are_looked_at_than_one_after_the_other() {
    let server = server();
    let guesses: Vec<_> = thread::scope(|scope| {
        let guess = || sign_in(&server, &Client::new(), "ada", "hunter2").status;
        let threads: Vec<_> = (0..16).map(|_| scope.spawn(guess)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let looked_at = guesses.iter().filter(|status| **status == 200).count();
    assert!(looked_at <= 3, "{guesses:?}");
    assert!(guesses.iter().all(|status| [200, 429].contains(status)), "{guesses:?}");
}

#[test]
fn a_page_cannot_touch_what_the_module_remembers() {
    let server = server();
    let visitor = Client::new();
    let forged = |visitor: &Client| {
        let reply = server.get(visitor, "/forge");
        assert_eq!(reply.status, 500, "{reply:?}");
        assert!(reply.body.contains("the application name 'auth' is reserved"), "{reply:?}");
    };
    forged(&visitor);
    sign_in(&server, &visitor, "grace", "first actual bug");
    forged(&visitor);
    assert!(hello(&server, &visitor).contains("of grace, signed in at "));
}

#[test]
fn no_form_of_another_site_signs_a_visitor_in_or_out() {
    let server = server();
    let visitor = Client::new();
    sign_in(&server, &visitor, "ada", "analytical engine");
    let form = [("user", "grace"), ("password", "first actual bug")];
    for header in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
    ] {
        for path in ["/sign-in", "/sign-out", "/sign-out-everywhere"] {
            let reply = visitor.post_with(&server.url(path), &form, &[header]);
            assert_eq!(reply.status, 403, "{path} {header:?}: {reply:?}");
            assert!(reply.headers("set-cookie").is_empty(), "{path} {header:?}: {reply:?}");
        }
    }
    assert!(hello(&server, &visitor).contains("of ada, signed in at "));
}

/// The port of another site, whose page sends a form as soon as it is open.
fn other_site(action: &str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let html = format!(
        "<!DOCTYPE html><form method=\"post\" action=\"{action}\"><input name=\"user\" value=\"grace\">\
         <input name=\"password\" value=\"first actual bug\"></form><script>document.forms[0].submit()</script>"
    );
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close";
            let _ = write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n{html}", html.len());
        }
    });
    port
}

/// To an address of this machine Chromium sends Sec-Fetch-Site, to any other one without HTTPS Origin alone.
#[tokio::test]
async fn chromium_signs_its_visitor_in_by_the_form_of_the_page_and_not_by_that_of_another_site() {
    let Some(browser) = Browser::start().await else { return };
    let client = &browser.client;
    let server = server();
    for (site, other) in [("127.0.0.1", "site.test"), ("site.test", "127.0.0.1")] {
        let url = format!("http://{site}:{}/", server.address.port());
        let sign_in = format!("{url}sign-in");
        let other = format!("http://{other}:{}/", other_site(&sign_in));
        let assert_refused = async || {
            client.goto(&other).await.unwrap();
            client.wait().for_url(&sign_in.parse().unwrap()).await.unwrap();
            browser.assert_shows("cross-site: the request comes from another origin: ", "").await;
            let status = "return performance.getEntriesByType('navigation')[0].responseStatus";
            assert_eq!(client.execute(status, vec![]).await.unwrap(), 403);
        };

        // How many visits it is depends on whether the browser looks for an icon.
        assert_refused().await;
        client.goto(&url).await.unwrap();
        browser.assert_shows("", " of an unknown visitor.").await;

        let form = client.form(Locator::Css("form")).await.unwrap();
        form.set_by_name("user", "ada").await.unwrap();
        form.set_by_name("password", "analytical engine").await.unwrap();
        form.submit_with(Locator::Css("button")).await.unwrap();
        browser.assert_shows("", "Welcome, ada.").await;

        assert_refused().await;
        client.goto(&url).await.unwrap();
        browser.assert_shows("", " of ada, signed in at ").await;
    }
    browser.close().await;
}

#[test]
fn a_module_that_the_application_does_not_use_is_refused_by_name() {
    let launch = Launch::new("visits");
    let (visits, module) = (build::component("visits"), build::component("auth_module"));
    let arguments = ["compose", visits.to_str().unwrap(), "--with", module.to_str().unwrap(), "-o", "out.wasm"];
    let output = launch.command(&arguments);
    assert_ne!(output.status, 0);
    assert!(
        output.stderr.contains("imports none of the interfaces that the module exports: example:auth/auth@0.1.0"),
        "{output:?}"
    );
}
