use super::{
    APP, HOUR, Outcome, Subject, change, key, pairs, put, put_in,
    races::{ROUNDS, race},
    renaming_to, writing,
};
use crate::{Change, DestroyCondition, Grace, LoadOutcome, Record, UpdateOutcome};

impl Subject {
    async fn cleanup(&self, now: u64, limit: u32) -> u32 {
        self.driver.cleanup(now, limit).await.expect("cleanup")
    }
}

pub async fn cleanup_removes_what_has_expired_and_nothing_else(store: &Subject) -> Result<(), Outcome> {
    store.removes_by_cleanup()?;
    for n in 0..5 {
        let record = Record { expires: store.now + 10 + n, ..store.record() };
        store.create_as(&key(&n.to_string()), &record, &[put("x", b"1")]).await;
    }
    store.assert_backlog(store.now + 9, 0, "nothing has expired yet").await;
    assert_eq!(store.cleanup(store.now + 9, 100).await, 0, "nothing has expired yet");
    store.assert_backlog(store.now + 12, 3, "those whose expiry is now or earlier wait for a cleanup").await;
    assert_eq!(store.cleanup(store.now + 12, 100).await, 3, "those whose expiry is now or earlier");
    store.assert_backlog(store.now + 12, 0, "nothing is left to remove").await;
    for n in 0..3 {
        let answer = store.load(&key(&n.to_string()), store.now).await;
        assert_eq!(answer, LoadOutcome::Absent, "an expired session is removed");
    }
    for n in 3..5 {
        assert!(matches!(store.load(&key(&n.to_string()), store.now + 12).await, LoadOutcome::Found(_)), "{n} is live");
    }
    Ok(())
}

pub async fn cleanup_leaves_what_is_live_or_remembered(store: &Subject) {
    store.create(&key("touched"), &[put("x", b"1")]).await;
    let longer = Change { expires: Some(store.now + 2 * HOUR), ..change() };
    store.driver.update(&key("touched"), &longer, None, store.now).await.expect("update");
    store.create(&key("ended"), &[]).await;
    store.driver.destroy(&key("ended"), &DestroyCondition::Any, store.now, 2 * HOUR as u32).await.expect("destroy");
    let grace = Some(Grace { until: store.now + HOUR + 10, nonce: b"n".to_vec() });
    store.create_as(&key("old"), &Record { expires: store.now + 9 * HOUR, ..store.record() }, &[]).await;
    store.driver.update(&key("old"), &renaming_to(key("new"), grace), None, store.now).await.expect("update");

    let now = store.now + HOUR;
    store.assert_backlog(now, 0, "nothing has expired and nothing is forgotten").await;
    assert_eq!(store.cleanup(now, 100).await, 0, "nothing has expired and nothing is forgotten");
    assert_eq!(store.variables(&key("touched"), APP, 2 * HOUR + store.now - 1).await, pairs(&[("x", b"1")]));
    assert_eq!(store.load(&key("ended"), now).await, LoadOutcome::Ended);
    assert!(matches!(store.load(&key("old"), now).await, LoadOutcome::Found(_)), "a former digest leads on");
    assert!(matches!(store.load(&key("new"), now).await, LoadOutcome::Found(_)));
}

pub async fn cleanup_removes_at_most_the_limit_and_fewer_when_none_is_left(store: &Subject) -> Result<(), Outcome> {
    store.removes_by_cleanup()?;
    for n in 0..250 {
        store.create(&key(&n.to_string()), &[put("x", b"1")]).await;
    }
    store.create_as(&key("live"), &Record { expires: store.now + 9 * HOUR, ..store.record() }, &[]).await;
    let now = store.now + HOUR;
    let mut removed = Vec::new();
    for _ in 0..4 {
        removed.push(store.cleanup(now, 100).await);
    }
    assert_eq!(removed, [100, 100, 50, 0]);
    assert_eq!(store.cleanup(now, 0).await, 0);
    store.assert_live(store.now, &[key("live")]).await;
    Ok(())
}

pub async fn cleanup_forgets_keys_in_time(store: &Subject) -> Result<(), Outcome> {
    store.removes_by_cleanup()?;
    store.create(&key("ended"), &[]).await;
    store.driver.destroy(&key("ended"), &DestroyCondition::Any, store.now, 100).await.expect("destroy");
    store.create_as(&key("old"), &Record { expires: store.now + 9 * HOUR, ..store.record() }, &[]).await;
    let grace = Some(Grace { until: store.now + 100, nonce: b"n".to_vec() });
    let rotation = Change { remember: 50, ..renaming_to(key("new"), grace) };
    store.driver.update(&key("old"), &rotation, None, store.now).await.expect("update");

    assert_eq!(store.cleanup(store.now + 99, 100).await, 0, "both keys are remembered");
    assert_eq!(store.load(&key("ended"), store.now + 99).await, LoadOutcome::Ended);
    assert!(matches!(store.load(&key("old"), store.now + 99).await, LoadOutcome::Found(_)));
    store.assert_backlog(store.now + 100, 1, "the tombstone of one key has expired").await;
    assert_eq!(store.cleanup(store.now + 100, 100).await, 1, "one key is forgotten");
    assert_eq!(
        store.load(&key("old"), store.now + 149).await,
        LoadOutcome::Ended,
        "remembered for a while after its grace"
    );
    assert_eq!(store.cleanup(store.now + 150, 100).await, 1, "and the other one");
    assert_eq!(store.cleanup(store.now + 150, 100).await, 0);
    assert!(matches!(store.load(&key("new"), store.now + 150).await, LoadOutcome::Found(_)), "the session stays");
    Ok(())
}

