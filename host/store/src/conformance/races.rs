//! Races between callers of both handles. Each race is run a number of times, for one run proves little.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::Barrier;

use super::{APP, HOUR, Subject, key, pairs, put, put_in, renaming_to, writing};
use crate::{
    Change, CreateOutcome, DestroyCondition, Digest, Grace, LoadOutcome, Record, Store, Stored, UpdateOutcome,
};

pub const ROUNDS: usize = 20;

/// Runs tasks that all begin at the same time, and returns their answers in order.
pub async fn race<T: Send + 'static, Task: Future<Output = T> + Send + 'static>(
    store: &Subject,
    racers: usize,
    task: impl Fn(usize, Arc<dyn Store>) -> Task,
) -> Vec<T> {
    let start = Arc::new(Barrier::new(racers));
    let tasks: Vec<_> = (0..racers)
        .map(|number| {
            let (start, task) = (Arc::clone(&start), task(number, store.handle(number)));
            tokio::spawn(async move {
                start.wait().await;
                task.await
            })
        })
        .collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.expect("a racer ends"));
    }
    answers
}

pub fn count_of<T: PartialEq>(answers: &[T], answer: &T) -> usize {
    answers.iter().filter(|given| *given == answer).count()
}

pub async fn fifty_concurrent_updates_of_different_variables_all_survive(store: &Subject) {
    let (k, now) = (key("a"), store.now);
    store.create(&k, &[]).await;
    let answers = race(store, 50, |number, handle| async move {
        let app = if number < 40 { APP } else { "other" };
        let value = vec![number as u8; if number % 10 == 0 { 20_000 } else { 10 }];
        let change = writing([put_in(app, &format!("{number:02}"), &value)]);
        handle.update(&k, &change, None, now).await.expect("update")
    })
    .await;
    let mut versions: Vec<_> = answers
        .into_iter()
        .map(|answer| match answer {
            UpdateOutcome::Committed(version) => version,
            other => panic!("an update without an expected version commits, but the answer is {other:?}"),
        })
        .collect();
    versions.sort_unstable();
    assert_eq!(versions, (2..=51).collect::<Vec<_>>(), "each update has a version of its own");
    assert_eq!(store.variables(&k, APP, now).await.len(), 40, "all survive");
    assert_eq!(store.variables(&k, "other", now).await.len(), 10, "all survive");
    let record = store.found(&k, APP, now).await.record;
    assert_eq!((record.version, record.size), (51, 50 * 2 + 45 * 10 + 5 * 20_000));
}

pub async fn concurrent_updates_of_one_variable_leave_one_of_them(store: &Subject) {
    let (k, now) = (key("a"), store.now);
    store.create(&k, &[]).await;
    race(store, 20, |number, handle| async move {
        let value = vec![number as u8; 1 + 3_000 * (number % 3)];
        let change = writing([put("x", &value), put("y", &value)]);
        handle.update(&k, &change, None, now).await.expect("update")
    })
    .await;
    let variables = store.variables(&k, APP, now).await;
    let (x, y) = (&variables[0].1, &variables[1].1);
    assert_eq!(x, y, "both variables are those of one update");
    assert_eq!(store.found(&k, APP, now).await.record.size, 2 + 2 * x.len() as u64);
}

pub async fn of_concurrent_strict_updates_exactly_one_commits(store: &Subject) {
    let now = store.now;
    for round in 0..ROUNDS {
        let k = key(&round.to_string());
        store.create(&k, &[]).await;
        let answers = race(store, 10, |number, handle| async move {
            handle.update(&k, &writing([put("x", &[number as u8])]), Some(1), now).await.expect("update")
        })
        .await;
        assert_eq!(count_of(&answers, &UpdateOutcome::Committed(2)), 1, "exactly one commits: {answers:?}");
        assert_eq!(count_of(&answers, &UpdateOutcome::Conflict(2)), 9, "all others meet its version: {answers:?}");
        let winner = answers.iter().position(|answer| *answer == UpdateOutcome::Committed(2)).expect("a winner");
        assert_eq!(
            store.variables(&k, APP, now).await,
            pairs(&[("x", &[winner as u8])]),
            "the winner's value is there"
        );
    }
}

