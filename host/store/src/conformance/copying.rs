use super::{APP, HOUR, Outcome, Subject, change, key, pairs, put, put_in, races::race, renaming_to, writing};
use crate::{Change, DestroyCondition, Digest, Grace, LoadOutcome, Record, Snapshot, UpdateOutcome, Writes};

impl Subject {
    async fn export(&self, key: &Digest, now: u64) -> Option<Snapshot> {
        self.driver.transfer().expect("transfer").export(key, now).await.expect("export")
    }

    async fn import(&self, key: &Digest, snapshot: &Snapshot, over: Option<u64>, now: u64) -> bool {
        self.driver.transfer().expect("transfer").import(key, snapshot, over, now).await.expect("import")
    }

    /// A session that was saved often elsewhere, and lasts for another hour.
    fn snapshot(&self, variables: impl Into<Writes>) -> Snapshot {
        let variables = variables.into();
        let record = Record {
            created: self.now - 500,
            accessed: self.now - 40,
            expires: self.now + HOUR,
            absolute_expiry: Some(self.now + 9 * HOUR),
            rotated: self.now - 300,
            owner: Some("Ada".to_owned()),
            version: 17,
            size: variables.size(),
        };
        Snapshot { record, variables }
    }
}

pub async fn export_answers_all_of_a_live_session_and_nothing_else(store: &Subject) -> Result<(), Outcome> {
    store.transfer()?;
    let owned = Record { owner: Some("Ada".to_owned()), absolute_expiry: Some(store.now + 2 * HOUR), ..store.record() };
    let large = vec![7; 100_000];
    let variables =
        [put_in("Other", "large", &large), put_in(APP, "a", b""), put_in(APP, "b", b"2"), put_in("é", "x", b"\0\xff")];
    let written: Vec<_> = variables.iter().rev().cloned().collect();
    for name in ["a", "old", "ended"] {
        store.create_as(&key(name), &owned, &written).await;
    }
    store.create(&key("empty"), &[]).await;
    let record = Record { version: 1, size: 100_000 + 5 + 1 + 2 + 3, ..owned };
    for handle in store.handles() {
        let transfer = handle.transfer().expect("transfer");
        let snapshot = transfer.export(&key("a"), store.now).await.expect("export").expect("a live session");
        assert_eq!(snapshot.record, record);
        assert!(*snapshot.variables == variables, "all variables, sorted by application and name");
    }
    assert_eq!(store.export(&key("empty"), store.now).await.expect("a live session").variables, Writes::default());
    assert_eq!(store.export(&key("a"), record.expires).await, None, "an expired session");
    assert_eq!(store.export(&key("nothing"), store.now).await, None);
    let grace = Some(Grace { until: store.now + 100, nonce: b"n".to_vec() });
    store.driver.update(&key("old"), &renaming_to(key("new"), grace), None, store.now).await.expect("update");
    assert_eq!(store.export(&key("old"), store.now).await, None, "a former digest is not followed");
    assert!(*store.export(&key("new"), store.now).await.expect("a live session").variables == variables);
    store.driver.destroy(&key("ended"), &DestroyCondition::Any, store.now, HOUR as u32).await.expect("destroy");
    assert_eq!(store.export(&key("ended"), store.now).await, None, "an ended digest");
    store.assert_reused(store.now, 0, "an export is no use of an ended digest").await;
    Ok(())
}

pub async fn import_keeps_the_record_with_its_version(store: &Subject) -> Result<(), Outcome> {
    store.transfer()?;
    let snapshot = store.snapshot([put_in("Other", "large", &[7; 100_000]), put("a", b"1"), put("b", b"")]);
    assert!(store.import(&key("a"), &snapshot, None, store.now).await);
    for handle in store.handles() {
        let transfer = handle.transfer().expect("transfer");
        let copied = transfer.export(&key("a"), store.now).await.expect("export").expect("a live session");
        assert!(copied == snapshot, "a copy is what was copied: {:?}", copied.record);
    }
    let wrong = Snapshot {
        record: Record { size: 9, owner: None, absolute_expiry: None, ..snapshot.record.clone() },
        ..snapshot
    };
    assert!(store.import(&key("b"), &wrong, None, store.now).await);
    let found = store.found(&key("b"), APP, store.now).await.record;
    assert_eq!(found, Record { size: 100_008, ..wrong.record }, "the size is that of the variables");
    Ok(())
}

