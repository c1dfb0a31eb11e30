use super::{APP, HOUR, Subject, change, key, pairs, put, put_in, removal, renaming_to, writing};
use crate::{Change, DestroyCondition, Digest, Grace, LoadOutcome, Record, UpdateOutcome};

impl Subject {
    async fn update(&self, key: &Digest, change: &Change) -> UpdateOutcome {
        self.driver.update(key, change, None, self.now).await.expect("update")
    }
}

pub async fn update_of_an_unknown_key_answers_gone_and_creates_nothing(store: &Subject) {
    let k = key("a");
    assert_eq!(store.update(&k, &writing([put("x", b"1")])).await, UpdateOutcome::Gone);
    assert_eq!(store.load(&k, store.now).await, LoadOutcome::Absent, "an update never creates a session");
    store.create(&k, &[]).await;
    assert_eq!(store.variables(&k, APP, store.now).await, [], "an update that answers gone writes nothing");
}

pub async fn update_at_the_expiry_answers_gone(store: &Subject) {
    let k = key("a");
    store.create(&k, &[]).await;
    let longer = Change { expires: Some(store.now + 9 * HOUR), ..writing([put("x", b"1")]) };
    let at = store.now + HOUR;
    let answer = store.driver.update(&k, &longer, None, at).await.expect("update");
    assert_eq!(answer, UpdateOutcome::Gone, "a session is expired from the second of its expiry");
    assert_eq!(store.load(&k, at).await, LoadOutcome::Expired, "an update never brings an expired session back");
    let answer = store.driver.update(&k, &longer, None, at - 1).await.expect("update");
    assert_eq!(answer, UpdateOutcome::Committed(2), "a session is live a second before its expiry");
}

pub async fn update_after_destroy_answers_gone(store: &Subject) {
    for remember in [0, HOUR as u32] {
        let k = key(&format!("remembered for {remember}"));
        store.create(&k, &[put("x", b"1")]).await;
        assert!(store.driver.destroy(&k, &DestroyCondition::Any, store.now, remember).await.expect("destroy"));
        let longer = Change { expires: Some(store.now + 9 * HOUR), ..writing([put("x", b"1")]) };
        assert_eq!(store.update(&k, &longer).await, UpdateOutcome::Gone);
        assert!(!matches!(store.load(&k, store.now).await, LoadOutcome::Found(_)), "nothing comes back to life");
    }
    store.assert_count(store.now, 0).await;
}

pub async fn update_of_a_former_key_answers_gone(store: &Subject) {
    let grace = Grace { until: store.now + HOUR, nonce: b"n".to_vec() };
    for (old, new, grace) in [("a", "b", None), ("c", "d", Some(grace))] {
        store.create(&key(old), &[]).await;
        assert_eq!(store.update(&key(old), &renaming_to(key(new), grace)).await, UpdateOutcome::Committed(1));
        assert_eq!(store.update(&key(old), &writing([put("x", b"1")])).await, UpdateOutcome::Gone);
        assert_eq!(store.variables(&key(new), APP, store.now).await, [], "an update does not follow a former digest");
    }
}

pub async fn update_writes_replaces_and_removes(store: &Subject) {
    let k = key("a");
    store.create(&k, &[put("kept", b"1"), put("replaced", b"1"), put("removed", b"1")]).await;
    let writes = [
        put("replaced", b"two"),
        removal("removed"),
        removal("never there"),
        put("new", b""),
        put_in("other", "y", b"3"),
    ];
    assert_eq!(store.update(&k, &writing(writes)).await, UpdateOutcome::Committed(2));
    let expected = pairs(&[("kept", b"1"), ("new", b""), ("replaced", b"two")]);
    assert_eq!(store.variables(&k, APP, store.now).await, expected);
    assert_eq!(store.variables(&k, "other", store.now).await, pairs(&[("y", b"3")]));
}

