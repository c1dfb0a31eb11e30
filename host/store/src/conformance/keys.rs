//! Races for one key.

use super::{
    APP, HOUR, Outcome, Subject, key, pairs, put,
    races::{ROUNDS, race},
    renaming_to,
};
use crate::{Change, CreateOutcome, DestroyCondition, LoadOutcome, Record, Snapshot, UpdateOutcome};

impl Subject {
    /// Has a key end that is forgotten at `self.now`: from then on it is free, and a store may have to remove what is left of
    /// it.
    async fn forget(&self, name: &str) {
        let record = Record { created: self.now - 20, accessed: self.now - 20, ..self.record() };
        self.create_as(&key(name), &record, &[put("x", b"forgotten")]).await;
        assert!(self.driver.destroy(&key(name), &DestroyCondition::Any, self.now - 20, 20).await.expect("destroy"));
    }
}

pub async fn of_two_renames_to_one_key_exactly_one_wins(store: &Subject) {
    let now = store.now;
    for round in 0..ROUNDS {
        let old = move |number: usize| key(&format!("{round} {number}"));
        let to = key(&format!("{round} to"));
        if round % 2 == 0 {
            store.forget(&format!("{round} to")).await;
        }
        for number in 0..2 {
            store.create(&old(number), &[put("own", &[number as u8])]).await;
        }
        let answers = race(store, 2, |number, handle| async move {
            let change = Change { writes: [put("winner", &[number as u8])].into(), ..renaming_to(to, None) };
            handle.update(&old(number), &change, None, now).await.ok()
        })
        .await;
        let winner = match answers[..] {
            [Some(UpdateOutcome::Committed(2)), None] => 0_u8,
            [None, Some(UpdateOutcome::Committed(2))] => 1,
            _ => panic!("one is committed, and for the other one the key is taken: {answers:?}"),
        };
        let expected = pairs(&[("own", &[winner]), ("winner", &[winner])]);
        assert_eq!(store.variables(&to, APP, now).await, expected, "the key is the winner's");
        let loser = 1 - winner;
        assert_eq!(store.variables(&old(loser.into()), APP, now).await, pairs(&[("own", &[loser])]), "nothing changed");
        assert_eq!(store.load(&old(winner.into()), now).await, LoadOutcome::Ended);
        store.assert_count(now, 2 * (round as u64 + 1)).await;
    }
}

pub async fn of_a_create_and_a_rename_to_one_key_exactly_one_wins(store: &Subject) {
    let now = store.now;
    for round in 0..ROUNDS {
        let (old, to) = (key(&format!("{round} old")), key(&format!("{round} to")));
        if round % 4 < 2 {
            store.forget(&format!("{round} to")).await;
        }
        store.create(&old, &[put("x", b"renamed")]).await;
        let record = store.record();
        let won = race(store, 2, |number, handle| {
            let record = record.clone();
            async move {
                if number == round % 2 {
                    match handle.update(&old, &renaming_to(to, None), None, now).await {
                        Ok(answer) => assert_eq!(answer, UpdateOutcome::Committed(1)),
                        Err(_) => return false,
                    }
                    true
                } else {
                    let answer = handle.create(&to, &record, &[put("x", b"created")].into()).await.expect("create");
                    answer == CreateOutcome::Created
                }
            }
        })
        .await;
        let renamed = won[round % 2];
        assert_eq!(won[1 - round % 2], !renamed, "exactly one wins");
        let (held, sessions): (&[u8], _) = if renamed { (b"renamed", 1) } else { (b"created", 2) };
        assert_eq!(store.variables(&to, APP, now).await, pairs(&[("x", held)]), "the key is the winner's");
        if renamed {
            assert_eq!(store.load(&old, now).await, LoadOutcome::Ended);
        } else {
            assert_eq!(store.variables(&old, APP, now).await, pairs(&[("x", b"renamed")]), "nothing changed");
        }
        store.assert_count(now, sessions).await;
        for key in [&old, &to] {
            store.driver.destroy(key, &DestroyCondition::Any, now, 0).await.expect("destroy");
        }
    }
}

pub async fn import_racing_destroy_never_brings_back(store: &Subject) -> Result<(), Outcome> {
    store.transfer()?;
    let now = store.now;
    for round in 0..ROUNDS {
        // One that replaces the session is before its end or finds nothing; one that does not, is after it or finds it.
        let (k, over) = (key(&round.to_string()), (round % 2 == 0).then_some(1));
        let remember = if over.is_some() { HOUR as u32 } else { 0 };
        store.create(&k, &[put("x", b"1"), put("y", b"1")]).await;
        let record = Record { version: 7, ..store.record() };
        let snapshot = Snapshot { record, variables: [put("x", b"copy"), put("z", b"copy")].into() };
        let answers = race(store, 2, |number, handle| {
            let snapshot = snapshot.clone();
            async move {
                if number == round / 2 % 2 {
                    handle.transfer().expect("transfer").import(&k, &snapshot, over, now).await.expect("import")
                } else {
                    handle.destroy(&k, &DestroyCondition::Any, now, remember).await.expect("destroy")
                }
            }
        })
        .await;
        assert!(answers[1 - round / 2 % 2], "the session was live, and an import leaves it so");
        let imported = answers[round / 2 % 2];
        match store.load(&k, now).await {
            LoadOutcome::Found(loaded) => {
                assert!(imported && over.is_none(), "a session that was ended is not brought back");
                assert_eq!(loaded.record.version, 7);
                assert_eq!(store.variables(&k, APP, now).await, pairs(&[("x", b"copy"), ("z", b"copy")]));
            }
            LoadOutcome::Ended => assert!(over.is_some()),
            other => assert_eq!((other, imported, over), (LoadOutcome::Absent, false, None)),
        }
        store.driver.destroy(&k, &DestroyCondition::Any, now, 0).await.expect("destroy");
        store.assert_count(now, 0).await;
    }
    Ok(())
}
