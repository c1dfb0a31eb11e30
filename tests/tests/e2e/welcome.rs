//! The page that `make run` serves, as a newcomer uses it.

use lemon_session_tests::{Client, Launch, Reply, Server, browser::Browser, client::get_with_cookie, raw};

/// Sends a form, and follows the redirect to the page.
fn act(server: &Server, visitor: &Client, action: &str, form: &[(&str, &str)]) -> Reply {
    let reply = server.post(visitor, action, form);
    assert_eq!((reply.status, reply.headers("location")), (303, vec!["/"]), "{reply:?}");
    server.get(visitor, "/")
}

#[test]
fn first_visit_explains_the_cookie_that_was_set_and_the_second_that_it_came_back() {
    let server = Server::start("welcome");
    let visitor = Client::new();

    let first = server.get(&visitor, "/");

    let cookie = first.set_cookie();
    assert_eq!(cookie.name, "welcome");
    assert!(first.body.contains("This is your first visit"), "{first:?}");
    let second = server.get(&visitor, "/");
    assert!(second.body.contains("The cookie <b>welcome</b> came back"), "{second:?}");
    assert!(second.headers("set-cookie").is_empty());
    let seconds = cookie.attribute("max-age").unwrap();
    for reply in [&first, &second] {
        for (name, value) in [
            ("Name", "welcome"),
            ("Path", "/"),
            ("HttpOnly", "yes"),
            ("SameSite", "Lax"),
            ("Secure", "no"),
            ("Max-Age", &format!("{seconds} seconds, about {} minutes", seconds.parse::<u32>().unwrap() / 60)),
        ] {
            let row = format!("<th scope=\"row\">{name}<td><b>{value}</b>");
            assert!(reply.body.contains(&row), "{row}: {reply:?}");
        }
        assert!(!reply.body.contains(&cookie.value), "the id is a secret");
        assert!(!reply.body.contains("<script") && reply.headers("content-security-policy")[0].contains("'none'"));
    }
}

#[test]
fn cookie_is_shown_as_it_was_set() {
    let server =
        Launch::new("welcome").ini("[session.cookie]\nname = site\nsame-site = strict\nlifetime = 0\n").start();
    let body = server.get(&Client::new(), "/").body;
    for row in ["Name<td><b>site", "SameSite<td><b>Strict", "Max-Age<td><b>until the browser closes"] {
        assert!(body.contains(row), "{row}: {body}");
    }
}

#[test]
fn variables_are_set_with_their_types_counted_and_deleted() {
    let server = Server::start("welcome");
    let visitor = Client::new();
    server.get(&visitor, "/");

    for (name, kind, value) in
        [("a", "text", "1"), ("b", "integer", "1"), ("c", "real", "1"), ("d", "boolean", "true"), ("e", "JSON", "[1]")]
    {
        let page = act(&server, &visitor, "/set", &[("name", name), ("type", kind), ("value", value)]);
        let shown = if kind == "real" { "1.0" } else { value };
        let row = format!(">{name}<td><div class=\"value\">{shown}</div> <small>{kind}</small>");
        assert!(page.body.contains(&row), "{row}: {page:?}");
    }
    act(&server, &visitor, "/count", &[]);
    let page = act(&server, &visitor, "/count", &[]);
    assert!(page.body.contains(">count<td><div class=\"value\">2</div> <small>integer</small>"), "{page:?}");
    assert!(page.body.contains("The variable count is 2 now"), "{page:?}");
    assert!(!server.get(&visitor, "/").body.contains("is 2 now"), "a notice is shown once");

    let page = act(&server, &visitor, "/delete", &[("name", "count")]);
    assert!(!page.body.contains(">count<td>") && page.body.contains(">a<td>"), "{page:?}");
}

#[test]
fn what_is_refused_is_explained_and_changes_nothing() {
    let server = Launch::new("welcome").ini("[session.limits]\nvalue-bytes = 1000\n").start();
    let visitor = Client::new();
    let (long, large) = ("k".repeat(33), "v".repeat(1001));
    let set =
        |name, kind, value| act(&server, &visitor, "/set", &[("name", name), ("type", kind), ("value", value)]).body;

    for (page, why) in [
        (set("", "text", "v"), "This name cannot be used: "),
        (set(&long, "text", "v"), "33 characters; the limit is 32"),
        (set("k", "text", &large), "This is too large: "),
        (set("k", "integer", "1.5"), "it does not have the type integer"),
        (set("k", "JSON", "{"), "This value cannot be stored: "),
        (act(&server, &visitor, "/login", &[("name", "")]).body, "This name cannot be used: "),
    ] {
        assert!(page.contains("class=\"error\"") && page.contains(why), "{why}: {page}");
        assert!(page.contains("None yet.") && page.contains("action=\"/login\""), "{page}");
    }
    assert_eq!(server.get(&visitor, "/nowhere").status, 404);
}

