//! Clients that leave at each stage of a request.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use lemon_session_tests::{Client, Launch, Server};

/// What a client sends before it leaves, and after how many milliseconds it does.
const STAGES: [(&str, u64); 10] = [
    ("", 0),
    ("GET /count?ms=5 HT", 0),
    ("GET /count?ms=5 HTTP/1.1\r\nHost: a\r\n\r\n", 0),
    ("GET /count?ms=5 HTTP/1.1\r\nHost: a\r\n\r\n", 1),
    ("GET /count?ms=5 HTTP/1.1\r\nHost: a\r\n\r\n", 3),
    ("GET /count?ms=5 HTTP/1.1\r\nHost: a\r\n\r\n", 6),
    ("GET /open?ms=30 HTTP/1.1\r\nHost: a\r\n\r\n", 10),
    ("POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nbegun", 2),
    ("GET /stream?pieces=1000&ms=1 HTTP/1.1\r\nHost: a\r\n\r\n", 10),
    ("GET /endless HTTP/1.1\r\nHost: a\r\n\r\n", 5),
];

/// Waits until nothing is in progress.
#[track_caller]
fn assert_quiet(server: &Server) {
    for gauge in ["http_requests_in_flight", "guests"] {
        let until = Instant::now() + Duration::from_secs(60);
        while server.metric(gauge) > 0.0 {
            assert!(Instant::now() < until, "{gauge} stays at {}", server.metric(gauge));
            thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn a_client_that_leaves_at_any_stage_a_thousand_times_leaves_nothing_behind() {
    for concurrency in [1, 16] {
        // As few places as are used at the same time: one that is not given back is missed.
        let ini = format!("[server]\nconcurrency = {concurrency}\nin-flight = 16\nbody-time = 1s\nheader-time = 2s\n");
        let server = Launch::new("service").ini(&ini).admin().start();
        assert_eq!(server.get(&Client::new(), "/count").body, "1\n");
        assert_quiet(&server);
        let memory = server.memory();
        thread::scope(|scope| {
            for client in 0..8 {
                let address = server.address;
                scope.spawn(move || {
                    for round in 0..125 / 2 {
                        let (sent, wait) = STAGES[(client + round) % STAGES.len()];
                        let mut stream = TcpStream::connect(address).expect("the server listens");
                        stream.write_all(sent.as_bytes()).expect("the server reads");
                        thread::sleep(Duration::from_millis(wait));
                        stream.set_nonblocking(true).expect("it can be");
                        let _ = stream.read(&mut [0; 1024]);
                    }
                });
            }
        });
        assert_quiet(&server);
        // As many sessions at the same time as there are places.
        thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| assert_eq!(server.get(&Client::new(), "/count?ms=300").body, "1\n"));
            }
        });
        assert_quiet(&server);
        let log = server.log();
        assert!(!log.contains("panicked") && !log.contains("too many sessions"), "{log}");
        let grown = server.memory().saturating_sub(memory);
        assert!(grown < 64 << 20, "{grown} bytes of memory more than before");
    }
}