pub async fn update_keeps_the_last_write_of_a_variable(store: &Subject) {
    let k = key("a");
    store.create(&k, &[put("gone", b"1")]).await;
    let writes = [
        put("x", b"first"),
        removal("y"),
        put_in("other", "x", b"other"),
        put("gone", b"2"),
        put("y", b"yes"),
        removal("gone"),
        put("x", b"last"),
    ];
    assert_eq!(store.update(&k, &writing(writes)).await, UpdateOutcome::Committed(2));
    assert_eq!(store.variables(&k, APP, store.now).await, pairs(&[("x", b"last"), ("y", b"yes")]));
    assert_eq!(store.found(&k, APP, store.now).await.record.size, 5 + 4 + 6);
}

pub async fn clears_remove_one_applications_variables_before_the_writes(store: &Subject) {
    let k = key("a");
    let large = vec![7; 50_000];
    store.create(&k, &[put("x", b"1"), put("y", &large), put_in("other", "x", b"2"), put_in("third", "x", b"3")]).await;
    let clear =
        Change { clears: vec![APP.to_owned(), "third".to_owned(), "absent".to_owned()], ..writing([put("z", b"4")]) };
    assert_eq!(store.update(&k, &clear).await, UpdateOutcome::Committed(2));
    assert_eq!(store.variables(&k, APP, store.now).await, pairs(&[("z", b"4")]), "writes come after clears");
    assert_eq!(store.variables(&k, "other", store.now).await, pairs(&[("x", b"2")]), "other applications keep theirs");
    assert_eq!(store.variables(&k, "third", store.now).await, []);
    assert_eq!(store.found(&k, APP, store.now).await.record.size, 4);
}

pub async fn version_grows_with_clears_writes_and_owners_alone(store: &Subject) {
    let k = key("a");
    store.create(&k, &[]).await;
    let touch = Change { expires: Some(store.now + 2 * HOUR), ..change() };
    let clear = Change { clears: vec![APP.to_owned()], ..change() };
    let owner = |owner: Option<&str>| Change { owner: Some(owner.map(str::to_owned)), ..change() };
    let steps = [
        ("an empty change", change(), 1),
        ("an expiry", touch, 1),
        ("a write", writing([put("x", b"1")]), 2),
        ("the same write again", writing([put("x", b"1")]), 3),
        ("a removal of nothing", writing([removal("z")]), 4),
        ("a clear", clear, 5),
        ("an owner", owner(Some("Ada")), 6),
        ("no owner", owner(None), 7),
        (
            "all at once",
            Change { owner: Some(None), clears: vec!["b".to_owned()], ..writing([put("x", b"2"), put("y", b"")]) },
            8,
        ),
    ];
    for (what, change, version) in steps {
        assert_eq!(store.update(&k, &change).await, UpdateOutcome::Committed(version), "after {what}");
        assert_eq!(store.found(&k, APP, store.now).await.record.version, version, "after {what}");
    }
    assert_eq!(store.update(&k, &renaming_to(key("b"), None)).await, UpdateOutcome::Committed(8), "after a rotation");
    assert_eq!(store.found(&key("b"), APP, store.now).await.record.version, 8, "after a rotation");
}

pub async fn expected_version_that_differs_answers_conflict_and_writes_nothing(store: &Subject) {
    let k = key("a");
    store.create(&k, &[put("x", b"1")]).await;
    let before = store.found(&k, APP, store.now).await;
    let change = Change {
        clears: vec![APP.to_owned()],
        owner: Some(Some("Eve".to_owned())),
        expires: Some(store.now + 2 * HOUR),
        rotation: renaming_to(key("b"), None).rotation,
        ..writing([put("x", b"2")])
    };
    for expected in [0, 2, u64::MAX] {
        let answer = store.driver.update(&k, &change, Some(expected), store.now + 1).await.expect("update");
        assert_eq!(answer, UpdateOutcome::Conflict(1), "{expected} is not the version");
        assert_eq!(store.found(&k, APP, store.now).await, before, "an update that answers conflict writes nothing");
        assert_eq!(store.load(&key("b"), store.now).await, LoadOutcome::Absent);
    }
    let answer = store.driver.update(&k, &writing([put("x", b"2")]), Some(1), store.now).await.expect("update");
    assert_eq!(answer, UpdateOutcome::Committed(2), "1 is the version");
    assert_eq!(store.variables(&k, APP, store.now).await, pairs(&[("x", b"2")]));
}

