//! The server among applications that misbehave, behind proxies, and when it is stopped.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::TcpStream,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use lemon_session_tests::{Client, Launch, Server, build, raw};

#[test]
fn a_guest_that_misbehaves_fails_its_own_request_alone() {
    let server = Launch::new("rogue").ini("[server]\nrequest-time = 1s\nmemory = 32M\n").start();
    let failures = [
        ("/trap", 500, "failed"),
        ("/silent", 500, "failed"),
        ("/grow", 500, "failed"),
        ("/spin", 504, "in time"),
        ("/sleep", 504, "in time"),
    ];
    thread::scope(|scope| {
        for (path, status, why) in failures {
            let server = &server;
            scope.spawn(move || {
                let reply = server.get(&Client::new(), path);
                assert_eq!(reply.status, status, "{path}: {reply:?}");
                assert!(reply.body.contains(why), "{path}: {reply:?}");
                assert!(!reply.body.contains("wasm"), "the client learns nothing of the inside: {reply:?}");
            });
        }
        // Beside them.
        for _ in 0..10 {
            assert_eq!(server.get(&Client::new(), "/").body, "well\n");
        }
    });
    assert_eq!(server.get(&Client::new(), "/").body, "well\n");

    let log = server.log();
    assert!(log.contains("trapped on purpose"), "what the guest printed is in the log: {log}");
    let reply = server.get(&Client::new(), "/trap");
    let id = reply.body.lines().last().and_then(|line| line.strip_prefix("Request ")).expect("a request id");
    assert!(server.log().contains(id), "the request's id is in the log");
}

#[test]
fn a_request_of_another_site_is_refused_before_an_application_runs() {
    const FORGED: (&str, &str) = ("origin", "https://evil.example");
    let launch = Launch::new("rogue").mount("/program", "rogue-cgi").mount("/async", "service");
    let server = launch.ini("[server]\nsame-origin = on\ncross-site = /hooks\ntrusted-proxies = 127.0.0.1\n").start();
    let post = |path: &str, fields: &[(&str, &str)]| Client::new().post_with(&server.url(path), &[], fields);
    let own = format!("http://{}", server.address);

    // An instance would have trapped.
    for path in ["/trap", "/program/trap", "/async/trap", "/hooks/../trap"] {
        let reply = post(path, &[FORGED]);
        assert_eq!(reply.status, 403, "{path}: {reply:?}");
        assert!(reply.body.contains("comes from another site") && reply.body.contains("Request "), "{reply:?}");
    }
    for site in ["cross-site", "same-site", "SAME-ORIGIN"] {
        assert_eq!(post("/trap", &[("sec-fetch-site", site), ("origin", &own)]).status, 403, "{site}");
    }
    assert_eq!(post("/trap", &[("origin", "null")]).status, 403);
    assert_eq!(post("/trap", &[("origin", &own), ("x-forwarded-proto", "https")]).status, 403, "it was not HTTPS");
    let forwarded = [FORGED, ("x-forwarded-host", "evil.example")];
    assert_eq!(post("/trap", &forwarded).status, 403, "the host is that of Host");
    let log = server.log();
    assert!(!log.contains("on purpose"), "{log}");
    assert_eq!(log.matches("refused, because of [server] same-origin").count(), 1, "not a line for each: {log}");

    for fields in [
        &[][..],
        &[("origin", own.as_str())],
        &[("sec-fetch-site", "same-origin"), FORGED],
        &[("sec-fetch-site", "none")],
    ] {
        assert_eq!(post("/", fields).status, 200, "{fields:?}");
    }
    let https = format!("https://{}", server.address);
    assert_eq!(post("/", &[("origin", &https), ("x-forwarded-proto", "https")]).status, 200);
    assert_eq!(post("/hooks", &[FORGED]).status, 200);
    assert_eq!(Client::new().get_with(&server.url("/"), &[FORGED]).status, 200, "a link may be on any site");
    let preflight = "OPTIONS / HTTP/1.1\r\nHost: a\r\nOrigin: https://evil.example\r\nConnection: close\r\n\r\n";
    assert_eq!(raw::status(&raw::send(server.address, preflight.as_bytes())), 200, "the application answers it");

    let off = Server::start("rogue");
    assert_eq!(Client::new().post_with(&off.url("/"), &[], &[FORGED]).status, 200, "it is off unless configured");
}

