//! Changes of a session's lifetime.

use super::{APP, HOUR, Outcome, Subject, WEEK, change, key, pairs, put, renaming_to, writing};
use crate::{Change, Digest, Lifetime, LoadOutcome, Record, Snapshot, UpdateOutcome};

fn living(expires: u64, absolute_expiry: Option<u64>) -> Change {
    Change { lifetime: Some(Lifetime { expires, absolute_expiry }), ..change() }
}

impl Subject {
    async fn live_until(&self, key: &Digest, expires: u64, absolute_expiry: Option<u64>) -> UpdateOutcome {
        self.driver.update(key, &living(expires, absolute_expiry), None, self.now).await.expect("update")
    }

    /// The expiry and the absolute expiry of a session.
    async fn ends(&self, key: &Digest) -> (u64, Option<u64>) {
        let record = self.found(key, APP, self.now).await.record;
        (record.expires, record.absolute_expiry)
    }
}

pub async fn lifetime_moves_the_expiry_and_the_end_both_ways(store: &Subject) {
    let (k, now) = (key("a"), store.now);
    store.create(&k, &[put("x", b"1")]).await;
    let steps = [
        (now + 3 * HOUR, Some(now + 9 * HOUR)),
        (now + 2 * HOUR, Some(now + 20 * HOUR)),
        (now + 10, Some(now + 20)),
        (now + 10, None),
        (now + WEEK, None),
        (now + 1, Some(now + 1)),
        (now + HOUR, Some(now + 2 * HOUR)),
    ];
    for (expires, end) in steps {
        store.live_until(&k, expires, end).await;
        assert_eq!(store.ends(&k).await, (expires, end));
        assert!(matches!(store.load(&k, expires - 1).await, LoadOutcome::Found(_)), "live a second before");
        assert_eq!(store.load(&k, expires).await, LoadOutcome::Expired, "expired from this second on");
    }
    assert_eq!(store.variables(&k, APP, now).await, pairs(&[("x", b"1")]));
}

pub async fn lifetime_is_capped_by_its_own_end(store: &Subject) {
    let (k, now) = (key("a"), store.now);
    store.create_as(&k, &Record { absolute_expiry: Some(now + 2 * HOUR), ..store.record() }, &[]).await;
    store.live_until(&k, now + 9 * HOUR, Some(now + 3 * HOUR)).await;
    assert_eq!(store.ends(&k).await, (now + 3 * HOUR, Some(now + 3 * HOUR)), "not by the old end, and by the new one");
}

pub async fn lifetime_counts_and_an_expiry_after_a_use_does_not(store: &Subject) {
    let (k, now) = (key("a"), store.now);
    store.create(&k, &[]).await;
    assert_eq!(store.live_until(&k, now + 10, None).await, UpdateOutcome::Committed(2), "it counts for the version");
    assert_eq!(store.live_until(&k, now + 10, None).await, UpdateOutcome::Committed(3), "also if it changes nothing");
    let both = Change { expires: Some(now + 9 * HOUR), ..living(now + 20, None) };
    let answer = store.driver.update(&k, &both, None, now).await.expect("update");
    assert_eq!(answer, UpdateOutcome::Committed(4));
    assert_eq!(store.ends(&k).await, (now + 20, None), "an expiry after a use is ignored beside a lifetime");
    let used = Change { expires: Some(now + 30), ..change() };
    let answer = store.driver.update(&k, &used, None, now).await.expect("update");
    assert_eq!((answer, store.ends(&k).await), (UpdateOutcome::Committed(4), (now + 30, None)));
}

pub async fn use_never_passes_an_end_that_was_moved(store: &Subject) {
    let (k, now) = (key("a"), store.now);
    store.create_as(&k, &Record { absolute_expiry: Some(now + 9 * HOUR), ..store.record() }, &[]).await;
    store.live_until(&k, now + 10, Some(now + 20)).await;
    let used = Change { expires: Some(now + 5 * HOUR), ..change() };
    store.driver.update(&k, &used, None, now).await.expect("update");
    assert_eq!(store.ends(&k).await, (now + 20, Some(now + 20)));
    store.live_until(&k, now + 10, None).await;
    store.driver.update(&k, &used, None, now).await.expect("update");
    assert_eq!(store.ends(&k).await, (now + 5 * HOUR, None), "an end that was taken away caps nothing");
}

pub async fn lifetime_that_is_over_expires_the_session(store: &Subject) {
    let now = store.now;
    for (name, expires) in [("now", now), ("in the past", now - HOUR), ("at no time", 0)] {
        let k = key(name);
        store.create(&k, &[put("x", b"1")]).await;
        assert_eq!(store.live_until(&k, expires, None).await, UpdateOutcome::Committed(2));
        assert_eq!(store.load(&k, now).await, LoadOutcome::Expired, "{name}");
        let later = Change { expires: Some(now + HOUR), ..writing([put("x", b"2")]) };
        let answer = store.driver.update(&k, &later, None, now).await.expect("update");
        assert_eq!(answer, UpdateOutcome::Gone, "an update never brings it back");
    }
    store.assert_count(now, 0).await;
}

