//! Races of `destroy_owned` with what changes the keys or the owners of sessions.

use super::{
    APP, HOUR, Subject, change, key, put,
    races::{ROUNDS, race},
    renaming_to,
};
use crate::{Change, DestroyCondition, Digest, Grace, LoadOutcome, Record, UpdateOutcome};

/// More than a store ends in one transaction.
pub async fn destroy_owned_ends_any_number_of_sessions(store: &Subject) {
    const SESSIONS: usize = 300;
    let ada = |expires| Record { owner: Some("Ada".to_owned()), expires, ..store.record() };
    let keys: Vec<Digest> = (0..SESSIONS).map(|n| key(&n.to_string())).collect();
    for (n, key) in keys.iter().enumerate() {
        let expires = store.now + if n % 3 == 0 { 1 } else { HOUR };
        store.create_as(key, &ada(expires), &[put("x", b"1")]).await;
    }
    store.create_as(&key("bob"), &Record { owner: Some("Bob".to_owned()), ..store.record() }, &[]).await;
    let now = store.now + 1;
    let ended = store.driver.destroy_owned("Ada", Some(&keys[100]), now, HOUR as u32).await.expect("destroy_owned");
    assert_eq!(ended as usize, SESSIONS - SESSIONS / 3 - 1, "all but the expired ones and the one that is spared");
    for (n, key) in keys.iter().enumerate() {
        match (n, store.load(key, now).await) {
            (100, LoadOutcome::Found(_)) => {}
            (n, LoadOutcome::Expired | LoadOutcome::Absent) if n % 3 == 0 => {}
            (n, LoadOutcome::Ended) if n % 3 != 0 => {}
            other => panic!("{other:?}"),
        }
    }
    store.assert_live(now, &[keys[100], key("bob")]).await;
}

pub async fn destroy_owned_ends_sessions_that_are_given_other_keys_meanwhile(store: &Subject) {
    const SESSIONS: usize = 6;
    const RENAMES: usize = 8;
    let now = store.now;
    for round in 0..ROUNDS {
        let names = move |session: usize, rotation: usize| key(&format!("{round} {session} {rotation}"));
        for session in 0..SESSIONS {
            let record = Record { owner: Some("Ada".to_owned()), ..store.record() };
            store.create_as(&names(session, 0), &record, &[put("x", b"1")]).await;
        }
        let ended = race(store, SESSIONS + 1, |number, handle| async move {
            if number == SESSIONS {
                return handle.destroy_owned("Ada", None, now, HOUR as u32).await.expect("destroy_owned");
            }
            for rotation in 0..RENAMES {
                let grace = (rotation % 2 == 0).then(|| Grace { until: now + HOUR, nonce: b"n".to_vec() });
                let change = renaming_to(names(number, rotation + 1), grace);
                match handle.update(&names(number, rotation), &change, None, now).await.expect("update") {
                    UpdateOutcome::Committed(_) => {}
                    UpdateOutcome::Gone => break,
                    other => panic!("a rotation commits or is gone, not {other:?}"),
                }
            }
            0
        })
        .await[SESSIONS];
        store.assert_count(now, 0).await;
        assert_eq!(ended as usize, SESSIONS, "each was ended once");
        for (session, rotation) in
            (0..SESSIONS).flat_map(|session| (0..=RENAMES).map(move |rotation| (session, rotation)))
        {
            let answer = store.load(&names(session, rotation), now).await;
            assert!(!matches!(answer, LoadOutcome::Found(_)), "a session does not survive by an id rotation");
        }
    }
}

