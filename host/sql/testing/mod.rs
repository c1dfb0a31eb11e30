//! What the tests of the drivers for SQL servers share: each rule is stated once, and checked on every kind of server.

#[allow(dead_code, reason = "each of the tests that share it uses some of it")]
pub mod proxy;
#[allow(dead_code, reason = "each of the tests that share it uses some of it")]
pub mod servers;

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use futures::future::join_all;
use lemon_session_store::conformance::{CALLS, failures};
use lemon_session_store::{
    Change, CreateOutcome, DestroyCondition, Error, Grace, Key, LoadOutcome, Loaded, Record, Registry, Rename,
    StorageOptions, Store, Stored, TableName, UpdateOutcome, Write, Writes,
};
use proxy::Proxy;
use servers::{OwnServer, PASSWORD};

const APP: &str = "shop";

pub async fn try_open(url: &str, table: &TableName, options: &[(&str, &str)]) -> Result<Arc<dyn Store>, Error> {
    let options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let mut registry = Registry::new();
    registry.register(&super::SCHEMES)?;
    registry.open(StorageOptions { url: url.to_owned(), table: table.clone(), options }).await
}

pub async fn open(url: &str, table: &TableName) -> Arc<dyn Store> {
    try_open(url, table, &[]).await.expect("the store opens")
}

/// A table nobody else uses.
pub fn own_table() -> TableName {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    TableName::new(&format!("Test_{:x}_{}_{number}", now(), std::process::id())).expect("a table name")
}

pub fn now() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().expect("a clock").as_secs()
}

/// Says that tests are passed over for want of a server. Where `CI` is `true`, they fail.
pub fn skip(why: &str) {
    let line = "=".repeat(80);
    eprintln!("{line}\nSKIPPED: {why}\n{line}");
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{why}: with CI=true every server has to be there");
}

/// The address in a URL, `127.0.0.1:5432`.
pub fn address(url: &str) -> String {
    let authority = url.split("//").nth(1).and_then(|rest| rest.split('/').next()).expect("a URL with a host");
    authority.rsplit('@').next().unwrap_or(authority).to_owned()
}

/// The URL with another address.
pub fn through(url: &str, proxy: &Proxy) -> String {
    url.replacen(&address(url), &format!("127.0.0.1:{}", proxy.port), 1)
}

fn key(name: &str) -> Key {
    Key::of(name)
}

pub fn record() -> Record {
    let now = now();
    let expires = now + 3600;
    Record { created: now, accessed: now, expires, ends: None, renewed: now, owner: None, version: 0, size: 0 }
}

pub fn write(name: &str, value: &[u8]) -> Write {
    Write { app: APP.to_owned(), name: name.to_owned(), value: Some(value.to_owned()) }
}

pub fn writing(writes: impl Into<Writes>) -> Change {
    Change { writes: writes.into(), max_size: u64::MAX, remember: 60, ..Change::default() }
}

async fn create(driver: &dyn Store, name: &str, writes: &[Write]) {
    let created = driver.create(&key(name), &record(), &writes.to_vec().into()).await.expect("create");
    assert_eq!(created, CreateOutcome::Created);
}

pub async fn found(driver: &dyn Store, name: &str) -> Loaded {
    match driver.load(&key(name), APP, now(), u32::MAX).await.expect("load") {
        LoadOutcome::Found(loaded) => loaded,
        other => panic!("the session is live, but load answers {other:?}"),
    }
}

fn assert_unavailable(error: &Error) {
    assert!(!error.is_invalid() && !error.is_missing_tables() && !error.is_unknown_location(), "{error}");
}

/// Runs `rule` on tables of its own at `url`, and drops them.
pub async fn with_tables<Checking: Future<Output = ()>>(
    url: &str,
    options: &[(&str, &str)],
    rule: impl FnOnce(Arc<dyn Store>, TableName) -> Checking,
) {
    let table = own_table();
    let owner = open(url, &table).await;
    owner.schema().expect("schema").create_tables().await.expect("create_tables");
    let driver = try_open(url, &table, options).await.expect("the store opens");
    rule(Arc::clone(&driver), table).await;
    driver.close().await.expect("close");
    owner.schema().expect("schema").drop_tables().await.expect("drop_tables");
    owner.close().await.expect("close");
}

