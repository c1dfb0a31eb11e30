//! Under Apache with mod_cgid, lighttpd with mod_cgi, and nginx with fcgiwrap, as examples/cgi configures them.

use std::{fs, io::Write as _, net::TcpStream};

use lemon_session_tests::{
    Client, Server,
    cgi::print,
    raw,
    web_server::{ALL, Kind, WebServer},
};

/// The three pages, as one visitor sees them, and the log.
fn walk(server: &WebServer, kind: Kind) -> [String; 3] {
    let visitor = Client::new();
    let first = server.get(&visitor, "");
    assert_eq!(first.status, 200, "{kind:?}: {first:?} {}", server.log());
    assert!(first.body.contains("This is your first visit"), "{kind:?}: {first:?}");
    let cookie = first.set_cookie();
    assert_eq!((cookie.name.as_str(), cookie.attribute("secure")), ("visits", None), "{kind:?}");
    assert_eq!(first.headers("cache-control"), ["no-store"], "{kind:?}");
    assert_eq!(first.headers("content-type"), ["text/html; charset=utf-8"], "{kind:?}");

    let back = server.get(&visitor, "");
    assert!(back.body.contains("variable1: Python Rules!"), "{kind:?}: {back:?}");

    let deleted = visitor.post(&server.url(""), &[]);
    assert!(deleted.body.contains("Session Deleted"), "{kind:?}: {deleted:?}");
    assert_eq!(deleted.set_cookie().attribute("max-age"), Some("0"), "{kind:?}");
    assert_eq!(visitor.cookie("visits"), None, "{kind:?}");
    [first.body, back.body, deleted.body]
}

#[test]
fn a_visitor_walks_through_the_three_pages_under_every_web_server_and_they_are_those_of_serve() {
    for component in ["visits-cgi", "visits"] {
        let served = Server::start(component);
        let visitor = Client::new();
        let [first, back] = ["/", "/"].map(|path| served.get(&visitor, path).body);
        let pages = [first, back, served.post(&visitor, "/", &[]).body];
        for kind in ALL {
            let Some(server) = WebServer::start(kind, component) else { continue };
            assert_eq!(walk(&server, kind), pages, "{component} under {kind:?}");
        }
    }
}

#[test]
fn a_request_is_told_as_the_web_server_received_it() {
    for kind in ALL {
        let Some(server) = WebServer::start(kind, "rogue-cgi") else { continue };
        let headers = [
            ("x-one", "1"),
            ("authorization", "Basic c2VjcmV0OnNlY3JldA=="),
            ("proxy", "http://evil.example"),
            ("cookie", "a=b"),
        ];
        let reply = Client::new().get_with(&server.url("/environment?a=b&c"), &headers);
        let variable = |name: &str| {
            let prefix = format!("{name}=");
            reply.body.lines().find_map(|line| line.strip_prefix(&prefix)).map(str::to_owned)
        };
        let port = server.address.port().to_string();
        for (name, value) in [
            ("GATEWAY_INTERFACE", "CGI/1.1"),
            ("PATH_INFO", "/environment"),
            ("QUERY_STRING", "a=b&c"),
            ("REMOTE_ADDR", "127.0.0.1"),
            ("REMOTE_HOST", "127.0.0.1"),
            ("REQUEST_METHOD", "GET"),
            ("SCRIPT_NAME", "/visits"),
            ("SERVER_PORT", port.as_str()),
            ("SERVER_PROTOCOL", "HTTP/1.1"),
            ("HTTP_X_ONE", "1"),
            ("HTTP_COOKIE", "a=b"),
        ] {
            assert_eq!(variable(name).as_deref(), Some(value), "{kind:?}: {name}: {reply:?}");
        }
        for name in ["SERVER_NAME", "SERVER_SOFTWARE"] {
            assert!(variable(name).is_some_and(|value| !value.is_empty()), "{kind:?}: {name}: {reply:?}");
        }
        for secret in ["leaked", "c2VjcmV0", "evil.example", "PATH=", "HOME=", "SCRIPT_FILENAME", "/srv", "/tmp"] {
            assert!(!reply.body.contains(secret), "{kind:?}: {secret}: {reply:?}");
        }
    }
}

#[test]
fn a_body_arrives_and_one_that_is_not_read_does_no_harm() {
    let long = "x".repeat(300_000);
    for kind in ALL {
        let Some(server) = WebServer::start(kind, "rogue-cgi") else { continue };
        let client = Client::new();
        let reply = client.post(&server.url("/echo"), &[("a", &long)]);
        assert_eq!(reply.body, format!("300002 a={long}"), "{kind:?}");
        let reply = client.post(&server.url("/deaf"), &[("a", &long)]);
        assert_eq!((reply.status, reply.body.as_str()), (200, "well\n"), "{kind:?}");
    }
}

