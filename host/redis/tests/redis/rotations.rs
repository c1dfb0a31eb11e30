//! Id rotations in a cluster, where a session's old and new digest are in two slots.

use std::{sync::Arc, time::Duration};

use lemon_session_store::{Digest, Grace, LoadOutcome, Record, UpdateOutcome};

use crate::{
    APP, HOUR, create, created, found, load, now, open, own_table, put, record, renaming_to, shared_cluster, writing,
};

#[tokio::test(flavor = "multi_thread")]
async fn host_that_dies_in_a_rotation_leaves_one_digest_that_works() {
    let Some(cluster) = shared_cluster() else { return };
    let table = own_table();
    let driver = created(&cluster.url(), &table).await;
    // A dropped call stops between any two steps, as if the host died.
    let dying = open(&cluster.url(), &table).await;

    // The time that a whole rotation takes.
    let started = std::time::Instant::now();
    for n in 0..20 {
        let (old, new) = (Digest::of(&format!("{n} timed")), Digest::of(&format!("{n} timed new")));
        create(&*driver, &old, &record(), &[]).await;
        driver.update(&old, &renaming_to(new, None), None, now()).await.expect("update");
    }
    let whole = started.elapsed() / 20;

    let (mut renamed, mut kept, mut pending) = (0, 0, 0);
    for n in 0..100_u32 {
        let (old, new) = (Digest::of(&format!("{n} old")), Digest::of(&format!("{n} new")));
        let owner = format!("{n}");
        let owned = Record { owner: Some(owner.clone()), ..record() };
        create(&*driver, &old, &owned, &[put("x", b"1"), put("large", &[7; 20_000])]).await;
        let mut change = renaming_to(new, None);
        change.writes = [put("x", b"2")].into();
        let host = Arc::clone(&dying);
        let task = tokio::spawn(async move { host.update(&old, &change, None, now()).await });
        tokio::time::sleep(whole * n / 100).await;
        task.abort();
        let answer = task.await.ok().map(|answer| answer.expect("the cluster answers"));

        // A pending copy is invisible, or the first reader makes it the session.
        if cluster
            .nodes
            .iter()
            .any(|node| node.cli(&["hexists", &format!("{table}:s:{}", new.to_hex()), "pending"]).trim() == "1")
        {
            pending += 1;
        }
        match n % 4 {
            0 => assert_eq!(
                driver.try_inspect().expect("inspect").list(now(), Some(&owner), None, 9).await.expect("list").len(),
                1,
                "one session"
            ),
            1 => drop(driver.update(&new, &writing([]), None, now()).await.expect("update")),
            2 => drop(driver.try_inspect().expect("inspect").describe(&new, now()).await.expect("describe")),
            _ => {}
        }
        let by_old = load(&*driver, &old).await;
        let by_new = load(&*driver, &new).await;
        let (key, value) = match (&by_old, &by_new) {
            (LoadOutcome::Found(_), LoadOutcome::Absent) => {
                assert_eq!(answer, None, "an acknowledged rotation has taken effect");
                kept += 1;
                (old, b"1")
            }
            (LoadOutcome::Ended, LoadOutcome::Found(_)) => {
                renamed += 1;
                (new, b"2")
            }
            other => panic!("exactly one of the digests leads to the session, not {other:?}"),
        };
        let loaded = found(&*driver, &key).await;
        assert_eq!(loaded.variables.len(), 2, "the session is complete");
        assert_eq!(driver.fetch(&key, APP, "x", now()).await.expect("fetch").as_deref(), Some(&value[..]));
        let answer = driver.update(&key, &writing([put("z", b"3")]), None, now()).await.expect("update");
        assert!(matches!(answer, UpdateOutcome::Committed(_)), "the session can be changed: {answer:?}");
        assert_eq!(
            driver.destroy_owned(&owner, None, now(), 0).await.expect("destroy_owned"),
            1,
            "it is in the owner's index"
        );
        assert!(!matches!(load(&*driver, &old).await, LoadOutcome::Found(_)));
        assert!(!matches!(load(&*driver, &new).await, LoadOutcome::Found(_)));
    }
    assert!(renamed > 0 && kept > 0, "hosts died early and late: {renamed} rotated, {kept} not");
    assert!(pending > 0, "some hosts died between two steps");
    driver.try_schema().expect("schema").drop_tables().await.expect("drop_tables");
}

#[tokio::test(flavor = "multi_thread")]
async fn destroy_owned_ends_sessions_whose_id_is_rotated_at_the_same_time() {
    let Some(cluster) = shared_cluster() else { return };
    let table = own_table();
    let driver = created(&cluster.url(), &table).await;
    for round in 0..50 {
        let keys: Vec<Digest> = (0..20).map(|n| Digest::of(&format!("{round} {n}"))).collect();
        create(&*driver, &keys[0], &Record { owner: Some("Ada".to_owned()), ..record() }, &[put("x", b"1")]).await;
        let renamer = Arc::clone(&driver);
        let renamed = keys.clone();
        let renaming = tokio::spawn(async move {
            for pair in renamed.windows(2) {
                let grace = Some(Grace { until: now() + HOUR, nonce: b"n".to_vec() });
                let answer = renamer.update(&pair[0], &renaming_to(pair[1], grace), None, now()).await.expect("update");
                if answer == UpdateOutcome::Gone {
                    return true;
                }
            }
            false
        });
        tokio::time::sleep(Duration::from_micros(500 * round)).await;
        let ended = driver.destroy_owned("Ada", None, now(), HOUR as u32).await.expect("destroy_owned");
        assert_eq!(ended, 1, "the session is ended once, whatever its digest");
        renaming.await.expect("the rotations end");
        for key in &keys {
            assert!(!matches!(load(&*driver, key).await, LoadOutcome::Found(_)), "no digest leads to it any more");
        }
    }
    driver.try_schema().expect("schema").drop_tables().await.expect("drop_tables");
}

#[tokio::test(flavor = "multi_thread")]
async fn rotation_during_saves_loses_none_of_them() {
    let Some(cluster) = shared_cluster() else { return };
    let table = own_table();
    let driver = created(&cluster.url(), &table).await;
    for round in 0..10 {
        let (old, new) = (Digest::of(&format!("{round} old")), Digest::of(&format!("{round} new")));
        create(&*driver, &old, &record(), &[]).await;
        let savers: Vec<_> = (0..8)
            .map(|saver| {
                let driver = Arc::clone(&driver);
                tokio::spawn(async move {
                    let mut saved = Vec::new();
                    for n in 0..200 {
                        let name = format!("{saver} {n}");
                        match driver.update(&old, &writing([put(&name, b"1")]), None, now()).await.expect("update") {
                            UpdateOutcome::Committed(_) => saved.push(name),
                            UpdateOutcome::Gone => return saved,
                            other => panic!("a save commits or is gone, not {other:?}"),
                        }
                    }
                    saved
                })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(3)).await;
        let answer = driver.update(&old, &renaming_to(new, None), None, now()).await.expect("the rotation succeeds");
        assert!(matches!(answer, UpdateOutcome::Committed(_)), "{answer:?}");
        let mut saved = Vec::new();
        for saver in savers {
            saved.extend(saver.await.expect("a saver ends"));
        }
        saved.sort();
        let kept: Vec<_> = found(&*driver, &new).await.variables.into_iter().map(|variable| variable.name).collect();
        assert_eq!(kept, saved, "exactly the committed saves are stored");
    }
    driver.try_schema().expect("schema").drop_tables().await.expect("drop_tables");
}