pub async fn expected_version_of_an_expired_session_answers_gone(store: &Subject) {
    let k = key("a");
    store.create(&k, &[]).await;
    let answer = store.driver.update(&k, &writing([put("x", b"2")]), Some(9), store.now + HOUR).await.expect("update");
    assert_eq!(answer, UpdateOutcome::Gone, "a session that is not live has no version to conflict with");
}

async fn expiry_after(store: &Subject, k: &Digest, expires: u64) -> u64 {
    assert_eq!(store.update(k, &Change { expires: Some(expires), ..change() }).await, UpdateOutcome::Committed(1));
    store.found(k, APP, store.now).await.record.expires
}

pub async fn expiry_only_moves_to_a_later_time(store: &Subject) {
    let k = key("a");
    store.create(&k, &[]).await;
    let (now, old) = (store.now, store.now + HOUR);
    assert_eq!(expiry_after(store, &k, old + 5).await, old + 5);
    assert_eq!(expiry_after(store, &k, old).await, old + 5, "an expiry is never moved to an earlier time");
    assert_eq!(expiry_after(store, &k, now - 5).await, old + 5, "an expiry is never moved into the past");
    assert_eq!(expiry_after(store, &k, 0).await, old + 5);
    assert!(matches!(store.load(&k, old + 4).await, LoadOutcome::Found(_)));
    assert_eq!(store.load(&k, old + 5).await, LoadOutcome::Expired);
}

pub async fn expiry_never_passes_the_end(store: &Subject) {
    let k = key("a");
    let absolute_expiry = store.now + 2 * HOUR;
    store.create_as(&k, &Record { absolute_expiry: Some(absolute_expiry), ..store.record() }, &[]).await;
    assert_eq!(expiry_after(store, &k, absolute_expiry - 1).await, absolute_expiry - 1);
    assert_eq!(
        expiry_after(store, &k, absolute_expiry + HOUR).await,
        absolute_expiry,
        "an expiry past the end is moved to the end"
    );
    assert_eq!(store.load(&k, absolute_expiry).await, LoadOutcome::Expired);
    assert_eq!(store.found(&k, APP, store.now).await.record.absolute_expiry, Some(absolute_expiry));
}

pub async fn accessed_never_goes_back(store: &Subject) {
    let k = key("a");
    store.create(&k, &[]).await;
    for (now, accessed) in [(10, 10), (5, 10), (11, 11), (0, 11)] {
        let answer = store.driver.update(&k, &change(), None, store.now + now).await.expect("update");
        assert_eq!(answer, UpdateOutcome::Committed(1));
        let record = store.found(&k, APP, store.now).await.record;
        assert_eq!(record.accessed, store.now + accessed, "accessed is the latest time of a use");
        let expected = Record { accessed: record.accessed, version: 1, ..store.record() };
        assert_eq!(record, expected, "an empty change changes nothing else");
    }
}

pub async fn owner_is_set_and_taken_away(store: &Subject) {
    let k = key("a");
    store.create(&k, &[]).await;
    for owner in [Some("Ada"), Some("Bob"), Some(""), None, Some("Ada"), None] {
        let owner = owner.map(str::to_owned);
        store.update(&k, &Change { owner: Some(owner.clone()), ..change() }).await;
        assert_eq!(store.found(&k, APP, store.now).await.record.owner, owner);
        for name in ["Ada", "Bob", ""] {
            let owned = if owner.as_deref() == Some(name) { &[k][..] } else { &[] };
            store.assert_owned(store.now, name, owned).await;
        }
    }
}

