//! What an application of WASI 0.3 may use up.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use lemon_session_tests::{Client, Launch, Reply, Server, raw};

fn get(server: &Server, path: &str) -> Reply {
    server.get(&Client::new(), path)
}

#[test]
fn a_request_has_its_time_and_no_more() {
    for concurrency in [1, 4] {
        let ini = format!("[server]\nrequest-time = 1s\nconcurrency = {concurrency}\n");
        let server = Launch::new("service").ini(&ini).admin().start();
        for path in ["/spin", "/silent", "/wait?ms=60000", "/open?ms=60000"] {
            assert_eq!(get(&server, path).status, 504, "{path}");
            assert_eq!(get(&server, "/").body, "well\n");
        }
        for path in ["/endless", "/stream?pieces=1000&ms=10"] {
            let answer = raw::get(server.address, path, b"");
            assert!(raw::status(&answer) == 200 && !answer.ends_with("0\r\n\r\n"), "{path} is cut");
        }
        let until = Instant::now() + Duration::from_secs(60);
        while server.metric("guests") > 0.0 {
            assert!(Instant::now() < until, "guests stay after their time");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn requests_that_compute_do_not_hold_up_those_after_them() {
    let server = Launch::new("service").ini("[server]\nrequest-time = 1s\n").start();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert_eq!(get(&server, "/spin").status, 504));
        }
        thread::sleep(Duration::from_millis(100));
        assert_eq!(get(&server, "/").status, 200);
    });
}

#[test]
fn an_instance_has_its_memory_and_no_more() {
    let server = Launch::new("service").ini("[server]\nmemory = 16M\n").start();
    assert_eq!(get(&server, "/allocate?bytes=8000000").body, "8000000\n");
    assert_eq!(get(&server, "/allocate?bytes=64000000").status, 500);
    assert_eq!(get(&server, "/").body, "well\n");
}

#[test]
fn bodies_are_limited() {
    let server = Launch::new("service").ini("[server]\nbody-bytes = 1K\nbody-time = 1s\n").start();
    let post = |length, sent| {
        let head = format!("POST /body HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
        raw::status(&raw::send(server.address, format!("{head}{}", "x".repeat(sent)).as_bytes()))
    };
    assert_eq!((post(1024, 1024), post(1025, 1025), post(1024, 5)), (200, 413, 408));
}

#[test]
fn more_requests_than_are_allowed_are_refused() {
    let ini = "[server]\nin-flight = 2\nqueue-time = 1s\nrequest-time = 20s\nconcurrency = 8\n";
    let server = Launch::new("service").ini(ini).start();
    for _ in 0..2 {
        let address = server.address;
        thread::spawn(move || raw::get(address, "/silent", b""));
    }
    let until = Instant::now() + Duration::from_secs(60);
    while get(&server, "/").status != 503 {
        assert!(Instant::now() < until, "requests are never refused");
    }
}

#[test]
fn what_a_guest_has_the_server_keep_is_limited_and_is_given_back() {
    const AT_A_TIME: usize = 3;
    let server = Launch::new("service").ini("[server]\nrequest-memory = 16M\nmemory = 64M\n").start();
    assert_eq!(get(&server, "/").body, "well\n");
    let before = server.memory();
    for way in ["fields", "lists", "responses", "requests", "streams", "timers", "calls"] {
        let (peak, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
        thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Relaxed) {
                    peak.fetch_max(server.memory(), Relaxed);
                    thread::sleep(Duration::from_millis(1));
                }
            });
            let hoarding: Vec<_> =
                (0..AT_A_TIME).map(|_| scope.spawn(|| get(&server, &format!("/hoard/{way}")).status)).collect();
            let statuses: Vec<_> = hoarding.into_iter().map(|hoarding| hoarding.join().unwrap()).collect();
            is_over.store(true, Relaxed);
            assert_eq!(statuses, [500; AT_A_TIME], "{way}: {}", server.log());
        });
        let grown = peak.into_inner().saturating_sub(before);
        // Beside the budget: the guest's own memory.
        assert!(grown < AT_A_TIME as u64 * (96 << 20), "{way}: {grown} bytes of memory");
        assert_eq!(get(&server, "/").body, "well\n");
    }
    let until = Instant::now() + Duration::from_secs(30);
    while server.memory() > before + (48 << 20) {
        assert!(Instant::now() < until, "{} bytes stay in use, {before} before", server.memory());
        thread::sleep(Duration::from_millis(50));
    }
}