pub async fn lifetime_that_is_shortened_is_cleaned_up_in_time(store: &Subject) -> Result<(), Outcome> {
    store.removes_by_cleanup()?;
    let now = store.now;
    for (number, owner) in [None, Some("Ada".to_owned())].into_iter().enumerate() {
        let k = key(&number.to_string());
        let long = Record { expires: now + WEEK, owner, ..store.record() };
        store.create_as(&k, &long, &[put("x", b"1")]).await;
        store.live_until(&k, now + 100, None).await;
        assert_eq!(store.driver.cleanup(now + 99, 10).await.expect("cleanup"), 0, "it is live");
        let owned = if number == 1 { vec![k] } else { Vec::new() };
        store.assert_owned(now + 99, "Ada", &owned).await;
        store.assert_backlog(now + 100, 1, "it waits for a cleanup").await;
        assert_eq!(store.driver.cleanup(now + 100, 10).await.expect("cleanup"), 1, "it has expired");
        assert_eq!(store.load(&k, now + 100).await, LoadOutcome::Absent);
    }
    assert_eq!(store.driver.cleanup(now + WEEK, 10).await.expect("cleanup"), 0, "none is removed twice");
    Ok(())
}

pub async fn lifetime_that_is_lengthened_is_found_in_time(store: &Subject) {
    let (k, now) = (key("a"), store.now);
    let record = Record { owner: Some("Ada".to_owned()), absolute_expiry: Some(now + HOUR), ..store.record() };
    store.create_as(&k, &record, &[put("x", b"1")]).await;
    store.live_until(&k, now + 10, Some(now + HOUR)).await;
    store.live_until(&k, now + WEEK, None).await;
    for at in [now + HOUR, now + WEEK - 1] {
        store.driver.cleanup(at, 10).await.expect("cleanup");
        assert_eq!(store.variables(&k, APP, at).await, pairs(&[("x", b"1")]), "it is live");
        store.assert_owned(at, "Ada", &[k]).await;
    }
    let ended = store.driver.destroy_owned("Ada", None, now + WEEK - 1, 0).await.expect("destroy_owned");
    assert_eq!(ended, 1, "it is still the owner's");
}

pub async fn lifetime_is_set_with_owner_and_new_key(store: &Subject) {
    let (old, new, now) = (key("a"), key("b"), store.now);
    store.create(&old, &[put("x", b"1")]).await;
    let login = Change {
        owner: Some(Some("Ada".to_owned())),
        rotation: renaming_to(new, None).rotation,
        ..living(now + 100, Some(now + 200))
    };
    assert_eq!(store.driver.update(&old, &login, Some(1), now).await.expect("update"), UpdateOutcome::Committed(2));
    let record = store.found(&new, APP, now).await.record;
    let expected = Record {
        expires: now + 100,
        absolute_expiry: Some(now + 200),
        owner: Some("Ada".to_owned()),
        version: 2,
        size: 2,
        ..store.record()
    };
    assert_eq!(record, expected);
    store.assert_owned(now, "Ada", &[new]).await;
    assert_eq!(store.load(&new, now + 100).await, LoadOutcome::Expired);
}

pub async fn lifetime_of_a_refused_update_changes_nothing(store: &Subject) {
    let (k, now) = (key("a"), store.now);
    store.create(&k, &[put("x", b"1")]).await;
    let before = store.found(&k, APP, now).await;
    let change = Change { max_size: 5, ..living(now + 10, Some(now + 20)) };
    let answer = store.driver.update(&k, &change, Some(9), now).await.expect("update");
    assert_eq!(answer, UpdateOutcome::Conflict(1));
    let large = Change { writes: [put("x", b"too large")].into(), ..change };
    let answer = store.driver.update(&k, &large, None, now).await.expect("update");
    assert_eq!(answer, UpdateOutcome::TooLarge(10));
    assert_eq!(store.found(&k, APP, now).await, before);
}

pub async fn import_over_a_session_never_passes_the_copys_end(store: &Subject) -> Result<(), Outcome> {
    let transfer = store.transfer()?;
    let (k, now) = (key("a"), store.now);
    store.create_as(&k, &Record { expires: now + WEEK, ..store.record() }, &[put("x", b"1")]).await;
    let shortened = Record { version: 5, expires: now + 10, absolute_expiry: Some(now + 20), ..store.record() };
    let snapshot = Snapshot { record: shortened, variables: [put("x", b"2")].into() };
    assert!(transfer.import(&k, &snapshot, Some(1), now).await.expect("import"));
    assert_eq!(store.ends(&k).await, (now + 20, Some(now + 20)), "the later expiry, but not past the end");
    Ok(())
}