pub async fn each_call_is_one_round_trip(url: &str) {
    let proxy = Proxy::to(address(url)).await;
    let url = through(url, &proxy);
    with_tables(&url, &[("pool-size", "1")], |driver, _| async move {
        // The first calls of a connection have their statements prepared.
        for round in ["first", "second"] {
            let (old, new) = (format!("{round} old"), format!("{round} new"));
            let mut trips = Vec::new();
            proxy.trips();
            create(&*driver, &old, &[write("a", b"1"), write("b", &[1; 5_000])]).await;
            trips.push(("create", proxy.trips()));
            found(&*driver, &old).await;
            trips.push(("load", proxy.trips()));
            driver.fetch(&key(&old), APP, "a", now()).await.expect("fetch");
            trips.push(("fetch", proxy.trips()));
            let change = Change {
                clears: vec!["other".to_owned()],
                owner: Some(Some("Ada".to_owned())),
                expires: Some(now() + 7200),
                rename: Some(Rename {
                    to: key(&new),
                    grace: Some(Grace { until: now() + 60, nonce: b"nonce".to_vec() }),
                }),
                ..writing([write("a", b"2"), write("c", b"3")])
            };
            let answer = driver.update(&key(&old), &change, Some(1), now()).await.expect("update");
            assert_eq!(answer, UpdateOutcome::Committed(2));
            trips.push(("update", proxy.trips()));
            assert_eq!(found(&*driver, &old).await.renewal.as_deref(), Some(&b"nonce"[..]));
            trips.push(("load by a former key", proxy.trips()));
            assert!(driver.destroy(&key(&new), &DestroyCondition::Any, now(), 60).await.expect("destroy"));
            trips.push(("destroy", proxy.trips()));
            driver.cleanup(now(), 100).await.expect("cleanup");
            trips.push(("cleanup of nothing", proxy.trips()));
            assert_eq!(driver.load(&key(&new), APP, now(), 0).await.expect("load"), LoadOutcome::Ended);
            let ended = proxy.trips();
            if round == "second" {
                assert!(trips.iter().all(|(_, trips)| *trips == 1), "{trips:?}");
                assert_eq!(ended, 2, "an ended key is counted by a second statement");
            }
        }
    })
    .await;
}

pub async fn connection_that_is_cut_between_request_and_answer_is_an_error_and_a_repeat_is_safe(url: &str) {
    let proxy = Proxy::to(address(url)).await;
    let url = through(url, &proxy);
    with_tables(&url, &[("pool-size", "2")], |driver, _| async move {
        create(&*driver, "a", &[write("x", b"1")]).await;
        for round in 2..6 {
            let value = [round as u8];
            let change = writing([write("x", &value)]);
            let before = found(&*driver, "a").await.record.version;
            // Has its statement prepared on the connection, so that what is cut is the call itself.
            driver.update(&key("b"), &change, None, now()).await.expect("update");
            proxy.cut_next_answer();
            let error = driver.update(&key("a"), &change, Some(before), now()).await.expect_err("the answer was cut");
            assert_unavailable(&error);
            let answer = driver.update(&key("a"), &change, Some(before), now()).await.expect("a repeat is answered");
            let done = [UpdateOutcome::Committed(before + 1), UpdateOutcome::Conflict(before + 1)];
            assert!(done.contains(&answer), "it happened once, by the first call or the second: {answer:?}");
            let loaded = found(&*driver, "a").await;
            assert_eq!((loaded.record.version, loaded.record.size), (before + 1, 2));
            assert_eq!(loaded.variables[0].value, Stored::Inline(value.to_vec()));
        }
        proxy.cut_next_answer();
        assert_eq!(found(&*driver, "a").await.record.version, 5, "a load is repeated by itself");

        proxy.cut_next_answer();
        let error =
            driver.create(&key("c"), &record(), &[write("x", b"1")].into()).await.expect_err("the answer was cut");
        assert_unavailable(&error);
        driver.create(&key("c"), &record(), &[write("x", b"1")].into()).await.expect("a repeat is answered");
        assert_eq!(found(&*driver, "c").await.record.size, 2);
    })
    .await;
}

