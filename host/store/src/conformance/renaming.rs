use super::{APP, HOUR, Subject, key, pairs, put, put_in, renaming_to, writing};
use crate::{Change, DestroyCondition, Digest, Grace, LoadOutcome, Record, UpdateOutcome};

impl Subject {
    async fn rename(&self, from: &Digest, to: &Digest, grace: Option<Grace>, now: u64) {
        let answer = self.driver.update(from, &renaming_to(*to, grace), None, now).await.expect("update");
        assert!(
            matches!(answer, UpdateOutcome::Committed(_)),
            "a rotation of a live session to a new digest is committed"
        );
    }

    async fn fetched(&self, key: &Digest, name: &str, now: u64) -> Option<Vec<u8>> {
        self.driver.fetch(key, APP, name, now).await.expect("fetch")
    }
}

fn grace(until: u64, nonce: &[u8]) -> Option<Grace> {
    Some(Grace { until, nonce: nonce.to_vec() })
}

pub async fn rename_moves_everything(store: &Subject) {
    let large = vec![3; 50_000];
    let writes = [put("x", b"1"), put("large", &large), put_in("other", "y", b"2")];
    let record =
        Record { owner: Some("Ada".to_owned()), absolute_expiry: Some(store.now + 9 * HOUR), ..store.record() };
    store.create_as(&key("old"), &record, &writes).await;
    let before = store.found(&key("old"), APP, store.now).await.record;
    store.rename(&key("old"), &key("new"), None, store.now + 10).await;

    let after = store.found(&key("new"), APP, store.now).await;
    let expected = Record { rotated: store.now + 10, accessed: store.now + 10, ..before };
    assert_eq!(after.record, expected, "a rotation changes when the session was renewed, and nothing else");
    assert_eq!(after.renewal, None);
    assert_eq!(store.variables(&key("new"), APP, store.now).await, pairs(&[("large", &large), ("x", b"1")]));
    assert_eq!(store.variables(&key("new"), "other", store.now).await, pairs(&[("y", b"2")]));
    store.assert_live(store.now, &[key("new")]).await;
    store.assert_owned(store.now, "Ada", &[key("new")]).await;
}

pub async fn rename_and_writes_are_one_transaction(store: &Subject) {
    store.create(&key("old"), &[put("x", b"1"), put("y", b"1")]).await;
    let change = Change {
        writes: [put("x", b"2")].into(),
        owner: Some(Some("Ada".to_owned())),
        expires: Some(store.now + 3 * HOUR),
        ..renaming_to(key("new"), None)
    };
    let answer = store.driver.update(&key("old"), &change, Some(1), store.now).await.expect("update");
    assert_eq!(answer, UpdateOutcome::Committed(2));
    let record = store.found(&key("new"), APP, store.now).await.record;
    assert_eq!((record.owner.as_deref(), record.expires, record.version), (Some("Ada"), store.now + 3 * HOUR, 2));
    assert_eq!(store.variables(&key("new"), APP, store.now).await, pairs(&[("x", b"2"), ("y", b"1")]));
    assert_eq!(store.load(&key("old"), store.now).await, LoadOutcome::Ended);
}

pub async fn rename_without_grace_ends_the_old_key(store: &Subject) {
    store.create(&key("old"), &[put("x", b"1")]).await;
    store.rename(&key("old"), &key("new"), None, store.now).await;
    assert_eq!(store.fetched(&key("old"), "x", store.now).await, None, "the old digest is dead at once");
    let remembered = store.now + HOUR;
    assert_eq!(store.load(&key("old"), store.now).await, LoadOutcome::Ended);
    assert_eq!(store.load(&key("old"), remembered - 1).await, LoadOutcome::Ended);
    assert_eq!(store.load(&key("old"), remembered).await, LoadOutcome::Absent, "remembered for an hour, to the second");
}

pub async fn rename_without_grace_and_without_memory_leaves_no_trace(store: &Subject) {
    store.create(&key("old"), &[put("x", b"1")]).await;
    let change = Change { remember: 0, ..renaming_to(key("new"), None) };
    let answer = store.driver.update(&key("old"), &change, None, store.now).await.expect("update");
    assert_eq!(answer, UpdateOutcome::Committed(1));
    assert_eq!(store.load(&key("old"), store.now).await, LoadOutcome::Absent);
    store.create(&key("old"), &[]).await;
    assert_eq!(store.variables(&key("new"), APP, store.now).await, pairs(&[("x", b"1")]));
}

