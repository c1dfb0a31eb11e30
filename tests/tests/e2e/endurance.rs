//! What many connections and many requests cost.

use std::{
    thread,
    time::{Duration, Instant},
};

use lemon_session_tests::{Client, Launch, Server, keep_alive::Connection};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::task::JoinSet;

/// How many connections this process and the server may each have, up to `wanted`.
fn connections(wanted: usize) -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
            .expect("a limit can be raised to its maximum");
    }
    let spare = 1000;
    match maximum {
        Some(maximum) if maximum < (wanted + spare) as u64 => {
            let possible = (maximum as usize).saturating_sub(spare);
            eprintln!("SCALED DOWN: {possible} connections instead of {wanted}, as {maximum} files may be open");
            possible
        }
        _ => wanted,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_idle_connections_hold_nobody_up() {
    let count = connections(10_000);
    let most = count + 100;
    let ini = format!("[server]\nconnections = {most}\nconnections-per-address = {most}\nheader-time = 1h\n");
    let server = Launch::new("visits").ini(&ini).admin().start();
    let first = Connection::open(server.address).await.unwrap().get("/", "").await.unwrap();
    assert_eq!(first.status, 200);
    let before = server.memory();

    let mut opening = JoinSet::new();
    for _ in 0..8 {
        let (address, share) = (server.address, count / 8);
        opening.spawn(async move {
            let mut idle = Vec::with_capacity(share);
            for _ in 0..share {
                let mut connection = Connection::open(address).await.unwrap();
                assert_eq!(connection.get("/favicon", "").await.unwrap().status, 200);
                idle.push(connection);
            }
            idle
        });
    }
    let mut idle = opening.join_all().await.into_iter().flatten().collect::<Vec<_>>();
    let each = (server.memory() - before) / idle.len() as u64;
    eprintln!("{} idle connections: {} bytes of memory each", idle.len(), each);
    assert!(each < 32 * 1024, "{each} bytes for a connection");

    tokio::task::block_in_place(|| {
        assert!(server.metric("http_connections") >= (count / 8 * 8) as f64);
        assert!(server.get(&Client::new(), "/").body.contains("This is your first visit"));
    });
    // They are alive, all of them.
    for connection in idle.iter_mut().step_by(97) {
        assert_eq!(connection.get("/", "").await.unwrap().status, 200);
    }
    drop(idle);
    tokio::task::block_in_place(|| {
        while server.metric("http_connections") > 10.0 {
            thread::sleep(Duration::from_millis(20));
        }
    });
}

/// Sends this number of requests by returning visitors.
async fn requests(server: &Server, cookies: &[String], count: usize) {
    let mut visitors = JoinSet::new();
    for cookie in cookies {
        let (address, cookie, share) = (server.address, cookie.clone(), count / cookies.len());
        visitors.spawn(async move {
            let mut connection = Connection::open(address).await.unwrap();
            for _ in 0..share {
                assert_eq!(connection.get("/", &cookie).await.unwrap().status, 200);
            }
        });
    }
    visitors.join_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_does_not_grow_with_the_number_of_requests() {
    // The real number is a million; this is what a debug build does in some seconds.
    let server = Server::start("counter");
    let cookies: Vec<_> = (0..8)
        .map(|_| tokio::task::block_in_place(|| server.get(&Client::new(), "/").set_cookie()))
        .map(|cookie| format!("counter={}", cookie.value))
        .collect();
    requests(&server, &cookies, 5_000).await;
    let early = server.memory();
    requests(&server, &cookies, 25_000).await;
    let late = server.memory();
    eprintln!("memory after 5,000 requests: {} KB, after 30,000: {} KB", early / 1024, late / 1024);
    // A kilobyte a request would be 25 MB.
    assert!(late < early + (4 << 20), "{early} bytes of memory have become {late}");
}

#[test]
fn what_compiling_takes_is_given_back() {
    let cache = tempfile::tempdir().unwrap();
    let cache = format!("--cache={}", cache.path().join("cache").display());
    let compiling = Launch::new("visits").arg(&cache).start();
    let compiled = Launch::new("visits").arg(&cache).start();
    assert!(compiling.log().contains("compiling visits.wasm") && !compiled.log().contains("compiling"));
    // The allocator returns what is free to the system after a second or so.
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let (first, second) = (compiling.own_memory(), compiled.own_memory());
        if first < second + (4 << 20) {
            break;
        }
        assert!(Instant::now() < deadline, "{first} bytes after compiling, {second} without");
        thread::sleep(Duration::from_millis(100));
    }
}
