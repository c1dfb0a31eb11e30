//! Sessions that are moved from one store to another.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    thread,
    time::{Duration, Instant, SystemTime},
};

use lemon_session_host::store::{DETAILS, DestroyCondition, Digest, Record, Store, Write};
use lemon_session_tests::{Client, Launch, Server, Storage, client::get_with_cookie, command, storage::KINDS};
use serde_json::Value;
use tempfile::TempDir;

fn now() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().expect("a clock").as_secs()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime").block_on(future)
}

/// Two stores with a table of one name, and a folder to run the command in.
struct Pair {
    from: Storage,
    to: Storage,
    folder: TempDir,
}

impl Pair {
    fn new(from: &str, to: &str) -> Option<Self> {
        let from = Storage::new(from)?;
        let to = Storage::named(to, &from.table)?;
        Some(Self { from, to, folder: TempDir::new().expect("there is room for a folder") })
    }

    fn arguments(&self) -> [&str; 8] {
        ["move", "--from", &self.from.url, "--to", &self.to.url, "--table", &self.from.table, "--json"]
    }

    /// Runs a move, and has its count add up.
    fn run(&self) -> Value {
        let moved = command::run(self.folder.path(), &self.arguments()).ok().json().remove(0);
        let count = |name: &str| moved[name].as_u64().expect("a number");
        let outcomes = ["copied", "present", "kept", "ended", "failed"];
        assert_eq!(count("found"), outcomes.into_iter().map(count).sum::<u64>(), "{moved}");
        moved
    }
}

/// Stores sessions of two applications, some with an owner, an end and a large value, one of which has been saved.
async fn fill(store: &dyn Store, count: usize) {
    store.set_up().await.expect("set_up");
    let write = |app: &str, name: &str, value: Vec<u8>| Write {
        app: app.to_owned(),
        name: name.to_owned(),
        value: Some(value),
    };
    for n in 0..count {
        let record = Record {
            created: now() - 100,
            accessed: now() - 50,
            expires: now() + 3600,
            absolute_expiry: (n % 3 == 0).then(|| now() + 7200),
            rotated: now() - 70,
            owner: (n % 2 == 0).then(|| format!("owner é {}", n % 5)),
            version: 0,
            size: 0,
        };
        let large = if n % 10 == 0 { 60_000 } else { 20 };
        let mut writes = vec![write("shop", "n", n.to_be_bytes().into()), write("forum", "é", vec![n as u8; large])];
        if n % 4 == 0 {
            writes.push(write(DETAILS, "label", n.to_be_bytes().into()));
        }
        store.create(&Digest::of(&n.to_string()), &record, &writes.into()).await.expect("create");
    }
    let change = lemon_session_host::store::Change {
        writes: [write("shop", "saved", vec![0, 255])].into(),
        max_size: u64::MAX,
        ..Default::default()
    };
    store.update(&Digest::of("0"), &change, None, now()).await.expect("update");
}

#[test]
fn sessions_move_between_any_two_kinds_of_store() {
    const COUNT: usize = 40;
    for from in KINDS {
        for to in KINDS.into_iter().filter(|to| *to != from) {
            let Some(pair) = Pair::new(from, to) else { continue };
            let before = block_on(async {
                let store = pair.from.open().await;
                fill(&*store, COUNT).await;
                let mut before = Vec::new();
                for n in 0..COUNT {
                    before.push(
                        store
                            .transfer()
                            .expect("transfer")
                            .export(&Digest::of(&n.to_string()), now())
                            .await
                            .expect("export")
                            .expect("it is live"),
                    );
                }
                store.close().await.expect("close");
                before
            });
            let moved = pair.run();
            assert_eq!((&moved["found"], &moved["copied"]), (&COUNT.into(), &COUNT.into()), "{from} to {to}: {moved}");
            assert_eq!(moved["changed"], 0, "{moved}");
            block_on(async {
                let store = pair.to.open().await;
                for (n, before) in before.iter().enumerate() {
                    let copy = store
                        .transfer()
                        .expect("transfer")
                        .export(&Digest::of(&n.to_string()), now())
                        .await
                        .expect("export")
                        .expect("it is live");
                    assert!(
                        copy == *before,
                        "{from} to {to}: session {n} is {:?}, not {:?}",
                        copy.record,
                        before.record
                    );
                }
                let owned =
                    store.inspect().expect("inspect").list(now(), Some("owner é 2"), None, 100).await.expect("list");
                assert_eq!(owned.len(), COUNT / 10, "{from} to {to}");
                store.close().await.expect("close");
            });
            let again = pair.run();
            assert_eq!((&again["copied"], &again["present"]), (&0.into(), &COUNT.into()), "{from} to {to}: {again}");
        }
    }
}

