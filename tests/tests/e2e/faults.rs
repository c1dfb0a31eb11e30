//! Stores that fail under a server: clients get 503 and never a fresh session, nothing that was acknowledged is lost, and the
//! server recovers by itself.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use lemon_session_host::store::StorageOptions;
use lemon_session_tests::{Client, Launch, Reply, Server, Storage, build, client::get_with_cookie};
use tokio::runtime::Runtime;

use crate::{
    proxy::Proxy,
    redis_servers::{RedisServer, can_start},
    sql_servers::{OwnServer, PASSWORD},
};

/// A server of a store that this test starts.
trait Own: Send {
    fn kill(&mut self);
    fn start_again(&mut self);
}

impl Own for OwnServer {
    fn kill(&mut self) {
        OwnServer::kill(self);
    }

    fn start_again(&mut self) {
        OwnServer::start_again(self);
    }
}

impl Own for RedisServer {
    fn kill(&mut self) {
        RedisServer::kill(self);
    }

    fn start_again(&mut self) {
        RedisServer::start_again(self);
    }
}

fn installed<T>(server: Option<T>, what: &str) -> Option<T> {
    if server.is_none() {
        eprintln!("\n*** SKIPPED: {what} is not installed ***\n");
        assert!(std::env::var("CI").as_deref() != Ok("true"), "with CI=true every server has to be there");
    }
    server
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

/// Waits until a server answers: it listens before it is ready.
fn wait_for(url: &str) {
    let started = Instant::now();
    let open = async || lemon_session_tests::drivers().open(StorageOptions::new(url)).await;
    while let Err(error) = runtime().block_on(open()) {
        assert!(started.elapsed() < Duration::from_secs(60), "{error}");
        thread::sleep(Duration::from_millis(50));
    }
}

fn visit(server: &Server) -> String {
    let client = Client::new();
    let reply = server.get(&client, "/set?key=n&value=0");
    assert_eq!(reply.status, 200, "{reply:?}");
    format!("counter={}", client.cookie("counter").expect("a visit gives a cookie"))
}

/// The answer is that of the visitor's own session, or 503.
fn check(reply: &Reply) {
    assert!(matches!(reply.status, 200 | 503), "{reply:?}");
    assert!(reply.headers("set-cookie").is_empty(), "no session is made up: {reply:?}");
}

/// Visitors save growing numbers while the store's server is killed and started again, twice.
fn killed_and_restarted(store: &mut dyn Own, url: &str) {
    wait_for(url);
    let server = Launch::new("counter").arg("--storage").arg(url).start();
    let cookies: Vec<_> = (0..6).map(|_| visit(&server)).collect();
    let acknowledged: Vec<_> = cookies.iter().map(|_| AtomicU64::new(0)).collect();
    let attempted: Vec<_> = cookies.iter().map(|_| AtomicU64::new(0)).collect();
    let (stopped, refused, last_refusal) = (AtomicBool::new(false), AtomicU64::new(0), Mutex::new(Instant::now()));
    let mut restarted = Instant::now();
    thread::scope(|scope| {
        for (n, cookie) in cookies.iter().enumerate() {
            let (acknowledged, attempted) = (&acknowledged[n], &attempted[n]);
            let (stopped, refused, last_refusal, server) = (&stopped, &refused, &last_refusal, &server);
            scope.spawn(move || {
                while !stopped.load(Relaxed) {
                    let value = attempted.fetch_add(1, Relaxed) + 1;
                    let reply = get_with_cookie(&server.url(&format!("/set?key=n&value={value}")), cookie);
                    check(&reply);
                    if reply.status == 200 {
                        acknowledged.store(value, Relaxed);
                    } else {
                        refused.fetch_add(1, Relaxed);
                        *last_refusal.lock().expect("nobody panics") = Instant::now();
                        thread::sleep(Duration::from_millis(50));
                    }
                }
            });
        }
        for _ in 0..2 {
            thread::sleep(Duration::from_millis(700));
            store.kill();
            thread::sleep(Duration::from_millis(300));
            store.start_again();
            wait_for(url);
            restarted = Instant::now();
            let before: Vec<_> = acknowledged.iter().map(|acknowledged| acknowledged.load(Relaxed)).collect();
            while acknowledged.iter().zip(&before).any(|(now, before)| now.load(Relaxed) < before + 5) {
                assert!(restarted.elapsed() < Duration::from_secs(30), "the server recovers by itself");
                thread::sleep(Duration::from_millis(20));
            }
        }
        stopped.store(true, Relaxed);
    });
    assert!(refused.load(Relaxed) > 0, "while the store is away, requests are refused");
    let recovered = last_refusal.lock().expect("nobody panics").saturating_duration_since(restarted);
    assert!(recovered < Duration::from_secs(8), "it recovered after {recovered:?}");
    for (n, cookie) in cookies.iter().enumerate() {
        let reply = get_with_cookie(&server.url("/get?key=n"), cookie);
        let stored: u64 = reply.body.trim().parse().unwrap_or_else(|_| panic!("{reply:?}"));
        let (acknowledged, attempted) = (acknowledged[n].load(Relaxed), attempted[n].load(Relaxed));
        assert!((acknowledged..=attempted).contains(&stored), "{acknowledged} <= {stored} <= {attempted}");
    }
    assert!(!server.log().contains("cret"), "no password in the log");
}

#[test]
fn mariadb_killed_in_a_load_costs_no_acknowledged_save() {
    let Some(mut server) = installed(OwnServer::mariadb(), "MariaDB") else { return };
    let url = server.url("mysql");
    killed_and_restarted(&mut server, &url);
}

#[test]
fn postgres_killed_in_a_load_costs_no_acknowledged_save() {
    let Some(mut server) = installed(OwnServer::postgres(), "PostgreSQL") else { return };
    let url = server.url("postgres");
    killed_and_restarted(&mut server, &url);
}

#[test]
fn redis_killed_in_a_load_costs_no_acknowledged_save() {
    if can_start() {
        let mut server = RedisServer::start(&["--appendonly", "yes", "--appendfsync", "always"]);
        let url = server.url();
        killed_and_restarted(&mut server, &url);
    }
}

/// The URL of a store through a proxy.
fn through(storage: &Storage, runtime: &Runtime) -> (String, Proxy) {
    let authority = storage.url.split('/').nth(2).expect("a URL with a host");
    let address = authority.rsplit('@').next().unwrap_or(authority);
    let proxy = runtime.block_on(Proxy::to(address.to_owned()));
    (storage.url.replacen(address, &format!("127.0.0.1:{}", proxy.port), 1), proxy)
}

#[test]
fn a_connection_cut_before_the_answer_makes_a_repeat_safe() {
    for kind in ["mysql", "postgres", "redis"] {
        let Some(storage) = Storage::new(kind) else { continue };
        let runtime = runtime();
        let (url, proxy) = through(&storage, &runtime);
        let server = Launch::new("counter").arg("--storage").arg(&url).arg("--table").arg(&storage.table).start();
        let cookie = visit(&server);
        let get = |path: &str| get_with_cookie(&server.url(path), &cookie);
        for n in 1..10 {
            proxy.cut_next_answer();
            let read = get("/get?key=n");
            check(&read);
            assert_eq!(
                (read.status, read.body.trim()),
                (200, (n - 1).to_string().as_str()),
                "{kind}: a load is repeated"
            );
            // The first answer is that of the load, which is repeated; the save's may be the one that is cut.
            let save = format!("/set?key=n&value={n}");
            proxy.cut_next_answer();
            check(&get(&save));
            let repeated = get(&save);
            assert_eq!(repeated.status, 200, "{kind}: {repeated:?}");
            assert_eq!(get("/get?key=n").body.trim(), n.to_string(), "{kind}");
        }
    }
}

#[test]
fn a_store_that_hangs_is_waited_for_a_while_and_then_503() {
    for kind in ["mysql", "postgres", "redis"] {
        let Some(storage) = Storage::new(kind) else { continue };
        let runtime = runtime();
        let (url, proxy) = through(&storage, &runtime);
        let options =
            if kind == "redis" { "timeout = 1\n" } else { "pool-size = 1\ntimeout = 1\nconnect-timeout = 1\n" };
        let ini = format!("[storage]\nurl = {url}\ntable = {}\n{options}", storage.table);
        let server = Launch::new("counter").ini(&ini).start();
        let cookie = visit(&server);
        proxy.hold_answers(true);
        // One has the only connection, and the others wait for it: none waits for longer than a few limits.
        let started = Instant::now();
        thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| {
                    let reply = get_with_cookie(&server.url("/set?key=n&value=1"), &cookie);
                    assert_eq!(reply.status, 503, "{kind}: {reply:?}");
                    check(&reply);
                });
            }
        });
        assert!(started.elapsed() < Duration::from_secs(15), "{kind}: {:?}", started.elapsed());
        proxy.hold_answers(false);
        let freed = Instant::now();
        while get_with_cookie(&server.url("/get?key=n"), &cookie).status != 200 {
            assert!(freed.elapsed() < Duration::from_secs(15), "{kind}: it recovers by itself");
        }
    }
}

