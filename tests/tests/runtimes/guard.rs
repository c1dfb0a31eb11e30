//! The guard in front of applications of WASI 0.3, under `wasmtime serve`. Visitors log in on another site with the same
//! store: `counter`, an application of WASI 0.2.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use lemon_session_tests::{Client, Reply, build, command};

use crate::{
    running::{Place, Running},
    site::runtime,
    store::{Kind, Store},
    wasmtime,
};

/// The cookie of `counter`.
const COOKIE: (&str, &str) = ("LEMON_GUARD_COOKIE", "counter");

/// An application behind the guard, joined with the provider `files`.
fn guarded(application: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    fs::create_dir_all(folder).expect("there is room for a folder");
    let file = folder.join(format!("guarded-{application}.wasm"));
    let paths = [build::component("lemon_session_guard"), build::component(application), file.clone()];
    let [guard, behind, to] = paths.map(|path| path.display().to_string());
    command::run(folder, &["compose", &guard, "--with", &behind, "--provider", "files", "-o", &to]).ok();
    file
}

fn echo() -> &'static Path {
    static ECHO: OnceLock<PathBuf> = OnceLock::new();
    ECHO.get_or_init(|| guarded("echo"))
}

fn serve(site: &Path, store: &Store, variables: &[(&str, &str)]) -> Running {
    let place = Place::new();
    let mut command = Command::new(runtime("wasmtime"));
    command.args(["serve", "-S", "cli", "--addr", &place.address.to_string()]);
    command.arg("--dir").arg(format!("{}::/sessions", store.folder().display()));
    for (name, value) in variables {
        command.arg("--env").arg(format!("{name}={value}"));
    }
    command.arg(site);
    place.start(command, "Serving HTTP on ")
}

/// A site behind the guard, and one with the same sessions where visitors log in.
struct Site {
    guarded: Running,
    login: Running,
    _store: Store,
}

impl Site {
    fn start(variables: &[(&str, &str)]) -> Self {
        let store = Store::new(Kind::Files).expect("a folder");
        let guarded = serve(echo(), &store, &[&[COOKIE], variables].concat());
        Self { guarded, login: wasmtime::serve("counter", &store), _store: store }
    }

    /// The cookie of a visitor who has a session.
    fn visitor(&self) -> String {
        let begun = self.login.get_with("", "/set?key=first&value=1");
        format!("counter={}", begun.set_cookie().value)
    }

    /// The cookie of a visitor who has logged in.
    fn owner(&self, user: &str) -> String {
        let login = self.login.get_with(&self.visitor(), &format!("/login?user={user}"));
        format!("counter={}", login.set_cookie().value)
    }

    fn get(&self, path: &str, headers: &[(&str, &str)]) -> Reply {
        Client::new().get_with(&self.guarded.url(path), headers)
    }
}

/// The values of a header that reached the application.
fn arrived<'a>(reply: &'a Reply, name: &str) -> Vec<&'a str> {
    let lines = reply.body.lines().filter_map(|line| line.split_once(": "));
    lines.filter(|(header, _)| header.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
}

#[test]
fn the_owner_reaches_the_application_in_a_header_that_no_client_can_forge() {
    let site = Site::start(&[]);
    let (visitor, ann) = (site.visitor(), site.owner("ann"));
    let forged = [("x-session-owner", "eve"), ("x_session_owner", "eve"), ("X-Session_Owner", "eve")];
    for (cookie, owner) in [("", &[][..]), (&visitor, &[]), (&ann, &["ann"])] {
        let reply = site.get("/page?x=1", &[&[("cookie", cookie), ("accept-language", "la")], &forged[..]].concat());
        assert_eq!(reply.status, 200, "{reply:?}");
        assert!(reply.body.starts_with("Method::Get /page?x=1\n"), "{reply:?}");
        assert_eq!(arrived(&reply, "x-session-owner"), owner);
        assert!(!reply.body.contains("eve"), "{reply:?}");
        assert_eq!(arrived(&reply, "accept-language"), ["la"], "other headers pass");
    }
    let named = Site::start(&[("LEMON_GUARD_OWNER_HEADER", "Remote-User")]);
    let reply =
        named.get("/", &[("cookie", &named.owner("J%C3%B6rg%20L")), ("remote-user", "eve"), ("x-session-owner", "x")]);
    assert_eq!(
        (arrived(&reply, "remote-user"), arrived(&reply, "x-session-owner")),
        (vec!["J%C3%B6rg%20L"], vec!["x"])
    );
}