pub async fn calls_that_are_dropped_leave_connections_and_sessions_whole(url: &str) {
    with_tables(url, &[("pool-size", "3"), ("timeout", "60")], |driver, _| async move {
        let names = ["a", "b", "c"];
        for name in names {
            create(&*driver, name, &[write("own", name.as_bytes())]).await;
        }
        for round in 0..150_u64 {
            let calls = names.map(|name| {
                let driver = Arc::clone(&driver);
                async move {
                    let change = writing([write("x", &vec![round as u8; 3_000]), write("y", &round.to_be_bytes())]);
                    let wait = Duration::from_micros(round * 40);
                    let _ = tokio::time::timeout(wait, driver.update(&key(name), &change, None, now())).await;
                    let _ = tokio::time::timeout(wait, driver.load(&key(name), APP, now(), u32::MAX)).await;
                }
            });
            join_all(calls).await;
        }
        for name in names {
            let answer = driver.update(&key(name), &writing([write("last", b"1")]), None, now()).await.expect("update");
            assert!(matches!(answer, UpdateOutcome::Committed(_)), "no lock is left behind");
            let loaded = found(&*driver, name).await;
            let value = |of: &str| {
                let variable = loaded.variables.iter().find(|variable| variable.name == of);
                variable.map(|variable| match &variable.value {
                    Stored::Inline(value) => value.clone(),
                    Stored::Large(_) => panic!("every value was asked for"),
                })
            };
            assert_eq!(value("own").as_deref(), Some(name.as_bytes()), "no call gets the answer of another one");
            let (x, y) = (value("x").expect("x"), value("y").expect("y"));
            assert_eq!(x.first(), y.last(), "an update is whole or not at all");
            let size =
                loaded.variables.iter().map(|variable| variable.name.len() + value(&variable.name).unwrap().len());
            assert_eq!(loaded.record.size, size.sum::<usize>() as u64);
        }
    })
    .await;
}

/// What locks the row of a session, as somebody else's transaction would, until it is dropped.
pub trait Locking {
    type Lock;
    fn lock(&self, table: &TableName, name: &str) -> impl Future<Output = Self::Lock>;
    fn unlock(lock: Self::Lock) -> impl Future<Output = ()>;
}

pub async fn saves_of_other_sessions_never_wait<L: Locking>(url: &str, other: &L) {
    with_tables(url, &[("pool-size", "4")], |driver, table| async move {
        for name in ["a", "b"] {
            create(&*driver, name, &[write("x", b"1")]).await;
        }
        let lock = other.lock(&table, "a").await;
        let waiting = tokio::spawn({
            let driver = Arc::clone(&driver);
            async move { driver.update(&key("a"), &writing([write("x", b"2")]), None, now()).await }
        });
        for _ in 0..20 {
            found(&*driver, "a").await;
            found(&*driver, "b").await;
            let answer = driver.update(&key("b"), &writing([write("x", b"3")]), None, now()).await.expect("update");
            assert!(matches!(answer, UpdateOutcome::Committed(_)));
            create(&*driver, &own_table().to_string(), &[write("x", b"1")]).await;
            assert_eq!(driver.cleanup(now(), 1000).await.expect("cleanup"), 0);
        }
        // What has expired for a host whose clock is ahead is removed around the row that is held.
        let removed = driver.cleanup(now() + 4000, 1000).await.expect("cleanup");
        assert_eq!(removed, 21, "a cleanup passes over the row that is held");
        assert!(!waiting.is_finished(), "a save of the session itself waits");
        L::unlock(lock).await;
        let answer = waiting.await.expect("the task ends").expect("update");
        assert_eq!(answer, UpdateOutcome::Committed(2));
    })
    .await;
}