#[test]
fn redis_that_may_evict_sessions_is_warned_of() {
    if !can_start() {
        return;
    }
    for (options, warns) in [
        (&["--maxmemory", "50mb", "--maxmemory-policy", "volatile-ttl"][..], true),
        (&["--maxmemory", "50mb", "--maxmemory-policy", "noeviction"], false),
        (&["--maxmemory-policy", "allkeys-lru"], false),
    ] {
        let server = RedisServer::start(options);
        let output = Launch::new("counter").command(&["tables", "create", "--storage", &server.url()]).ok();
        assert_eq!(output.stderr.contains("drops live sessions"), warns, "{options:?}: {output:?}");
    }
}

#[test]
fn a_start_without_its_store_says_what_to_check_and_no_secret() {
    let launch = Launch::new("counter");
    let counter = build::component("counter");
    let refused = |url: &str, hints: &[&str]| {
        let arguments = ["serve", counter.to_str().expect("a path"), "--addr", "127.0.0.1:0", "--storage", url];
        let output = launch.command(&arguments);
        assert_eq!(output.status, 1, "{url}: {output:?}");
        for hint in hints {
            assert!(output.stderr.contains(hint), "{url}: {output:?}");
        }
        for secret in ["hunter2", PASSWORD] {
            assert!(!output.stderr.contains(secret) && !output.stdout.contains(secret), "{output:?}");
        }
    };
    for (scheme, hint) in
        [("mysql", "Is the server running"), ("postgres", "Is the server running"), ("redis", "check host")]
    {
        let database = if scheme == "redis" { "" } else { "sessions" };
        refused(&format!("{scheme}://ann:hunter2@127.0.0.1:1/{database}"), &["127.0.0.1:1", hint]);
    }
    if let Some(server) = installed(OwnServer::mariadb(), "MariaDB") {
        refused(&format!("mysql://owner:hunter2@127.0.0.1:{}/sessions", server.port), &["password", "\"owner\""]);
    }
    if let Some(server) = installed(OwnServer::postgres(), "PostgreSQL") {
        wait_for(&server.url("postgres"));
        refused(&format!("postgres://owner:hunter2@127.0.0.1:{}/sessions", server.port), &["password", "\"owner\""]);
    }
    if can_start() {
        let server = RedisServer::start(&["--requirepass", "other"]);
        refused(&format!("redis://:hunter2@127.0.0.1:{}/", server.port), &["check user and password"]);
    }
}
