//! Programs of WASI 0.3, under `serve` and under `cgi`; and a service under `cgi`.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use lemon_session_tests::{Client, Launch, Server, cgi::Cgi};

#[test]
fn a_program_is_served_with_sessions() {
    let server = Server::start("service_cgi");
    let visitor = Client::new();
    for visit in 1..=3 {
        assert_eq!(server.get(&visitor, "/count").body, format!("{visit}\n"));
    }
    assert_eq!(server.post(&visitor, "/echo", &[("a", "b")]).body, "a=b");
    assert_eq!(server.get(&visitor, "/exit").body, "well\n", "only what is printed matters");
    assert_eq!(server.get(&visitor, "/trap").status, 500);
    assert_eq!(server.get(&visitor, "/").body, "well\n");
}

#[test]
fn a_program_has_its_time_and_is_let_go_when_its_client_is() {
    let server = Launch::new("service_cgi").ini("[server]\nrequest-time = 2s\n").admin().start();
    assert_eq!(server.get(&Client::new(), "/silent").status, 504);
    for _ in 0..20 {
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream.write_all(b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        stream.read_exact(&mut [0; 4096]).unwrap();
    }
    let until = Instant::now() + Duration::from_secs(60);
    while server.metric("guests") > 0.0 {
        assert!(Instant::now() < until, "programs whose clients have left stay");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_web_server_runs_services_and_programs() {
    for component in ["service_cgi", "service", "service_sync"] {
        let cgi = Cgi::new(component).variable("SCRIPT_NAME", "").target("/count", "");
        let first = cgi.get();
        assert_eq!((first.status, first.body.as_str()), (200, "1\n"), "{component}");
        let cookie = first.set_cookie();
        let cgi = cgi.variable("HTTP_COOKIE", format!("{}={}", cookie.name, cookie.value));
        assert_eq!(cgi.get().body, "2\n", "{component}");
        // It does not wait for further requests, which never come.
        let cgi = cgi.ini("[server]\nconcurrency = 100\n");
        let begun = Instant::now();
        assert_eq!(cgi.get().body, "3\n", "{component}");
        assert!(begun.elapsed() < Duration::from_secs(20));
        assert_eq!(cgi.target("/trap", "").get().status, if component == "service_sync" { 404 } else { 500 });
    }
}