pub async fn cleanup_leaves_no_variables_behind(store: &Subject) -> Result<(), Outcome> {
    store.removes_by_cleanup()?;
    let k = key("a");
    let record = Record { owner: Some("Ada".to_owned()), ..store.record() };
    store.create_as(&k, &record, &[put("x", b"1"), put("large", &[1; 50_000]), put_in("other", "y", b"2")]).await;
    let now = store.now + HOUR;
    store.cleanup(now, 100).await;
    store.driver.destroy(&k, &DestroyCondition::Any, now, 0).await.expect("destroy");
    store.create(&k, &[]).await;
    store.assert_empty(&k, store.now, "a session of the same key has nothing of the one that expired").await;
    Ok(())
}

pub async fn cleanup_ends_the_former_keys_of_an_expired_session(store: &Subject) -> Result<(), Outcome> {
    store.removes_by_cleanup()?;
    store.create(&key("old"), &[put("x", b"1")]).await;
    let grace = Some(Grace { until: store.now + 9 * HOUR, nonce: b"n".to_vec() });
    store.driver.update(&key("old"), &renaming_to(key("new"), grace), None, store.now).await.expect("update");
    store.cleanup(store.now + HOUR, 100).await;
    store.create(&key("stranger"), &[put("x", b"secret")]).await;
    let now = store.now + HOUR;
    assert_eq!(store.load(&key("old"), now).await, LoadOutcome::Ended, "it is remembered, and leads nowhere");
    Ok(())
}

pub async fn concurrent_cleanups_count_each_session_once(store: &Subject) -> Result<(), Outcome> {
    store.removes_by_cleanup()?;
    for n in 0..100 {
        store.create(&key(&n.to_string()), &[put("x", b"1"), put("y", b"2")]).await;
    }
    store.create_as(&key("live"), &Record { expires: store.now + 9 * HOUR, ..store.record() }, &[]).await;
    let now = store.now + HOUR;
    let removed = race(store, 4, |_, handle| async move {
        let mut removed = 0;
        for _ in 0..30 {
            removed += handle.cleanup(now, 7).await.expect("cleanup");
        }
        removed
    })
    .await;
    assert_eq!(removed.iter().sum::<u32>(), 100, "each was removed once: {removed:?}");
    store.assert_live(store.now, &[key("live")]).await;
    Ok(())
}

pub async fn cleanup_that_removes_fewer_than_the_limit_has_left_none(store: &Subject) -> Result<(), Outcome> {
    store.removes_by_cleanup()?;
    const SESSIONS: usize = 60;
    for n in 0..SESSIONS {
        store.create(&key(&n.to_string()), &[put("x", b"1"), put("y", b"2")]).await;
    }
    let now = store.now + HOUR;
    let removed = race(store, 4, |_, handle| async move {
        let mut removed = 0;
        loop {
            let done = handle.cleanup(now, 7).await.expect("cleanup");
            removed += done;
            if done < 7 {
                break;
            }
        }
        // Whatever the others were about to remove is removed by now, too.
        for n in 0..SESSIONS {
            let answer = handle.load(&key(&n.to_string()), APP, now, 0).await.expect("load");
            assert_eq!(answer, LoadOutcome::Absent, "a cleanup that removes fewer than its limit has left none");
        }
        removed
    })
    .await;
    assert_eq!(removed.iter().sum::<u32>() as usize, SESSIONS, "each was removed once: {removed:?}");
    Ok(())
}

pub async fn update_racing_cleanup_never_brings_back(store: &Subject) -> Result<(), Outcome> {
    store.removes_by_cleanup()?;
    for round in 0..ROUNDS {
        let k = key(&round.to_string());
        store.create(&k, &[put("x", b"1")]).await;
        // The clocks of two hosts differ by a second: for one the session is live, for the other it has expired.
        let (live, expired) = (store.now + HOUR - 1, store.now + HOUR);
        let longer = Change { expires: Some(expired + HOUR), ..writing([put("y", b"2")]) };
        let answers = race(store, 2, |number, handle| {
            let longer = longer.clone();
            async move {
                if number == round % 2 {
                    handle.cleanup(expired, 1000).await.expect("cleanup");
                    None
                } else {
                    Some(handle.update(&k, &longer, None, live).await.expect("update"))
                }
            }
        })
        .await;
        match answers.into_iter().flatten().next() {
            Some(UpdateOutcome::Committed(_)) => {
                let expected = pairs(&[("x", b"1"), ("y", b"2")]);
                assert_eq!(
                    store.variables(&k, APP, expired).await,
                    expected,
                    "a session that was saved in time is whole"
                );
            }
            Some(UpdateOutcome::Gone) => {
                assert_eq!(store.load(&k, live).await, LoadOutcome::Absent, "a session that was removed stays so");
                store.create(&k, &[]).await;
                let answer = store.driver.update(&k, &change(), None, live).await.expect("update");
                assert_eq!(answer, UpdateOutcome::Committed(1));
                assert_eq!(store.variables(&k, APP, live).await, [], "no variable was left behind");
            }
            other => panic!("an update commits or is gone, not {other:?}"),
        }
        store.driver.destroy(&k, &DestroyCondition::Any, live, 0).await.expect("destroy");
    }
    Ok(())
}