pub async fn concurrent_updates_never_grow_past_the_limit(store: &Subject) {
    let now = store.now;
    for round in 0..ROUNDS {
        let k = key(&round.to_string());
        store.create(&k, &[put("0", &[0; 99])]).await;
        // Each of them fits alone, and four of them together.
        let answers = race(store, 8, |number, handle| async move {
            let name = char::from(b'a' + number as u8).to_string();
            let change = Change { max_size: 500, ..writing([put(&name, &[number as u8; 99])]) };
            handle.update(&k, &change, None, now).await.expect("update")
        })
        .await;
        let committed = answers.iter().filter(|answer| matches!(answer, UpdateOutcome::Committed(_))).count();
        assert_eq!(committed, 4, "four fit: {answers:?}");
        assert_eq!(count_of(&answers, &UpdateOutcome::TooLarge(600)), 4, "the others would be a fifth: {answers:?}");
        let variables = store.variables(&k, APP, now).await;
        assert_eq!(variables.len(), 5, "what answers too large writes nothing");
        assert_eq!(store.found(&k, APP, now).await.record.size, 500);
    }
}

pub async fn strict_increments_that_are_repeated_lose_nothing(store: &Subject) {
    let (k, now) = (key("a"), store.now);
    store.create(&k, &[put("n", &0_u32.to_be_bytes())]).await;
    race(store, 8, |_, handle| async move {
        let mut done = 0;
        while done < 10 {
            let LoadOutcome::Found(loaded) = handle.load(&k, APP, now, u32::MAX).await.expect("load") else {
                panic!("the session is live");
            };
            let Stored::Inline(bytes) = &loaded.variables[0].value else { panic!("a short value is answered inline") };
            let n = u32::from_be_bytes(bytes.as_slice().try_into().expect("four bytes"));
            let change = writing([put("n", &(n + 1).to_be_bytes())]);
            match handle.update(&k, &change, Some(loaded.record.version), now).await.expect("update") {
                UpdateOutcome::Committed(_) => done += 1,
                UpdateOutcome::Conflict(_) => tokio::task::yield_now().await,
                other => panic!("a strict update commits or answers conflict, not {other:?}"),
            }
        }
    })
    .await;
    assert_eq!(store.variables(&k, APP, now).await, pairs(&[("n", &80_u32.to_be_bytes())]), "8 × 10 increments");
}

pub async fn of_concurrent_creates_exactly_one_succeeds(store: &Subject) {
    for round in 0..ROUNDS {
        let k = key(&round.to_string());
        let answers = race(store, 8, |number, handle| {
            let record = Record { owner: Some(number.to_string()), ..store.record() };
            async move { handle.create(&k, &record, &[put("x", &[number as u8])].into()).await.expect("create") }
        })
        .await;
        assert_eq!(count_of(&answers, &CreateOutcome::Created), 1, "exactly one succeeds: {answers:?}");
        let winner = answers.iter().position(|answer| *answer == CreateOutcome::Created).expect("a winner");
        assert_eq!(store.variables(&k, APP, store.now).await, pairs(&[("x", &[winner as u8])]));
        assert_eq!(store.found(&k, APP, store.now).await.record.owner, Some(winner.to_string()));
    }
}

pub async fn of_concurrent_destroys_exactly_one_ends_the_session(store: &Subject) {
    let now = store.now;
    for round in 0..ROUNDS {
        let k = key(&round.to_string());
        store.create(&k, &[put("x", b"1")]).await;
        let answers = race(store, 6, |_, handle| async move {
            handle.destroy(&k, &DestroyCondition::Any, now, HOUR as u32).await.expect("destroy")
        })
        .await;
        assert_eq!(count_of(&answers, &true), 1, "exactly one ends it: {answers:?}");
    }
}