pub async fn pool_that_is_used_up_is_waited_for_and_then_an_error<L: Locking>(url: &str, other: &L) {
    with_tables(url, &[("pool-size", "1"), ("timeout", "1.5")], |driver, table| async move {
        create(&*driver, "a", &[]).await;
        create(&*driver, "b", &[]).await;
        let lock = other.lock(&table, "a").await;
        let started = Instant::now();
        let change = writing([write("x", b"2")]);
        let (held, (a, b)) = (key("a"), (key("a"), key("b")));
        let calls = (driver.update(&held, &change, None, now()), async {
            // The other call has the connection by now.
            tokio::time::sleep(Duration::from_millis(300)).await;
            driver.load(&b, APP, now(), 0).await
        });
        let (update, load) = futures::join!(calls.0, calls.1);
        assert_unavailable(&update.expect_err("the row is held"));
        if let Err(error) = load {
            assert_unavailable(&error);
        }
        assert!(started.elapsed() < Duration::from_secs(10), "waiting has an end");
        L::unlock(lock).await;
        found(&*driver, "b").await;
        let answer = driver.update(&a, &change, None, now()).await.expect("update");
        assert!(matches!(answer, UpdateOutcome::Committed(_)), "and then all is as before");
    })
    .await;
}

pub async fn what_is_wrong_is_said_at_once(url: &str, wrong_password: &str, missing_database: &str) {
    let scheme = url.split(':').next().expect("a scheme");
    let unreachable = format!("{scheme}://somebody:hunter2@127.0.0.1:1/sessions");
    let cases = [
        (wrong_password.to_owned(), vec![], true, "password"),
        (missing_database.to_owned(), vec![], true, "CREATE DATABASE"),
        (unreachable.clone(), vec![], false, "Is the server running"),
        (format!("{scheme}://somebody:hunter2@host.invalid/sessions"), vec![], false, "Is the server running"),
        (format!("{scheme}://somebody:hunter2@127.0.0.1:port/sessions"), vec![], true, "of the form"),
        (format!("{scheme}://somebody:hunter2@127.0.0.1/"), vec![], true, "names no database"),
        (format!("{scheme}://127.0.0.1/sessions"), vec![], true, "names no user"),
        (format!("{unreachable}?pool=5"), vec![], true, "pool-size"),
        (format!("{unreachable}?pool-size=0"), vec![], true, "from 1 to"),
        (format!("{unreachable}?sslmode=yes"), vec![], true, "verify-full"),
        (unreachable.clone(), vec![("timeout", "soon")], true, "not a time"),
        (unreachable.clone(), vec![("colour", "red")], true, "connect-timeout"),
        (unreachable.clone(), vec![("password-env", "HUNTER2")], true, "more than once"),
        (unreachable.replace(":hunter2", ""), vec![("password-file", "/no/such/file")], true, "/no/such/file"),
        (unreachable.replace(":hunter2", ""), vec![("password-env", "NO_SUCH_VARIABLE")], true, "NO_SUCH_VARIABLE"),
        (unreachable.clone(), vec![("sslmode", "verify-full"), ("sslrootcert", "/no/ca")], true, "/no/ca"),
    ];
    for (url, options, invalid, says) in cases {
        let error =
            try_open(&url, &own_table(), &options).await.err().unwrap_or_else(|| panic!("{url} cannot be opened"));
        let text = format!("{error} {error:?}");
        assert!(text.contains(says), "{url}: {text}");
        assert_eq!(error.is_invalid(), invalid, "{url}: {text}");
        assert!(!text.contains("hunter2") && !text.contains(PASSWORD), "no password in {text}");
    }
}

pub async fn summary_holds_no_password(url: &str) {
    let summary = open(url, &own_table()).await.summary();
    assert!(summary.contains(&address(url)), "{summary}");
    assert!(!summary.contains(PASSWORD) && !summary.contains("cret"), "{summary}");
}

