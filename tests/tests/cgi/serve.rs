//! CGI programs under `lemon-session serve`.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    thread,
};

use lemon_session_tests::{Client, Launch, Reply, Server, cgi::print, raw};

fn get_printed(server: &Server, text: &str) -> Reply {
    server.get(&Client::new(), &print(text))
}

fn variables(body: &str) -> Vec<(&str, &str)> {
    body.lines().map(|line| line.split_once('=').expect("a variable")).collect()
}

#[test]
fn a_visitor_walks_through_the_three_pages() {
    let server = Server::start("visits-cgi");
    let visitor = Client::new();
    let first = server.get(&visitor, "/");
    assert!(first.body.contains("This is your first visit"), "{first:?}");
    assert_eq!(first.headers("cache-control"), ["no-store"]);
    assert!(server.get(&visitor, "/").body.contains("variable1: Python Rules!"));
    let deleted = server.post(&visitor, "/", &[]);
    assert!(deleted.body.contains("Session Deleted"));
    assert_eq!(visitor.cookie("visits"), None);
}

#[test]
fn the_environment_is_the_request_and_nothing_else() {
    let server = Server::start("rogue-cgi");
    let request = format!(
        "POST /environment?a=b HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nX-A: 1\r\nX-A: 2\r\nCookie: a=b\r\nCookie: c=d\r\n\
         Authorization: Basic secret\r\nProxy: secret\r\nX_B: secret\r\nContent-Type: text/plain\r\n\
         Content-Length: 2\r\n\r\nhi",
        server.address
    );
    let answer = raw::send(server.address, request.as_bytes());
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    let body: String = body.lines().filter(|line| line.contains('=')).map(|line| format!("{line}\n")).collect();
    let port = server.address.port().to_string();
    let host = server.address.to_string();
    let software = concat!("lemon-session/", env!("CARGO_PKG_VERSION"));
    let expected = [
        ("CONTENT_LENGTH", "2"),
        ("CONTENT_TYPE", "text/plain"),
        ("GATEWAY_INTERFACE", "CGI/1.1"),
        ("HTTP_COOKIE", "a=b; c=d"),
        ("HTTP_HOST", host.as_str()),
        ("HTTP_X_A", "1, 2"),
        ("HTTP_X_FORWARDED_FOR", "127.0.0.1"),
        ("HTTP_X_FORWARDED_PROTO", "http"),
        ("PATH_INFO", "/environment"),
        ("QUERY_STRING", "a=b"),
        ("REMOTE_ADDR", "127.0.0.1"),
        ("REMOTE_HOST", "127.0.0.1"),
        ("REQUEST_METHOD", "POST"),
        ("SCRIPT_NAME", ""),
        ("SERVER_NAME", "127.0.0.1"),
        ("SERVER_PORT", port.as_str()),
        ("SERVER_PROTOCOL", "HTTP/1.1"),
        ("SERVER_SOFTWARE", software),
    ];
    assert_eq!(variables(&body), expected, "{answer}");
}