/// Races updates with something that ends the session, remembering nothing, and checks that nothing is left of it.
async fn update_racing<End: Future<Output = ()> + Send + 'static>(
    store: &Subject,
    end: impl Fn(Digest, Arc<dyn Store>, u64) -> End,
) {
    let now = store.now;
    let end = &end;
    for round in 0..ROUNDS {
        let k = key(&round.to_string());
        store.create_as(&k, &Record { owner: Some("Ada".to_owned()), ..store.record() }, &[put("x", b"1")]).await;
        // The one that ends it is another one each round, so that it comes early and late and from either handle.
        let answers = race(store, 6, |number, handle| {
            let ending = number == round % 6;
            let ends = ending.then(|| end(k, Arc::clone(&handle), now));
            let change = Change {
                expires: Some(now + 2 * HOUR),
                ..writing([put(&number.to_string(), b"1"), put("large", &[number as u8; 20_000])])
            };
            async move {
                match ends {
                    Some(ends) => {
                        ends.await;
                        None
                    }
                    None => Some(handle.update(&k, &change, None, now).await.expect("update")),
                }
            }
        })
        .await;
        for answer in answers.into_iter().flatten() {
            assert!(matches!(answer, UpdateOutcome::Committed(_) | UpdateOutcome::Gone), "{answer:?}");
        }
        assert_eq!(store.load(&k, now).await, LoadOutcome::Absent, "an update never brings a session back");
        store.assert_count(now, 0).await;
        store.create(&k, &[]).await;
        assert_eq!(store.found(&k, APP, now).await.record.version, 1);
        store.assert_empty(&k, now, "no variable was left behind").await;
        store.driver.destroy(&k, &DestroyCondition::Any, now, 0).await.expect("destroy");
    }
}

pub async fn update_racing_destroy_leaves_nothing(store: &Subject) {
    update_racing(store, |key, handle, now| async move {
        assert!(
            handle.destroy(&key, &DestroyCondition::Any, now, 0).await.expect("destroy"),
            "updates do not keep a session from being destroyed"
        );
    })
    .await;
}

pub async fn update_racing_destroy_owned_leaves_nothing(store: &Subject) {
    update_racing(store, |_, handle, now| async move {
        assert_eq!(handle.destroy_owned("Ada", None, now, 0).await.expect("destroy_owned"), 1);
    })
    .await;
}

pub async fn of_concurrent_renames_exactly_one_wins(store: &Subject) {
    let now = store.now;
    for round in 0..ROUNDS {
        let old = key(&format!("{round} old"));
        let new = |number: usize| key(&format!("{round} {number}"));
        store.create(&old, &[put("x", b"1")]).await;
        let answers = race(store, 8, |number, handle| {
            let nonce = number.to_string().into_bytes();
            let grace = (round % 2 == 0).then_some(Grace { until: now + 100, nonce });
            let change = Change { writes: [put("winner", &[number as u8])].into(), ..renaming_to(new(number), grace) };
            async move { handle.update(&old, &change, None, now).await.expect("update") }
        })
        .await;
        assert_eq!(count_of(&answers, &UpdateOutcome::Committed(2)), 1, "exactly one wins: {answers:?}");
        assert_eq!(count_of(&answers, &UpdateOutcome::Gone), 7, "for the others the old digest is gone: {answers:?}");
        let winner = answers.iter().position(|answer| *answer != UpdateOutcome::Gone).expect("a winner");
        for number in 0..8 {
            let found = matches!(store.load(&new(number), now).await, LoadOutcome::Found(_));
            assert_eq!(found, number == winner, "one successor exists");
        }
        let expected = pairs(&[("winner", &[winner as u8]), ("x", b"1")]);
        assert_eq!(store.variables(&new(winner), APP, now).await, expected);
        match store.load(&old, now).await {
            LoadOutcome::Found(loaded) => {
                assert_eq!(loaded.renewal, Some(winner.to_string().into_bytes()), "the winner's nonce");
                assert_eq!(round % 2, 0, "only a grace leads to the successor");
            }
            other => assert_eq!((other, round % 2), (LoadOutcome::Ended, 1)),
        }
    }
}