pub async fn import_without_over_never_overwrites(store: &Subject) -> Result<(), Outcome> {
    store.transfer()?;
    let snapshot = store.snapshot([put("x", b"copy")]);
    store.create(&key("live"), &[put("x", b"1")]).await;
    store.create_as(&key("expired"), &Record { expires: store.now + 1, ..store.record() }, &[]).await;
    store.create(&key("ended"), &[]).await;
    store.driver.destroy(&key("ended"), &DestroyCondition::Any, store.now, 100).await.expect("destroy");
    store.create(&key("old"), &[put("x", b"1")]).await;
    let grace = Some(Grace { until: store.now + 50, nonce: b"n".to_vec() });
    let rotation = Change { remember: 50, ..renaming_to(key("new"), grace) };
    store.driver.update(&key("old"), &rotation, None, store.now).await.expect("update");
    for (name, at) in [("live", 0), ("expired", 1), ("ended", 99), ("old", 49), ("old", 99)] {
        assert!(
            !store.import(&key(name), &snapshot, None, store.now + at).await,
            "{name} is there, {at} seconds later"
        );
    }
    assert_eq!(store.variables(&key("live"), APP, store.now).await, pairs(&[("x", b"1")]));
    assert_eq!(store.load(&key("ended"), store.now + 99).await, LoadOutcome::Ended, "a logout is for good");
    assert!(store.import(&key("ended"), &snapshot, None, store.now + 100).await, "it is forgotten by then");
    assert_eq!(store.variables(&key("ended"), APP, store.now + 100).await, pairs(&[("x", b"copy")]));
    Ok(())
}

pub async fn import_over_a_version_replaces_everything(store: &Subject) -> Result<(), Outcome> {
    store.transfer()?;
    let k = key("a");
    let owned = Record { owner: Some("Bob".to_owned()), expires: store.now + 2 * HOUR, ..store.record() };
    store
        .create_as(&key("old"), &owned, &[put("x", b"1"), put("gone", &[1; 50_000]), put_in("other", "y", b"2")])
        .await;
    let grace = Some(Grace { until: store.now + 100, nonce: b"n".to_vec() });
    store.driver.update(&key("old"), &renaming_to(k, grace), None, store.now).await.expect("update");

    let snapshot = store.snapshot([put("x", b"new"), put("z", b"3")]);
    assert!(store.import(&k, &snapshot, Some(1), store.now).await);
    let record = Record { accessed: store.now, expires: store.now + 2 * HOUR, ..snapshot.record.clone() };
    let copied = store.export(&k, store.now).await.expect("a live session");
    assert_eq!(copied, Snapshot { record, ..snapshot.clone() }, "times only move on");
    store.assert_owned(store.now, "Ada", &[k]).await;
    store.assert_owned(store.now, "Bob", &[]).await;
    assert_eq!(store.found(&key("old"), APP, store.now + 99).await.renewal.as_deref(), Some(&b"n"[..]), "it leads on");

    let later =
        Record { accessed: store.now + 5, expires: store.now + 3 * HOUR, version: 20, ..snapshot.record.clone() };
    let snapshot = Snapshot { record: Record { owner: None, ..later }, ..snapshot };
    assert!(store.import(&k, &snapshot, Some(17), store.now).await);
    assert_eq!(store.export(&k, store.now + 2 * HOUR).await, Some(snapshot));
    store.assert_owned(store.now, "Ada", &[]).await;
    store.assert_live(store.now, &[k]).await;
    Ok(())
}