/// Saves and loads of many clients while the server is killed and started again. Nothing that was acknowledged is lost, no
/// session seems to be absent, and all clients go on by themselves.
pub async fn server_that_is_killed_and_restarted_loses_nothing(mut server: OwnServer, url: &str) {
    let table = own_table();
    let driver = try_open(url, &table, &[("timeout", "5"), ("pool-size", "4")]).await.expect("the store opens");
    driver.schema().expect("schema").create_tables().await.expect("create_tables");
    let restarted = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..8)
        .map(|number| {
            let (driver, restarted) = (Arc::clone(&driver), Arc::clone(&restarted));
            tokio::spawn(async move {
                let name = number.to_string();
                create(&*driver, &name, &[write("n", &0_u32.to_be_bytes())]).await;
                let (mut tried, mut acknowledged, mut after, mut failed) = (0_u32, 0, 0, 0);
                while after < 20 {
                    tried += 1;
                    let is_restarted = restarted.load(Ordering::SeqCst);
                    match driver.update(&key(&name), &writing([write("n", &tried.to_be_bytes())]), None, now()).await {
                        Ok(UpdateOutcome::Committed(_)) => {
                            acknowledged = tried;
                            after += u32::from(is_restarted);
                        }
                        Ok(other) => panic!("the session is live, but update answers {other:?}"),
                        Err(error) => {
                            assert_unavailable(&error);
                            failed += 1;
                            tokio::time::sleep(Duration::from_millis(50)).await;
                        }
                    }
                    match driver.load(&key(&name), APP, now(), u32::MAX).await {
                        Ok(LoadOutcome::Found(loaded)) => {
                            let Stored::Inline(value) = &loaded.variables[0].value else { panic!("all was asked for") };
                            let stored = u32::from_be_bytes(value.as_slice().try_into().expect("four bytes"));
                            assert!((acknowledged..=tried).contains(&stored), "{acknowledged} ≤ {stored} ≤ {tried}");
                        }
                        Ok(other) => panic!("the session is live, but load answers {other:?}"),
                        Err(error) => assert_unavailable(&error),
                    }
                }
                failed
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(700)).await;
    let server = tokio::task::spawn_blocking(move || {
        server.kill();
        std::thread::sleep(Duration::from_millis(300));
        server.start_again();
        server
    })
    .await
    .expect("the server starts again");
    restarted.store(true, Ordering::SeqCst);
    let all = tokio::time::timeout(Duration::from_secs(60), join_all(clients)).await.expect("all clients go on");
    let failed: u32 = all.into_iter().map(|failed| failed.expect("no client panics")).sum();
    assert!(failed > 0, "the clients noticed");
    drop(server);
}

/// A server that was restarted while nobody used it is used again without an error for loads.
pub async fn server_that_was_restarted_in_silence_is_connected_to_again(mut server: OwnServer, url: &str) {
    let driver = try_open(url, &own_table(), &[("pool-size", "4")]).await.expect("the store opens");
    driver.schema().expect("schema").create_tables().await.expect("create_tables");
    create(&*driver, "a", &[write("x", b"1")]).await;
    join_all((0..4).map(|_| found(&*driver, "a"))).await;
    let _server = tokio::task::spawn_blocking(move || {
        server.kill();
        server.start_again();
        server
    })
    .await
    .expect("the server starts again");
    let started = Instant::now();
    loop {
        match driver.load(&key("a"), APP, now(), u32::MAX).await {
            Ok(answer) => {
                assert!(matches!(answer, LoadOutcome::Found(_)), "{answer:?}");
                break;
            }
            // It listens before it is ready.
            Err(error) => assert_unavailable(&error),
        }
        assert!(started.elapsed() < Duration::from_secs(30), "the driver connects again");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for _ in 0..4 {
        let answer = driver.update(&key("a"), &writing([write("x", b"2")]), None, now()).await.expect("update");
        assert!(matches!(answer, UpdateOutcome::Committed(_)), "{answer:?}");
    }
}

/// A server that takes no writes, and then does over new connections alone: as when another server is the primary from now on.
pub async fn saves_go_on_when_another_server_is_the_primary(
    url: &str,
    read_only: impl AsyncFn(),
    writable_for_new_connections: impl AsyncFn(),
) {
    let table = own_table();
    let owner = open(url, &table).await;
    owner.schema().expect("schema").create_tables().await.expect("create_tables");
    create(&*owner, "a", &[write("x", b"1")]).await;
    owner.close().await.expect("close");
    read_only().await;
    let driver = try_open(url, &table, &[("pool-size", "4")]).await.expect("the store opens");
    let (a, change) = (key("a"), writing([write("x", b"2")]));
    let error = driver.update(&a, &change, None, now()).await.expect_err("it takes no writes");
    assert_unavailable(&error);
    assert!(error.to_string().contains("takes no writes"), "{error}");
    assert_eq!(found(&*driver, "a").await.record.version, 1, "and still answers what is stored");
    // As many connections as there may be.
    join_all((0..8).map(|_| found(&*driver, "a"))).await;

    writable_for_new_connections().await;
    let saves = (0..40).map(|_| driver.update(&a, &change, None, now()));
    for saved in join_all(saves).await {
        let saved = saved.expect("a save that was refused is made again over a new connection");
        assert!(matches!(saved, UpdateOutcome::Committed(_)), "{saved:?}");
    }
    assert_eq!(found(&*driver, "a").await.record.version, 41, "each save was made once");
    driver.close().await.expect("close");
}

/// Ends all sessions of an owner who has thousands, which `fill` makes of one, while two others are saved all the time: the first
/// of the owner's, and one of nobody's.
pub async fn saves_go_on_while_all_sessions_of_an_owner_are_ended(url: &str, fill: impl AsyncFn(&TableName)) {
    with_tables(url, &[], |driver, table| async move {
        let owned = Record { owner: Some("Ada".to_owned()), ..record() };
        driver.create(&key("a"), &owned, &[write("x", b"1")].into()).await.expect("create");
        fill(&table).await;
        create(&*driver, "nobody's", &[]).await;
        let sessions = driver.inspect().expect("inspect").count(now()).await.expect("count") - 1;
        assert!(sessions > 5_000, "{sessions}");
        let first = driver.inspect().expect("inspect").list(now(), Some("Ada"), None, 1).await.expect("list")[0].key;
        let ending = tokio::spawn({
            let driver = Arc::clone(&driver);
            async move {
                let started = Instant::now();
                let ended = driver.destroy_owned("Ada", None, now(), 60).await.expect("destroy_owned");
                (ended, started.elapsed())
            }
        });
        let mut longest = Duration::ZERO;
        while !ending.is_finished() {
            for key in [first, key("nobody's")] {
                let started = Instant::now();
                driver.update(&key, &writing([write("x", b"2")]), None, now()).await.expect("update");
                longest = longest.max(started.elapsed());
            }
        }
        let (ended, took) = ending.await.expect("the task ends");
        assert_eq!(ended, sessions);
        assert_eq!(driver.inspect().expect("inspect").count(now()).await.expect("count"), 1);
        // What a busy machine adds to a wait, it adds to the whole more than once.
        assert!(longest < Duration::from_millis(50).max(took / 5), "a save waited for {longest:?} of {took:?}");
    })
    .await;
}

/// What tells no error: see [`failures`]. Each of `changes` breaks the tables in another way.
pub async fn errors_tell_no_secrets(url: &str, changes: &[&str], change: impl AsyncFn(String)) {
    for sql in changes {
        let change = &change;
        with_tables(url, &[("timeout", "2")], |driver, table| async move {
            assert_eq!(failures(&*driver).await, 0, "whole tables answer");
            driver.create(&key("bad"), &record(), &[write("x", b"1")].into()).await.expect("create");
            change(sql.replace("{table}", table.as_str())).await;
            let failed = failures(&*driver).await;
            assert!(failed > 0, "{sql} breaks something");
        })
        .await;
    }
    let proxy = Proxy::to(address(url)).await;
    let driver = try_open(&through(url, &proxy), &own_table(), &[]).await.expect("the store opens");
    proxy.refuse();
    assert_eq!(failures(&*driver).await, CALLS, "the server is gone");
}