pub async fn update_racing_rename_is_kept_or_gone(store: &Subject) {
    let now = store.now;
    for round in 0..ROUNDS {
        let (old, new) = (key(&format!("{round} old")), key(&format!("{round} new")));
        store.create(&old, &[put("x", b"1")]).await;
        let answers = race(store, 8, |number, handle| {
            let change = if number == round % 8 {
                renaming_to(new, None)
            } else {
                writing([put(&number.to_string(), &[1; 10])])
            };
            async move { handle.update(&old, &change, None, now).await.expect("update") }
        })
        .await;
        let variables = store.variables(&new, APP, now).await;
        for (number, answer) in answers.iter().enumerate() {
            let kept = variables.iter().any(|(name, _)| *name == number.to_string());
            match answer {
                UpdateOutcome::Committed(_) if number == round % 8 => {}
                UpdateOutcome::Committed(_) => assert!(kept, "a committed update moves with the session"),
                UpdateOutcome::Gone => assert!(!kept, "an update that answers gone writes nothing"),
                other => panic!("an update commits or is gone, not {other:?}"),
            }
        }
        assert!(matches!(answers[round % 8], UpdateOutcome::Committed(_)), "the rotation itself is committed");
        assert_eq!(store.load(&old, now).await, LoadOutcome::Ended);
        let size = variables.iter().map(|(name, value)| (name.len() + value.len()) as u64).sum::<u64>();
        assert_eq!(store.found(&new, APP, now).await.record.size, size);
    }
}

pub async fn rename_racing_destroy_leaves_one_answer(store: &Subject) {
    let now = store.now;
    for round in 0..ROUNDS {
        let (old, new) = (key(&format!("{round} old")), key(&format!("{round} new")));
        store.create(&old, &[put("x", b"1")]).await;
        let renamed = race(store, 2, |number, handle| async move {
            if number == round % 2 {
                let answer = handle.update(&old, &renaming_to(new, None), None, now).await.expect("update");
                answer == UpdateOutcome::Committed(1)
            } else {
                !handle.destroy(&old, &DestroyCondition::Any, now, HOUR as u32).await.expect("destroy")
            }
        })
        .await;
        assert_eq!(renamed[0], renamed[1], "either it was renamed before, or destroyed before");
        assert_eq!(store.load(&old, now).await, LoadOutcome::Ended);
        let found = matches!(store.load(&new, now).await, LoadOutcome::Found(_));
        assert_eq!(found, renamed[0]);
        store.driver.destroy(&new, &DestroyCondition::Any, now, 0).await.expect("destroy");
        store.assert_count(now, 0).await;
    }
}

pub async fn load_never_sees_half_an_update(store: &Subject) {
    let (k, now) = (key("a"), store.now);
    let value = |n: u32| n.to_be_bytes().repeat(1 + 500 * (n as usize % 4));
    store.create(&k, &[put("a", &value(0)), put("b", &value(0)), put("c", &value(0))]).await;
    let done = Arc::new(AtomicBool::new(false));
    race(store, 4, |number, handle| {
        let done = Arc::clone(&done);
        async move {
            if number == 0 {
                for n in 1..200 {
                    let change = writing([put("a", &value(n)), put("b", &value(n)), put("c", &value(n))]);
                    let answer = handle.update(&k, &change, None, now).await.expect("update");
                    assert_eq!(answer, UpdateOutcome::Committed(u64::from(n) + 1));
                }
                done.store(true, Ordering::Relaxed);
            }
            while !done.load(Ordering::Relaxed) {
                let LoadOutcome::Found(loaded) = handle.load(&k, APP, now, u32::MAX).await.expect("load") else {
                    panic!("the session is live");
                };
                let n = loaded.record.version as u32 - 1;
                for variable in &loaded.variables {
                    match &variable.value {
                        Stored::Inline(bytes) => {
                            assert_eq!(*bytes, value(n), "{} is that of the version", variable.name)
                        }
                        Stored::Large(bytes) => assert_eq!(*bytes, value(n).len() as u64, "the size of the version"),
                    }
                }
                assert_eq!(loaded.record.size, 3 + 3 * value(n).len() as u64, "the size is that of the version");
                tokio::task::yield_now().await;
            }
        }
    })
    .await;
}
