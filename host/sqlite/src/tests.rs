//! Tests that need the driver's internals: the writer, and the file.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use lemon_session_store::{Grace, Rotation, Write};
use rusqlite::Connection;

use super::{
    changes::{Changed, Changes},
    *,
};

const NOW: u64 = 1000;

fn open(file: &Path, options: &[(&str, &str)]) -> Arc<Sqlite> {
    let options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let url = format!("sqlite:{}", file.display());
    Arc::new(Sqlite::new(&StorageOptions { url, options, ..StorageOptions::default() }).expect("a store"))
}

/// A store in a new file.
async fn store_with(options: &[(&str, &str)]) -> (tempfile::TempDir, PathBuf, Arc<Sqlite>) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("sessions.db");
    let store = open(&file, options);
    store.create_tables().await.expect("tables");
    (folder, file, store)
}

async fn store() -> (tempfile::TempDir, PathBuf, Arc<Sqlite>) {
    store_with(&[]).await
}

fn record(owner: Option<&str>) -> Record {
    let owner = owner.map(str::to_owned);
    Record {
        created: NOW,
        accessed: NOW,
        expires: NOW + 100,
        absolute_expiry: None,
        rotated: NOW,
        owner,
        version: 1,
        size: 0,
    }
}

async fn create(store: &Sqlite, key: &Digest) {
    assert_eq!(store.create(key, &record(None), &Writes::default()).await.expect("create"), CreateOutcome::Created);
}

fn write(app: &str, name: &str, value: Option<Vec<u8>>) -> Write {
    Write { app: app.to_owned(), name: name.to_owned(), value }
}

/// Sets a variable to a value of `bytes` bytes, in a session that holds at most 100.
fn setting(name: &str, bytes: usize) -> Change {
    Change { writes: [write("shop", name, Some(vec![0; bytes]))].into(), max_size: 100, ..Change::default() }
}

fn renaming(to: Digest, grace: Option<Grace>) -> Change {
    Change { rotation: Some(Rotation { to, grace }), max_size: u64::MAX, ..Change::default() }
}

async fn load(store: &Sqlite, key: &Digest) -> LoadOutcome {
    store.load(key, "shop", NOW, 100).await.expect("load")
}

#[tokio::test]
async fn changes_of_one_session_in_one_transaction_see_each_other() {
    let (_folder, _, store) = store().await;
    let [key, new] = ["a", "new"].map(Digest::of);
    create(&store, &key).await;
    let update = async |key, change, expected| store.update(key, &change, expected, NOW).await.expect("an answer");
    let outcomes = futures::join!(
        update(&key, setting("x", 50), Some(1)),
        update(&key, setting("x", 98), None),
        update(&key, setting("y", 1), None),
        update(&key, setting("x", 9), Some(2)),
        update(&key, setting("x", 10), None),
        update(&key, renaming(new, None), Some(4)),
        update(&key, setting("x", 1), None),
        update(&new, setting("z", 20), None),
    );
    let expected = (
        UpdateOutcome::Committed(2),
        UpdateOutcome::Committed(3),
        UpdateOutcome::TooLarge(101),
        UpdateOutcome::Conflict(3),
        UpdateOutcome::Committed(4),
        UpdateOutcome::Committed(4),
        UpdateOutcome::Gone,
        UpdateOutcome::Committed(5),
    );
    assert_eq!(outcomes, expected);
    let snapshot = store.export(&new, NOW).await.expect("an answer").expect("it is there");
    assert_eq!(snapshot.record.size, 11 + 21);
    let destroy = async || store.destroy(&new, &DestroyCondition::Any, NOW, 0).await.expect("an answer");
    let outcomes = futures::join!(update(&new, setting("x", 1), None), destroy(), update(&new, setting("x", 2), None));
    assert_eq!(outcomes, (UpdateOutcome::Committed(6), true, UpdateOutcome::Gone));
}

/// Whether another process can write.
fn is_free(file: &Path) -> bool {
    let connection = Connection::open(file).expect("the database");
    connection.busy_timeout(Duration::ZERO).expect("a setting");
    connection.execute_batch("BEGIN IMMEDIATE; ROLLBACK").is_ok()
}

