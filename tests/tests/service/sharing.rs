//! How many requests an instance answers, in all and at the same time; and what one of them does to the others.

use std::{
    thread::{self, ScopedJoinHandle},
    time::{Duration, Instant},
};

use lemon_session_tests::{Client, Launch, Reply, Server};

fn get(server: &Server, path: &str) -> Reply {
    server.get(&Client::new(), path)
}

/// A request that is in progress when this returns.
fn begin<'scope>(
    scope: &'scope thread::Scope<'scope, '_>,
    server: &'scope Server,
    path: &'scope str,
) -> ScopedJoinHandle<'scope, Reply> {
    let begun = || server.log().matches("begun").count();
    let before = begun();
    let request = scope.spawn(move || get(server, path));
    let until = Instant::now() + Duration::from_secs(60);
    while begun() == before {
        assert!(Instant::now() < until, "{path} does not begin: {}", server.log());
        thread::sleep(Duration::from_millis(5));
    }
    // Until it waits, as its instance takes no other request before.
    thread::sleep(Duration::from_millis(100));
    request
}

fn sharing(ini: &str) -> Server {
    Launch::new("service").ini(&format!("[server]\nconcurrency = 8\n{ini}")).start()
}

#[test]
fn each_request_has_an_instance_of_its_own_unless_it_is_said_otherwise() {
    for service in ["service", "service_sync"] {
        let server = Server::start(service);
        for _ in 0..3 {
            assert_eq!(get(&server, "/instance").body, "1\n", "{service}");
        }
        let server = Launch::new(service).arg("--reuse=3").start();
        // A request that comes before the last one's work is done has an instance of its own.
        let numbers: Vec<_> = (0..12).map(|_| get(&server, "/instance").body).collect();
        assert!(numbers.contains(&"3\n".to_owned()), "{service}: an instance answers three requests: {numbers:?}");
        assert!(numbers.iter().all(|number| ["1\n", "2\n", "3\n"].contains(&&**number)), "{service}: {numbers:?}");
    }
}

#[test]
fn an_instance_answers_as_many_requests_at_the_same_time_as_are_allowed() {
    let server = sharing("");
    thread::scope(|scope| {
        let waiting = begin(scope, &server, "/wait?ms=3000");
        assert_eq!(get(&server, "/instance").body, "2\n", "beside the one that waits");
        assert_eq!(waiting.join().unwrap().body, "well\n");
    });
    let server = Launch::new("service").ini("[server]\nconcurrency = 2\n").arg("--reuse=100").start();
    thread::scope(|scope| {
        let waiting = [begin(scope, &server, "/wait?ms=3000"), begin(scope, &server, "/wait?ms=3000")];
        assert_eq!(get(&server, "/instance").body, "1\n", "both places are taken");
        for waiting in waiting {
            assert_eq!(waiting.join().unwrap().status, 200);
        }
    });
}

#[test]
fn an_instance_whose_sessions_are_synchronous_answers_one_request_at_a_time() {
    let server = Launch::new("service_sync").ini("[server]\nconcurrency = 8\n").arg("--reuse=100").start();
    thread::scope(|scope| {
        let waiting = [(); 4].map(|()| begin(scope, &server, "/at-once?ms=2500"));
        assert_eq!(get(&server, "/instance").body, "1\n", "a fifth instance");
        for waiting in waiting {
            assert_eq!(waiting.join().unwrap().body, "1\n");
        }
    });
}

#[test]
fn an_instance_that_goes_on_after_its_response_is_not_given_another_visitor() {
    let server = Launch::new("service_sync").arg("--reuse=100").start();
    assert_eq!(get(&server, "/later?ms=1500").body, "well\n");
    assert_eq!(get(&server, "/instance").body, "1\n", "the first one is not done");
    let until = Instant::now() + Duration::from_secs(60);
    while !server.log().contains("saved later: true") {
        assert!(Instant::now() < until, "{}", server.log());
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_trap_ends_the_requests_of_its_instance_and_the_next_has_a_new_one() {
    let server = sharing("");
    for _ in 0..3 {
        thread::scope(|scope| {
            let begun = Instant::now();
            let beside = [begin(scope, &server, "/wait?ms=20000"), begin(scope, &server, "/count?ms=20000")];
            assert_eq!(get(&server, "/trap").status, 500);
            for beside in beside {
                assert_eq!(beside.join().unwrap().status, 500);
            }
            assert!(begun.elapsed() < Duration::from_secs(15), "they do not wait for their time");
        });
        assert_eq!(get(&server, "/instance").body, "1\n");
    }
    let log = server.log();
    assert_eq!(log.matches("stopped on purpose").count(), 3, "one entry for each instance: {log}");
    assert_eq!((log.matches("; it was answering 3 requests: ").count(), log.matches("ERROR").count()), (3, 3), "{log}");
    assert!(!log.contains("panicked at host"), "{log}");
}

#[test]
fn a_trap_leaves_no_response_of_its_instance_that_looks_whole() {
    let server = sharing("");
    thread::scope(|scope| {
        let cut = scope.spawn(|| lemon_session_tests::raw::get(server.address, "/stream?pieces=1000&ms=20", b""));
        thread::sleep(Duration::from_millis(400));
        assert_eq!(get(&server, "/trap").status, 500);
        let cut = cut.join().unwrap();
        assert!(cut.contains("piece 0\n") && !cut.ends_with("0\r\n\r\n"), "{cut}");
    });
    assert!(server.log().contains("; it was answering 2 requests: "), "{}", server.log());
}

#[test]
fn one_that_times_out_costs_the_others_nothing_but_gets_no_further_company() {
    let server = sharing("request-time = 2s\n");
    thread::scope(|scope| {
        let silent = begin(scope, &server, "/silent");
        thread::sleep(Duration::from_millis(800));
        let beside = begin(scope, &server, "/wait?ms=1500");
        assert_eq!(silent.join().unwrap().status, 504);
        assert_eq!(get(&server, "/instance").body, "1\n", "a new one");
        assert_eq!(beside.join().unwrap().body, "well\n");
    });
}

#[test]
fn one_that_computes_takes_those_beside_it_along_when_it_is_stopped() {
    let server = sharing("request-time = 2s\n");
    thread::scope(|scope| {
        let beside = begin(scope, &server, "/wait?ms=1000");
        let spinning = begin(scope, &server, "/spin");
        for _ in 0..3 {
            assert_eq!(get(&server, "/").status, 200, "one that computes gets no further company");
        }
        assert_eq!(spinning.join().unwrap().status, 504);
        assert_eq!(beside.join().unwrap().status, 504);
    });
    assert_eq!(get(&server, "/instance").body, "1\n");
}