pub async fn size_is_exact(store: &Subject) {
    let k = key("a");
    store.create(&k, &[put("four", b"1234")]).await;
    let large = vec![1; 70_000];
    let clear = |app: &str| Change { clears: vec![app.to_owned()], ..change() };
    let steps = [
        ("as it was created", change(), 8),
        ("a longer value", writing([put("four", b"12345678")]), 12),
        ("a shorter value", writing([put("four", b"")]), 4),
        ("a second variable", writing([put("é", b"12")]), 8),
        ("another application's", writing([put_in("other", "four", b"1")]), 13),
        ("a large value", writing([put("large", &large)]), 13 + 70_005),
        ("a large value made small", writing([put("large", b"1")]), 13 + 6),
        ("a small value made large", writing([put("four", &large)]), 19 + 70_000),
        ("a large value made another", writing([put("four", &large[1..])]), 19 + 69_999),
        ("a large value removed", writing([removal("four")]), 15),
        ("a removal of nothing", writing([removal("four")]), 15),
        ("a variable written twice", writing([put("é", b"12345"), put("é", b"")]), 13),
        ("a variable written and removed", writing([put("y", b"12345"), removal("y")]), 13),
        ("a clear of nothing", clear("nothing"), 13),
        (
            "a clear, and a write to the same",
            Change { clears: vec![APP.to_owned()], ..writing([put("é", &large)]) },
            70_007,
        ),
        ("a clear of one application", clear(APP), 5),
        ("a clear of the last", clear("other"), 0),
    ];
    for (what, change, size) in steps {
        assert!(matches!(store.update(&k, &change).await, UpdateOutcome::Committed(_)));
        assert_eq!(store.found(&k, APP, store.now).await.record.size, size, "after {what}");
        let mut variables = store.variables(&k, APP, store.now).await;
        variables.extend(store.variables(&k, "other", store.now).await);
        let sum: usize = variables.iter().map(|(name, value)| name.len() + value.len()).sum();
        assert_eq!(sum as u64, size, "after {what}");
    }
}

pub async fn update_that_grows_past_the_limit_answers_too_large_and_writes_nothing(store: &Subject) {
    let k = key("a");
    store.create(&k, &[put("x", b"12345"), put_in("other", "y", b"123")]).await;
    let before = store.found(&k, APP, store.now).await;
    let change = Change {
        clears: vec!["other".to_owned()],
        owner: Some(Some("Eve".to_owned())),
        expires: Some(store.now + 2 * HOUR),
        rotation: renaming_to(key("b"), None).rotation,
        max_size: 99,
        ..writing([put("x", b"1"), put("n", &[0; 98]), removal("absent")])
    };
    let answer = store.driver.update(&k, &change, None, store.now + 1).await.expect("update");
    assert_eq!(answer, UpdateOutcome::TooLarge(101), "2 bytes of x and 99 of n");
    assert_eq!(store.found(&k, APP, store.now).await, before, "an update that answers too large writes nothing");
    assert_eq!(store.variables(&k, "other", store.now).await, pairs(&[("y", b"123")]));
    assert_eq!(store.load(&key("b"), store.now).await, LoadOutcome::Absent);

    let fits = Change { max_size: 101, rotation: None, ..change };
    assert_eq!(store.update(&k, &fits).await, UpdateOutcome::Committed(2), "a session may be as large as the limit");
}

pub async fn update_that_shrinks_or_keeps_a_size_past_the_limit_is_committed(store: &Subject) {
    let k = key("a");
    store.create(&k, &[put("x", &[0; 99])]).await;
    let limited = |value: &[u8]| Change { max_size: 10, ..writing([put("x", value)]) };
    assert_eq!(store.update(&k, &limited(&[1; 99])).await, UpdateOutcome::Committed(2), "the size stays the same");
    assert_eq!(store.update(&k, &limited(&[1; 50])).await, UpdateOutcome::Committed(3), "the session shrinks");
    assert_eq!(store.update(&k, &limited(&[1; 51])).await, UpdateOutcome::TooLarge(52), "the session grows again");
    let touch = Change { max_size: 0, expires: Some(store.now + 2 * HOUR), ..change() };
    assert_eq!(store.update(&k, &touch).await, UpdateOutcome::Committed(3), "an expiry makes no session grow");
}