#[test]
fn a_protected_path_needs_an_owner() {
    let site = Site::start(&[("LEMON_GUARD_PROTECT", "/account"), ("LEMON_GUARD_PUBLIC", "/account/new")]);
    let (visitor, ann) = (site.visitor(), site.owner("ann"));
    for path in
        ["/account", "/account/orders?page=2", "/%61ccount", "//account", "/x/../account", "/account/new/../orders"]
    {
        for cookie in ["", "counter=made-up", &visitor] {
            let reply = raw(&site, path, cookie);
            assert!(reply.starts_with("HTTP/1.1 401"), "{path} {cookie}: {reply}");
            assert!(reply.to_lowercase().contains("\r\ncache-control: no-store\r\n"), "{reply}");
        }
        let reply = raw(&site, path, &ann);
        assert!(reply.starts_with("HTTP/1.1 200") && reply.contains("x-session-owner: ann"), "{path}: {reply}");
    }
    for path in ["/", "/accounts", "/account/new"] {
        assert_eq!(site.get(path, &[]).status, 200, "{path}");
    }
    // A logout on the other site.
    assert_eq!(site.login.get_with(&ann, "/destroy").status, 200);
    assert_eq!(site.get("/account", &[("cookie", &ann)]).status, 401);
}

/// The client of the other tests writes a path in its simplest form.
fn raw(site: &Site, path: &str, cookie: &str) -> String {
    let url = site.guarded.url("");
    let address = url.trim_start_matches("http://").parse().expect("an address");
    lemon_session_tests::raw::get(address, path, cookie.as_bytes())
}

#[test]
fn a_page_sends_visitors_to_the_login_page() {
    let protect = [("LEMON_GUARD_PROTECT", "/"), ("LEMON_GUARD_PUBLIC", "/login")];
    let site = Site::start(&[&protect[..], &[("LEMON_GUARD_LOGIN", "/login?by=guard")]].concat());
    let reply = site.get("/account", &[]);
    assert_eq!((reply.status, reply.headers("location")), (303, vec!["/login?by=guard"]));
    assert_eq!(site.get("/login?by=guard", &[]).status, 200);
    assert_eq!(Client::new().post(&site.guarded.url("/account"), &[("a", "b")]).status, 401);
}

#[test]
fn a_request_of_another_site_is_refused() {
    let site = Site::start(&[("LEMON_GUARD_CROSS_SITE", "/hooks")]);
    let ann = site.owner("ann");
    let post = |path: &str, from: &[(&str, &str)]| {
        let headers = [&[("cookie", ann.as_str())], from].concat();
        Client::new().post_with(&site.guarded.url(path), &[("amount", "1")], &headers)
    };
    assert_eq!(post("/transfer", &[("sec-fetch-site", "cross-site")]).status, 403);
    assert_eq!(post("/transfer", &[("origin", "https://evil.example")]).status, 403);
    assert_eq!(post("/hooks/pay", &[("origin", "https://pay.example")]).status, 200);
    // This runtime tells a component of WASI 0.3 neither the authority nor `Host`, so that an `Origin` alone is never its own.
    for own in [&[("sec-fetch-site", "same-origin")][..], &[]] {
        let reply = post("/transfer", own);
        assert_eq!(reply.status, 200);
        assert!(
            reply.body.starts_with("Method::Post /transfer\n") && reply.body.ends_with("\n\namount=1"),
            "{reply:?}"
        );
    }
}

#[test]
fn a_session_makes_no_more_requests_than_the_rate_allows() {
    let site = Site::start(&[("LEMON_GUARD_REQUESTS", "5"), ("LEMON_GUARD_WINDOW", "7d")]);
    let (ann, bob) = (site.owner("ann"), site.owner("bob"));
    for _ in 0..5 {
        assert_eq!(site.get("/", &[("cookie", &ann)]).status, 200);
    }
    let reply = site.get("/", &[("cookie", &ann)]);
    assert_eq!(reply.status, 429, "{reply:?}");
    let wait: u32 = reply.headers("retry-after")[0].parse().expect("seconds");
    assert!((1..=7 * 24 * 60 * 60).contains(&wait), "{reply:?}");
    assert_eq!(site.get("/", &[("cookie", &bob)]).status, 200, "another session has its own count");
    assert_eq!(site.login.get_with(&ann, "/get?key=first").body, "1\n", "the application's variables are untouched");
}

