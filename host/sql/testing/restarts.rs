//! Servers that go and come back.

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

/// Saves and loads of many clients while the server is killed and started again. Nothing that was acknowledged is lost, no
/// session seems to be absent, and all clients go on by themselves.
pub async fn server_that_is_killed_and_restarted_loses_nothing(mut server: OwnServer, url: &str) {
    let table = own_table();
    let driver = try_open(url, &table, &[("timeout", "5"), ("pool-size", "4")]).await.expect("the store opens");
    driver.create_tables().await.expect("create_tables");
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
    driver.create_tables().await.expect("create_tables");
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
    owner.create_tables().await.expect("create_tables");
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
