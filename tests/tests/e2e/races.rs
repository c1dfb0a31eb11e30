//! Concurrent requests of one session, over HTTP: no change is lost, no ended session is revived, and no request waits
//! for another.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use lemon_session_tests::{
    Client, Server,
    client::{get_with_cookie, try_get_with_cookie},
};

/// How often the server is killed in the middle of a load.
const KILLS: u64 = 20;

/// A visitor whose session is stored; the value of the Cookie header.
fn visitor(server: &Server) -> String {
    let client = Client::new();
    assert_eq!(server.get(&client, "/set?key=first&value=1").status, 200);
    format!("counter={}", client.cookie("counter").expect("a visit gives a cookie"))
}

#[test]
fn fifty_parallel_requests_keep_fifty_variables_and_wait_for_no_lock() {
    let server = Server::start("counter");
    let cookie = visitor(&server);
    let work = Duration::from_millis(200);
    let begin = Instant::now();
    thread::scope(|scope| {
        for n in 0..50 {
            let url = server.url(&format!("/slow-set?key=k{n}&value={n}&ms={}", work.as_millis()));
            let cookie = &cookie;
            scope.spawn(move || assert_eq!(get_with_cookie(&url, cookie).status, 200));
        }
    });
    let one_after_the_other = work * 50;
    assert!(begin.elapsed() < one_after_the_other / 2, "{:?}: requests waited for each other", begin.elapsed());
    for n in 0..50 {
        let reply = get_with_cookie(&server.url(&format!("/get?key=k{n}")), &cookie);
        assert_eq!((reply.status, reply.body.trim()), (200, n.to_string().as_str()));
    }
}

#[test]
fn a_request_in_flight_at_a_logout_hears_of_it_and_brings_nothing_back() {
    for end in ["/destroy", "/regenerate", "/login?user=ann"] {
        let server = Server::start("counter");
        let cookie = visitor(&server);
        let url = server.url("/slow-set?key=late&value=1&ms=2000");
        let slow = thread::scope(|scope| {
            let slow = scope.spawn(|| get_with_cookie(&url, &cookie));
            thread::sleep(Duration::from_millis(700));
            assert_eq!(get_with_cookie(&server.url(end), &cookie).status, 200);
            slow.join().expect("the request comes to its end")
        });
        assert_eq!(slow.status, 409, "{end}: {}", slow.body);
        assert!(slow.headers("set-cookie").is_empty(), "{end}: no session is made up in its place");
        let reply = get_with_cookie(&server.url("/get?key=first"), &cookie);
        assert_eq!(reply.status, 404, "{end}: the old id leads to nothing");
    }
}

#[test]
fn counters_of_32_clients_end_exactly() {
    let server = Server::start("counter");
    let cookie = visitor(&server);
    thread::scope(|scope| {
        for _ in 0..32 {
            scope.spawn(|| {
                for _ in 0..100 {
                    let reply = get_with_cookie(&server.url("/add?key=added&delta=1"), &cookie);
                    assert_eq!(reply.status, 200, "{}", reply.body);
                }
            });
        }
    });
    assert_eq!(get_with_cookie(&server.url("/get?key=added"), &cookie).body.trim(), "3200");
}

#[test]
fn a_strict_counter_that_is_retried_ends_exactly() {
    let server = Server::start("counter");
    let cookie = visitor(&server);
    let conflicts = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..32 {
            scope.spawn(|| {
                for _ in 0..100 {
                    loop {
                        match get_with_cookie(&server.url("/increment?key=strict&strict=1"), &cookie).status {
                            200 => break,
                            409 => _ = conflicts.fetch_add(1, Relaxed),
                            status => panic!("{status}"),
                        }
                    }
                }
            });
        }
    });
    assert_eq!(get_with_cookie(&server.url("/get?key=strict"), &cookie).body.trim(), "3200");
    assert!(conflicts.load(Relaxed) > 0, "32 clients met at least once");
}

#[test]
fn every_acknowledged_save_survives_kill_9_and_none_is_torn() {
    let mut server = Server::start("counter");
    let cookies: Vec<_> = (0..4).map(|_| visitor(&server)).collect();
    let acknowledged: Vec<AtomicU64> = cookies.iter().map(|_| AtomicU64::new(0)).collect();
    let mut total = 0;
    for round in 1..=KILLS {
        let stopped = AtomicBool::new(false);
        let launch = thread::scope(|scope| {
            for (cookie, acknowledged) in cookies.iter().zip(&acknowledged) {
                let (stopped, url) = (&stopped, server.url("/set?kind=integer&also=other&key=n&value="));
                scope.spawn(move || {
                    while !stopped.load(Relaxed) {
                        let value = acknowledged.load(Relaxed) + 1;
                        if try_get_with_cookie(&format!("{url}{value}"), cookie)
                            .is_some_and(|reply| reply.status == 200)
                        {
                            acknowledged.store(value, Relaxed);
                        } else {
                            // The server is gone.
                            return;
                        }
                    }
                });
            }
            thread::sleep(Duration::from_millis(100 + 13 * round));
            let launch = server.kill();
            stopped.store(true, Relaxed);
            launch
        });
        server = launch.start();
        for (cookie, acknowledged) in cookies.iter().zip(&acknowledged) {
            let here = get_with_cookie(&server.url("/get?key=n"), cookie);
            let other = get_with_cookie(&server.url("/app?name=other&key=n"), cookie);
            assert_eq!(here.body, other.body, "round {round}: both variables of a save, or none");
            let stored = here.body.trim().parse().unwrap_or(0);
            let promised = acknowledged.load(Relaxed);
            // The save that was in flight happened or did not.
            assert!((promised..=promised + 1).contains(&stored), "round {round}: {promised} promised, {stored} stored");
            acknowledged.store(stored, Relaxed);
        }
        total = acknowledged.iter().map(|acknowledged| acknowledged.load(Relaxed)).sum();
        let database =
            rusqlite::Connection::open(server.launch.folder().join("sessions.db")).expect("it can be opened");
        let integrity: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("an answer");
        assert_eq!(integrity, "ok", "round {round}");
    }
    println!("{KILLS} kills, {total} acknowledged saves");
    assert!(total > KILLS, "there was a load to interrupt");
}
