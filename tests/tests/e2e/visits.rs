//! The page of the example, as a visitor sees it.

use std::fs;

use lemon_session_tests::{Client, Launch, Server, client::get_with_cookie};

const FIRST: &str = "This is your first visit";
const BACK: &str = "Welcome back";

#[test]
fn first_visit_sets_a_cookie_that_scripts_and_other_sites_do_not_get() {
    let server = Server::start("visits");
    let visitor = Client::new();

    let reply = server.get(&visitor, "/");

    assert_eq!(reply.status, 200);
    assert!(reply.body.contains(FIRST), "{reply:?}");
    assert!(reply.body.contains("Setting variable1 to 'Python Rules!'"), "{reply:?}");
    assert!(reply.body.contains("Refresh this page"), "{reply:?}");
    let cookie = reply.set_cookie();
    assert_eq!(cookie.name, "visits");
    assert!(cookie.attribute("httponly").is_some(), "{cookie:?}");
    assert_eq!(cookie.attribute("samesite"), Some("Lax"));
    assert_eq!(cookie.attribute("path"), Some("/"));
    // At least as long as the session: 24 minutes from its last use, the slice that need not be written down, and the second
    // that has begun.
    let max_age: u32 = cookie.attribute("max-age").and_then(|seconds| seconds.parse().ok()).expect("seconds");
    assert!((1440..=1440 + 1440 / 20 + 1).contains(&max_age), "{cookie:?}");
    assert_eq!(cookie.attribute("domain"), None);
    assert_eq!(cookie.attribute("secure"), None, "the visit was not over HTTPS");
    assert_eq!(reply.headers("cache-control"), ["no-store"]);
    // 256 bits as base64url.
    assert_eq!(cookie.value.len(), 43, "{cookie:?}");
    assert!(cookie.value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'));
}

#[test]
fn second_visit_is_welcomed_back_with_what_was_stored() {
    let server = Server::start("visits");
    let visitor = Client::new();
    server.get(&visitor, "/");

    let reply = server.get(&visitor, "/");

    assert_eq!(reply.status, 200);
    assert!(reply.body.contains(BACK), "{reply:?}");
    assert!(reply.body.contains("variable1: Python Rules!"), "{reply:?}");
    assert!(reply.body.contains("<form method=\"post\"><button>Destroy session</button></form>"), "{reply:?}");
}

#[test]
fn destroyed_session_is_over_and_its_cookie_deleted() {
    let server = Server::start("visits");
    let visitor = Client::new();
    let old = server.get(&visitor, "/").set_cookie().value;

    let reply = server.post(&visitor, "/", &[]);

    assert!(reply.body.contains("Session Deleted"), "{reply:?}");
    let deletion = reply.set_cookie();
    assert_eq!(deletion.name, "visits");
    assert_eq!(deletion.attribute("max-age"), Some("0"), "{deletion:?}");
    assert_eq!(deletion.attribute("path"), Some("/"), "{deletion:?}");
    assert!(!deletion.value.contains(&old));
    assert_eq!(reply.headers("cache-control"), ["no-store"]);
    assert_eq!(visitor.cookie("visits"), None, "the client has dropped the cookie");

    let again = get_with_cookie(&server.url("/"), &format!("visits={old}"));
    assert!(again.body.contains(FIRST), "{again:?}");
    assert_ne!(again.set_cookie().value, old, "an ended id is not given a second life");
}

#[test]
fn no_get_ends_a_session_and_no_form_of_another_site_does() {
    let server = Server::start("visits");
    let visitor = Client::new();
    server.get(&visitor, "/");

    assert!(server.get(&visitor, "/?destroy=True").body.contains(BACK));
    let forged = visitor.post_with(&server.url("/"), &[], &[("origin", "https://evil.example")]);

    assert_eq!(forged.status, 403, "{forged:?}");
    assert!(forged.body.starts_with("cross-site: "), "{forged:?}");
    assert!(server.get(&visitor, "/").body.contains(BACK));
}

#[test]
fn visitors_do_not_see_each_other() {
    let server = Server::start("counter");
    let (one, other) = (Client::new(), Client::new());

    server.get(&one, "/set?key=colour&value=red");
    server.get(&other, "/set?key=colour&value=blue");

    assert_eq!(server.get(&one, "/get?key=colour").body, "red\n");
    assert_eq!(server.get(&other, "/get?key=colour").body, "blue\n");
}

#[test]
fn visitor_is_still_known_after_kill_9_and_a_new_start() {
    let server = Server::start("visits");
    let visitor = Client::new();
    server.get(&visitor, "/");

    let server = server.kill().start();

    assert!(server.get(&visitor, "/").body.contains(BACK));
}

#[test]
fn two_applications_share_one_cookie_and_keep_their_variables_apart() {
    let launch = Launch::new("counter").ini("[session.cookie]\nname = site\n");
    let visits = launch.beside("visits").start();
    let counter = launch.start();
    let visitor = Client::new();

    let id = counter.get(&visitor, "/set?key=variable1&value=counted").set_cookie();
    assert_eq!(id.name, "site");

    // The session is there, so this is no first visit, and yet nothing of the other application's is.
    let reply = visits.get(&visitor, "/");
    assert!(reply.body.contains("variable1: not set"), "{reply:?}");
    assert_eq!(counter.get(&visitor, "/app?name=visits&key=variable1&value=theirs").status, 200);

    assert!(visits.get(&visitor, "/").body.contains("variable1: theirs"));
    assert_eq!(counter.get(&visitor, "/get?key=variable1").body, "counted\n");
    assert_eq!(visitor.cookie("site"), Some(id.value));

    // They end together.
    assert!(visits.post(&visitor, "/", &[]).body.contains("Session Deleted"));
    assert_eq!(counter.get(&visitor, "/get?key=variable1").status, 404);
}

#[test]
fn values_keep_their_kinds() {
    let server = Server::start("counter");
    let visitor = Client::new();
    let kept = [
        ("null", "", "null"),
        ("boolean", "true", "true"),
        ("integer", "-9223372036854775808", "-9223372036854775808"),
        ("real", "1", "1.0"),
        ("real", "-inf", "-inf"),
        ("text", "h%C3%A9llo%20%00%0A", "h\u{e9}llo \0\n"),
        ("bytes", "%01%7F", "017f"),
        ("json", "%7B%22a%22%3A%20%5B1%2C%201.0%5D%7D", "{\"a\": [1, 1.0]}"),
    ];
    for (kind, value, shown) in kept {
        let reply = server.get(&visitor, &format!("/set?key=k&kind={kind}&value={value}"));
        assert_eq!(reply.status, 200, "{kind}: {reply:?}");
        assert_eq!(server.get(&visitor, "/get?key=k").body, format!("{shown}\n"), "{kind}");
    }
    assert_eq!(server.get(&visitor, "/set?key=k&kind=json&value=%7B").status, 400);
    assert_eq!(server.get(&visitor, "/get?key=k").body, "{\"a\": [1, 1.0]}\n", "what is refused changes nothing");
}

#[test]
fn bad_names_and_sizes_are_refused_with_their_status() {
    let server = Server::start("counter");
    let visitor = Client::new();
    let long = "k".repeat(33);
    let refused = [
        ("/set?key=&value=1".to_owned(), 400),
        (format!("/set?key={long}&value=1"), 400),
        ("/set?key=a%00b&value=1".to_owned(), 400),
        ("/app?name=&key=k&value=1".to_owned(), 400),
        (format!("/app?name={}&key=k&value=1", "a".repeat(256)), 400),
        ("/set?key=k&kind=integer&value=1.5".to_owned(), 400),
        ("/set?value=1".to_owned(), 400),
        ("/nowhere".to_owned(), 404),
    ];
    for (path, status) in refused {
        let reply = server.get(&visitor, &path);
        assert_eq!(reply.status, status, "{path}: {reply:?}");
    }
    assert_eq!(server.get(&visitor, &format!("/set?key={}&value=1", "k".repeat(32))).status, 200);
    assert_eq!(server.get(&visitor, &format!("/app?name={}&key=k&value=1", "a".repeat(255))).status, 200);
}

#[test]
fn login_gives_a_new_id_and_keeps_the_variables() {
    let server = Server::start("counter");
    let visitor = Client::new();
    let before = server.get(&visitor, "/set?key=colour&value=red").set_cookie().value;

    let after = server.get(&visitor, "/login?user=alice").set_cookie().value;

    assert_ne!(before, after);
    assert_eq!(server.get(&visitor, "/get?key=colour").body, "red\n");
    let old = get_with_cookie(&server.url("/get?key=colour"), &format!("counter={before}"));
    assert_eq!(old.status, 404, "the old id is dead at once: {old:?}");
    assert_ne!(old.set_cookie().value, before);
}

#[test]
fn all_sessions_of_an_owner_but_the_current_one_can_be_ended() {
    let server = Server::start("counter");
    let (here, elsewhere, bob) = (Client::new(), Client::new(), Client::new());
    for (visitor, user) in [(&here, "alice"), (&elsewhere, "alice"), (&bob, "bob")] {
        server.get(visitor, "/set?key=colour&value=red");
        server.get(visitor, &format!("/login?user={user}"));
    }

    assert_eq!(server.get(&here, "/owner/end?user=alice&except=current").body, "1\n");

    assert_eq!(server.get(&here, "/get?key=colour").status, 200);
    assert_eq!(server.get(&elsewhere, "/get?key=colour").status, 404);
    assert_eq!(server.get(&bob, "/get?key=colour").status, 200);
}

#[test]
fn no_id_is_stored_or_logged() {
    let server = Launch::new("counter").arg("--log-level=trace").start();
    let mut ids = Vec::new();
    for user in 0..20 {
        let visitor = Client::new();
        ids.push(server.get(&visitor, "/").set_cookie().value);
        ids.push(server.get(&visitor, &format!("/login?user=user-{user}")).set_cookie().value);
    }

    let mut found = Vec::new();
    for file in fs::read_dir(server.launch.folder()).unwrap() {
        let path = file.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        if bytes.windows(6).any(|window| window == b"user-7") {
            found.push(path.file_name().unwrap().to_string_lossy().into_owned());
        }
        for id in &ids {
            let shown = bytes.windows(id.len()).any(|window| window == id.as_bytes());
            assert!(!shown, "{} shows an id", path.display());
        }
    }
    assert!(found.iter().any(|file| file.starts_with("sessions.db")), "what was stored was looked at: {found:?}");
}