#[tokio::test]
async fn change_that_panics_fails_alone_and_leaves_no_transaction_open() {
    for synchronous in ["NORMAL", "FULL"] {
        let (_folder, file, store) = store_with(&[("synchronous", synchronous)]).await;
        let key = Digest::of("a");
        create(&store, &key).await;
        let panicking = async || {
            let half_done = move |changes: Changes<'_>| -> Changed<()> {
                changes.destroy(&key, &DestroyCondition::Any, NOW, 100)?.expect("it is there");
                panic!("injected by a test")
            };
            store.writer.write(half_done).await
        };
        let update = async |name| store.update(&key, &setting(name, 1), None, NOW).await.expect("update");
        let (x, panicked, y) = futures::join!(update("x"), panicking(), update("y"));
        assert_eq!((x, y), (UpdateOutcome::Committed(2), UpdateOutcome::Committed(3)), "those beside it");
        let error = panicked.expect_err("it panicked");
        assert!(error.to_string().contains("panicked"), "{error}");
        assert!(is_free(&file), "{synchronous}: other processes can write");
        panicking().await.expect_err("it panicked");
        assert!(is_free(&file), "{synchronous}: other processes can write");
        assert_eq!(update("z").await, UpdateOutcome::Committed(4), "the session was not destroyed");
        assert_eq!(store.describe(&key, NOW).await.expect("describe").expect("it is there").1.len(), 3);
    }
}

// A change that was made, and undone because of another one, waits for its turn again: it is not answered as if it were stored.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn change_that_was_undone_is_answered_when_it_is_stored() {
    for round in 0..5 {
        let (_folder, file, store) = store().await;
        let key = Digest::of("a");
        create(&store, &key).await;
        let is_first = AtomicBool::new(true);
        let other_process = file.clone();
        let panicking = store.writer.write(move |_: Changes<'_>| -> Changed<()> {
            if is_first.swap(false, Ordering::SeqCst) {
                // Another process takes the database as soon as this transaction is undone.
                let connection = Connection::open(&other_process).expect("the database");
                connection.busy_timeout(Duration::ZERO).expect("a setting");
                std::thread::spawn(move || {
                    while connection.execute_batch("BEGIN IMMEDIATE").is_err() {}
                    std::thread::sleep(Duration::from_millis(50));
                    connection.execute_batch("ROLLBACK").expect("the lock is given back");
                });
            }
            panic!("injected by a test")
        });
        let saving = async {
            let saved = store.update(&key, &setting("x", 1), None, NOW).await.expect("update");
            assert_eq!(saved, UpdateOutcome::Committed(2));
            let stored = open(&file, &[]).export(&key, NOW).await.expect("export").expect("it is there");
            assert_eq!(stored.variables.len(), 1, "round {round}: what was answered is stored");
        };
        let ((), panicked) = futures::join!(saving, panicking);
        panicked.expect_err("it panicked");
    }
}

/// Callers that save one session all at once, each on the version that it read, and again when another one was first.
/// Returns how often in a row a save was overtaken at most.
async fn race(store: &Arc<Sqlite>, callers: usize, saves: u32) -> u32 {
    let key = Digest::of("a");
    create(store, &key).await;
    let caller = || {
        let store = Arc::clone(store);
        tokio::spawn(async move {
            let mut most = 0;
            for _ in 0..saves {
                let mut overtaken = 0;
                loop {
                    let LoadOutcome::Found(loaded) = load(&store, &key).await else { panic!("it is there") };
                    let expected = Some(loaded.record.version);
                    match store.update(&key, &setting("x", 1), expected, NOW).await.expect("update") {
                        UpdateOutcome::Committed(_) => break,
                        _ => overtaken += 1,
                    }
                }
                most = most.max(overtaken);
            }
            most
        })
    };
    let callers: Vec<_> = (0..callers).map(|_| caller()).collect();
    futures::future::join_all(callers).await.into_iter().map(|most| most.expect("no panic")).max().unwrap_or_default()
}

// The rules repeat an addition a thousand times at most.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn saves_that_overtake_each_other_all_get_through() {
    let (_folder, _, store) = store().await;
    let most = race(&store, 32, 200).await;
    assert!(most < 1000, "a save was overtaken {most} times in a row");
}

/// Adds live sessions with a variable each.
fn fill(store: &Sqlite, owner: &str, sessions: u32) {
    let connection = store.options.connect_to_write().expect("the database");
    let sessions = format!(
        r#"BEGIN;
        WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {sessions})
        INSERT INTO "Session" (digest, created, accessed, expires, rotated, owner, version, size)
            SELECT randomblob(32), {NOW}, {NOW}, {NOW} + 100, {NOW}, '{owner}', 1, 101 FROM n;
        INSERT INTO "Session_variable" (session, app, name, value)
            SELECT id, 'shop', 'x', randomblob(100) FROM "Session" WHERE owner = '{owner}';
        COMMIT"#
    );
    connection.execute_batch(&sessions).expect("sessions");
}