#[test]
fn guests_that_spin_do_not_hold_up_those_after_them() {
    let server = Launch::new("rogue").ini("[server]\nrequest-time = 1s\n").start();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert_eq!(server.get(&Client::new(), "/spin").status, 504));
        }
        thread::sleep(Duration::from_millis(100));
        assert_eq!(server.get(&Client::new(), "/").status, 200);
    });
}

#[test]
fn a_body_that_no_guest_reads_holds_nobody_up() {
    let server = Launch::new("rogue").ini("[server]\nrequest-time = 5s\n").admin().start();
    let body = vec![b'x'; 16 << 20];
    thread::scope(|scope| {
        for (path, status) in [("/", 200), ("/silent", 500), ("/trap", 500)] {
            let (server, body) = (&server, &body);
            scope.spawn(move || {
                let mut request = format!(
                    "POST {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                    body.len()
                )
                .into_bytes();
                request.extend_from_slice(body);
                // The answer may come before the body is sent, and the connection be closed: then nothing is read here.
                let answer = raw::send(server.address, &request);
                assert!(answer.is_empty() || raw::status(&answer) == status, "{path}: {answer}");
            });
        }
        assert_eq!(server.get(&Client::new(), "/").body, "well\n");
    });
    let until = Instant::now() + Duration::from_secs(60);
    while server.metric("guests") > 0.0 {
        assert!(Instant::now() < until, "the guests stay");
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(server.get(&Client::new(), "/").body, "well\n");
}

#[test]
fn no_line_break_of_a_guest_enters_the_head_of_an_answer() {
    let server = Server::start("rogue");
    let answer = raw::get(server.address, "/injection", b"");
    assert!(answer.ends_with("\r\n\r\n0 got through\n"), "{answer}");
}

#[test]
fn a_response_that_http_does_not_allow_fails_its_request_and_the_log_says_why() {
    let server = Server::start("rogue");
    let redirect = |query: &str| server.get(&Client::new(), &format!("/redirect?{query}"));
    let reply = redirect("to=/shop&status=303");
    assert_eq!((reply.status, &reply.headers("location")[..]), (303, &["/shop"][..]));

    for (query, why) in [
        ("to=/%0D%0Aevil:+1&status=303", "the response's header location is not one of HTTP"),
        ("to=/shop&status=1000", "the response's status 1000 is not one of HTTP"),
    ] {
        let reply = redirect(query);
        assert_eq!((reply.status, &reply.headers("location")[..]), (500, &[][..]), "{query}: {reply:?}");
        assert!(!reply.body.contains("HTTP"), "the client learns nothing of the inside: {reply:?}");
        assert!(server.log().contains(why), "{query}: {}", server.log());
    }
}

#[test]
fn more_requests_than_are_allowed_wait_and_are_then_refused() {
    let server = Launch::new("rogue").ini("[server]\nin-flight = 2\nqueue-time = 1s\nrequest-time = 20s\n").start();
    // Those that sleep outlive the test; the server ends with them in flight.
    for _ in 0..2 {
        let address = server.address;
        thread::spawn(move || raw::get(address, "/sleep", b""));
    }
    let deadline = Instant::now() + Duration::from_secs(60);
    let refused = loop {
        let reply = server.get(&Client::new(), "/");
        if reply.status == 503 {
            break reply;
        }
        assert!(Instant::now() < deadline, "requests are never refused");
    };
    assert_eq!(refused.headers("retry-after"), ["1"]);
}

#[test]
fn an_instance_that_is_reused_still_serves_after_a_trap() {
    let server = Launch::new("rogue").arg("--reuse=100").start();
    let client = Client::new();
    for _ in 0..5 {
        assert_eq!(server.get(&client, "/").status, 200);
        assert_eq!(server.get(&client, "/trap").status, 500);
    }
    assert_eq!(server.get(&client, "/").status, 200);
}

#[test]
fn sessions_work_with_reused_instances() {
    let server = Launch::new("counter").arg("--reuse=10").start();
    let visitors: Vec<_> = (0..4).map(|_| Client::new()).collect();
    for round in 1..=15 {
        for visitor in &visitors {
            let reply = server.get(visitor, "/");
            assert!(reply.body.contains(&format!("count: {round}<")), "{round}: {reply:?}");
        }
    }
}

#[test]
fn the_server_listens_where_lemon_ini_says_unless_a_flag_does() {
    let launch = || Launch::new("visits").ini("[server]\naddr = 127.0.0.2:0\n");
    assert_eq!(launch().listening_as_configured().start().address.ip().to_string(), "127.0.0.2");
    assert_eq!(launch().start().address.ip().to_string(), "127.0.0.1");
}

#[test]
fn a_body_longer_than_is_allowed_is_refused() {
    let server = Launch::new("visits").ini("[server]\nbody-bytes = 1K\n").start();
    let request = format!(
        "POST / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: 1025\r\n\r\n{}",
        server.address,
        "x".repeat(1025)
    );
    assert_eq!(raw::status(&raw::send(server.address, request.as_bytes())), 413);
}

#[test]
fn the_head_of_a_request_is_limited() {
    let server = Server::start("rogue");
    let head = |length: usize| {
        let head = format!("GET / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nX: ", server.address);
        format!("{head}{}\r\n\r\n", "a".repeat(length - head.len() - 4))
    };
    let limit = 64 * 1024;
    for (length, status) in [(1000, 200), (limit, 200), (limit + 1, 431), (100_000, 431), (1_000_000, 431)] {
        let answer = raw::send(server.address, head(length).as_bytes());
        // The server does not read what is left of a head that is too long: the answer may not get here.
        assert!(answer.is_empty() && length > limit + 1 || raw::status(&answer) == status, "{length}: {answer}");
    }

    let server = Launch::new("visits").ini("[server]\nheader-bytes = 8K\n").start();
    let answer = raw::get(server.address, "/", &[b'a'; 9000]);
    assert_eq!(raw::status(&answer), 431);
    assert_eq!(server.get(&Client::new(), "/").status, 200);
}

#[test]
fn only_the_hosts_of_the_site_are_answered_for() {
    let ini = "[server]\nhosts = example.org, *.example.org, [2001:db8::1]\n";
    let server = Launch::new("rogue").ini(ini).start();
    let status = |target: &str, host: &str| {
        let request = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        raw::status(&raw::send(server.address, request.as_bytes()))
    };
    for host in ["example.org", "Example.ORG.:8080", "a.b.example.org", "[2001:db8::1]:80"] {
        assert_eq!(status("/", host), 200, "{host}");
    }
    for host in ["localhost", "127.0.0.1", "example.com", "evil-example.org", "example.org.evil.com"] {
        assert_eq!(status("/", host), 421, "{host}");
    }
    assert_eq!(status("http://evil.com/", "example.org"), 421);
    assert_eq!(status("http://example.org/", "evil.com"), 200);
    let fields = "GET http://www.example.org/fields HTTP/1.1\r\nHost: evil.com\r\nConnection: close\r\n\r\n";
    let fields = raw::send(server.address, fields.as_bytes());
    assert!(fields.contains("\nauthority: www.example.org\n") && !fields.contains("evil"), "{fields}");
    // Before HTTP/1.1 a request need not name its host, and is for localhost then.
    assert!(raw::send(server.address, b"GET / HTTP/1.0\r\n\r\n").starts_with("HTTP/1.0 421"));
}

#[test]
fn a_client_that_never_finishes_its_request_is_let_go() {
    let server = Launch::new("visits").ini("[server]\nheader-time = 1s\n").start();
    let begun = Instant::now();
    let _ = raw::send(server.address, b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ");
    assert!(begun.elapsed() < Duration::from_secs(30));
}

#[test]
fn a_body_that_does_not_come_is_not_waited_for() {
    let server = Launch::new("rogue").ini("[server]\nbody-time = 1s\n").start();
    let post = |length| {
        format!("POST /read HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n12345")
    };
    let answer = raw::send(server.address, post(5).as_bytes());
    assert!(raw::status(&answer) == 200 && answer.ends_with("5 bytes\n"), "{answer}");
    let answer = raw::send(server.address, post(6).as_bytes());
    assert!(raw::status(&answer) == 408 && answer.contains("connection: close\r\n"), "{answer}");
    assert_eq!(server.get(&Client::new(), "/").body, "well\n");
}

#[test]
fn the_limit_of_open_files_is_raised_for_the_connections_or_it_is_said_that_it_cannot_be() {
    for (limit, is_enough) in [("ulimit -Sn 300", true), ("ulimit -n 300", false)] {
        let launch = Launch::new("visits").ini("[server]\nconnections = 400\n");
        let mut server = Command::new("sh")
            .args(["-c", &format!("{limit}; exec \"$@\""), "sh"])
            .arg(build::command())
            .arg("serve")
            .arg(build::component("visits"))
            .args(["--addr", "127.0.0.1:0"])
            .current_dir(launch.folder())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = BufReader::new(server.stderr.take().unwrap()).lines().map_while(Result::ok);
        // The last line before it serves.
        let said: Vec<_> = log.take_while(|line| !line.contains("created the tables")).collect();
        let limits = fs::read_to_string(format!("/proc/{}/limits", server.id()));
        server.kill().unwrap();
        server.wait().unwrap();

        let files = limits.unwrap().lines().find_map(|line| line.strip_prefix("Max open files").map(str::to_owned));
        let files = files.unwrap().split_whitespace().next().unwrap().to_owned();
        assert_eq!(files, if is_enough { "656" } else { "300" });
        let warned = said.iter().any(|line| line.contains("connections = 400") && line.contains("raise the limit"));
        assert_eq!(warned, !is_enough, "{said:?}");
    }
}

#[test]
fn an_answer_that_was_cut_short_does_not_look_whole() {
    for reuse in ["--reuse=1", "--reuse=100"] {
        let server = Launch::new("rogue").arg(reuse).start();
        let answer = raw::get(server.address, "/half", b"a=b");
        // RFC 9112, section 7.1: the last chunk has no bytes. What came before it may not have been sent either.
        assert!(!answer.ends_with("0\r\n\r\n"), "{answer}");
        assert!(server.log().contains("the application was stopped"), "the log says why");
    }
}

#[test]
fn a_client_that_does_not_read_is_let_go() {
    let server = Launch::new("rogue").ini("[server]\nwrite-time = 1s\nrequest-time = 1h\n").admin().start();
    let mut stuck = TcpStream::connect(server.address).unwrap();
    stuck.write_all(b"GET /flood HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let until = Instant::now() + Duration::from_secs(60);
    let mut was_there = false;
    loop {
        let guests = server.metric("guests");
        was_there |= guests > 0.0;
        if was_there && guests == 0.0 && server.metric("http_connections") == 0.0 {
            break;
        }
        assert!(Instant::now() < until, "the client holds a guest and a connection");
        thread::sleep(Duration::from_millis(10));
    }
    drop(stuck);
}

#[test]
fn https_is_believed_of_trusted_proxies_alone() {
    let https = [("x-forwarded-proto", "https")];

    let server = Server::start("visits");
    let cookie = Client::new().get_with(&server.url("/"), &https).set_cookie();
    assert_eq!(cookie.attribute("secure"), None, "{cookie:?}");

    let server = Launch::new("visits").ini("[server]\ntrusted-proxies = 127.0.0.1, 192.0.2.0/24\n").start();
    let cookie = Client::new().get_with(&server.url("/"), &https).set_cookie();
    assert!(cookie.attribute("secure").is_some(), "{cookie:?}");
    let cookie = Client::new().get_with(&server.url("/"), &[("forwarded", "proto=https")]).set_cookie();
    assert!(cookie.attribute("secure").is_some(), "{cookie:?}");
    let cookie = Client::new().get(&server.url("/")).set_cookie();
    assert_eq!(cookie.attribute("secure"), None, "{cookie:?}");
}

#[test]
fn what_a_client_says_of_itself_reaches_no_application() {
    let fields = |server: &Server, sent: &[(&str, &str)]| {
        let reply = Client::new().get_with(&server.url("/fields"), sent);
        let lines: Vec<_> =
            reply.body.lines().filter(|line| !line.starts_with("user-agent")).map(str::to_owned).collect();
        lines.into_iter().filter(|line| line.contains("forward") || line.contains("real")).collect::<Vec<_>>()
    };
    let claims = [
        ("x-forwarded-for", "203.0.113.7"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "evil.example"),
        ("x-real-ip", "203.0.113.7"),
        ("forwarded", "for=203.0.113.7;proto=https"),
    ];
    let server = Server::start("rogue");
    assert_eq!(fields(&server, &claims), ["x-forwarded-for: 127.0.0.1", "x-forwarded-proto: http"]);

    // A proxy that is trusted adds the address it sees, and passes on what the client said.
    let server = Launch::new("rogue").ini("[server]\ntrusted-proxies = 127.0.0.1, 192.0.2.0/24\n").start();
    let passed_on = [
        ("x-forwarded-for", "6.6.6.6, 203.0.113.7, 192.0.2.3"),
        ("x-forwarded-proto", "https,http"),
        ("forwarded", "for=6.6.6.6;proto=https"),
        ("x-real-ip", "6.6.6.6"),
    ];
    assert_eq!(fields(&server, &passed_on), ["x-forwarded-for: 203.0.113.7", "x-forwarded-proto: http"]);
    let passed_on = [("forwarded", "for=6.6.6.6;proto=http, for=\"[2001:db8::7]:4711\";proto=https")];
    assert_eq!(fields(&server, &passed_on), ["x-forwarded-for: 2001:db8::7", "x-forwarded-proto: https"]);
}

#[test]
fn sigterm_finishes_what_is_in_flight() {
    let server = Server::start("counter");
    let visitor = Client::new();
    server.get(&visitor, "/");
    thread::scope(|scope| {
        let slow = scope.spawn(|| server.get(&visitor, "/slow-set?key=late&value=kept&ms=1500"));
        thread::sleep(Duration::from_millis(500));
        server.terminate();
        assert_eq!(slow.join().unwrap().status, 200);
    });
    let launch = server.launch.clone();
    assert!(server.wait().success());

    let server = launch.start();
    assert_eq!(server.get(&visitor, "/get?key=late").body, "kept\n");
}

#[test]
fn the_greeting_says_what_is_served_where() {
    let server = Server::start("visits");
    let expected = format!("Serving visits.wasm on http://{} (SQLite in sessions.db)", server.address);
    assert_eq!(server.greeting, expected);
}

#[test]
fn an_address_in_use_is_named() {
    let server = Server::start("visits");
    let address = server.address.to_string();
    let component = build::component("visits");
    let output = server.launch.command(&["serve", component.to_str().unwrap(), "--addr", &address]);
    assert_eq!(output.status, 1);
    assert!(output.stderr.contains(&address), "{output:?}");
}

#[test]
fn what_is_no_application_is_refused() {
    let launch = Launch::new("visits");
    fs::write(launch.folder().join("page.wasm"), "not wasm").unwrap();
    for (file, why) in [("missing.wasm", "missing.wasm"), ("page.wasm", "not a WebAssembly component")] {
        let output = launch.command(&["serve", file, "--addr", "127.0.0.1:0"]);
        assert_eq!(output.status, 1, "{output:?}");
        assert!(output.stderr.contains(why), "{output:?}");
    }
}