#[test]
fn a_program_that_fails_is_answered_for_and_the_log_says_why() {
    for kind in ALL {
        let Some(server) = WebServer::start(kind, "rogue-cgi") else { continue };
        let visit = |rest: &str| server.get(&Client::new(), rest);
        assert_eq!(visit("/trap").status, 500, "{kind:?}");
        assert_eq!(visit(&print("no header\n\n")).status, 502, "{kind:?}");
        assert_eq!(visit("/silent").status, 502, "{kind:?}");
        assert_eq!(visit("/").body, "well\n", "{kind:?}");
        let log = server.log();
        assert!(log.contains("trapped on purpose"), "{kind:?}: {log}");
        assert!(log.contains("line 1 of the header block has no colon"), "{kind:?}: {log}");
    }
}

#[test]
fn redirects_and_cookies_reach_the_client_together() {
    for kind in ALL {
        let Some(server) = WebServer::start(kind, "rogue-cgi") else { continue };
        let visit = |text: &str| server.get(&Client::new(), &print(text));
        let reply = visit("Location: /visits/\nSet-Cookie: a=b\nSet-Cookie: c=d\n\n");
        assert_eq!((reply.status, reply.headers("set-cookie")), (302, vec!["a=b", "c=d"]), "{kind:?}: {reply:?}");
        assert!(reply.headers("location")[0].ends_with("/visits/"), "{kind:?}: {reply:?}");
        let reply = visit("Status: 303 See Other\nLocation: http://example.com/\n\n");
        assert_eq!((reply.status, reply.headers("location")), (303, vec!["http://example.com/"]), "{kind:?}");
    }
}

#[test]
fn a_local_redirect_is_the_web_server_s_to_follow() {
    let Some(server) = WebServer::start(Kind::Apache, "rogue-cgi") else { return };
    let reply = server.get(&Client::new(), &print("Location: /visits/environment?a=b\n\n"));
    assert_eq!(reply.status, 200, "{reply:?}");
    assert!(reply.body.contains("QUERY_STRING=a=b\n"), "{reply:?}");
}

#[test]
fn the_words_of_a_query_are_never_flags() {
    for kind in ALL {
        let Some(server) = WebServer::start(kind, "visits-cgi") else { continue };
        let visitor = Client::new();
        assert_eq!(server.get(&visitor, "").status, 200, "{kind:?}");
        for query in ["--storage+memory:", "--help", "-h", "--with+/etc/passwd", "--log-level+trace"] {
            let reply = server.get(&visitor, &format!("?{query}"));
            assert!(reply.body.contains("Welcome back"), "{kind:?}: {query}: {reply:?}");
        }
    }
}

#[test]
fn head_has_the_headers_and_no_body() {
    for kind in ALL {
        let Some(server) = WebServer::start(kind, "visits-cgi") else { continue };
        let head = b"HEAD /visits HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        let answer = raw::send(server.address, head);
        assert_eq!(raw::status(&answer), 200, "{kind:?}: {answer}");
        let (headers, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(headers.to_lowercase().contains("set-cookie: visits="), "{kind:?}: {answer}");
        assert_eq!(body, "", "{kind:?}");
    }
}

#[test]
fn clients_that_drop_half_way_harm_nobody_else() {
    for kind in ALL {
        let Some(server) = WebServer::start(kind, "rogue-cgi") else { continue };
        for request in [
            "POST /visits/echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nonly this",
            "GET /visits/endless-body HTTP/1.1\r\nHost: a\r\n\r\n",
        ] {
            let mut stream = TcpStream::connect(server.address).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
        }
        assert_eq!(server.get(&Client::new(), "/").body, "well\n", "{kind:?}");
    }
}

#[test]
fn what_is_stored_belongs_to_the_web_server_s_user_alone() {
    use std::os::unix::fs::MetadataExt as _;
    let Some(server) = WebServer::start(Kind::Apache, "visits-cgi") else { return };
    assert_eq!(server.get(&Client::new(), "").status, 200);
    for (file, mode) in [("data/sessions.db", 0o600), ("cache/compiled", 0o700)] {
        let metadata = fs::metadata(server.folder.path().join(file)).unwrap();
        assert_eq!(metadata.mode() & 0o777, mode, "{file}");
    }
}
