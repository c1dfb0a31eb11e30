//! The connections of calls: round trips, breaks and dropped calls.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use lemon_session_store::{
    Change, DETAILS, DestroyCondition, Grace, LoadOutcome, Rotation, Stored, UpdateOutcome, Write, conformance::clocks,
};

use super::{
    APP, address, assert_unavailable, create, found, key, now, proxy::Proxy, record, through, with_tables, write,
    writing,
};

pub async fn each_call_is_one_round_trip(url: &str) {
    let proxy = Proxy::to(address(url)).await;
    let url = through(url, &proxy);
    with_tables(&url, &[("pool-size", "1")], |driver, _| async move {
        // The first calls of a connection also prepare their statements.
        for round in ["first", "second"] {
            let (old, new) = (format!("{round} old"), format!("{round} new"));
            let mut trips = Vec::new();
            proxy.trips();
            let detail = Write { app: DETAILS.to_owned(), ..write("a", b"1") };
            create(&*driver, &old, &[detail, write("a", b"1"), write("b", &[1; 5_000])]).await;
            trips.push(("create", proxy.trips()));
            let loaded = found(&*driver, &old).await;
            assert_eq!((loaded.details.len(), loaded.variables.len()), (1, 2));
            trips.push(("load", proxy.trips()));
            driver.fetch(&key(&old), APP, "a", now()).await.expect("fetch");
            trips.push(("fetch", proxy.trips()));
            let change = Change {
                clears: vec!["other".to_owned()],
                owner: Some(Some("Ada".to_owned())),
                expires: Some(now() + 7200),
                rotation: Some(Rotation {
                    to: key(&new),
                    grace: Some(Grace { until: now() + 60, nonce: b"nonce".to_vec() }),
                }),
                ..writing([write("a", b"2"), write("c", b"3")])
            };
            let answer = driver.update(&key(&old), &change, Some(1), now()).await.expect("update");
            assert_eq!(answer, UpdateOutcome::Committed(2));
            trips.push(("update", proxy.trips()));
            assert_eq!(found(&*driver, &old).await.renewal.as_deref(), Some(&b"nonce"[..]));
            trips.push(("load by a tombstone within its grace", proxy.trips()));
            assert!(driver.destroy(&key(&new), &DestroyCondition::Any, now(), 60).await.expect("destroy"));
            trips.push(("destroy", proxy.trips()));
            driver.cleanup(now(), 100).await.expect("cleanup");
            trips.push(("cleanup of nothing", proxy.trips()));
            assert_eq!(driver.load(&key(&new), APP, now(), 0).await.expect("load"), LoadOutcome::Ended);
            let ended = proxy.trips();
            if round == "second" {
                assert!(trips.iter().all(|(_, trips)| *trips == 1), "{trips:?}");
                assert_eq!(ended, 2, "a second statement counts the use of an ended digest");
            }
        }
    })
    .await;
}

pub async fn host_whose_clock_is_off_ends_no_live_session_and_all_of_an_owner(url: &str) {
    with_tables(url, &[], |driver, _| async move { clocks(&*driver).await }).await;
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
            // Prepares the statement on the connection, so that the call itself is cut.
            driver.update(&key("b"), &change, None, now()).await.expect("update");
            proxy.cut_next_answer();
            let error = driver.update(&key("a"), &change, Some(before), now()).await.expect_err("the answer was cut");
            assert_unavailable(&error);
            let answer = driver.update(&key("a"), &change, Some(before), now()).await.expect("a repeat is answered");
            let done = [UpdateOutcome::Committed(before + 1), UpdateOutcome::Conflict(before + 1)];
            assert!(done.contains(&answer), "the first call or the second took effect, not both: {answer:?}");
            let loaded = found(&*driver, "a").await;
            assert_eq!((loaded.record.version, loaded.record.size), (before + 1, 2));
            assert_eq!(loaded.variables[0].value, Stored::Inline(value.to_vec()));
        }
        proxy.cut_next_answer();
        assert_eq!(found(&*driver, "a").await.record.version, 5, "a load is repeated automatically");

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
                    Stored::Large(_) => panic!("values of all sizes are inline"),
                })
            };
            assert_eq!(value("own").as_deref(), Some(name.as_bytes()), "no call gets the answer of another call");
            let (x, y) = (value("x").expect("x"), value("y").expect("y"));
            assert_eq!(x.first(), y.last(), "an update is all or nothing");
            let size =
                loaded.variables.iter().map(|variable| variable.name.len() + value(&variable.name).unwrap().len());
            assert_eq!(loaded.record.size, size.sum::<usize>() as u64);
        }
    })
    .await;
}
