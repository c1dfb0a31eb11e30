//! All of a change or nothing: for those who look at it meanwhile, and when its caller gives up.

use std::{
    future::Future,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use super::{APP, HOUR, Subject, change, key, put, put_in, races::race, renaming_to, writing};
use crate::{
    Change, DestroyCondition, Digest, Grace, Lifetime, LoadOutcome, Record, Snapshot, Stored, UpdateOutcome, Variable,
    Write, Writes,
};

/// How often an update changes everything there is.
const CHANGES: u64 = 25;

pub async fn load_sees_all_of_an_update_of_everything_or_nothing(store: &Subject) {
    let names = |n: u64| key(&format!("{n} renamed"));
    let value = |n: u64| n.to_be_bytes().repeat(1 + 200 * (n as usize % 3));
    let absolute_expiry = store.now + 9 * HOUR;
    let record = Record { owner: Some("0".to_owned()), absolute_expiry: Some(absolute_expiry), ..store.record() };
    let writes = [put("a", &value(0)), put("b", &value(0)), put("of 0", b"")];
    store.create_as(&names(0), &record, &writes).await;
    let (now, done) = (store.now, Arc::new(AtomicBool::new(false)));
    race(store, 4, |number, handle| {
        let done = Arc::clone(&done);
        async move {
            if number == 0 {
                for n in 1..=CHANGES {
                    let change = Change {
                        clears: vec![APP.to_owned()],
                        owner: Some(Some(n.to_string())),
                        lifetime: Some(Lifetime {
                            expires: now + HOUR + n,
                            absolute_expiry: Some(absolute_expiry - n),
                        }),
                        writes: [put("a", &value(n)), put("b", &value(n)), put(&format!("of {n}"), b"")].into(),
                        ..renaming_to(names(n), Some(Grace { until: now + HOUR, nonce: b"n".to_vec() }))
                    };
                    let answer = handle.update(&names(n - 1), &change, Some(n), now + n).await.expect("update");
                    assert_eq!(answer, UpdateOutcome::Committed(n + 1));
                }
                done.store(true, Ordering::Relaxed);
            }
            while !done.load(Ordering::Relaxed) {
                let answer = handle.load(&names(0), APP, now, u32::MAX).await.expect("load");
                let LoadOutcome::Found(loaded) = answer else {
                    panic!("the first key leads to the session all the time, but load answers {answer:?}");
                };
                let (n, record) = (loaded.record.version - 1, loaded.record);
                let size = 2 * (1 + value(n).len()) + format!("of {n}").len();
                let expected = Record {
                    created: now,
                    accessed: now + n,
                    expires: now + HOUR + n,
                    absolute_expiry: Some(absolute_expiry - n),
                    rotated: now + n,
                    owner: Some(n.to_string()),
                    version: n + 1,
                    size: size as u64,
                };
                assert_eq!(record, expected, "the record is that of one version");
                let stored: Vec<_> = loaded.variables.into_iter().map(|held| (held.name, held.value)).collect();
                let of = |name: &str, value: Vec<u8>| (name.to_owned(), Stored::Inline(value));
                let expected = [of("a", value(n)), of("b", value(n)), of(&format!("of {n}"), Vec::new())];
                let sizes = [of_size("a", &value(n)), of_size("b", &value(n)), of_size(&format!("of {n}"), b"")];
                assert!(stored == expected || stored == sizes, "the variables are those of version {}", n + 1);
                tokio::task::yield_now().await;
            }
        }
    })
    .await;
}

fn of_size(name: &str, value: &[u8]) -> (String, Stored) {
    (name.to_owned(), Stored::Large(value.len() as u64))
}

/// Polls a call so often, and drops it if it is not ready by then.
async fn give_up<T>(call: impl Future<Output = T>, after: usize) {
    let mut call = pin!(call);
    for poll in 0..after {
        if futures::poll!(call.as_mut()).is_ready() {
            return;
        }
        // Early, and late.
        if after.is_multiple_of(2) || poll < 2 {
            tokio::task::yield_now().await;
        } else {
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
    }
}

impl Subject {
    /// All of a live session, as loads see it between which it did not change. It may end meanwhile.
    async fn whole(&self, key: &Digest) -> Option<Snapshot> {
        loop {
            let (mut record, mut writes) = (None, Vec::new());
            for app in [APP, "other", APP] {
                let answer = self.driver.load(key, app, self.now, u32::MAX).await.expect("load");
                let LoadOutcome::Found(loaded) = answer else { return None };
                if *record.get_or_insert_with(|| loaded.record.clone()) != loaded.record {
                    record = None;
                    break;
                }
                for Variable { name, value } in loaded.variables {
                    let value = match value {
                        Stored::Inline(value) => Some(value),
                        Stored::Large(_) => self.driver.fetch(key, app, &name, self.now).await.expect("fetch"),
                    };
                    writes.push(Write { app: app.to_owned(), name, value });
                }
            }
            if let Some(record) = record {
                return Some(Snapshot { record, variables: writes.into() });
            }
        }
    }

    /// A call that was given up leaves nothing behind that others would wait for: under one of these keys, the last one at the
    /// latest, there is a session that can be saved.
    async fn goes_on(&self, keys: &[Digest]) {
        let last = writing([put("last", b"1")]);
        for key in keys {
            let call = self.driver.update(key, &last, None, self.now);
            let answer = tokio::time::timeout(Duration::from_secs(20), call).await.expect("no lock is left behind");
            if matches!(answer.expect("update"), UpdateOutcome::Committed(_)) {
                return;
            }
        }
        panic!("the session can be saved");
    }
}

/// How often the calls of a rule are given up, each after one more poll.
const GIVEN_UP: usize = 24;

pub async fn update_that_is_given_up_is_whole_or_not_at_all(store: &Subject) {
    let variables = |value: &[u8]| [put("a", value), put("b", &value.repeat(20_000)), put_in("other", "c", value)];
    for n in 0..GIVEN_UP {
        let (old, new) = (key(&format!("{n} old")), key(&format!("{n} new")));
        store.create(&old, &variables(b"1")).await;
        let before = store.whole(&old).await;
        let renames = n % 4 >= 2;
        let change = Change {
            clears: vec!["other".to_owned()],
            writes: variables(b"2").into(),
            owner: Some(Some(n.to_string())),
            expires: Some(store.now + 2 * HOUR),
            rotation: renames.then(|| renaming_to(new, None).rotation).flatten(),
            ..change()
        };
        let size = before.as_ref().map_or(0, |before| before.record.size);
        let owner = Some(n.to_string());
        let record = Record { owner, expires: store.now + 2 * HOUR, version: 2, size, ..store.record() };
        let after = Some(Snapshot { record, variables: variables(b"2").into() });

        give_up(store.handle(n).update(&old, &change, None, store.now), n / 2).await;
        if renames {
            // Between the two looks it may still happen, once.
            let mut looks = 0;
            loop {
                let (by_new, by_old) = (store.whole(&new).await, store.whole(&old).await);
                let is_before = by_old == before && by_new.is_none();
                if is_before || (by_old.is_none() && by_new == after) {
                    break;
                }
                looks += 1;
                assert!(looks < 3, "exactly one of the keys has all of the session: {by_old:?}, {by_new:?}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        } else {
            let found = store.whole(&old).await;
            assert!(found == before || found == after, "the session is as before or as afterwards: {found:?}");
        }
        store.goes_on(&[old, new]).await;
    }
}

pub async fn create_that_is_given_up_is_whole_or_not_at_all(store: &Subject) {
    for n in 0..GIVEN_UP {
        let k = key(&n.to_string());
        let record = Record { owner: Some(n.to_string()), version: 1, size: 20_002, ..store.record() };
        let writes = Writes::from([put("a", b""), put("b", &[7; 20_000])]);
        let whole = Snapshot { record: record.clone(), variables: writes.clone() };
        let handle = store.handle(n);
        match handle.transfer() {
            Some(transfer) if n % 4 >= 2 => give_up(transfer.import(&k, &whole, None, store.now), n / 2).await,
            _ => give_up(handle.create(&k, &record, &writes), n / 2).await,
        }
        if let Some(found) = store.whole(&k).await {
            assert_eq!(found, whole, "all of it is there");
            store.goes_on(&[k]).await;
        }
        if let Some(inspect) = store.driver.inspect() {
            let listed = inspect.list(store.now, Some(&n.to_string()), None, 9).await.expect("list");
            let found = store.whole(&k).await;
            assert!(listed.len() <= usize::from(found.is_some()), "what is listed is there");
        }
    }
}

pub async fn end_that_is_given_up_is_whole_or_not_at_all(store: &Subject) {
    for n in 0..GIVEN_UP {
        let owner = n.to_string();
        let record = Record { owner: Some(owner.clone()), ..store.record() };
        let keys = [0, 1, 2].map(|session| key(&format!("{n} {session}")));
        for key in &keys {
            store.create_as(key, &record, &[put("a", b"1"), put("b", &[7; 20_000])]).await;
        }
        let whole = store.whole(&keys[0]).await;
        let handle = store.handle(n);
        if n % 4 < 2 {
            give_up(handle.destroy(&keys[1], &DestroyCondition::Any, store.now, HOUR as u32), n / 2).await;
        } else {
            give_up(handle.destroy_owned(&owner, Some(&keys[2]), store.now, HOUR as u32), n / 2).await;
        }
        for key in &keys {
            let found = store.whole(key).await;
            assert!(found == whole || found.is_none(), "a session is as before, or has ended: {found:?}");
            if found.is_none() {
                assert_eq!(store.load(key, store.now).await, LoadOutcome::Ended);
            }
        }
        store.goes_on(&keys[2..]).await;
        let ends = store.driver.destroy_owned(&owner, None, store.now, 0);
        tokio::time::timeout(Duration::from_secs(20), ends).await.expect("no lock is left behind").expect("an answer");
        for key in &keys {
            assert!(store.whole(key).await.is_none(), "all have ended");
        }
        store.assert_owned(store.now, &owner, &[]).await;
    }
}
