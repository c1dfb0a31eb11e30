//! What is different over a blocking socket.

use std::{
    net::TcpListener,
    process::Command,
    time::{Duration, Instant},
};

use futures::executor::block_on;
use lemon_session_redis::Redis;
use lemon_session_store::{Digest, Error, LoadOutcome, UpdateOutcome};

use crate::{
    APP, create, created, created_over, found, load, now, open_over, own_table, put, record,
    servers::{RedisServer, can_start},
    shared_cluster, writing,
};

async fn refusal(url: &str, options: &[(&str, &str)]) -> Error {
    match open_over(Redis::open_blocking, url, &own_table(), options).await {
        Ok(_) => panic!("{url} opens"),
        Err(error) => error,
    }
}

/// Without tokio: nothing here runs in its runtime.
#[test]
fn store_needs_no_runtime_and_its_futures_never_wait() {
    if !can_start() {
        return;
    }
    let (server, table) = (RedisServer::start(&[]), own_table());
    let driver = block_on(created_over(Redis::open_blocking, &server.url(), &table));
    let calls = async {
        for n in 0..20 {
            create(&*driver, &Digest::of(&n.to_string()), &record(), &[put("x", b"1")]).await;
        }
        driver.try_inspect().expect("inspect").list(now(), None, None, 100).await.expect("list").len()
    };
    assert_eq!(futures::FutureExt::now_or_never(calls), Some(20), "the first poll ends a call");
}

#[test]
fn session_is_shared_with_the_asynchronous_client() {
    if !can_start() {
        return;
    }
    let (server, table) = (RedisServer::start(&[]), own_table());
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let client = runtime.block_on(created(&server.url(), &table));
    let socket = block_on(open_over(Redis::open_blocking, &server.url(), &table, &[])).expect("the store opens");
    let key = Digest::of("a");
    runtime.block_on(create(&*client, &key, &record(), &[put("from", b"the client")]));
    assert_eq!(block_on(found(&*socket, &key)).variables.len(), 1);
    block_on(socket.update(&key, &writing([put("back", b"from the socket")]), None, now())).expect("update");
    let loaded = runtime.block_on(found(&*client, &key));
    assert_eq!((loaded.record.version, loaded.variables.len()), (2, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn connection_that_was_closed_meanwhile_fails_no_call() {
    if !can_start() {
        return;
    }
    let (mut server, table) = (RedisServer::start(&["--appendonly", "yes", "--appendfsync", "always"]), own_table());
    let driver = created_over(Redis::open_blocking, &server.url(), &table).await;
    let key = Digest::of("a");
    create(&*driver, &key, &record(), &[]).await;
    let saved = async |version| {
        let answer = driver.update(&key, &writing([put("x", b"1")]), None, now()).await.expect("update");
        assert_eq!(answer, UpdateOutcome::Committed(version));
    };
    for version in 2..12 {
        assert_eq!(server.cli(&["client", "kill", "type", "normal"]).trim(), "1", "one connection, which is kept");
        saved(version).await;
    }
    server.kill();
    let error = driver.update(&key, &writing([]), None, now()).await.expect_err("the server is down");
    assert!(error.to_string().contains("refused"), "{error}");
    server.start_again();
    saved(12).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn late_answer_is_not_taken_for_that_of_another_call() {
    if !can_start() {
        return;
    }
    let (server, table) = (RedisServer::start(&[]), own_table());
    // Long enough for a machine that runs all other tests beside this one.
    let timeout = [("timeout", "2")];
    let driver = open_over(Redis::open_blocking, &server.url(), &table, &timeout).await.expect("the store opens");
    driver.try_schema().expect("schema").create_tables().await.expect("create_tables");
    let key = Digest::of("a");
    create(&*driver, &key, &record(), &[put("x", b"1")]).await;
    let info = server.cli(&["info", "server"]);
    let process = info.lines().find_map(|line| line.strip_prefix("process_id:")).expect("its process").trim();
    let signal = |signal: &str| {
        let sent = Command::new("kill").args([signal, process]).status();
        assert!(sent.expect("kill").success());
    };
    for _ in 0..3 {
        signal("-STOP");
        let started = Instant::now();
        let error = driver.fetch(&key, APP, "x", now()).await;
        let waited = started.elapsed();
        signal("-CONT");
        let error = error.expect_err("a stopped server does not answer");
        assert!(error.to_string().contains("did not answer within 2 seconds"), "{error}");
        assert!((2..4).contains(&waited.as_secs()), "{waited:?}");
        assert_eq!(load(&*driver, &Digest::of("another")).await, LoadOutcome::Absent);
        assert_eq!(found(&*driver, &key).await.variables.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn login_and_database_are_those_of_the_url() {
    if !can_start() {
        return;
    }
    let server = RedisServer::start(&["--requirepass", "top-secret", "--user", "app", "on", ">secret", "~*", "+@all"]);
    for user in ["", ":wrong-secret@", "app:wrong-secret@", "nobody:secret@"] {
        let refused = refusal(&format!("redis://{user}127.0.0.1:{}", server.port), &[]).await.to_string();
        assert!(refused.contains("check user and password") && !refused.contains("secret"), "{refused}");
    }
    let refused = refusal(&format!("redis://:top-secret@127.0.0.1:{}/99", server.port), &[]).await.to_string();
    assert!(refused.contains(", database 99"), "{refused}");

    let table = own_table();
    let url = |user: &str, database: u8| format!("redis://{user}@127.0.0.1:{}/{database}", server.port);
    let third = created_over(Redis::open_blocking, &url("app:secret", 3), &table).await;
    create(&*third, &Digest::of("a"), &record(), &[]).await;
    let again = created(&url(":top-secret", 3), &table).await;
    found(&*again, &Digest::of("a")).await;
    let other = created_over(Redis::open_blocking, &url(":top-secret", 4), &table).await;
    assert_eq!(load(&*other, &Digest::of("a")).await, LoadOutcome::Absent, "another database");
}

#[tokio::test(flavor = "multi_thread")]
async fn server_that_cannot_be_used_says_what_would_be_right() {
    let closed = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
    let silent = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let silent = silent.local_addr().map(|address| (address.port(), silent)).expect("a port");
    for (port, why) in [(closed, "check host, port and firewall"), (silent.0, "did not answer within 1 seconds")] {
        let started = Instant::now();
        let refused = refusal(&format!("redis://:secret@127.0.0.1:{port}"), &[("timeout", "1")]).await.to_string();
        assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
        assert!(refused.contains(&format!("127.0.0.1:{port}")) && refused.contains(why), "{refused}");
        assert!(!refused.contains("secret"), "{refused}");
    }
    let refused = refusal("redis+cluster://127.0.0.1:1,127.0.0.1:2", &[]).await;
    assert!(refused.is_invalid() && refused.to_string().contains("redis://USER"), "{refused}");
    if let Some(cluster) = shared_cluster() {
        let refused = refusal(&cluster.nodes[0].url(), &[]).await;
        assert!(refused.is_invalid() && refused.to_string().contains("node of a Redis Cluster"), "{refused}");
    }
    if can_start() {
        let primary = RedisServer::start(&[]);
        let replica = RedisServer::start(&["--replicaof", &format!("127.0.0.1 {}", primary.port)]);
        let refused = refusal(&replica.url(), &[]).await;
        assert!(refused.is_invalid() && refused.to_string().contains("primary"), "{refused}");
    }
}