pub async fn former_key_within_its_grace_leads_to_the_session(store: &Subject) {
    store.create(&key("old"), &[put("x", b"1"), put_in("other", "y", b"2")]).await;
    let until = store.now + 100;
    let nonce = [0, 255, 10, 39, 0];
    store.rename(&key("old"), &key("new"), grace(until, &nonce), store.now).await;
    let write = writing([put("x", b"two")]);
    store.driver.update(&key("new"), &write, None, store.now).await.expect("update");

    for now in [store.now, until - 1] {
        let former = store.found(&key("old"), APP, now).await;
        let own = store.found(&key("new"), APP, now).await;
        assert_eq!(former.renewal.as_deref(), Some(&nonce[..]), "a former digest answers the nonce of its rotation");
        assert_eq!(own.renewal, None, "the session's own key answers none");
        assert_eq!((former.record, former.variables), (own.record, own.variables), "both are the same session");
        assert_eq!(store.variables(&key("old"), "other", now).await, pairs(&[("y", b"2")]));
        assert_eq!(store.fetched(&key("old"), "x", now).await, Some(b"two".to_vec()), "fetch follows as well");
    }
    store.assert_live(store.now, &[key("new")]).await;
    if let Some(inspect) = store.driver.inspect() {
        let listed = inspect.list(store.now, None, None, 10).await.expect("list");
        assert_eq!(listed.len(), 1, "a former digest is not listed");
    }
    assert_eq!(store.described(&key("old"), store.now).await.flatten(), None, "it is not described either");
    store.assert_reused(store.now, 0, "a use within the grace is none of an ended digest").await;
}

pub async fn former_key_after_its_grace_answers_ended_until_it_is_forgotten(store: &Subject) {
    store.create_as(&key("old"), &Record { expires: store.now + 9 * HOUR, ..store.record() }, &[put("x", b"1")]).await;
    let until = store.now + 100;
    store.rename(&key("old"), &key("new"), grace(until, b"n"), store.now).await;
    assert_eq!(store.load(&key("old"), until).await, LoadOutcome::Ended, "the grace ends to the second");
    assert_eq!(store.fetched(&key("old"), "x", until).await, None);
    assert_eq!(
        store.load(&key("old"), until + HOUR - 1).await,
        LoadOutcome::Ended,
        "remembered for an hour after the grace"
    );
    assert_eq!(store.load(&key("old"), until + HOUR).await, LoadOutcome::Absent);
    assert!(matches!(store.load(&key("new"), until + HOUR).await, LoadOutcome::Found(_)));

    let forgotten = Change { remember: 0, ..renaming_to(key("newer"), grace(until, b"n")) };
    store.driver.update(&key("new"), &forgotten, None, store.now).await.expect("update");
    assert!(matches!(store.load(&key("new"), until - 1).await, LoadOutcome::Found(_)), "a grace needs no memory");
    assert_eq!(store.load(&key("new"), until).await, LoadOutcome::Absent, "not remembered after its grace");
}

pub async fn former_key_follows_a_second_rename_with_grace(store: &Subject) {
    store.create(&key("a"), &[put("x", b"1")]).await;
    store.rename(&key("a"), &key("b"), grace(store.now + 100, b"first"), store.now).await;
    store.rename(&key("b"), &key("c"), grace(store.now + 200, b"second"), store.now + 50).await;
    let first = store.found(&key("a"), APP, store.now + 60).await;
    let second = store.found(&key("b"), APP, store.now + 60).await;
    assert_eq!(
        first.renewal.as_deref(),
        Some(&b"first"[..]),
        "each former digest answers the nonce of its own rotation"
    );
    assert_eq!(second.renewal.as_deref(), Some(&b"second"[..]));
    assert_eq!((first.record, first.variables), (second.record, second.variables), "both lead to the same session");
    assert_eq!(store.fetched(&key("a"), "x", store.now + 60).await, Some(b"1".to_vec()));
    assert_eq!(store.load(&key("a"), store.now + 100).await, LoadOutcome::Ended, "each grace ends in its own time");
    assert!(matches!(store.load(&key("b"), store.now + 100).await, LoadOutcome::Found(_)));
}

