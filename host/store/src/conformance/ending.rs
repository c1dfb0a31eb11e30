use super::{APP, HOUR, Outcome, Subject, key, pairs, put, put_in, renaming_to, subject::supported};
use crate::{DestroyCondition, Digest, Grace, LoadOutcome, Record, UpdateOutcome};

impl Subject {
    async fn tells_reuse(&self) -> Result<(), Outcome> {
        let reused = supported("reused", self.inspect()?.reused(self.now).await);
        reused.map(drop).ok_or(Outcome::NotApplicable("its driver does not tell how often tombstones were loaded"))
    }

    async fn destroy(&self, key: &Digest, now: u64, remember: u64) -> bool {
        self.driver.destroy(key, &DestroyCondition::Any, now, remember as u32).await.expect("destroy")
    }
}

pub async fn destroy_removes_a_session_at_once(store: &Subject) {
    let k = key("a");
    store.create(&k, &[put("x", b"1"), put("large", &[1; 50_000]), put_in("other", "y", b"2")]).await;
    assert!(store.destroy(&k, store.now, HOUR).await, "there was a live session");
    for handle in store.handles() {
        assert_eq!(handle.load(&k, APP, store.now, u32::MAX).await.expect("load"), LoadOutcome::Ended);
        assert_eq!(handle.fetch(&k, APP, "x", store.now).await.expect("fetch"), None);
        assert_eq!(handle.fetch(&k, APP, "large", store.now).await.expect("fetch"), None);
        if let Some(inspect) = handle.inspect() {
            assert_eq!(supported("describe", inspect.describe(&k, store.now).await).flatten(), None);
            assert_eq!(inspect.count(store.now).await.expect("count"), 0);
            assert_eq!(inspect.list(store.now, None, None, 10).await.expect("list"), []);
        }
    }
    assert!(!store.destroy(&k, store.now, HOUR).await, "it is ended already");
}

pub async fn destroy_of_an_unknown_key_answers_false_and_remembers_nothing(store: &Subject) {
    assert!(!store.destroy(&key("a"), store.now, HOUR).await);
    assert_eq!(store.load(&key("a"), store.now).await, LoadOutcome::Absent);
}

pub async fn destroy_of_an_expired_session_answers_false_and_removes_it(store: &Subject) {
    let k = key("a");
    store.create(&k, &[put("x", b"1"), put_in("other", "y", b"2")]).await;
    let expires = store.now + HOUR;
    assert!(!store.destroy(&k, expires, HOUR).await, "a session is expired from the second of its expiry");
    assert_eq!(store.load(&k, expires).await, LoadOutcome::Absent, "it is removed and not remembered");
    store.create(&k, &[]).await;
    assert_eq!(store.variables(&k, APP, store.now).await, [], "its variables are removed with it");
}

pub async fn destroy_of_a_former_key_answers_false_and_changes_nothing(store: &Subject) {
    store.create(&key("old"), &[put("x", b"1")]).await;
    let grace = Some(Grace { until: store.now + 100, nonce: b"n".to_vec() });
    store.driver.update(&key("old"), &renaming_to(key("new"), grace), None, store.now).await.expect("update");
    assert!(!store.destroy(&key("old"), store.now, 0).await, "destroy does not follow a former digest");
    assert_eq!(store.variables(&key("new"), APP, store.now).await, pairs(&[("x", b"1")]));
    assert!(
        matches!(store.load(&key("old"), store.now).await, LoadOutcome::Found(_)),
        "the former digest still leads there"
    );
}

pub async fn destroy_of_what_has_expired_leaves_a_live_session(store: &Subject) {
    let k = key("a");
    store.create(&k, &[put("x", b"1")]).await;
    let destroy = async |now| store.driver.destroy(&k, &DestroyCondition::Expired, now, HOUR as u32).await;
    assert!(!destroy(store.now).await.expect("destroy"), "no live session was ended");
    assert_eq!(store.variables(&k, APP, store.now).await, pairs(&[("x", b"1")]), "it stays");
    let change = crate::Change { expires: Some(store.now + 2 * HOUR), ..super::change() };
    store.other().update(&k, &change, None, store.now).await.expect("update");
    assert!(!destroy(store.now + HOUR).await.expect("destroy"));
    assert_eq!(store.variables(&k, APP, store.now + HOUR).await, pairs(&[("x", b"1")]), "it was extended meanwhile");
    assert!(!destroy(store.now + 2 * HOUR).await.expect("destroy"), "an expired session is not a live one");
    assert_eq!(store.load(&k, store.now + 2 * HOUR).await, LoadOutcome::Absent, "it is removed and not remembered");
    assert!(!destroy(store.now).await.expect("destroy"), "there is none");
}