/// Visitors add to counters all the time while their sessions are moved. When the hosts have changed over, no addition that
/// was acknowledged is lost, and nobody who logged out is logged in.
fn move_in_use(from: &str, to: &str) {
    const VISITORS: usize = 12;
    let Some(pair) = Pair::new(from, to) else { return };
    let source = Launch::new("counter").storage(&pair.from).start();
    let visit = |server: &Server| {
        let client = Client::new();
        assert_eq!(server.get(&client, "/add?key=n&delta=0").status, 200);
        format!("counter={}", client.cookie("counter").expect("a visit gives a cookie"))
    };
    let cookies: Vec<_> = (0..VISITORS).map(|_| visit(&source)).collect();
    let leavers: Vec<_> = (0..4).map(|_| visit(&source)).collect();
    let added: Vec<_> = cookies.iter().map(|_| AtomicU64::new(0)).collect();
    let stopped = AtomicBool::new(false);
    let newcomer = thread::scope(|scope| {
        for (number, cookies) in cookies.chunks(VISITORS / 2).enumerate() {
            let (added, stopped, source) = (&added[number * VISITORS / 2..], &stopped, &source);
            scope.spawn(move || {
                while !stopped.load(Relaxed) {
                    for (cookie, added) in cookies.iter().zip(added) {
                        let reply = get_with_cookie(&source.url("/add?key=n&delta=1"), cookie);
                        assert_eq!(reply.status, 200, "{reply:?}");
                        added.fetch_add(1, Relaxed);
                    }
                }
            });
        }
        let moved = pair.run();
        assert!(moved["copied"].as_u64() >= Some(VISITORS as u64), "{moved}");
        for cookie in &leavers[..2] {
            assert_eq!(get_with_cookie(&source.url("/destroy"), cookie).status, 200);
        }
        let newcomer = visit(&source);
        let moved = pair.run();
        assert!(moved["removed"].as_u64() >= Some(2), "those who logged out are logged out there too: {moved}");
        stopped.store(true, Relaxed);
        newcomer
    });
    // The hosts change over: the last requests at the source, the last run of the move.
    for cookie in &leavers[2..] {
        assert_eq!(get_with_cookie(&source.url("/destroy"), cookie).status, 200);
    }
    drop(source);
    let target = Launch::new("counter").storage(&pair.to).start();
    let early = get_with_cookie(&target.url("/set?key=there&value=yes"), &newcomer);
    assert_eq!(early.status, 200);
    let moved = pair.run();
    assert_eq!((&moved["failed"], &moved["changed"]), (&0.into(), &0.into()), "{moved}");
    for (cookie, added) in cookies.iter().zip(&added) {
        let reply = get_with_cookie(&target.url("/get?key=n"), cookie);
        assert_eq!((reply.status, reply.body.trim()), (200, added.load(Relaxed).to_string().as_str()));
    }
    for cookie in &leavers {
        assert_eq!(get_with_cookie(&target.url("/get?key=n"), cookie).status, 404, "a logout is for good");
    }
    let reply = get_with_cookie(&target.url("/get?key=there"), &newcomer);
    assert_eq!(reply.body.trim(), "yes", "what was saved at the target stays");
}

