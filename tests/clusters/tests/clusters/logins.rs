//! Logins of one owner at the same moment, through several nodes: a maximum of sessions holds for all of them together.

use std::{sync::Arc, thread};

use lemon_session_store::{Change, Digest, Record, Store, UpdateOutcome, Writes};
use tokio::runtime::Handle;

const NOW: u64 = 2_000_000_000;
const ROUNDS: u8 = 10;
const LOGINS: u8 = 8;

/// Logs in eight times at once in each round, in turns through each store, where one to three sessions are allowed.
pub fn meet(runtime: &Handle, stores: &[Arc<dyn Store>; 2]) {
    for round in 0..ROUNDS {
        let (owner, most) = (format!("Ada {round}"), 1 + u32::from(round) % 3);
        for login in 0..LOGINS {
            let record = Record {
                created: NOW,
                accessed: NOW,
                expires: NOW + 3600,
                absolute_expiry: None,
                rotated: NOW,
                owner: None,
                version: 1,
                size: 0,
            };
            runtime.block_on(stores[0].create(&digest(round, login), &record, &Writes::default())).expect("create");
        }
        let answers: Vec<_> = thread::scope(|scope| {
            let log_in = |login: u8| {
                let (store, owner) = (&stores[usize::from(login % 2)], owner.clone());
                let change =
                    Change { owner: Some(Some(owner)), max_owned: Some(most), max_size: 1000, ..Change::default() };
                runtime.block_on(store.update(&digest(round, login), &change, None, NOW)).expect("update")
            };
            let threads: Vec<_> = (0..LOGINS).map(|login| scope.spawn(move || log_in(login))).collect();
            threads.into_iter().map(|thread| thread.join().expect("a login")).collect()
        });
        let committed = answers.iter().filter(|answer| matches!(answer, UpdateOutcome::Committed(_))).count();
        let refused = answers.iter().filter(|answer| **answer == UpdateOutcome::TooManyOwned(most.into())).count();
        assert_eq!((committed, refused), (most as usize, usize::from(LOGINS) - most as usize), "{answers:?}");
        let inspect = stores[1].inspect().expect("inspect");
        let listed = runtime.block_on(inspect.list(NOW, Some(&owner), None, 100)).expect("list");
        assert_eq!(listed.len(), most as usize, "{listed:?}");
    }
}

fn digest(round: u8, login: u8) -> Digest {
    let mut bytes = [0; 32];
    (bytes[0], bytes[1]) = (round, login);
    bytes.into()
}