pub async fn import_over_another_version_or_no_session_changes_nothing(store: &Subject) -> Result<(), Outcome> {
    store.transfer()?;
    let snapshot = store.snapshot([put("x", b"copy")]);
    store.create(&key("live"), &[put("x", b"1")]).await;
    store.create_as(&key("expired"), &Record { expires: store.now + 1, ..store.record() }, &[]).await;
    store.create(&key("ended"), &[]).await;
    store.driver.destroy(&key("ended"), &DestroyCondition::Any, store.now, 100).await.expect("destroy");
    for (name, version) in [("live", 2), ("live", 0), ("expired", 1), ("ended", 1), ("nothing", 1)] {
        assert!(!store.import(&key(name), &snapshot, Some(version), store.now + 1).await, "{name}");
    }
    assert_eq!(store.variables(&key("live"), APP, store.now).await, pairs(&[("x", b"1")]));
    assert_eq!(store.load(&key("ended"), store.now + 1).await, LoadOutcome::Ended);
    assert_eq!(store.load(&key("nothing"), store.now + 1).await, LoadOutcome::Absent);
    store.assert_live(store.now + 1, &[key("live")]).await;
    Ok(())
}

pub async fn imported_session_is_one_like_any_other(store: &Subject) -> Result<(), Outcome> {
    store.transfer()?;
    let snapshot = store.snapshot([put("x", b"1"), put_in("other", "y", b"2")]);
    for name in ["a", "b"] {
        assert!(store.import(&key(name), &snapshot, None, store.now).await);
    }
    let answer = store.driver.update(&key("a"), &writing([put("x", b"2")]), Some(17), store.now).await.expect("update");
    assert_eq!(answer, UpdateOutcome::Committed(18), "its version goes on from that of the copy");
    let answer = store.driver.update(&key("a"), &change(), Some(17), store.now).await.expect("update");
    assert_eq!(answer, UpdateOutcome::Conflict(18));
    assert_eq!(store.variables(&key("a"), APP, store.now).await, pairs(&[("x", b"2")]));
    assert_eq!(store.driver.destroy_owned("Ada", Some(&key("a")), store.now, 9).await.expect("destroy_owned"), 1);
    assert_eq!(store.load(&key("b"), store.now).await, LoadOutcome::Ended);
    assert_eq!(store.load(&key("a"), snapshot.record.expires).await, LoadOutcome::Expired);
    Ok(())
}

pub async fn import_racing_update_loses_nothing_that_was_committed(store: &Subject) -> Result<(), Outcome> {
    store.transfer()?;
    let now = store.now;
    for round in 0..20 {
        let k = key(&round.to_string());
        store.create(&k, &[put("x", b"1")]).await;
        let snapshot = store.snapshot([put("y", b"copy")]);
        let answers = race(store, 2, |number, handle| {
            let snapshot = snapshot.clone();
            async move {
                if number == round % 2 {
                    let transfer = handle.transfer().expect("transfer");
                    u64::from(transfer.import(&k, &snapshot, Some(1), now).await.expect("import"))
                } else {
                    match handle.update(&k, &writing([put("z", b"save")]), None, now).await.expect("update") {
                        UpdateOutcome::Committed(version) => version,
                        other => panic!("the session is live all the time, but update answers {other:?}"),
                    }
                }
            }
        })
        .await;
        let (imported, version) = (answers[round % 2] == 1, answers[1 - round % 2]);
        let expected =
            if imported { pairs(&[("y", b"copy"), ("z", b"save")]) } else { pairs(&[("x", b"1"), ("z", b"save")]) };
        assert_eq!(store.variables(&k, APP, now).await, expected, "the save is kept");
        assert_eq!(version, if imported { 18 } else { 2 });
    }
    Ok(())
}

pub async fn export_never_sees_half_an_update(store: &Subject) -> Result<(), Outcome> {
    store.transfer()?;
    let (k, now) = (key("a"), store.now);
    let value = |n: u32| n.to_be_bytes().repeat(1 + 500 * (n as usize % 4));
    let all = move |n: u32| [put_in("other", "c", &value(n)), put("a", &value(n)), put("b", &value(n))];
    store.create(&k, &all(0)).await;
    race(store, 3, |number, handle| async move {
        for n in 1..100 {
            if number == 0 {
                let answer = handle.update(&k, &writing(all(n)), None, now).await.expect("update");
                assert_eq!(answer, UpdateOutcome::Committed(u64::from(n) + 1));
            } else {
                let exported = handle.transfer().expect("transfer").export(&k, now).await;
                let Snapshot { record, variables } = exported.expect("export").expect("it is live");
                assert!(*variables == all(record.version as u32 - 1), "all variables are those of the version");
            }
        }
    })
    .await;
    Ok(())
}