#[test]
fn sessions_in_use_move_from_sqlite_to_postgres() {
    move_in_use("sqlite", "postgres");
}

#[test]
fn sessions_in_use_move_from_redis_to_mysql() {
    move_in_use("redis", "mysql");
}

#[test]
fn a_move_that_is_killed_goes_on_where_it_was() {
    const COUNT: usize = 2000;
    let Some(pair) = Pair::new("sqlite", "redis") else { return };
    block_on(async {
        let (from, to) = (pair.from.open().await, pair.to.open().await);
        fill(&*from, COUNT).await;
        to.set_up().await.expect("set_up");
        let mut child =
            command::command(pair.folder.path(), &pair.arguments()).spawn().expect("the command can be run");
        let started = Instant::now();
        while to.inspect().expect("inspect").count(now()).await.expect("count") < 300 {
            assert!(started.elapsed() < Duration::from_secs(60), "nothing is copied");
        }
        child.kill().expect("the command is ours");
        child.wait().expect("the command is ours");
        let there = to.inspect().expect("inspect").count(now()).await.expect("count") as usize;
        assert!((300..COUNT).contains(&there), "it was killed in the middle: {there}");
        // One that was copied is logged out before the move goes on.
        let copied = to.inspect().expect("inspect").list(now(), None, None, 1).await.expect("list").remove(0).digest;
        assert!(from.destroy(&copied, &DestroyCondition::Any, now(), 0).await.expect("destroy"));

        let moved = pair.run();
        assert_eq!(moved["found"], COUNT - 1, "{moved}");
        assert_eq!(moved["copied"].as_u64().zip(moved["present"].as_u64()).map(|(a, b)| a + b), Some(COUNT as u64 - 1));
        assert!(moved["present"].as_u64() > Some(100), "what was there was not copied again: {moved}");
        assert_eq!(moved["removed"], 1, "{moved}");
        assert_eq!(to.inspect().expect("inspect").count(now()).await.expect("count"), COUNT as u64 - 1);
    });
}

#[test]
fn a_move_that_cannot_be_made_says_why() {
    let launch = Launch::new("counter");
    let run = |from: &str, to: &str| launch.command(&["move", "--from", from, "--to", to]);
    let same = run("sqlite:a.db", "sqlite:a.db");
    assert_eq!(same.status, 2, "{same:?}");
    assert!(same.stderr.contains("the same store"), "{same:?}");
    for (from, to, why) in [
        ("sqlite:missing.db", "sqlite:b.db", "lemon-session tables create"),
        ("nonsense:", "sqlite:b.db", "--from"),
        ("sqlite:a.db", "redis://:hunter2@127.0.0.1:1", "--to: cannot connect to Redis at 127.0.0.1:1"),
    ] {
        let output = run(from, to);
        assert_eq!(output.status, 1, "{output:?}");
        assert!(output.stderr.contains(why), "{output:?}");
        assert!(!output.stderr.contains("hunter2"), "{output:?}");
    }
    assert!(!launch.folder().join("b.db").exists(), "nothing was begun");

    launch.command(&["tables", "create", "--storage", "sqlite:a.db"]).ok();
    let moved = run("sqlite:a.db", "sqlite:b.db").ok();
    assert!(
        moved.stdout.starts_with("found 0 sessions in SQLite in a.db; in SQLite in b.db after 1 pass\n"),
        "{moved:?}"
    );
    let back = run("sqlite:b.db", "sqlite:a.db");
    assert_eq!(back.status, 1, "{back:?}");
    assert!(back.stderr.contains("journal of a move from SQLite in a.db to SQLite in b.db"), "{back:?}");
    launch.command(&["move", "--from", "sqlite:b.db", "--to", "sqlite:a.db", "--journal", "back.move"]).ok();
}