pub async fn former_key_ends_with_a_rename_without_grace(store: &Subject) {
    store.create(&key("a"), &[put("x", b"1")]).await;
    store.rename(&key("a"), &key("b"), grace(store.now + 1000, b"n"), store.now).await;
    store.rename(&key("b"), &key("c"), grace(store.now + 1000, b"n"), store.now).await;
    store.rename(&key("c"), &key("d"), None, store.now).await;
    for name in ["a", "b", "c"] {
        assert_eq!(
            store.load(&key(name), store.now).await,
            LoadOutcome::Ended,
            "a login ends every older key, {name} too"
        );
        assert_eq!(store.fetched(&key(name), "x", store.now).await, None);
    }
    assert_eq!(store.fetched(&key("d"), "x", store.now).await, Some(b"1".to_vec()));
}

pub async fn former_key_of_a_destroyed_session_answers_ended(store: &Subject) {
    for (old, new, remember) in [("a", "b", 0), ("c", "d", HOUR as u32)] {
        store.create(&key(old), &[put("x", b"1")]).await;
        store.rename(&key(old), &key(new), grace(store.now + 1000, b"n"), store.now).await;
        assert!(store.driver.destroy(&key(new), &DestroyCondition::Any, store.now, remember).await.expect("destroy"));
        assert_eq!(store.load(&key(old), store.now).await, LoadOutcome::Ended);
        assert_eq!(store.fetched(&key(old), "x", store.now).await, None);
    }
}

pub async fn former_key_of_an_expired_session_answers_ended(store: &Subject) {
    store.create(&key("old"), &[put("x", b"1")]).await;
    store.rename(&key("old"), &key("new"), grace(store.now + 9 * HOUR, b"n"), store.now).await;
    let expires = store.now + HOUR;
    assert!(matches!(store.load(&key("old"), expires - 1).await, LoadOutcome::Found(_)));
    assert_eq!(store.load(&key("old"), expires).await, LoadOutcome::Ended, "there is no live session it leads to");
    assert_eq!(store.fetched(&key("old"), "x", expires).await, None);
}

pub async fn former_key_never_leads_to_another_session(store: &Subject) {
    store.create(&key("old"), &[put("x", b"1")]).await;
    store.rename(&key("old"), &key("new"), grace(store.now + 1000, b"n"), store.now).await;
    assert!(store.driver.destroy(&key("new"), &DestroyCondition::Any, store.now, 0).await.expect("destroy"));
    store.create(&key("stranger"), &[put("x", b"secret")]).await;
    store.create(&key("new"), &[put("x", b"secret")]).await;
    assert_eq!(
        store.load(&key("old"), store.now).await,
        LoadOutcome::Ended,
        "also when its session's key is used again"
    );
    assert_eq!(store.fetched(&key("old"), "x", store.now).await, None);
}

pub async fn rename_to_a_key_that_is_there_is_an_error_and_changes_nothing(store: &Subject) {
    store.create(&key("live"), &[put("x", b"live")]).await;
    store.create_as(&key("expired"), &Record { expires: store.now + 1, ..store.record() }, &[]).await;
    store.create(&key("ended"), &[]).await;
    store.driver.destroy(&key("ended"), &DestroyCondition::Any, store.now, HOUR as u32).await.expect("destroy");
    store.create(&key("former"), &[]).await;
    store.rename(&key("former"), &key("other"), grace(store.now + HOUR, b"n"), store.now).await;
    store.create(&key("a"), &[put("x", b"1")]).await;
    let before = store.found(&key("a"), APP, store.now).await;

    for taken in ["live", "expired", "ended", "former", "a"] {
        let change = Change {
            clears: vec![APP.to_owned()],
            writes: [put("y", b"2")].into(),
            owner: Some(Some("Eve".to_owned())),
            expires: Some(store.now + 2 * HOUR),
            ..renaming_to(key(taken), grace(store.now + HOUR, b"n"))
        };
        let answer = store.driver.update(&key("a"), &change, None, store.now + 1).await;
        assert!(answer.is_err(), "the key of the {taken} one is taken, but the answer is {answer:?}");
        assert_eq!(store.found(&key("a"), APP, store.now).await, before, "nothing was written");
    }
    assert_eq!(store.variables(&key("live"), APP, store.now).await, pairs(&[("x", b"live")]));
    assert_eq!(store.load(&key("ended"), store.now).await, LoadOutcome::Ended);
}
