//! What calls cost with few and many sessions:
//! `cargo test --release -p lemon-session-files --test measure -- --ignored --nocapture`.

use std::time::Instant;

use lemon_session_files::Files;
use lemon_session_store::{
    Change, CreateOutcome, Digest, LoadOutcome, Record, StorageOptions, Store, UpdateOutcome, Write, Writes,
};
use tempfile::TempDir;

const NOW: u64 = 1_800_000_000;
/// Of each kind of call.
const CALLS: u64 = 3_000;

fn digest(number: u64) -> Digest {
    Digest::of(&number.to_string())
}

fn writes(number: u64) -> Writes {
    let value = Some(number.to_be_bytes().repeat(25));
    Writes::from([Write { app: "shop".to_owned(), name: "x".to_owned(), value }])
}

async fn create(store: &dyn Store, number: u64) {
    let owner = number.is_multiple_of(1000).then(|| "Ada".to_owned());
    let expires = NOW + 1440 + number % 1440;
    let record = Record {
        created: NOW,
        accessed: NOW,
        expires,
        absolute_expiry: None,
        rotated: NOW,
        owner,
        version: 0,
        size: 0,
    };
    let created = store.create(&digest(number), &record, &writes(number)).await.expect("create");
    assert_eq!(created, CreateOutcome::Created);
}

async fn load(store: &dyn Store, number: u64) {
    let loaded = store.load(&digest(number), "shop", NOW, u32::MAX).await.expect("load");
    assert!(matches!(loaded, LoadOutcome::Found(_)));
}

async fn update(store: &dyn Store, number: u64) {
    let change = Change { writes: writes(number + 1), max_size: u64::MAX, ..Change::default() };
    let updated = store.update(&digest(number), &change, None, NOW).await.expect("update");
    assert!(matches!(updated, UpdateOutcome::Committed(_)), "{updated:?}");
}

/// The time of one call, in microseconds.
async fn time(calls: u64, mut call: impl AsyncFnMut(u64)) -> f64 {
    let started = Instant::now();
    for number in 0..calls {
        call(number).await;
    }
    started.elapsed().as_secs_f64() * 1e6 / calls as f64
}

async fn measure(store: &dyn Store, sessions: u64) {
    store.set_up().await.expect("create_tables");
    let first = time(sessions - CALLS.min(sessions / 2), async |number| create(store, number).await).await;
    let last = sessions - CALLS.min(sessions / 2);
    let created = time(sessions - last, async |number| create(store, last + number).await).await;
    // Spread over all sessions.
    let some = |number: u64| number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % sessions;
    let loaded = time(CALLS, async |number| load(store, some(number)).await).await;
    let updated = time(CALLS, async |number| update(store, some(number)).await).await;
    let inspect = store.try_inspect().expect("inspect");
    let started = Instant::now();
    let listed = inspect.list(NOW, Some("Ada"), None, u32::MAX).await.expect("list").len() as u64;
    let of_owner = started.elapsed().as_secs_f64() * 1e6 / listed as f64;
    let started = Instant::now();
    assert_eq!(inspect.count(NOW).await.expect("count"), sessions);
    let counted = started.elapsed();
    let started = Instant::now();
    assert_eq!(store.cleanup(NOW, 100).await.expect("cleanup"), 0);
    let nothing = started.elapsed();
    let started = Instant::now();
    let removed = store.cleanup(NOW + 10_000, 500).await.expect("cleanup");
    let cleaned = started.elapsed().as_secs_f64() * 1e6 / f64::from(removed);
    println!(
        "{sessions:7} sessions, µs: create {first:.0} and then {created:.0}, load {loaded:.0}, update {updated:.0}, \
         each of the list of an owner {of_owner:.0}, each of a cleanup {cleaned:.0}; \
         a cleanup of nothing {nothing:?}, a count {counted:?}"
    );
}

#[tokio::test]
#[ignore = "measures"]
async fn measure_few_and_many_sessions() {
    for sessions in [1_000, 100_000] {
        let folder = TempDir::new().expect("a temporary folder");
        let options = StorageOptions::new(format!("files:{}", folder.path().join("sessions").display()));
        let store = Files::open(options).await.expect("the store opens");
        measure(&*store, sessions).await;
    }
}
