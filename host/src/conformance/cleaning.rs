use super::{APP, HOUR, Store, change, key, pairs, put, put_in, renaming_to};
use crate::driver::{Change, DestroyCondition, Grace, LoadOutcome, Record};

impl Store {
    async fn cleanup(&self, now: u64, limit: u32) -> u32 {
        self.driver.cleanup(now, limit).await.expect("cleanup")
    }
}

pub async fn cleanup_removes_what_has_expired_and_nothing_else(store: &Store) {
    for n in 0..5 {
        let record = Record { expires: store.now + 10 + n, ..store.record() };
        store.create_as(&key(&n.to_string()), &record, &[put("x", b"1")]).await;
    }
    store.create(&key("touched"), &[put("x", b"1")]).await;
    let longer = Change { expires: Some(store.now + 2 * HOUR), ..change() };
    store.driver.update(&key("touched"), &longer, None, store.now).await.expect("update");
    assert_eq!(store.cleanup(store.now + 9, 100).await, 0, "nothing has expired yet");
    let removed = store.cleanup(store.now + 12, 100).await;
    if store.expires_by_itself {
        assert_eq!(removed, 0, "the store expires sessions by itself");
    } else {
        assert_eq!(removed, 3, "those whose expiry is now or earlier");
        for n in 0..3 {
            assert_eq!(
                store.load(&key(&n.to_string()), store.now).await,
                LoadOutcome::Absent,
                "an expired session is removed"
            );
        }
    }
    for n in 3..5 {
        assert!(matches!(store.load(&key(&n.to_string()), store.now + 12).await, LoadOutcome::Found(_)), "{n} is live");
    }
    assert_eq!(store.variables(&key("touched"), APP, store.now + 2 * HOUR - 1).await, pairs(&[("x", b"1")]));
    store.cleanup(store.now + HOUR, 100).await;
    assert!(
        matches!(store.load(&key("touched"), store.now + HOUR).await, LoadOutcome::Found(_)),
        "its expiry was moved"
    );
}

pub async fn cleanup_removes_at_most_the_limit_and_fewer_when_none_is_left(store: &Store) {
    if store.expires_by_itself {
        return;
    }
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
    assert_eq!(store.count(store.now).await, 1, "the live one is left");
}

pub async fn cleanup_forgets_keys_in_time(store: &Store) {
    store.create(&key("ended"), &[]).await;
    store.driver.destroy(&key("ended"), &DestroyCondition::Any, store.now, 100).await.expect("destroy");
    store.create_as(&key("old"), &Record { expires: store.now + 9 * HOUR, ..store.record() }, &[]).await;
    let grace = Some(Grace { until: store.now + 100, nonce: b"n".to_vec() });
    let rename = Change { remember: 50, ..renaming_to(key("new"), grace) };
    store.driver.update(&key("old"), &rename, None, store.now).await.expect("update");

    assert_eq!(store.cleanup(store.now + 99, 100).await, 0, "both keys are remembered");
    assert_eq!(store.load(&key("ended"), store.now + 99).await, LoadOutcome::Ended);
    assert!(matches!(store.load(&key("old"), store.now + 99).await, LoadOutcome::Found(_)));
    let forgotten = |removed| assert_eq!(removed, u32::from(!store.expires_by_itself), "one key is forgotten");
    forgotten(store.cleanup(store.now + 100, 100).await);
    assert_eq!(
        store.load(&key("old"), store.now + 149).await,
        LoadOutcome::Ended,
        "remembered for a while after its grace"
    );
    forgotten(store.cleanup(store.now + 150, 100).await);
    assert_eq!(store.cleanup(store.now + 150, 100).await, 0);
    assert!(matches!(store.load(&key("new"), store.now + 150).await, LoadOutcome::Found(_)), "the session stays");
}

pub async fn cleanup_leaves_no_variables_behind(store: &Store) {
    let k = key("a");
    let record = Record { owner: Some("Ada".to_owned()), ..store.record() };
    store.create_as(&k, &record, &[put("x", b"1"), put("large", &[1; 50_000]), put_in("other", "y", b"2")]).await;
    let now = store.now + HOUR;
    store.cleanup(now, 100).await;
    store.driver.destroy(&k, &DestroyCondition::Any, now, 0).await.expect("destroy");
    store.create(&k, &[]).await;
    let (record, variables) = store.driver.describe(&k, store.now).await.expect("describe").expect("a live session");
    assert_eq!((record.size, variables), (0, vec![]), "a session of the same key has nothing of the one that expired");
}

pub async fn cleanup_ends_the_former_keys_of_an_expired_session(store: &Store) {
    store.create(&key("old"), &[put("x", b"1")]).await;
    let grace = Some(Grace { until: store.now + 9 * HOUR, nonce: b"n".to_vec() });
    store.driver.update(&key("old"), &renaming_to(key("new"), grace), None, store.now).await.expect("update");
    store.cleanup(store.now + HOUR, 100).await;
    store.create(&key("stranger"), &[put("x", b"secret")]).await;
    let now = store.now + HOUR;
    assert_eq!(store.load(&key("old"), now).await, LoadOutcome::Ended, "it is remembered, and leads nowhere");
}
