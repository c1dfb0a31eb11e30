//! A module built on sessions, beside a page that uses it.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpListener,
    thread,
    time::{SystemTime, UNIX_EPOCH},
};

use fantoccini::Locator;
use lemon_session_rules::{Value, codec};
use lemon_session_tests::{Client, Launch, Reply, Server, browser::Browser, build, client};

fn launch() -> Launch {
    let ini = fs::read_to_string(build::root().join("examples/auth/lemon.ini")).unwrap();
    let module = build::component("auth_module");
    Launch::new("auth_page").ini(&ini).arg("--with").arg(module.to_str().expect("a path of ours is text"))
}

fn server() -> Server {
    launch().start()
}

/// The page that a form leads to.
fn send(server: &Server, visitor: &Client, path: &str, form: &[(&str, &str)]) -> Reply {
    let reply = server.post(visitor, path, form);
    match reply.headers("location")[..] {
        [page] => server.get(visitor, page),
        _ => reply,
    }
}

fn sign_in(server: &Server, visitor: &Client, user: &str, password: &str) -> Reply {
    send(server, visitor, "/sign-in", &[("user", user), ("password", password)])
}

fn post(server: &Server, visitor: &Client, path: &str) -> String {
    send(server, visitor, path, &[]).body
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
    assert!(hello(&visitor).contains("Visit 4 of ada, signed in just now, "), "what was stored before stays");
    let stolen = client::get_with_cookie(&server.url("/"), &format!("page={before}"));
    assert!(stolen.body.contains("Visit 1 of an unknown visitor."), "the id from before is dead: {stolen:?}");

    let reply = server.post(&visitor, "/sign-out", &[]);
    assert_eq!((reply.status, &reply.headers("location")[..]), (303, &["/"][..]), "{reply:?}");
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
    sign_in(&server, &visitor, "ada", "analytical engine");
    assert!(hello(&server, &visitor).contains("Visit 3 of ada, "), "the same user goes on");

    assert!(sign_in(&server, &visitor, "grace", "wrong").body.contains("That is not right."));
    assert!(hello(&server, &visitor).contains("Visit 4 of ada, "), "a sign-in that fails changes nothing");
    let cookie = visitor.cookie("page").expect("the cookie is kept");

    assert!(sign_in(&server, &visitor, "grace", "first actual bug").body.contains("Welcome, grace."));
    assert!(hello(&server, &visitor).contains("Visit 2 of grace, "));
    let stolen = client::get_with_cookie(&server.url("/"), &format!("page={cookie}"));
    assert!(stolen.body.contains("Visit 1 of an unknown visitor."), "the other user's session has ended: {stolen:?}");

    server.post(&visitor, "/sign-out", &[]);
    assert!(hello(&server, &visitor).contains("Visit 1 of an unknown visitor."));
}

/// The page about a user's devices.
fn devices(server: &Server, visitor: &Client) -> String {
    server.get(visitor, "/devices").body
}

#[test]
fn a_user_ends_one_other_device_or_all_of_them_and_nobody_elses() {
    let server = server();
    let visitors: Vec<_> = (0..5).map(|_| Client::new()).collect();
    for visitor in &visitors[..4] {
        sign_in(&server, visitor, "ada", "analytical engine");
    }
    sign_in(&server, &visitors[4], "grace", "first actual bug");
    send(&server, &visitors[1], "/devices/label", &[("label", "  <Telephone>\n")]);
    let page = devices(&server, &visitors[0]);
    assert_eq!(page.matches("End this one").count(), 3, "{page}");
    let (_, rest) = page.split_once("&lt;Telephone&gt;</b>").expect("its name, escaped");
    let (_, rest) = rest.split_once("name=digest value=").unwrap();
    let telephone = &rest[..64];

    let ended = |digest: &str| send(&server, &visitors[0], "/devices/end", &[("digest", digest)]).body;
    assert!(ended(telephone).contains("That device is signed out."));
    assert!(hello(&server, &visitors[1]).contains("of an unknown visitor."));
    assert!(ended(telephone).contains("That device was signed out already."));
    let of_grace = devices(&server, &visitors[4]);
    assert!(!of_grace.contains("End this one"), "grace sees no device of ada: {of_grace}");
    send(&server, &visitors[4], "/devices/end", &[("digest", &telephone.replace(['a', 'b'], "c"))]);
    for made_up in ["", "x", "\r\n", &"f".repeat(64)] {
        assert!(ended(made_up).contains("signed out already."), "{made_up:?}");
    }

    assert!(post(&server, &visitors[0], "/devices/end-others").contains("Signed out on 2 other devices."));
    assert!(hello(&server, &visitors[0]).contains("of ada, signed in "));
    assert!(hello(&server, &visitors[2]).contains("of an unknown visitor."));
    assert!(hello(&server, &visitors[4]).contains("of grace, signed in "));
}

#[test]
fn who_is_not_signed_in_sees_and_ends_no_devices() {
    let server = server();
    let (ada, visitor) = (Client::new(), Client::new());
    sign_in(&server, &ada, "ada", "analytical engine");
    for path in ["/devices/end", "/devices/end-others", "/devices/label"] {
        assert!(post(&server, &visitor, path).contains("of an unknown visitor."), "{path}");
    }
    assert_eq!(server.get(&visitor, "/devices").status, 303);
    assert!(hello(&server, &ada).contains("of ada, signed in "));
}

/// Moves the sign-ins that are stored into the past.
fn age_logins(launch: &Launch, seconds: i64) {
    let store = rusqlite::Connection::open(launch.folder().join("sessions.db")).unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().cast_signed();
    let then = codec::encode(&Value::Integer(now - seconds)).unwrap();
    let changed = store
        .execute("UPDATE \"Session_variable\" SET value = ?1 WHERE app = '' AND name = 'authenticated'", [then])
        .unwrap();
    assert_ne!(changed, 0);
}

