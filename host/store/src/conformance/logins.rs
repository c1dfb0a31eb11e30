//! The most sessions that an owner may have: `max_owned`.

use super::{
    APP, HOUR, Outcome, Subject, change, key, put,
    races::{ROUNDS, count_of, race},
    renaming_to, writing,
};
use crate::{Change, DestroyCondition, Digest, Grace, Record, UpdateOutcome};

fn owned_by(store: &Subject, owner: &str) -> Record {
    Record { owner: Some(owner.to_owned()), ..store.record() }
}

/// A login of Ada, who may have `most` sessions then.
fn login(most: u32) -> Change {
    Change { owner: Some(Some("Ada".to_owned())), max_owned: Some(most), ..change() }
}

/// Digests in the order of lists.
fn sorted<const N: usize>(names: [&str; N]) -> [Digest; N] {
    let mut keys = names.map(key);
    keys.sort_unstable();
    keys
}

async fn update(store: &Subject, key: &Digest, change: &Change) -> UpdateOutcome {
    store.driver.update(key, change, None, store.now).await.expect("update")
}

pub async fn owner_of_as_many_sessions_as_allowed_gets_no_further_one(store: &Subject) {
    let [first, second, k, new] = sorted(["a", "b", "c", "d"]);
    for theirs in [first, second] {
        store.create_as(&theirs, &owned_by(store, "Ada"), &[]).await;
    }
    store.create(&k, &[put("x", b"1")]).await;
    let before = store.found(&k, APP, store.now).await;
    let everything = Change {
        clears: vec![APP.to_owned()],
        writes: [put("y", b"2")].into(),
        rotation: renaming_to(new, None).rotation,
        expires: Some(store.now + 2 * HOUR),
        ..login(2)
    };
    assert_eq!(update(store, &k, &everything).await, UpdateOutcome::TooManyOwned(2));
    assert_eq!(update(store, &k, &login(0)).await, UpdateOutcome::TooManyOwned(2));
    assert_eq!(store.found(&k, APP, store.now).await, before, "nothing was written");
    store.assert_owned(store.now, "Ada", &[first, second]).await;
    let room = Change { max_owned: Some(3), ..everything };
    assert_eq!(update(store, &k, &room).await, UpdateOutcome::Committed(2));
    store.assert_owned(store.now, "Ada", &[first, second, new]).await;
}

pub async fn session_that_is_the_owners_already_is_not_counted(store: &Subject) {
    let [first, second] = sorted(["a", "b"]);
    for theirs in [first, second] {
        store.create_as(&theirs, &owned_by(store, "Ada"), &[]).await;
    }
    assert_eq!(update(store, &first, &login(2)).await, UpdateOutcome::Committed(2));
    assert_eq!(update(store, &first, &login(1)).await, UpdateOutcome::Committed(3), "also if there are too many");
    store.assert_owned(store.now, "Ada", &[first, second]).await;
}

pub async fn limit_of_an_owner_counts_the_owners_live_sessions_alone(store: &Subject) {
    let now = store.now;
    for (name, owner) in [("1", "Ad"), ("2", "Adaa"), ("3", "ada"), ("4", "Bob")] {
        store.create_as(&key(name), &owned_by(store, owner), &[]).await;
    }
    store.create_as(&key("expired"), &Record { expires: now, ..owned_by(store, "Ada") }, &[]).await;
    for name in ["destroyed", "given up", "passed on", "renamed"] {
        store.create_as(&key(name), &owned_by(store, "Ada"), &[]).await;
    }
    store.driver.destroy(&key("destroyed"), &DestroyCondition::Any, now, HOUR as u32).await.expect("destroy");
    for (name, owner) in [("given up", None), ("passed on", Some("Bob".to_owned()))] {
        update(store, &key(name), &Change { owner: Some(owner), ..change() }).await;
    }
    for (from, to, grace) in [("renamed", "again", true), ("again", "and again", false)] {
        let grace = grace.then(|| Grace { until: now + HOUR, nonce: b"n".to_vec() });
        update(store, &key(from), &renaming_to(key(to), grace)).await;
    }
    store.create(&key("k"), &[]).await;
    assert_eq!(update(store, &key("k"), &login(1)).await, UpdateOutcome::TooManyOwned(1), "the renamed one");
    assert_eq!(update(store, &key("k"), &login(2)).await, UpdateOutcome::Committed(2));
    // Ada's session is Bob's then.
    let bob = Change { owner: Some(Some("Bob".to_owned())), ..login(2) };
    assert_eq!(update(store, &key("k"), &bob).await, UpdateOutcome::TooManyOwned(2));
    let bob = Change { max_owned: Some(3), ..bob };
    assert_eq!(update(store, &key("k"), &bob).await, UpdateOutcome::Committed(3));
    store.assert_owned(now, "Ada", &[key("and again")]).await;
}