#[test]
fn login_and_logout_change_the_id_and_keep_the_variables() {
    let server = Server::start("welcome");
    let visitor = Client::new();
    server.get(&visitor, "/");
    act(&server, &visitor, "/count", &[]);
    let ids = || visitor.cookie("welcome").unwrap();
    let before = ids();

    let page = act(&server, &visitor, "/login", &[("name", "Ada")]);

    let during = ids();
    assert!(page.body.contains("Logged in as <b>Ada</b>") && page.body.contains("regenerate-id"), "{page:?}");
    assert!(page.body.contains(">count<td>"), "{page:?}");
    let listed = server.launch.command(&["list", "--json"]).ok().json();
    assert_eq!(listed[0]["owner"], "Ada", "{listed:?}");
    let old = get_with_cookie(&server.url("/"), &format!("welcome={before}"));
    assert!(old.body.contains("This is your first visit"), "the old id is worthless: {old:?}");

    let page = act(&server, &visitor, "/logout", &[]);
    assert!(!page.body.contains("Logged in as") && page.body.contains(">count<td>"), "{page:?}");
    assert!(before != during && during != ids() && before != ids());
}

#[test]
fn destroy_ends_the_session_and_the_next_page_says_so() {
    let server = Server::start("welcome");
    let visitor = Client::new();
    server.get(&visitor, "/");
    act(&server, &visitor, "/count", &[]);

    let reply = server.post(&visitor, "/destroy", &[]);

    assert_eq!((reply.status, reply.headers("location")), (303, vec!["/?destroyed"]), "{reply:?}");
    assert_eq!(reply.set_cookie().attribute("max-age"), Some("0"));
    assert_eq!(visitor.cookie("welcome"), None);
    let page = server.get(&visitor, "/?destroyed");
    assert!(page.body.contains("Your session was destroyed") && page.body.contains("None yet."), "{page:?}");
    assert!(server.get(&visitor, "/?destroyed").body.contains("came back"), "a reload is no second end");
}

#[test]
fn no_form_of_another_site_changes_anything_and_no_get_does() {
    let server = Server::start("welcome");
    let visitor = Client::new();
    server.get(&visitor, "/");
    act(&server, &visitor, "/count", &[]);

    for action in ["/set", "/delete", "/count", "/login", "/logout", "/destroy"] {
        let forged =
            visitor.post_with(&server.url(action), &[("name", "count")], &[("origin", "https://evil.example")]);
        assert_eq!(forged.status, 403, "{action}: {forged:?}");
        assert!(forged.body.contains("A page of another site sent this request"), "{forged:?}");
        assert_eq!(server.get(&visitor, action).status, 404);
    }
    let page = server.get(&visitor, "/").body;
    assert!(page.contains(">count<td><div class=\"value\">1</div>") && !page.contains("Logged in as"), "{page}");
}

#[test]
fn a_form_that_is_too_long_or_is_none_is_refused_with_the_reason() {
    let server = Server::start("welcome");
    let visitor = Client::new();
    act(&server, &visitor, "/count", &[]);

    let long = server.post(&visitor, "/set", &[("name", "count"), ("value", &"x".repeat(64 * 1024))]);
    assert_eq!(long.status, 413, "{long:?}");
    assert!(long.body.contains("This is too large: the form has more than 65536 bytes."), "{long:?}");
    let address = server.address;
    let post = |head: &str, body: &str| {
        raw::send(
            address,
            format!("POST /set HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{head}\r\n\r\n{body}").as_bytes(),
        )
    };
    let other = post("Content-Type: text/plain\r\nContent-Length: 10", "name=count");
    assert_eq!(raw::status(&other), 400, "{other}");
    assert!(other.contains("application/x-www-form-urlencoded; it is text/plain"), "{other}");

    let page = server.get(&visitor, "/").body;
    assert!(page.contains(">count<td><div class=\"value\">1</div>"), "{page}");
}

#[test]
fn what_visitors_write_is_shown_as_text() {
    let server = Server::start("welcome");
    let visitor = Client::new();
    let script = "\"'><script>alert(1)</script>";
    let set = |kind, value| act(&server, &visitor, "/set", &[("name", script), ("type", kind), ("value", value)]).body;

    let pages = [
        set("text", script),
        set("JSON", "\"<script>\""),
        act(&server, &visitor, "/login", &[("name", script)]).body,
        server.get(&visitor, "/").body,
    ];

    for page in pages {
        assert!(page.contains("&lt;script") && !page.contains("<script") && !page.contains("\"'>"), "{page}");
    }
    let page = act(&server, &visitor, "/delete", &[("name", script)]).body;
    assert!(page.contains("None yet."), "the name that a button sends is the variable's: {page}");
}

#[tokio::test]
async fn chromium_shows_the_page_on_a_phone_without_scrolling_sideways() {
    let Some(browser) = Browser::phone(390).await else { return };
    let server = Server::start("welcome");
    let visitor = Client::new();
    for (name, value) in [("W".repeat(32), "W".repeat(2000)), ("text".to_owned(), "several words ".repeat(100))] {
        act(&server, &visitor, "/set", &[("name", &name), ("type", "text"), ("value", &value)]);
    }
    act(&server, &visitor, "/login", &[("name", &"W".repeat(255))]);

    let client = &browser.client;
    client.goto(&server.url("/nowhere")).await.unwrap();
    let cookie = format!("welcome={}; path=/", visitor.cookie("welcome").unwrap());
    client.execute("document.cookie = arguments[0]", vec![cookie.into()]).await.unwrap();
    client.goto(&server.url("/")).await.unwrap();

    browser.assert_shows("", "came back").await;
    let widths =
        "return [window.innerWidth, document.documentElement.scrollWidth, document.querySelectorAll('tr').length]";
    let widths = client.execute(widths, vec![]).await.unwrap();
    assert_eq!(widths, serde_json::json!([390, 390, 8]), "the window, the page, the rows of its tables");
    browser.close().await;
}
