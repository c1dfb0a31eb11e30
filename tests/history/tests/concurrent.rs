//! Clients on threads of their own, on the store in memory and on SQLite: every history is one that the contract allows.

use std::{
    cell::RefCell,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
    thread,
    time::Instant,
};

use lemon_session_history::{Changes, Direct, Failovers, Host, Id, Recorder, Request, Task, Verdict, check, visit};
use lemon_session_rules::Settings;
use lemon_session_sqlite::Sqlite;
use lemon_session_store::{StorageOptions, Store, memory::Memory};
use tempfile::TempDir;
use tokio::runtime::{Handle, Runtime};

const CLIENTS: usize = 4;

/// Has the clients of one visitor do this many requests each, all at once, and checks what they saw. They take turns in choosing a
/// store.
fn race(runtime: &Handle, stores: &[Arc<dyn Store>], requests: usize, seed: u64) -> Verdict {
    let recorder = Recorder::default();
    let cookie: Mutex<Option<Id>> = Mutex::default();
    let value = AtomicI64::new(0);
    let begun = Instant::now();
    let settings = Settings { max_lifetime: 0, cleanup: 0.0, ..Settings::default() };
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (store, settings) = (Arc::clone(&stores[client % stores.len()]), settings.clone());
            let (recorder, cookie, value) = (&recorder, &cookie, &value);
            scope.spawn(move || {
                let random = RefCell::new(fastrand::Rng::with_seed(seed + client as u64));
                let wire = Direct { store, runtime: runtime.clone(), begun, settings, random };
                let host = Host::new(wire, client, client);
                let mut random = fastrand::Rng::with_seed(!(seed + client as u64));
                for _ in 0..requests {
                    let id = cookie.lock().unwrap().clone();
                    let (strict, task) = (random.u32(..10) == 0, task(&mut random, client, value));
                    let after = visit(&host, recorder, &Request { id: id.clone(), strict, cleanup: 0.0, task });
                    if after.is_some() && after != id {
                        *cookie.lock().unwrap() = after;
                    }
                }
            });
        }
    });
    check(&recorder.take(), Failovers::KeepEverything)
}

fn task(random: &mut fastrand::Rng, client: usize, value: &AtomicI64) -> Task {
    let mut changes = Changes::default();
    let set = |changes: &mut Changes, name: &str| {
        _ = changes.sets.insert(name.into(), 1 + value.fetch_add(1, Relaxed));
    };
    match random.u32(..100) {
        0..2 => return Task::Destroy,
        2..4 => return Task::DestroyOwned("ann".into()),
        4..6 => return Task::DestroyOthers,
        6..12 => {
            changes.owner = Some(Some(if random.bool() { "ann" } else { "bob" }.into()));
            changes.regenerate = random.bool();
        }
        12..14 => changes.clear = true,
        14..50 => _ = changes.adds.insert("sum".into(), 1),
        50..70 => {
            set(&mut changes, "x");
            set(&mut changes, "y");
        }
        _ => set(&mut changes, ["a", "b", "c", "d"][client]),
    }
    Task::Save(changes)
}

fn runtime() -> Runtime {
    Runtime::new().expect("a runtime")
}

#[test]
fn concurrent_clients_on_the_memory_store_see_what_the_contract_allows() {
    let runtime = runtime();
    for seed in 0..20 {
        let sessions = race(runtime.handle(), &[Arc::new(Memory::new())], 100, seed).assert_allowed();
        assert!(sessions > 3, "{sessions} sessions");
    }
}

/// Two stores on one file, as two processes have it.
#[test]
fn concurrent_clients_on_one_file_of_sqlite_see_what_the_contract_allows() {
    let runtime = runtime();
    for seed in 0..10 {
        let folder = TempDir::with_prefix("lemon-session-history-").expect("a folder");
        let url = format!("sqlite:{}", folder.path().join("sessions.db").display());
        let open = || runtime.block_on(Sqlite::open(StorageOptions::new(&url))).expect("the file opens");
        let stores = [open(), open()];
        runtime.block_on(stores[0].set_up()).expect("tables");
        let sessions = race(runtime.handle(), &stores, 100, seed).assert_allowed();
        assert!(sessions > 3, "{sessions} sessions");
        stores.iter().for_each(|store| runtime.block_on(store.close()).expect("close"));
    }
}