#[test]
fn the_visitor_s_address_is_that_which_a_trusted_proxy_tells() {
    let address = |server: &Server| {
        let sent = [("x-forwarded-for", "6.6.6.6, 203.0.113.7")];
        let reply = Client::new().get_with(&server.url("/environment"), &sent);
        let variables = variables(&reply.body)
            .into_iter()
            .filter(|(name, _)| ["REMOTE_ADDR", "REMOTE_HOST", "HTTP_X_FORWARDED_FOR"].contains(name));
        variables.map(|(_, value)| value.to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(address(&Server::start("rogue-cgi")), ["127.0.0.1"; 3]);
    let server = Launch::new("rogue-cgi").ini("[server]\ntrusted-proxies = 127.0.0.1\n").start();
    assert_eq!(address(&server), ["203.0.113.7"; 3]);
}

#[test]
fn bodies_arrive_with_their_length_also_those_in_chunks() {
    let server = Server::start("rogue-cgi");
    let long = "x".repeat(300_000);
    assert_eq!(Client::new().post(&server.url("/echo"), &[("a", &long)]).body, format!("300002 a={long}"));
    assert_eq!(Client::new().post(&server.url("/deaf"), &[("a", &long)]).body, "well\n");

    let head = "HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunks = "5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n";
    let answer = raw::send(server.address, format!("POST /echo {head}{chunks}").as_bytes());
    assert!(answer.contains("6 hello!"), "{answer}");
    let answer = raw::send(server.address, format!("POST /environment {head}{chunks}").as_bytes());
    assert!(answer.contains("CONTENT_LENGTH=6\n") && !answer.contains("TRANSFER"), "{answer}");

    let server = Launch::new("rogue-cgi").ini("[server]\nbody-bytes = 5\n").start();
    let answer = raw::send(server.address, format!("POST /echo {head}{chunks}").as_bytes());
    assert_eq!(raw::status(&answer), 413);
}

#[test]
fn a_path_that_no_variable_can_hold_is_refused() {
    let server = Server::start("rogue-cgi");
    for path in ["/a%00b", "/%ff"] {
        assert_eq!(server.get(&Client::new(), path).status, 400, "{path}");
    }
    let reply = server.get(&Client::new(), "/caf%C3%A9/../%0a");
    assert_eq!(reply.status, 200, "{reply:?}");
}

#[test]
fn a_program_that_misbehaves_fails_its_own_request_alone() {
    let server = Launch::new("rogue-cgi").ini("[server]\nrequest-time = 1s\nmemory = 32M\n").start();
    let failures = [
        ("/trap", 500),
        ("/exit", 500),
        ("/grow", 500),
        ("/silent", 502),
        ("/endless-header", 502),
        ("/spin", 504),
        ("/sleep", 504),
    ];
    thread::scope(|scope| {
        for (path, status) in failures {
            let server = &server;
            scope.spawn(move || {
                let reply = server.get(&Client::new(), path);
                assert_eq!(reply.status, status, "{path}: {reply:?}");
                assert!(!reply.body.contains("wasm"), "the client learns nothing of the inside: {reply:?}");
            });
        }
        for _ in 0..10 {
            assert_eq!(server.get(&Client::new(), "/").body, "well\n");
        }
    });
    assert!(server.log().contains("trapped on purpose"), "what the program printed on stderr is in the log");
}

#[test]
fn a_bad_header_block_is_502_and_the_log_says_why() {
    let server = Server::start("rogue-cgi");
    for (text, why) in [
        ("no header\n\n", "line 1 of the header block has no colon"),
        ("Status: 200\nX-A: a\rSet-Cookie: secret=1\n\n", "line 2 of the header block has a control character"),
        ("HTTP/1.1 200 OK\n\n", "NPH"),
    ] {
        let reply = get_printed(&server, text);
        assert_eq!(reply.status, 502, "{text:?}: {reply:?}");
        assert!(server.log().contains(why), "{text:?}");
    }
    assert!(!server.log().contains("secret"));
}

#[test]
fn status_cookies_and_redirects_are_passed_on() {
    let server = Server::start("rogue-cgi");
    let reply = get_printed(&server, "Status: 404 Not Found\nContent-Type: text/plain\n\nbody");
    assert_eq!((reply.status, reply.body.as_str()), (404, "body"));
    let reply = get_printed(&server, "Content-Type: text/plain\nSet-Cookie: a=b\nSet-Cookie: c=d\n\n");
    assert_eq!((reply.status, reply.headers("set-cookie")), (200, vec!["a=b", "c=d"]));
    let reply = get_printed(&server, "Location: http://example.com/\n\n");
    assert_eq!((reply.status, reply.headers("location")), (302, vec!["http://example.com/"]));
    let reply = get_printed(&server, "Status: 303 See Other\nLocation: /a\n\n");
    assert_eq!((reply.status, reply.headers("location")), (303, vec!["/a"]));
    assert_eq!(get_printed(&server, "Status: 204\n\n").status, 204);
}

#[test]
fn a_local_redirect_is_followed_unless_it_carries_a_cookie() {
    let server = Server::start("rogue-cgi");
    let reply = get_printed(&server, "Location: /environment?a=b\n\n");
    assert_eq!(reply.status, 200, "{reply:?}");
    let variables = variables(&reply.body);
    assert!(
        variables.contains(&("PATH_INFO", "/environment")) && variables.contains(&("QUERY_STRING", "a=b")),
        "{reply:?}"
    );

    let reply = get_printed(&server, "Location: /environment\nSet-Cookie: a=b\n\n");
    assert_eq!(
        (reply.status, reply.headers("location"), reply.headers("set-cookie")),
        (302, vec!["/environment"], vec!["a=b"])
    );

    // A form that was sent is not sent again.
    let url = server.url(&print("Location: /environment\n\n"));
    let reply = Client::new().post(&url, &[("a", "b")]);
    assert!(reply.body.contains("REQUEST_METHOD=GET\n") && !reply.body.contains("CONTENT_"), "{reply:?}");
}

#[test]
fn local_redirects_in_a_circle_are_502() {
    let server = Server::start("rogue-cgi");
    let reply = server.get(&Client::new(), "/circle-of-redirects");
    assert_eq!(reply.status, 502, "{reply:?}");
    assert!(server.log().contains("too many local redirects"), "{}", server.log());
}

#[test]
fn head_is_answered_without_a_body_and_the_program_may_print_one() {
    let server = Server::start("visits-cgi");
    let answer = raw::send(server.address, b"HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("set-cookie: visits="), "{answer}");
    assert_eq!(body, "");
    assert!(!server.log().contains("ERROR"), "{}", server.log());
}

#[test]
fn a_body_is_as_long_as_its_content_length_says() {
    let server = Server::start("rogue-cgi");
    let get = |text: &str| {
        let request = format!("GET {} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", print(text));
        raw::send(server.address, request.as_bytes())
    };
    let longer = get("Status: 200\nContent-Length: 4\n\nbodyHTTP/1.1 200 OK\r\n\r\n");
    assert!(longer.ends_with("\r\n\r\nbody"), "{longer}");
    let shorter = get("Status: 200\nContent-Length: 40\n\nbody");
    assert!(shorter.is_empty() || shorter.contains("content-length: 40"), "it breaks off: {shorter}");
    let log = server.log();
    assert!(log.contains("more than its Content-Length") && log.contains("less than its Content-Length"), "{log}");
}

#[test]
fn a_response_is_sent_as_it_is_printed_and_one_that_breaks_off_shows_it() {
    let server = Launch::new("rogue-cgi").ini("[server]\nrequest-time = 2s\n").start();
    for path in ["/half-then-sleep", "/half-then-trap"] {
        let mut stream = TcpStream::connect(server.address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.contains("half") || path == "/half-then-trap", "{path}: {answer}");
        assert!(!answer.ends_with("0\r\n\r\n"), "the response has no end: {path}: {answer}");
    }
    // What is printed counts, and not the exit status.
    assert_eq!(server.get(&Client::new(), "/half-then-exit").body, "half\n");
    assert_eq!(server.get(&Client::new(), "/").body, "well\n");
}

#[test]
fn clients_that_drop_half_way_harm_nobody_else() {
    let server = Launch::new("rogue-cgi").ini("[server]\nin-flight = 2\nrequest-time = 60s\n").start();
    for _ in 0..3 {
        for request in [
            "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nonly this",
            "GET /endless-body HTTP/1.1\r\nHost: a\r\n\r\n",
        ] {
            let mut stream = TcpStream::connect(server.address).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            let mut some = [0; 1];
            if request.starts_with("GET") {
                stream.read_exact(&mut some).unwrap();
            }
        }
    }
    assert_eq!(server.get(&Client::new(), "/").body, "well\n", "there is room for another one");
}