pub async fn limit_without_a_new_owner_is_none(store: &Subject) {
    let k = key("a");
    store.create_as(&k, &owned_by(store, "Ada"), &[]).await;
    let limited = Change { max_owned: Some(0), ..writing([put("x", b"1")]) };
    assert_eq!(update(store, &k, &limited).await, UpdateOutcome::Committed(2));
    let nobody = Change { owner: Some(None), ..limited };
    assert_eq!(update(store, &k, &nobody).await, UpdateOutcome::Committed(3));
}

pub async fn other_refusals_come_before_that_of_too_many_sessions(store: &Subject) {
    let k = key("a");
    store.create_as(&key("theirs"), &owned_by(store, "Ada"), &[]).await;
    store.create(&k, &[]).await;
    let large = Change { writes: [put("x", b"12345")].into(), max_size: 5, ..login(1) };
    assert_eq!(update(store, &k, &large).await, UpdateOutcome::TooLarge(6));
    let strict = store.driver.update(&k, &large, Some(7), store.now).await.expect("update");
    assert_eq!(strict, UpdateOutcome::Conflict(1));
    assert_eq!(update(store, &key("nothing"), &large).await, UpdateOutcome::Gone);
    let fits = Change { max_size: 6, ..large };
    assert_eq!(update(store, &k, &fits).await, UpdateOutcome::TooManyOwned(1));
}

pub async fn of_concurrent_logins_exactly_as_many_succeed_as_are_allowed(store: &Subject) -> Result<(), Outcome> {
    store.counts_owned_exactly()?;
    let now = store.now;
    for round in 0..ROUNDS {
        let owner = format!("Ada {round}");
        let name = move |number: usize, new: bool| key(&format!("{round} {number} {new}"));
        for number in 0..8 {
            store.create(&name(number, false), &[put("x", b"1")]).await;
        }
        let most = 1 + round as u32 % 3;
        let answers = race(store, 8, |number, handle| {
            let owner = owner.clone();
            async move {
                // As a login does, and one of each four without another digest.
                let to = (number % 4 != 0).then(|| name(number, true));
                let rotation = to.and_then(|to| renaming_to(to, None).rotation);
                let change = Change { owner: Some(Some(owner)), rotation, ..login(most) };
                handle.update(&name(number, false), &change, None, now).await.expect("update")
            }
        })
        .await;
        let most = most as usize;
        assert_eq!(count_of(&answers, &UpdateOutcome::Committed(2)), most, "{most} may succeed: {answers:?}");
        let refused = UpdateOutcome::TooManyOwned(most as u64);
        assert_eq!(count_of(&answers, &refused), 8 - most, "the others find as many: {answers:?}");
    }
    Ok(())
}

pub async fn login_finds_a_session_that_is_given_other_keys_meanwhile(store: &Subject) -> Result<(), Outcome> {
    const RENAMES: usize = 8;
    store.counts_owned_exactly()?;
    let now = store.now;
    for round in 0..ROUNDS {
        let owner = format!("Ada {round}");
        let names = move |rotation: usize| key(&format!("{round} {rotation}"));
        store.create_as(&names(0), &owned_by(store, &owner), &[]).await;
        store.create(&key(&format!("{round} k")), &[]).await;
        let answers = race(store, 3, |number, handle| {
            let owner = owner.clone();
            async move {
                for rotation in 0..RENAMES {
                    if number == 0 {
                        let grace = (rotation % 2 == 0).then(|| Grace { until: now + HOUR, nonce: b"n".to_vec() });
                        let change = renaming_to(names(rotation + 1), grace);
                        let answer = handle.update(&names(rotation), &change, None, now).await.expect("update");
                        assert_eq!(answer, UpdateOutcome::Committed(1));
                        continue;
                    }
                    let change = Change { owner: Some(Some(owner.clone())), ..login(1) };
                    let k = key(&format!("{round} k"));
                    let answer = handle.update(&k, &change, None, now).await.expect("update");
                    if answer != UpdateOutcome::TooManyOwned(1) {
                        return Some(answer);
                    }
                }
                None
            }
        })
        .await;
        assert!(answers.iter().all(Option::is_none), "the owner has one session all the time: {answers:?}");
    }
    Ok(())
}