pub async fn destroy_owned_spares_a_session_that_is_given_other_keys_meanwhile(store: &Subject) {
    let now = store.now;
    for round in 0..ROUNDS {
        let names = move |rotation: usize| key(&format!("{round} spared {rotation}"));
        let other = move |number: usize| key(&format!("{round} {number}"));
        let record = Record { owner: Some("Ada".to_owned()), ..store.record() };
        store.create_as(&names(0), &record, &[put("x", b"1")]).await;
        for number in 0..4 {
            store.create_as(&other(number), &record, &[put("x", b"1")]).await;
        }
        let answers = race(store, 2, |number, handle| async move {
            if number == round % 2 {
                return handle.destroy_owned("Ada", Some(&names(0)), now, HOUR as u32).await.expect("destroy_owned");
            }
            for rotation in 0..4 {
                let grace = Some(Grace { until: now + HOUR, nonce: b"n".to_vec() });
                let change = renaming_to(names(rotation + 1), grace);
                let answer = handle.update(&names(rotation), &change, None, now).await.expect("update");
                assert_eq!(answer, UpdateOutcome::Committed(1), "the session that is spared stays");
            }
            0
        })
        .await;
        assert_eq!(answers[round % 2], 4, "the others were ended");
        store.assert_live(now, &[names(4)]).await;
        assert_eq!(store.found(&names(4), APP, now).await.record.owner.as_deref(), Some("Ada"));
        store.driver.destroy_owned("Ada", None, now, 0).await.expect("destroy_owned");
    }
}

/// A session gets its owner, as at a login with a new digest or without, while all the owner's sessions are ended; or loses it.
pub async fn update_of_the_owner_racing_destroy_owned_comes_before_or_after(store: &Subject) {
    const SESSIONS: usize = 6;
    let now = store.now;
    for round in 0..ROUNDS {
        let old = move |session: usize| key(&format!("{round} {session}"));
        let new = move |session: usize| {
            if session.is_multiple_of(2) { old(session) } else { key(&format!("{round} {session} new")) }
        };
        // A third of them lose the owner that the others get.
        let loses = |session: usize| session.is_multiple_of(3);
        for session in 0..SESSIONS {
            let owner = loses(session).then(|| "Ada".to_owned());
            store.create_as(&old(session), &Record { owner, ..store.record() }, &[put("x", b"1")]).await;
        }
        let answers = race(store, SESSIONS + 1, |number, handle| async move {
            if number == SESSIONS {
                let ended = handle.destroy_owned("Ada", None, now, HOUR as u32).await.expect("destroy_owned");
                return (ended, UpdateOutcome::Gone);
            }
            let change = Change {
                owner: Some((!loses(number)).then(|| "Ada".to_owned())),
                ..if number % 2 == 0 { change() } else { renaming_to(new(number), None) }
            };
            (0, handle.update(&old(number), &change, None, now).await.expect("update"))
        })
        .await;
        let ended = answers[SESSIONS].0;
        let (mut live, mut owned) = (0, 0);
        for (session, (_, answer)) in answers[..SESSIONS].iter().enumerate() {
            let updated = match answer {
                UpdateOutcome::Committed(2) => true,
                UpdateOutcome::Gone => false,
                other => panic!("an update commits or is gone, not {other:?}"),
            };
            match (store.load(&new(session), now).await, loses(session)) {
                (LoadOutcome::Found(loaded), false) => {
                    assert_eq!(loaded.record.owner.as_deref(), Some("Ada"));
                    assert!(updated);
                    (live, owned) = (live + 1, owned + 1);
                }
                (LoadOutcome::Found(loaded), true) => {
                    assert_eq!(loaded.record.owner, None, "a session of the owner's does not survive");
                    assert!(updated);
                    live += 1;
                }
                (_, true) => assert!(!updated, "what had no owner any more was not ended"),
                (_, false) => assert!(updated, "what had no owner yet was not ended"),
            }
        }
        store.assert_count(now, live).await;
        assert_eq!(ended + live, SESSIONS as u64, "each session that was counted is ended, and no other one");
        let rest = store.driver.destroy_owned("Ada", None, now, 0).await.expect("destroy_owned");
        assert_eq!(rest, owned, "a session that has its owner is found");
        for session in 0..SESSIONS {
            store.driver.destroy(&new(session), &DestroyCondition::Any, now, 0).await.expect("destroy");
        }
        store.assert_count(now, 0).await;
    }
}