#[test]
fn cookies_of_the_application_pass() {
    let site = Site::start(&[]);
    let theme = ("answer-with", "set-cookie: theme=dark");
    for cookie in ["", &site.visitor(), &site.owner("ann")] {
        let reply = site.get("/", &[("cookie", cookie), theme]);
        assert_eq!(reply.headers("set-cookie"), ["theme=dark"], "the session's cookie is as new");
    }
    let reply = site.get("/", &[("cookie", &site.owner("ann")), ("answer-with", "cache-control: max-age=60")]);
    assert_eq!((reply.headers("cache-control"), reply.headers("vary")), (vec!["max-age=60"], vec!["Cookie"]));
    let reply = site.get("/", &[("cookie", &site.visitor())]);
    assert!(reply.headers("cache-control").is_empty(), "{reply:?}");
}

#[test]
fn a_cookie_that_has_to_be_renewed_is_sent_beside_those_of_the_application() {
    // A changed attribute of the cookie has it sent again.
    let site = Site::start(&[("LEMON_SESSION_COOKIE_SAME_SITE", "strict")]);
    let ann = site.owner("ann");
    let reply = site.get("/", &[("cookie", &ann), ("answer-with", "set-cookie: theme=dark")]);
    let cookies = reply.headers("set-cookie");
    assert!(cookies.len() == 2 && cookies.contains(&"theme=dark"), "{cookies:?}");
    assert!(
        cookies.iter().any(|cookie| cookie.starts_with("counter=") && cookie.contains("SameSite=Strict")),
        "{cookies:?}"
    );
    let own = "counter=; Max-Age=0";
    let reply = site.get("/", &[("cookie", &ann), ("answer-with", &format!("set-cookie: {own}"))]);
    assert_eq!(reply.headers("set-cookie"), [own], "the application's own counts");
}

#[test]
fn a_long_body_passes_both_ways() {
    let site = Site::start(&[]);
    let text = "0123456789abcdef".repeat(64 * 1024);
    let cookie = site.owner("ann");
    let reply = Client::new().post_with(&site.guarded.url("/"), &[("text", &text)], &[("cookie", &cookie)]);
    let body = reply.body.split_once("\n\n").map(|(_, body)| body);
    assert!(body == Some(&format!("text={text}")), "{} bytes came back", reply.body.len());
}

#[test]
fn wrong_settings_refuse_every_request_and_are_logged() {
    let site = Site::start(&[("LEMON_GUARD_PROTEKT", "/account")]);
    let reply = site.get("/", &[]);
    assert_eq!(reply.status, 500);
    assert!(!reply.body.contains("PROTEKT"), "{reply:?}");
    let log = site.guarded.log();
    assert!(log.contains("LEMON_GUARD_PROTEKT: there is no such setting; did you mean LEMON_GUARD_PROTECT?"), "{log}");
}

#[test]
fn an_application_with_sessions_of_its_own_shares_them_with_the_guard() {
    let store = Store::new(Kind::Files).expect("a folder");
    let variables = [("LEMON_GUARD_COOKIE", "visits"), ("LEMON_GUARD_REQUESTS", "100")];
    let site = serve(&guarded("visits_async"), &store, &variables);
    let visitor = Client::new();
    let first = site.get(&visitor, "/");
    assert!(first.body.contains("This is your first visit"), "{first:?}");
    assert_eq!(first.set_cookie().name, "visits");
    let second = site.get(&visitor, "/");
    assert!(second.body.contains("variable1: Python Rules!"), "{second:?}");
    let last = visitor.post(&site.url("/"), &[]);
    assert!(last.body.contains("Session Deleted"), "{last:?}");
    assert_eq!(last.set_cookie().attribute("max-age"), Some("0"), "the guard does not undo the end of the session");
    assert!(site.get(&visitor, "/").body.contains("This is your first visit"));
}