pub async fn destroy_of_an_owners_session_leaves_every_other_one(store: &Subject) {
    let owned = |owner: &str| Record { owner: Some(owner.to_owned()), ..store.record() };
    store.create_as(&key("ada"), &owned("Ada"), &[put("x", b"1")]).await;
    store.create_as(&key("bob"), &owned("Bob"), &[put("x", b"1")]).await;
    store.create(&key("nobody"), &[put("x", b"1")]).await;
    store.create_as(&key("old"), &owned("Ada"), &[]).await;
    let grace = Some(Grace { until: store.now + 100, nonce: b"n".to_vec() });
    store.driver.update(&key("old"), &renaming_to(key("new"), grace), None, store.now).await.expect("update");
    let only = DestroyCondition::Owned("Ada".to_owned());
    let destroy = async |name: &str, now| store.driver.destroy(&key(name), &only, now, HOUR as u32).await;
    for name in ["bob", "nobody", "old", "unknown"] {
        assert!(!destroy(name, store.now).await.expect("destroy"), "{name} is not a key of a session of Ada's");
    }
    store.assert_live(store.now, &["ada", "bob", "nobody", "new"].map(key)).await;
    assert!(!destroy("ada", store.now + HOUR).await.expect("destroy"), "it has expired");
    assert_ne!(store.load(&key("ada"), store.now).await, LoadOutcome::Absent, "an expired session stays");
    assert!(destroy("ada", store.now).await.expect("destroy"), "a live session of hers is ended");
    assert_eq!(store.load(&key("ada"), store.now).await, LoadOutcome::Ended);
    assert!(destroy("new", store.now).await.expect("destroy"));
    for name in ["bob", "nobody"] {
        assert_eq!(store.fetched_x(&key(name), store.now).await, Some(b"1".to_vec()), "{name} is live");
    }
}

pub async fn ended_key_is_remembered_to_the_second(store: &Subject) {
    let k = key("a");
    store.create(&k, &[]).await;
    assert!(store.destroy(&k, store.now + 5, 100).await);
    assert_eq!(store.load(&k, store.now + 5).await, LoadOutcome::Ended);
    assert_eq!(store.load(&k, store.now + 104).await, LoadOutcome::Ended);
    assert_eq!(store.load(&k, store.now + 105).await, LoadOutcome::Absent, "forgotten from the 100th second on");
}

pub async fn ended_key_is_not_remembered_when_asked_not_to(store: &Subject) {
    let k = key("a");
    store.create(&k, &[put("x", b"1")]).await;
    assert!(store.destroy(&k, store.now, 0).await);
    assert_eq!(store.load(&k, store.now).await, LoadOutcome::Absent);
    store.assert_reused(store.now, 0, "nothing is remembered").await;
    store.create(&k, &[]).await;
    assert_eq!(store.variables(&k, APP, store.now).await, [], "the variables of the ended session are removed");
}

pub async fn second_destroy_does_not_extend_the_memory(store: &Subject) {
    let k = key("a");
    store.create(&k, &[]).await;
    assert!(store.destroy(&k, store.now, 100).await);
    assert!(!store.destroy(&k, store.now + 50, HOUR).await);
    assert!(!store.destroy(&k, store.now + 50, 0).await);
    assert_eq!(store.load(&k, store.now + 99).await, LoadOutcome::Ended);
    assert_eq!(store.load(&k, store.now + 100).await, LoadOutcome::Absent);
}

pub async fn every_ended_answer_is_counted_until_the_key_is_forgotten(store: &Subject) -> Result<(), Outcome> {
    store.tells_reuse().await?;
    store.create(&key("a"), &[]).await;
    store.create(&key("b"), &[]).await;
    store.create(&key("live"), &[]).await;
    assert!(store.destroy(&key("a"), store.now, 100).await);
    let rotation = renaming_to(key("c"), None);
    store.driver.update(&key("b"), &rotation, None, store.now).await.expect("update");
    store.assert_reused(store.now, 0, "no ended digest was presented yet").await;
    for _ in 0..3 {
        store.load(&key("a"), store.now).await;
        store.load(&key("live"), store.now).await;
        store.load(&key("unknown"), store.now).await;
    }
    store.other().load(&key("b"), APP, store.now, 0).await.expect("load");
    store.assert_reused(store.now, 4, "three uses of one ended digest, one of another").await;
    store.assert_reused(store.now + 99, 4, "both keys are remembered").await;
    store.assert_reused(store.now + 100, 1, "the uses of a forgotten digest are forgotten with it").await;
    store.load(&key("a"), store.now + 100).await;
    store.assert_reused(store.now + 100, 1, "a forgotten digest is like an unknown one").await;
    Ok(())
}

pub async fn fetch_counts_no_use_of_an_ended_digest(store: &Subject) -> Result<(), Outcome> {
    store.tells_reuse().await?;
    let grace = Grace { until: store.now + HOUR, nonce: b"n".to_vec() };
    store.create(&key("old"), &[put("x", b"1")]).await;
    store.driver.update(&key("old"), &renaming_to(key("new"), Some(grace)), None, store.now).await.expect("update");
    assert!(store.destroy(&key("new"), store.now, HOUR).await);
    for ended in ["old", "new"] {
        assert_eq!(store.fetched_x(&key(ended), store.now).await, None);
        store.assert_reused(store.now, 0, "only a load uses a digest").await;
    }
    Ok(())
}

