//! What the session component itself keeps of a session.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use super::{
    APP, HOUR, Outcome, Subject, change, key, pairs, put, put_in, races::race, renaming_to, subject::inline, writing,
};
use crate::{Change, DETAILS, Digest, Grace, LoadOutcome, Loaded, UpdateOutcome};

fn detail(name: &str, value: &[u8]) -> crate::Write {
    put_in(DETAILS, name, value)
}

impl Subject {
    async fn details(&self, key: &Digest) -> Vec<(String, Vec<u8>)> {
        inline(self.found(key, APP, self.now).await.details)
    }
}

pub async fn load_answers_the_details_beside_the_variables_of_any_application(store: &Subject) {
    let k = key("a");
    store.create(&k, &[put("x", b"1"), detail("b", b"2"), detail("a", b"3"), put_in("other", "y", b"4")]).await;
    let details = pairs(&[("a", b"3"), ("b", b"2")]);
    for (app, variables) in
        [(APP, pairs(&[("x", b"1")])), ("other", pairs(&[("y", b"4")])), ("none", pairs(&[])), (DETAILS, pairs(&[]))]
    {
        let loaded = store.found(&k, app, store.now).await;
        assert_eq!(inline(loaded.details), details, "the details, beside the application {app:?}");
        assert_eq!(inline(loaded.variables), variables, "the variables of {app:?}, without the details");
    }
    store.create(&key("b"), &[put("x", b"1")]).await;
    assert_eq!(store.details(&key("b")).await, [], "a session without details");
    store.create(&key("c"), &[detail("x", b"1")]).await;
    assert_eq!(store.details(&key("c")).await, pairs(&[("x", b"1")]), "a session with nothing else");
    assert_eq!(store.variables(&key("c"), APP, store.now).await, []);
}

pub async fn details_are_answered_whole_whatever_their_size(store: &Subject) {
    let k = key("a");
    let large = vec![7; 50_000];
    store.create(&k, &[put("x", &large), detail("empty", b""), detail("large", &large)]).await;
    for app in [APP, "other", DETAILS] {
        for inline_bytes in [0, 10_000, u32::MAX] {
            let loaded = store.driver.load(&k, app, store.now, inline_bytes).await.expect("load");
            let LoadOutcome::Found(Loaded { details, .. }) = loaded else { panic!("the session is live") };
            assert_eq!(inline(details), pairs(&[("empty", b""), ("large", &large)]));
        }
    }
}

pub async fn details_follow_a_rename(store: &Subject) {
    let (old, new) = (key("a"), key("b"));
    store.create(&old, &[detail("x", b"1"), put("y", b"2")]).await;
    let grace = Grace { until: store.now + HOUR, nonce: b"n".to_vec() };
    let change = Change { writes: [detail("z", b"3")].into(), ..renaming_to(new, Some(grace)) };
    assert_eq!(store.driver.update(&old, &change, None, store.now).await.expect("update"), UpdateOutcome::Committed(2));
    for k in [old, new] {
        assert_eq!(store.details(&k).await, pairs(&[("x", b"1"), ("z", b"3")]), "under the old digest and the new one");
    }
}

pub async fn details_count_as_variables_do(store: &Subject) {
    let k = key("a");
    store.create(&k, &[detail("x", b"123")]).await;
    assert_eq!(store.found(&k, APP, store.now).await.record.size, 4);
    let limited = Change { max_size: 5, ..writing([detail("x", b"12345")]) };
    let answer = store.driver.update(&k, &limited, None, store.now).await.expect("update");
    assert_eq!(answer, UpdateOutcome::TooLarge(6), "details count for the limit");
    let answer = store.driver.update(&k, &writing([detail("x", b"12345")]), Some(1), store.now).await.expect("update");
    assert_eq!(answer, UpdateOutcome::Committed(2), "a write of details counts for the version");
    assert_eq!(store.driver.fetch(&k, DETAILS, "x", store.now).await.expect("fetch"), Some(b"12345".to_vec()));
    if let Some(described) = store.described(&k, store.now).await {
        let (record, variables) = described.expect("the session is live");
        assert_eq!((record.size, variables), (6, vec![(String::new(), "x".to_owned(), 5)]));
    }
}

pub async fn clears_of_applications_leave_the_details(store: &Subject) {
    let k = key("a");
    store.create(&k, &[detail("x", b"1"), put("x", b"2"), put_in("other", "x", b"3")]).await;
    let clear = Change { clears: vec![APP.to_owned(), "other".to_owned()], ..change() };
    store.driver.update(&k, &clear, None, store.now).await.expect("update");
    assert_eq!(store.details(&k).await, pairs(&[("x", b"1")]));
    assert_eq!(store.found(&k, APP, store.now).await.record.size, 2);
}

pub async fn details_are_copied(store: &Subject) -> Result<(), Outcome> {
    let transfer = store.transfer()?;
    let (from, to) = (key("a"), key("b"));
    store.create(&from, &[detail("x", b"1"), put("y", b"2")]).await;
    let snapshot = transfer.export(&from, store.now).await.expect("export").expect("the session is live");
    assert!(transfer.import(&to, &snapshot, None, store.now).await.expect("import"));
    assert_eq!(store.details(&to).await, pairs(&[("x", b"1")]));
    assert_eq!(store.variables(&to, APP, store.now).await, pairs(&[("y", b"2")]));
    Ok(())
}

pub async fn load_sees_details_and_variables_of_one_update(store: &Subject) {
    let (k, now) = (key("a"), store.now);
    let value = |n: u32| n.to_be_bytes().to_vec();
    store.create(&k, &[detail("x", &value(0)), put("x", &value(0))]).await;
    let done = Arc::new(AtomicBool::new(false));
    race(store, 3, |number, handle| {
        let done = Arc::clone(&done);
        async move {
            if number == 0 {
                for n in 1..100 {
                    let change = writing([detail("x", &value(n)), put("x", &value(n))]);
                    handle.update(&k, &change, None, now).await.expect("update");
                }
                done.store(true, Ordering::Relaxed);
            }
            while !done.load(Ordering::Relaxed) {
                let LoadOutcome::Found(loaded) = handle.load(&k, APP, now, u32::MAX).await.expect("load") else {
                    panic!("the session is live");
                };
                let n = loaded.record.version as u32 - 1;
                assert_eq!(inline(loaded.details), pairs(&[("x", &value(n))]), "the details of the version");
                assert_eq!(inline(loaded.variables), pairs(&[("x", &value(n))]), "the variables of the version");
                tokio::task::yield_now().await;
            }
        }
    })
    .await;
}