/// Saves until a task is done; returns the longest that a save took, and how long all of it did.
async fn save_meanwhile<T>(store: &Sqlite, key: &Digest, task: &JoinHandle<T>) -> (Duration, Duration) {
    let (started, mut longest) = (Instant::now(), Duration::ZERO);
    while !task.is_finished() {
        let save = Instant::now();
        store.update(key, &setting("x", 1), None, NOW).await.expect("update");
        longest = longest.max(save.elapsed());
    }
    (longest, started.elapsed())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn saves_go_on_while_all_sessions_of_an_owner_are_ended() {
    let (_folder, _, store) = store().await;
    let (saved, kept) = (Digest::of("a"), Digest::of("kept"));
    create(&store, &saved).await;
    fill(&store, "Ada", 20_000);
    fill(&store, "Bob", 10);
    store.create(&kept, &record(Some("Ada")), &Writes::default()).await.expect("create");
    let ending = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.destroy_owned("Ada", Some(&kept), NOW, 100).await }
    });
    let (longest, all) = save_meanwhile(&store, &saved, &ending).await;
    assert_eq!(ending.await.expect("no panic").expect("destroy_owned"), 20_000);
    assert!(longest < all / 8, "a save took {longest:?} of {all:?}");
    let left = store.list(NOW, Some("Ada"), None, 10).await.expect("list");
    assert_eq!(left.iter().map(|left| left.digest).collect::<Vec<_>>(), [kept]);
    assert_eq!(store.count(NOW).await.expect("count"), 12);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_session_escapes_its_end_by_a_new_key() {
    let (_folder, _, store) = store().await;
    fill(&store, "Ada", 3_000);
    let spared = Digest::of("spared");
    store.create(&spared, &record(Some("Ada")), &Writes::default()).await.expect("create");
    let sessions = store.list(NOW, Some("Ada"), None, u32::MAX).await.expect("list");
    let ending = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.destroy_owned("Ada", Some(&spared), NOW, 100).await }
    });
    while store.count(NOW).await.expect("count") > 3_000 {
        tokio::task::yield_now().await;
    }
    // One after the other gets a key that lies before or behind all others; so does the one that is spared.
    let (mut renamed, mut last) = (0, spared);
    for (number, session) in sessions.iter().rev().enumerate().filter(|(_, session)| session.digest != spared) {
        let mut new = session.digest.as_bytes().to_owned();
        new[0] = if number % 2 == 0 { 0 } else { 255 };
        let grace = (number % 3 == 0).then(|| Grace { until: NOW + 50, nonce: vec![1] });
        let outcome = store.update(&session.digest, &renaming(Digest::from(new), grace), None, NOW).await;
        renamed += u32::from(matches!(outcome, Ok(UpdateOutcome::Committed(_))));
        if number % 100 == 0 {
            let new = Digest::of(&number.to_string());
            let outcome = store.update(&last, &renaming(new, None), None, NOW).await.expect("update");
            assert_eq!(outcome, UpdateOutcome::Committed(1), "it is spared under each of its digests");
            last = new;
        }
    }
    assert_eq!(ending.await.expect("no panic").expect("destroy_owned"), 3_000);
    assert!(renamed > 0, "some were renamed before they ended");
    let left = store.list(NOW, Some("Ada"), None, 10).await.expect("list");
    assert_eq!(left.iter().map(|left| left.digest).collect::<Vec<_>>(), [last]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_of_an_owner_are_ended_though_the_caller_has_gone() {
    let (_folder, _, store) = store().await;
    fill(&store, "Ada", 1_000);
    let abandoned = tokio::time::timeout(Duration::from_millis(1), store.destroy_owned("Ada", None, NOW, 100));
    let _ = abandoned.await;
    let started = Instant::now();
    while store.count(NOW).await.expect("count") > 0 {
        assert!(started.elapsed() < Duration::from_secs(60), "all of them are ended");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A backup of what a store has now.
fn back_up(store: &Sqlite, to: &Path) {
    let connection = store.options.connect_to_write().expect("the database");
    connection.execute("VACUUM INTO ?1", [to.to_str()]).expect("a backup");
}

async fn value(store: &Sqlite, key: &Digest) -> Option<usize> {
    match load(store, key).await {
        LoadOutcome::Found(loaded) => Some(loaded.variables.len()),
        _ => None,
    }
}

#[tokio::test]
async fn file_that_was_replaced_is_opened_anew() {
    let (folder, file, store) = store().await;
    let (beside, backup) =
        (|suffix: &str| PathBuf::from(format!("{}{suffix}", file.display())), folder.path().join("backup"));
    let [old, new] = ["old", "new"].map(Digest::of);
    create(&store, &old).await;
    back_up(&store, &backup);
    store.update(&old, &setting("x", 1), None, NOW).await.expect("update");
    create(&store, &new).await;
    for _ in 0..3 {
        assert_eq!((value(&store, &old).await, value(&store, &new).await), (Some(1), Some(0)));
    }
    assert!(!store.options.file.check());

    // The log of the old file is left where it is, as by `mv backup sessions.db`.
    fs::rename(&backup, &file).expect("the backup is restored");
    assert!(store.options.file.check(), "it is noticed");
    assert!(!store.options.file.check(), "once");
    for _ in 0..3 {
        assert_eq!((value(&store, &old).await, value(&store, &new).await), (Some(0), None), "the backup is read");
    }
    assert_eq!(store.update(&old, &setting("y", 1), None, NOW).await.expect("update"), UpdateOutcome::Committed(2));
    let other_process = open(&file, &[]);
    assert_eq!(value(&other_process, &old).await, Some(1), "it is written to");
    assert!(other_process.destroy(&old, &DestroyCondition::Any, NOW, 100).await.expect("destroy"));
    assert_eq!(load(&store, &old).await, LoadOutcome::Ended, "and others change it");
    let integrity = |connection: &Connection| connection.query_row("PRAGMA integrity_check", [], |row| row.get(0));
    let check: String = integrity(&Connection::open(&file).expect("the database")).expect("a check");
    assert_eq!(check, "ok");
    assert!(beside("-wal.replaced").exists(), "the log of the old file is kept");
    store.close().await.expect("closed");
    other_process.close().await.expect("closed");
    assert!(!beside("-wal").exists(), "the log of the new file is where it belongs");
    assert_eq!(load(&store, &old).await, LoadOutcome::Ended, "a store that was closed opens the file again");
}

#[tokio::test]
async fn file_that_was_removed_is_missing_until_it_is_there_again() {
    let (folder, file, store) = store().await;
    let (backup, key) = (folder.path().join("backup"), Digest::of("a"));
    create(&store, &key).await;
    back_up(&store, &backup);
    store.update(&key, &setting("x", 1), None, NOW).await.expect("update");
    for _ in 0..3 {
        assert_eq!(value(&store, &key).await, Some(1));
    }
    for suffix in ["", "-wal", "-shm"] {
        fs::remove_file(format!("{}{suffix}", file.display())).expect("it is there");
    }
    assert!(store.options.file.check(), "it is noticed");
    for error in
        [store.load(&key, "shop", NOW, 0).await.err(), store.update(&key, &setting("x", 1), None, NOW).await.err()]
    {
        assert!(error.is_some_and(|error| error.is_missing_tables()), "nothing is kept in a file that is gone");
    }
    assert!(!file.exists(), "no file is made up");
    fs::rename(&backup, &file).expect("the backup is restored");
    assert_eq!(value(&store, &key).await, Some(0));
    assert_eq!(store.update(&key, &setting("x", 1), None, NOW).await.expect("update"), UpdateOutcome::Committed(2));
}

#[tokio::test]
async fn two_stores_on_a_file_that_is_replaced_leave_each_other_s_log_alone() {
    let (folder, file, first) = store().await;
    let (second, backup, key) = (open(&file, &[]), folder.path().join("backup"), Digest::of("a"));
    create(&first, &key).await;
    back_up(&first, &backup);
    assert_eq!(second.update(&key, &setting("x", 1), None, NOW).await.expect("update"), UpdateOutcome::Committed(2));
    fs::rename(&backup, &file).expect("the backup is restored");
    assert!(first.options.file.check());
    assert_eq!(first.update(&key, &setting("y", 1), None, NOW).await.expect("update"), UpdateOutcome::Committed(2));
    assert!(second.options.file.check());
    assert_eq!(second.update(&key, &setting("z", 1), None, NOW).await.expect("update"), UpdateOutcome::Committed(3));
    assert_eq!((value(&first, &key).await, value(&second, &key).await), (Some(2), Some(2)));
}
