use super::{APP, HOUR, Subject, change, key, pairs, put, put_in, removal, renaming_to};
use crate::{Change, CreateOutcome, DestroyCondition, Grace, LoadOutcome, Record, UpdateOutcome};

pub async fn create_stores_the_record_and_the_variables(store: &Subject) {
    let k = key("a");
    let record = Record {
        created: store.now - 50,
        accessed: store.now - 40,
        expires: store.now + HOUR,
        absolute_expiry: Some(store.now + 2 * HOUR),
        rotated: store.now - 30,
        owner: Some("Ada".to_owned()),
        version: 1,
        size: 8,
    };
    store.create_as(&k, &record, &[put("b", b"two"), put_in("other", "c", b"xyz")]).await;
    for handle in store.handles() {
        let LoadOutcome::Found(loaded) = handle.load(&k, APP, store.now, u32::MAX).await.expect("load") else {
            panic!("a session that was created is found, through every handle");
        };
        assert_eq!(loaded.record, record, "the record is kept field by field");
        assert_eq!(loaded.renewal, None, "a session's own key has no renewal");
    }
    assert_eq!(store.variables(&k, APP, store.now).await, pairs(&[("b", b"two")]));
    assert_eq!(store.variables(&k, "other", store.now).await, pairs(&[("c", b"xyz")]));
}

pub async fn create_sets_version_and_size_by_itself(store: &Subject) {
    let k = key("a");
    let record = Record { version: 77, size: 12345, ..store.record() };
    store.create_as(&k, &record, &[put("name", b"12345"), put_in("other", "é", b"")]).await;
    let found = store.found(&k, APP, store.now).await.record;
    assert_eq!(found.version, 1, "a new session has version 1, whatever the record says");
    assert_eq!(found.size, 11, "the size is the bytes of all names and values, whatever the record says");
}

pub async fn create_keeps_the_last_write_of_a_variable_and_ignores_removals(store: &Subject) {
    let k = key("a");
    store.create(&k, &[put("x", b"first"), removal("y"), put("z", b"1"), put("x", b"last"), removal("z")]).await;
    assert_eq!(store.variables(&k, APP, store.now).await, pairs(&[("x", b"last")]));
    assert_eq!(store.found(&k, APP, store.now).await.record.size, 5);
}

async fn assert_exists(store: &Subject, name: &str, record: &Record, why: &str) {
    let writes = [put("intruder", b"1")].into();
    let answer = store.driver.create(&key(name), record, &writes).await.expect("create");
    assert_eq!(answer, CreateOutcome::Exists, "{why}");
}

pub async fn create_never_overwrites_a_live_session(store: &Subject) {
    let k = key("a");
    store.create(&k, &[put("x", b"1")]).await;
    let before = store.found(&k, APP, store.now).await;
    let other = Record { owner: Some("Eve".to_owned()), expires: store.now + 9 * HOUR, ..store.record() };
    assert_exists(store, "a", &other, "create never overwrites a live session").await;
    assert_eq!(store.found(&k, APP, store.now).await, before, "create that answers exists writes nothing");
}

pub async fn create_of_an_expired_key_answers_exists(store: &Subject) {
    store.create(&key("a"), &[put("x", b"1")]).await;
    let later = store.now + 2 * HOUR;
    let record = Record { created: later, accessed: later, expires: later + HOUR, ..store.record() };
    assert_exists(store, "a", &record, "an expired session that was not removed yet is still there").await;
    let removed = store.driver.destroy(&key("a"), &DestroyCondition::Any, later, 0).await.expect("destroy");
    assert!(!removed, "an expired session is not live");
    store.create_as(&key("a"), &record, &[put("y", b"2")]).await;
    let variables = store.variables(&key("a"), APP, later).await;
    assert_eq!(variables, pairs(&[("y", b"2")]), "nothing of the expired session comes back");
}

pub async fn create_of_an_ended_key_answers_exists(store: &Subject) {
    store.create(&key("destroyed"), &[]).await;
    store.driver.destroy(&key("destroyed"), &DestroyCondition::Any, store.now, HOUR as u32).await.expect("destroy");
    assert_exists(store, "destroyed", &store.record(), "a destroyed key that is remembered is there").await;

    store.create(&key("renamed"), &[]).await;
    let rotation = renaming_to(key("new"), None);
    store.driver.update(&key("renamed"), &rotation, None, store.now).await.expect("update");
    assert_exists(store, "renamed", &store.record(), "a key that was given up and is remembered is there").await;
    assert_eq!(store.load(&key("destroyed"), store.now).await, LoadOutcome::Ended);
    assert_eq!(store.load(&key("renamed"), store.now).await, LoadOutcome::Ended);
}

pub async fn create_of_a_former_key_answers_exists(store: &Subject) {
    store.create(&key("old"), &[]).await;
    let grace = Grace { until: store.now + HOUR, nonce: b"n".to_vec() };
    store.driver.update(&key("old"), &renaming_to(key("new"), Some(grace)), None, store.now).await.expect("update");
    assert_exists(store, "old", &store.record(), "a former digest within its grace is there").await;
    let later = store.now + HOUR;
    let record = Record { created: later, accessed: later, expires: later + HOUR, ..store.record() };
    assert_exists(store, "old", &record, "a former digest after its grace is there while it is remembered").await;
}

pub async fn create_of_a_forgotten_key_succeeds(store: &Subject) {
    let k = key("a");
    store.create(&k, &[put("x", b"1")]).await;
    store.driver.destroy(&k, &DestroyCondition::Any, store.now, 100).await.expect("destroy");
    let at = |accessed| Record { accessed, expires: accessed + HOUR, ..store.record() };
    assert_exists(store, "a", &at(store.now + 99), "an ended digest is there while it is remembered").await;
    store.create_as(&k, &at(store.now + 100), &[]).await;
    assert_eq!(store.variables(&k, APP, store.now + 100).await, [], "the new session has nothing of the ended one");

    store.create(&key("b"), &[put("x", b"1")]).await;
    store
        .driver
        .update(&key("b"), &Change { remember: 0, ..renaming_to(key("c"), None) }, None, store.now)
        .await
        .expect("update");
    store.create(&key("b"), &[]).await;
    let unchanged = store.driver.update(&key("b"), &change(), None, store.now).await.expect("update");
    assert_eq!(unchanged, UpdateOutcome::Committed(1), "a session of a key that was given up is one of its own");
    assert_eq!(store.variables(&key("c"), APP, store.now).await, pairs(&[("x", b"1")]));
}
