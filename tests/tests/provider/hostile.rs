//! A component that misbehaves is stopped, and gets nothing that was not granted.

use std::{
    io::Read as _,
    net::TcpListener,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use lemon_session_host::store::{
    Change, DestroyCondition, Digest, LoadOutcome, Record, Result, StorageOptions, Store, TableName, Writes,
};
use lemon_session_tests::{build::component, drivers};
use tempfile::TempDir;

const NOW: u64 = 1_000_000;

/// The rogue component with these options.
async fn rogue(options: &str) -> Arc<dyn Store> {
    let url = format!("component:{}?{options}", component("rogue_store").display());
    drivers().open(StorageOptions::new(url)).await.expect("the component can be opened")
}

fn digest() -> Digest {
    Digest::of("any")
}

async fn load(store: &dyn Store, app: &str) -> Result<LoadOutcome> {
    store.load(&digest(), app, NOW, 1_000).await
}

/// What the component answers to a fetch, or the reason why it fails.
async fn fetch(store: &dyn Store, app: &str, name: &str) -> Result<String, String> {
    let answer = store.fetch(&digest(), app, name, NOW).await.map_err(|error| error.to_string())?;
    Ok(String::from_utf8(answer.unwrap_or_default()).expect("text"))
}

/// How many calls the instance had that answers.
async fn calls(store: &dyn Store) -> u64 {
    fetch(store, "calls", "0").await.expect("an answer").parse().expect("a number")
}

#[tokio::test(flavor = "multi_thread")]
async fn instance_that_stops_is_dropped_and_its_call_fails_with_the_reason() {
    let store = rogue("instances=1&memory=8M").await;
    for (app, reason) in [
        ("trap", "unreachable"),
        ("exit", "Exited"),
        ("grow", "unreachable"),
        ("recurse", "call stack exhausted"),
        ("amplified", "fuel"),
    ] {
        assert_eq!(calls(&*store).await, 1, "a new instance");
        assert_eq!(calls(&*store).await, 2, "the same instance");
        let error = load(&*store, app).await.expect_err("it stops").to_string();
        assert!(error.starts_with("component ") && error.contains("has stopped: "), "{error}");
        assert!(error.contains(reason), "{app}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn call_that_takes_too_long_is_stopped_whether_it_computes_or_waits() {
    for options in ["instances=2&timeout=1", "instances=2&timeout=1&dir=/tmp"] {
        let store = rogue(options).await;
        assert_eq!(calls(&*store).await, 1);
        let begun = Instant::now();
        let waits = async { fetch(&*store, "calls", "60000").await.expect_err("it takes too long") };
        let computes = async { load(&*store, "spin").await.expect_err("it takes too long").to_string() };
        let (waits, computes) = tokio::join!(waits, computes);
        for error in [waits, computes] {
            assert!(error.contains("took longer than 1 seconds and was stopped"), "{error}");
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
        assert_eq!(calls(&*store).await, 1, "neither instance is used again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn call_waits_for_an_instance_only_so_long() {
    let store = rogue("instances=1&timeout=1").await;
    // A call that can concern every session may take longer.
    let long = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.destroy_owned("3000", None, NOW, 0).await }
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    let error = fetch(&*store, "calls", "0").await.expect_err("the instance is in use");
    assert!(error.contains("all 1 instances are in use"), "{error}");
    assert_eq!(long.await.expect("a task").expect("an answer"), 0);
    assert_eq!(calls(&*store).await, 1, "the instance is used again, for its first fetch");
}

#[tokio::test(flavor = "multi_thread")]
async fn call_whose_caller_gives_up_is_ended_and_its_instance_is_used_again() {
    let store = rogue("instances=1").await;
    assert_eq!(calls(&*store).await, 1);
    let given_up = tokio::time::timeout(Duration::from_millis(50), fetch(&*store, "calls", "300"));
    assert!(given_up.await.is_err(), "it takes longer");
    assert_eq!(calls(&*store).await, 3, "the call that was given up counts");
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_run_at_the_same_time_on_instances_of_their_own() {
    let store = rogue("instances=4").await;
    let all = futures::future::join_all((0..4).map(|_| fetch(&*store, "calls", "300")));
    assert_eq!(all.await, vec![Ok("1".to_owned()); 4]);
    assert_eq!(calls(&*store).await, 2, "one of the four");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_break_the_contract_are_errors() {
    let store = rogue("").await;
    let (inspect, schema) = (store.inspect().expect("inspect"), store.schema().expect("schema"));
    let update = store.update(&digest(), &Change::default(), Some(7), NOW).await.map(|_| ());
    let cleanup = store.cleanup(NOW, 9).await.map(|_| ());
    let listed = async |owner: Option<&str>, limit| inspect.list(NOW, owner, None, limit).await.map(|_| ());
    for (answer, part) in [
        (load(&*store, "unversioned").await.map(|_| ()), "has the version 0"),
        (load(&*store, "unsorted").await.map(|_| ()), "not sorted by name"),
        (update, "Conflict(7)"),
        (cleanup, "removed 4294967295 of at most 9"),
        (listed(None, 1).await, "2 sessions of at most 1"),
        (listed(None, 9).await, "order of their digests"),
        (listed(Some("short"), 9).await, "5 bytes instead of 32"),
    ] {
        let error = answer.expect_err("it breaks the contract");
        assert!(error.to_string().contains("breaks the contract of a store: "), "{error}");
        assert!(error.to_string().contains(part), "{part}: {error}");
    }
    let error = load(&*store, "secrets").await.expect_err("a failure").to_string();
    assert!(error.len() < 500 && !error.contains(char::is_control), "{error}");
    let missing = schema.create_tables().await.expect_err("a failure");
    assert!(missing.is_missing_tables() && missing.to_string().ends_with(": there never are any"), "{missing}");
    let too_many = schema.drop_tables().await.expect_err("a failure");
    assert!(!too_many.is_missing_tables() && too_many.to_string().ends_with(": of them"), "{too_many}");
    // What the interface has no function for.
    assert!(inspect.reused(NOW).await.is_err_and(|error| error.is_unsupported()));
    assert!(inspect.describe(&digest(), NOW).await.is_err_and(|error| error.is_unsupported()));
    assert!(store.transfer().is_none());
    // And it lives on.
    assert!(!store.destroy(&digest(), &DestroyCondition::Any, NOW, 0).await.expect("an answer"));
}

#[tokio::test(flavor = "multi_thread")]
async fn component_without_grants_reaches_nothing() {
    let server = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = server.local_addr().expect("an address").to_string();
    let store = rogue("env.NAME=a%20b").await;
    for (app, name) in [
        ("read", "/etc/passwd"),
        ("read", "Cargo.toml"),
        ("write", "/tmp/rogue"),
        ("connect", address.as_str()),
        ("resolve", "localhost"),
        ("listen", "127.0.0.1:0"),
        ("udp", "127.0.0.1:0"),
    ] {
        let refused = fetch(&*store, app, name).await;
        assert!(refused.is_err(), "{app} {name}: {refused:?}");
    }
    let environment = fetch(&*store, "environment", "").await.expect("an answer");
    assert_eq!(environment, "NAME=a b\nLEMON_SESSION_CREATE_TABLES=false", "nothing of this process's own");
}

#[tokio::test(flavor = "multi_thread")]
async fn component_reaches_the_addresses_that_were_granted_and_no_others() {
    let servers = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a port"));
    let [granted, other] = servers.each_ref().map(|server| server.local_addr().expect("an address").port());
    let accepted = std::thread::spawn(move || {
        let mut text = String::new();
        servers[0].accept().expect("a connection").0.read_to_string(&mut text).expect("text");
        text
    });
    let by_name = rogue(&format!("connect=localhost:{granted}")).await;
    assert!(fetch(&*by_name, "resolve", "localhost").await.is_ok_and(|found| found.contains("127.0.0.1")));
    for name in ["localhost.", "example.org", "127.0.0.1.example.org"] {
        assert!(fetch(&*by_name, "resolve", name).await.is_err(), "{name} was not granted");
    }
    let by_address = rogue(&format!("connect=127.0.0.1:{granted}")).await;
    for store in [&by_name, &by_address] {
        let elsewhere = format!("127.0.0.1:{other}");
        for refused in [elsewhere.as_str(), "[::1]:1", "0.0.0.0:1"] {
            assert!(fetch(&**store, "connect", refused).await.is_err(), "{refused} was not granted");
        }
        assert!(fetch(&**store, "listen", "127.0.0.1:0").await.is_err());
        assert!(fetch(&**store, "listen", "0.0.0.0:0").await.is_err());
    }
    assert!(fetch(&*by_address, "resolve", "localhost").await.is_err(), "an address needs no lookup");
    assert_eq!(fetch(&*by_name, "connect", &format!("127.0.0.1:{granted}")).await, Ok(String::new()));
    assert_eq!(accepted.join().expect("a thread"), "hello");
}

#[tokio::test(flavor = "multi_thread")]
async fn component_reads_and_writes_its_directory_and_nothing_beside_it() {
    let folder = TempDir::new().expect("a folder");
    let (own, beside) = (folder.path().join("own"), folder.path().join("beside"));
    std::fs::write(&beside, "a secret").expect("written");
    let store = rogue(&format!("dir={}", own.display())).await;
    let missing = load(&*store, "").await.expect_err("the directory is not there");
    assert!(missing.is_missing_tables(), "{missing}");
    let schema = store.schema().expect("schema");
    assert!(!schema.tables_exist().await.expect("an answer"));
    schema.drop_tables().await.expect("there is nothing to drop");
    // Fails, but makes the directory before.
    assert!(schema.create_tables().await.is_err_and(|error| error.to_string().contains("there never are any")));
    let mode = std::os::unix::fs::PermissionsExt::mode(&own.metadata().expect("made").permissions());
    assert_eq!(mode & 0o777, 0o700, "no one else may read sessions");

    assert_eq!(fetch(&*store, "write", "/sessions/a").await, Ok(String::new()));
    assert_eq!(fetch(&*store, "read", "/sessions/a").await, Ok("written".to_owned()));
    let absolute = beside.display().to_string();
    std::os::unix::fs::symlink(&beside, own.join("out")).expect("a link");
    for name in ["/sessions/../beside", "../beside", absolute.as_str(), "/sessions/out", "/etc/passwd"] {
        let refused = fetch(&*store, "read", name).await;
        assert!(refused.is_err(), "{name}: {refused:?}");
    }
    let hoarded = load(&*store, "hoards").await.expect_err("a failure").to_string();
    assert!(hoarded.contains("has stopped: resource table has no free keys"), "{hoarded}");
}

#[tokio::test(flavor = "multi_thread")]
async fn component_that_prints_without_end_is_logged_a_few_lines_of() {
    let store = rogue("timeout=60").await;
    load(&*store, "prints").await.expect("it prints and answers");
}

#[tokio::test(flavor = "multi_thread")]
async fn table_is_named_in_every_call_unless_it_is_the_default_one() {
    let url = format!("component:{}", component("rogue_store").display());
    for (table, told) in [("Session", "None None"), ("Shop", "None Some(\"Shop\")")] {
        let table = TableName::new(table).expect("a name");
        let store = drivers().open(StorageOptions { table, ..StorageOptions::new(url.clone()) }).await.expect("opens");
        let error = store.inspect().expect("inspect").count(NOW).await.expect_err("it tells");
        assert!(error.is_unknown_location() && error.to_string().ends_with(told), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn file_that_is_no_provider_is_refused_with_the_reason() {
    let folder = TempDir::new().expect("a folder");
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("written");
        path
    };
    let session = file("session.wasm", lemon_session_host::COMPONENT);
    let (empty, module) = (file("empty.wasm", b"\0asm\x0d\0\x01\0"), file("module.wasm", b"\0asm\x01\0\0\0"));
    let text = file("text.wasm", b"(component");
    let visits = component("visits");
    for (path, part) in [
        (visits.as_path(), "imports wasi:http/types@0.2."),
        (&session, "imports lemon:session/storage@0.1.0"),
        (&empty, "does not export lemon:session/storage@0.1.0"),
        (&module, "is not a WebAssembly component"),
        (&text, "is not a WebAssembly component"),
        (Path::new("/nowhere/at.wasm"), "cannot read /nowhere/at.wasm"),
    ] {
        let opened = drivers().open(StorageOptions::new(format!("component:{}", path.display()))).await;
        let error = opened.err().unwrap_or_else(|| panic!("{} was opened", path.display()));
        assert!(error.is_invalid() && error.to_string().contains(part), "{part}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn closed_store_refuses_calls() {
    let store = rogue("").await;
    let record = Record {
        created: NOW,
        accessed: NOW,
        expires: NOW + 9,
        absolute_expiry: None,
        rotated: NOW,
        owner: None,
        version: 1,
        size: 0,
    };
    store.create(&digest(), &record, &Writes::default()).await.expect("an answer");
    store.close().await.expect("closed");
    let error = store.create(&digest(), &record, &Writes::default()).await.expect_err("it is closed");
    assert!(error.to_string().ends_with("the store is closed"), "{error}");
}
