//! Requests that nobody means well with: each gets a first visit or a refusal, never a crash, never an id of its choice.

use lemon_session_tests::{Client, Server, raw};

const FIRST: &str = "This is your first visit";

/// What a first visit or a refusal is; and that the id is not the one that was asked for.
#[track_caller]
fn assert_not_adopted(answer: &str, chosen: &str) {
    let status = raw::status(answer);
    if (400..500).contains(&status) {
        return;
    }
    assert_eq!(status, 200, "{answer}");
    assert!(answer.contains(FIRST), "{answer}");
    let cookie = answer.lines().find_map(|line| line.strip_prefix("set-cookie: visits=")).expect("a new cookie");
    assert!(chosen.is_empty() || !cookie.starts_with(&format!("{chosen};")), "{chosen} was adopted: {answer}");
}

#[test]
fn made_up_ids_are_never_adopted() {
    let server = Server::start("visits");
    let made_up = "A".repeat(43);
    let short = "A".repeat(42);
    let long = "A".repeat(44);
    let huge = "A".repeat(4000);
    let ids = [
        made_up.as_str(),
        &short,
        &long,
        &huge,
        "",
        "x",
        "'; DROP TABLE Session; --",
        "../../etc/passwd",
        "%00%0d%0aset-cookie:%20evil=1",
        "\"quoted\"",
        "=",
        "$Path=/",
    ];
    for id in ids {
        let answer = raw::get(server.address, "/", format!("visits={id}").as_bytes());
        assert_not_adopted(&answer, id);
        assert!(!answer.contains("evil=1"), "{answer}");
    }
    // The tables are where they were.
    let visitor = Client::new();
    server.get(&visitor, "/");
    assert!(server.get(&visitor, "/").body.contains("Welcome back"));
}

#[test]
fn a_cookie_header_of_64_kilobytes_does_no_harm() {
    let server = Server::start("visits");
    for size in [1 << 14, 1 << 15, 1 << 16, 1 << 17, 1 << 20] {
        let answer = raw::get(server.address, "/", format!("visits={}", "A".repeat(size)).as_bytes());
        assert_not_adopted(&answer, "");
    }
    let many = vec!["a=b"; 20_000].join("; ");
    assert_not_adopted(&raw::get(server.address, "/", many.as_bytes()), "");
    assert!(server.get(&Client::new(), "/").body.contains(FIRST));
}

#[test]
fn bytes_that_are_not_utf_8_do_no_harm() {
    let server = Server::start("visits");
    let cookies: [&[u8]; 4] =
        [b"visits=\xff\xfe\xfd", b"\xff=\xff", b"visits=caf\xe9; visits=\xc3\x28", b"visits=\x80AAAAAAAAAAAAAAAA"];
    for cookie in cookies {
        assert_not_adopted(&raw::get(server.address, "/", cookie), "");
    }
}

#[test]
fn of_two_cookies_of_one_name_a_made_up_one_wins_nothing() {
    let server = Server::start("visits");
    let made_up = "A".repeat(43);
    let other = "B".repeat(43);

    let both = raw::get(server.address, "/", format!("visits={made_up}; visits={other}").as_bytes());
    assert_not_adopted(&both, &made_up);
    assert_not_adopted(&both, &other);

    // Somebody who can set cookies of a parent domain puts one before or behind the visitor's: he must not be put into
    // the attacker's session, which is not there, nor lose more than his own.
    let visitor = Client::new();
    let own = server.get(&visitor, "/").set_cookie().value;
    for cookie in [format!("visits={made_up}; visits={own}"), format!("visits={own}; visits={made_up}")] {
        let answer = raw::get(server.address, "/", cookie.as_bytes());
        assert_eq!(raw::status(&answer), 200, "{answer}");
        assert!(!answer.contains(&made_up), "{answer}");
    }
}

#[test]
fn malformed_requests_get_4xx_and_the_server_goes_on() {
    let server = Server::start("visits");
    let requests: [&[u8]; 9] = [
        b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.1\r\nConnection: close\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nConnection: close\r\nHost: caf\xe9\r\n\r\n",
        b"GET / HTTP/1.1\r\nConnection: close\r\nHost: a b\r\n\r\n",
        b"NONSENSE\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS greeting\r\n\r\n",
    ];
    for request in requests {
        let answer = raw::send(server.address, request);
        let shown = String::from_utf8_lossy(request);
        assert!((400..500).contains(&raw::status(&answer)), "{shown:?}: {answer:?}");
    }
    let many: String = (0..200).map(|i| format!("X-{i}: 1\r\n")).collect();
    let answer = raw::send(server.address, format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n").as_bytes());
    assert_eq!(raw::status(&answer), 431);

    assert!(server.get(&Client::new(), "/").body.contains(FIRST));
}

#[test]
fn a_request_without_a_host_is_fine_before_http_1_1() {
    let server = Server::start("visits");
    let answer = raw::send(server.address, b"GET / HTTP/1.0\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");
    assert!(answer.contains(FIRST), "{answer}");
}
