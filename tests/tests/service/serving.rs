//! Services of WASI 0.3 under `lemon-session serve`.

use lemon_session_tests::{Client, Launch, Reply, Server, raw};

/// Both services: with the asynchronous and with the synchronous interface of sessions.
const BOTH: [&str; 2] = ["service", "service_sync"];

fn get(server: &Server, path: &str) -> Reply {
    server.get(&Client::new(), path)
}

#[test]
fn visitors_have_sessions_that_survive_a_restart() {
    for service in BOTH {
        let server = Server::start(service);
        let visitors = [Client::new(), Client::new()];
        for visit in 1..=3 {
            for visitor in &visitors {
                let reply = server.get(visitor, "/count");
                assert_eq!((reply.status, reply.body), (200, format!("{visit}\n")), "{service}");
            }
        }
        assert!(visitors[0].cookie("service").is_some());
        let server = server.kill().start();
        let cookie = format!("service={}", visitors[0].cookie("service").unwrap());
        let reply = Client::new().get_with(&server.url("/count"), &[("cookie", &cookie)]);
        assert_eq!(reply.body, "4\n", "{service}");
    }
}

#[test]
fn defaults_messages_tokens_and_other_sessions_can_be_awaited() {
    let reply = get(&Server::start("service"), "/handy");
    let answers = r#"(false, false) Value::Integer(1) [Value::Text("saved")] (true, false) [("a", Value::Integer(1))] (true, true)"#;
    assert_eq!(reply.body.trim(), answers, "{reply:?}");
}

#[test]
fn services_of_both_versions_and_programs_are_mounted_beside_each_other() {
    let server = Launch::mounted()
        .mount("/async", "service")
        .mount("/sync", "service_sync")
        .mount("/program", "service_cgi")
        .mount("/", "counter")
        .ini("[session.cookie]\nname = site\npath = /\n")
        .start();
    // A service gets the whole path.
    assert_eq!(get(&server, "/async").status, 404);
    assert!(get(&server, "/async/x").body.contains("/async/x"));
    assert_eq!(get(&server, "/sync/x").status, 404);
    assert_eq!(get(&server, "/program/x").body, "well\n");
    let visitor = Client::new();
    assert!(server.get(&visitor, "/").body.contains("count: 1<"));
    assert!(server.get(&visitor, "/").body.contains("count: 2<"));
    assert_eq!(server.get(&visitor, "/program/count").body, "1\n", "another application's variable");
    assert_eq!(server.get(&visitor, "/program/count").body, "2\n");
}

#[test]
fn a_service_gets_the_request_as_it_was_sent() {
    let server = Server::start("service");
    let request = "GET /fields?a=b HTTP/1.1\r\nHost: www.example.org:81\r\nConnection: close\r\nX-A: 1\r\nX-A: 2\r\n\
                   X-Forwarded-Proto: https\r\nX-Real-IP: 192.0.2.1\r\n\r\n";
    let answer = raw::send(server.address, request.as_bytes());
    for line in ["x-a: 1\n", "x-a: 2\n", "x-forwarded-for: 127.0.0.1\n", "x-forwarded-proto: http\n"] {
        assert!(answer.contains(line), "{line}: {answer}");
    }
    assert!(answer.contains("scheme Some(Scheme::Http)\nauthority Some(\"www.example.org:81\")"), "{answer}");
    assert!(!answer.contains("192.0.2.1"), "{answer}");

    let length = 3 << 20;
    let mut request =
        format!("POST /body HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n").into_bytes();
    request.resize(request.len() + length, b'x');
    let answer = raw::send(server.address, &request);
    assert!(answer.ends_with(&format!("\r\n\r\n{length}\n")), "{answer}");
}

#[test]
fn a_response_is_sent_while_it_is_written() {
    let server = Server::start("service");
    let reply = get(&server, "/stream?pieces=5&ms=20");
    assert_eq!(reply.body, "piece 0\npiece 1\npiece 2\npiece 3\npiece 4\n");
}

#[test]
fn what_a_service_prints_is_logged() {
    let server = Server::start("service");
    assert_eq!(get(&server, "/later?ms=100").body, "well\n");
    let until = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !server.log().contains("done") {
        assert!(
            std::time::Instant::now() < until,
            "what is in the background after a response goes on: {}",
            server.log()
        );
    }
    assert!(server.log().contains("service"), "the log names the application");
}

#[test]
fn the_manager_does_what_the_mount_is_granted() {
    for service in BOTH {
        let server = Server::start(service);
        assert!(get(&server, "/manager").body.contains("Denied"), "{service}");
        let server = Launch::new(service).ini("[session]\nmanager = all\n").start();
        assert_eq!(get(&server, "/count").body, "1\n");
        assert_eq!(get(&server, "/manager").body, "1\n", "{service}");
    }
}

#[test]
fn a_client_begins_as_many_sessions_as_are_allowed_of_an_instance_that_others_share() {
    let ini = "[server]\nconcurrency = 8\n[session.limits]\nnew-sessions = 3\n";
    let server = Launch::new("service").ini(ini).start();
    for visit in 0..5 {
        let reply = get(&server, "/count");
        assert_eq!(reply.body.contains("TooMany"), visit >= 3, "{visit}: {reply:?}");
    }
}

#[test]
fn a_reload_takes_the_new_application_and_keeps_the_sessions() {
    let launch = Launch::new("service");
    let application = launch.folder().join("site.wasm");
    let copy = |component| std::fs::copy(lemon_session_tests::build::component(component), &application).unwrap();
    copy("service");
    let server = launch.serving(&application).start();
    let visitor = Client::new();
    assert_eq!(server.get(&visitor, "/count").body, "1\n");
    for (component, count) in [("service_sync", 2), ("service", 3), ("service_sync", 4)] {
        copy(component);
        assert!(server.reload().contains("reloaded"));
        assert_eq!(server.get(&visitor, "/count").body, format!("{count}\n"));
    }
    std::fs::write(&application, b"\0asm\x0d\0\x01\0").unwrap();
    let refused = server.reload();
    assert!(refused.contains("is not an application") && refused.contains("wasi:http/handler@0.3"), "{refused}");
    assert_eq!(server.get(&visitor, "/count").body, "5\n");
}

#[test]
fn the_engine_of_0_3_is_made_for_its_first_application() {
    let old = Server::start("counter");
    let new = Server::start("service");
    let (old, new) = (old.address_space(), new.address_space());
    assert!(old + (1 << 40) < new, "{old} bytes of address space with 0.2 alone, and {new} with both");
}