pub async fn destroy_owned_ends_all_live_sessions_of_an_owner_but_one(store: &Subject) {
    let owned = |owner: &str| Record { owner: Some(owner.to_owned()), ..store.record() };
    for name in ["a", "b", "c"] {
        store.create_as(&key(name), &owned("Ada"), &[put("x", b"1"), put("large", &[1; 20_000])]).await;
    }
    store.create_as(&key("bob"), &owned("Bob"), &[put("x", b"1")]).await;
    store.create(&key("nobody"), &[]).await;
    store.create_as(&key("expired"), &Record { expires: store.now + 1, ..owned("Ada") }, &[]).await;
    store.create(&key("left"), &[]).await;
    for owner in [Some("Ada".to_owned()), None] {
        let change = crate::Change { owner: Some(owner), ..super::change() };
        store.driver.update(&key("left"), &change, None, store.now).await.expect("update");
    }

    let now = store.now + 1;
    let destroy = async |except: Option<Digest>| {
        store.driver.destroy_owned("Ada", except.as_ref(), now, HOUR as u32).await.expect("destroy_owned")
    };
    assert_eq!(destroy(Some(key("b"))).await, 2, "a and c, not b, and not the expired one");
    for name in ["a", "c"] {
        assert_eq!(store.load(&key(name), now).await, LoadOutcome::Ended);
        let answer =
            store.driver.update(&key(name), &super::writing([put("x", b"2")]), None, now).await.expect("update");
        assert_eq!(answer, UpdateOutcome::Gone, "requests in flight get gone");
    }
    for name in ["b", "bob"] {
        assert_eq!(store.fetched_x(&key(name), now).await, Some(b"1".to_vec()), "{name} is live");
    }
    store.assert_live(now, &["b", "bob", "nobody", "left"].map(key)).await;
    assert_eq!(destroy(Some(key("bob"))).await, 1, "a key of another owner excepts nothing");
    assert_eq!(destroy(None).await, 0, "none is left");
    store.assert_live(now, &["bob", "nobody", "left"].map(key)).await;
}

impl Subject {
    async fn fetched_x(&self, key: &Digest, now: u64) -> Option<Vec<u8>> {
        self.driver.fetch(key, APP, "x", now).await.expect("fetch")
    }
}

pub async fn destroy_owned_tells_similar_owners_apart(store: &Subject) {
    let owners = ["ada", "Ada", "ada ", " ada", "", "%", "_", "ádá", "a\u{301}da", "ad", "adaa", "*", "a'da"];
    for owner in owners {
        store.create_as(&key(owner), &Record { owner: Some(owner.to_owned()), ..store.record() }, &[]).await;
    }
    store.create(&key("nobody's"), &[]).await;
    let mut left: Vec<Digest> = owners.into_iter().rev().map(key).collect();
    left.insert(0, key("nobody's"));
    for owner in owners {
        store.assert_owned(store.now, owner, &[key(owner)]).await;
        let ended = store.driver.destroy_owned(owner, None, store.now, 0).await.expect("destroy_owned");
        assert_eq!(ended, 1, "{owner:?} has one session");
        left.pop();
        store.assert_live(store.now, &left).await;
    }
}

pub async fn destroy_owned_spares_the_session_that_a_former_key_leads_to(store: &Subject) {
    let owned = Record { owner: Some("Ada".to_owned()), ..store.record() };
    let renew = async |from: &str, to: &str, until| {
        let grace = Some(Grace { until, nonce: b"n".to_vec() });
        let outcome = store.driver.update(&key(from), &renaming_to(key(to), grace), None, store.now).await;
        assert!(matches!(outcome, Ok(UpdateOutcome::Committed(_))), "{outcome:?}");
    };
    let destroy = async |except: &str, now| {
        store.other().destroy_owned("Ada", Some(&key(except)), now, HOUR as u32).await.expect("destroy_owned")
    };
    for name in ["a", "other"] {
        store.create_as(&key(name), &owned, &[put("x", b"1")]).await;
    }
    renew("a", "b", store.now + 100).await;
    renew("b", "c", store.now + 200).await;
    assert_eq!(destroy("a", store.now + 99).await, 1, "the other one; a leads to c through b");
    assert_eq!(store.fetched_x(&key("c"), store.now).await, Some(b"1".to_vec()));
    assert_eq!(destroy("b", store.now + 199).await, 0, "b leads to c");
    assert_eq!(destroy("a", store.now + 100).await, 1, "the grace of a is over");
    assert_eq!(store.load(&key("c"), store.now).await, LoadOutcome::Ended);
    store.assert_count(store.now, 0).await;

    store.create_as(&key("d"), &owned, &[]).await;
    renew("d", "e", store.now + 100).await;
    store.driver.update(&key("e"), &renaming_to(key("f"), None), None, store.now).await.expect("update");
    assert_eq!(destroy("d", store.now).await, 1, "d ended with the rotation that has no grace");
    store.create_as(&key("g"), &owned, &[]).await;
    assert_eq!(destroy("d", store.now).await, 1, "and it never leads to another session");
}
