//! Servers that are killed, restarted and replaced.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use futures::future::join_all;
use lemon_session_store::{LoadOutcome, Stored, UpdateOutcome};

use super::{
    APP, assert_unavailable, create, found, key, now, open, own_table, servers::OwnServer, try_open, write, writing,
};

/// Many clients save and load while the server is killed and started again. No acknowledged save is lost, no session is
/// reported as absent, and all clients recover by themselves.
pub async fn server_that_is_killed_and_restarted_loses_nothing(mut server: OwnServer, url: &str) {
    let table = own_table();
    let driver = try_open(url, &table, &[("timeout", "5"), ("pool-size", "4")]).await.expect("the store opens");
    driver.try_schema().expect("schema").create_tables().await.expect("create_tables");
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
                            let Stored::Inline(value) = &loaded.variables[0].value else {
                                panic!("values of all sizes are inline")
                            };
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
    let all = tokio::time::timeout(Duration::from_secs(60), join_all(clients)).await.expect("all clients recover");
    let failed: u32 = all.into_iter().map(|failed| failed.expect("no client panics")).sum();
    assert!(failed > 0, "calls failed while the server was down");
    drop(server);
}

/// After a restart of an idle server, loads reconnect without an error.
pub async fn restart_of_an_idle_server_fails_no_load(mut server: OwnServer, url: &str) {
    let driver = try_open(url, &own_table(), &[("pool-size", "4")]).await.expect("the store opens");
    driver.try_schema().expect("schema").create_tables().await.expect("create_tables");
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

/// A server that refuses writes, and then accepts them over new connections only: the same as a proxy that leads to a
/// new primary.
pub async fn saves_go_on_when_another_server_is_the_primary(
    url: &str,
    read_only: impl AsyncFn(),
    writable_for_new_connections: impl AsyncFn(),
) {
    let table = own_table();
    let owner = open(url, &table).await;
    owner.try_schema().expect("schema").create_tables().await.expect("create_tables");
    create(&*owner, "a", &[write("x", b"1")]).await;
    owner.close().await.expect("close");
    read_only().await;
    let driver = try_open(url, &table, &[("pool-size", "4")]).await.expect("the store opens");
    let (a, change) = (key("a"), writing([write("x", b"2")]));
    let error = driver.update(&a, &change, None, now()).await.expect_err("the server is read-only");
    assert_unavailable(&error);
    assert!(error.to_string().contains("takes no writes"), "{error}");
    assert_eq!(found(&*driver, "a").await.record.version, 1, "loads still work");
    // Fills the pool.
    join_all((0..8).map(|_| found(&*driver, "a"))).await;

    writable_for_new_connections().await;
    let saves = (0..40).map(|_| driver.update(&a, &change, None, now()));
    for saved in join_all(saves).await {
        let saved = saved.expect("a refused save is repeated over a new connection");
        assert!(matches!(saved, UpdateOutcome::Committed(_)), "{saved:?}");
    }
    assert_eq!(found(&*driver, "a").await.record.version, 41, "each save took effect once");
    driver.close().await.expect("close");
}