#[test]
fn ending_devices_needs_a_recent_sign_in() {
    let launch = launch();
    let server = launch.clone().start();
    let (here, there) = (Client::new(), Client::new());
    for visitor in [&here, &there] {
        sign_in(&server, visitor, "ada", "analytical engine");
    }
    age_logins(&launch, 601);
    let asked = post(&server, &here, "/devices/end-others");
    assert!(asked.contains("Enter your password again") && asked.contains("value=\"ada\""), "{asked}");
    assert!(hello(&server, &there).contains("of ada, signed in 10 min ago"), "nothing was ended");
    sign_in(&server, &here, "ada", "analytical engine");
    assert!(post(&server, &here, "/devices/end-others").contains("Signed out on 1 other devices."));
    assert!(hello(&server, &there).contains("of an unknown visitor."));
}

#[test]
fn who_wants_to_be_remembered_is_for_30_days() {
    let server = server();
    let age = |form: &[(&str, &str)]| {
        let reply = server.post(&Client::new(), "/sign-in", form);
        let [cookie] = reply.headers("set-cookie")[..] else { panic!("one cookie: {reply:?}") };
        cookie.split("; ").find_map(|part| part.strip_prefix("Max-Age=")).expect("Max-Age").parse::<u32>().unwrap()
    };
    let form = [("user", "ada"), ("password", "analytical engine"), ("remember", "yes")];
    let (session, remembered) = (age(&form[..2]), age(&form));
    assert!((1440..=1514).contains(&session), "{session}");
    assert!(remembered >= 30 * 24 * 60 * 60, "{remembered}");
}

#[test]
fn the_devices_are_told_from_where_and_with_which_browser() {
    let server = server();
    let visitor = Client::new();
    let form = [("user", "ada"), ("password", "analytical engine")];
    visitor.post_with(&server.url("/sign-in"), &form, &[("user-agent", "Lynx/2.9 <b>")]);
    let page = devices(&server, &visitor);
    assert!(page.contains("Lynx/2.9 &lt;b&gt;, from 127.0.0.0/24<br>signed in just now, last used just now"), "{page}");
    assert!(
        !server.log().contains("Lynx") && !server.log().contains("127.0.0.0"),
        "neither is logged: {}",
        server.log()
    );
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
    assert!(hello(&server, &visitor).contains("of grace, signed in "));
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
        for path in ["/sign-in", "/sign-out", "/devices/end-others"] {
            let reply = visitor.post_with(&server.url(path), &form, &[header]);
            assert_eq!(reply.status, 403, "{path} {header:?}: {reply:?}");
            assert!(reply.headers("set-cookie").is_empty(), "{path} {header:?}: {reply:?}");
        }
    }
    assert!(hello(&server, &visitor).contains("of ada, signed in "));
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
        browser.assert_shows("", " of ada, signed in ").await;
    }
    browser.close().await;
}

#[tokio::test]
async fn in_a_browser_a_user_names_this_device_and_signs_out_the_others() {
    let Some(browser) = Browser::phone(360).await else { return };
    let client = &browser.client;
    let server = server();
    let others: Vec<_> = (0..2).map(|_| Client::new()).collect();
    for other in &others {
        sign_in(&server, other, "ada", "analytical engine");
    }
    client.goto(&server.url("/")).await.unwrap();
    let form = client.form(Locator::Css("form")).await.unwrap();
    form.set_by_name("user", "ada").await.unwrap();
    form.set_by_name("password", "analytical engine").await.unwrap();
    form.submit_with(Locator::Css("button")).await.unwrap();
    browser.assert_shows("", "Welcome, ada.").await;
    client.find(Locator::LinkText("Your devices")).await.unwrap().click().await.unwrap();
    browser.assert_shows("Your devices", "Chrome/").await;
    let width = client.execute("return document.documentElement.scrollWidth", vec![]).await.unwrap();
    assert_eq!(width, 360, "nothing is wider than the phone");

    let form = client.form(Locator::Css("form[action='/devices/label']")).await.unwrap();
    form.set_by_name("label", "Ada’s laptop").await.unwrap();
    form.submit_with(Locator::Css("button")).await.unwrap();
    browser.assert_shows("Your devices", "Ada’s laptop").await;
    let button = Locator::Css("form[action='/devices/end'] button");
    client.find(button).await.unwrap().click().await.unwrap();
    browser.assert_shows("Your devices", "That device is signed out.").await;
    let left = others.iter().filter(|other| hello(&server, other).contains("of ada, ")).count();
    assert_eq!(left, 1);
    client.find(Locator::Css("form[action='/devices/end-others'] button")).await.unwrap().click().await.unwrap();
    browser.assert_shows("Your devices", "Signed out on 1 other devices.").await;
    assert!(others.iter().all(|other| hello(&server, other).contains("of an unknown visitor.")));
    assert!(client.find_all(button).await.unwrap().is_empty());
    browser.close().await;
}

/// Lines of code: neither empty, nor a comment, nor a test.
#[test]
fn the_example_has_at_most_400_lines() {
    let folder = build::root().join("examples/auth");
    let files = [
        "wit/auth.wit",
        "module/src/lib.rs",
        "module/src/attempts.rs",
        "module/src/password.rs",
        "page/src/lib.rs",
        "page/src/html.rs",
        "page/style.css",
        "lemon.ini",
    ];
    let lines = |file: &str| {
        let text = fs::read_to_string(folder.join(file)).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        code.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//")).count()
    };
    let total: usize = files.iter().map(|file| lines(file)).sum();
    assert!((200..=400).contains(&total), "{total} lines");
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
