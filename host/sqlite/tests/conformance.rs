//! The conformance suite on SQLite: one handle, two that take turns, and two of which one has most calls.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use lemon_session_sqlite::Sqlite;
use lemon_session_store::{
    Change, CreateOutcome, DestroyCondition, Digest, Inspect, LoadOutcome, Record, Result, Schema, StorageOptions,
    Store, Transfer, UpdateOutcome, Writes,
    conformance::{CALLS, Subject, failures},
};
use tempfile::TempDir;

/// `HANDLES` handles on a new file, and the folder that it is in.
async fn open<const HANDLES: usize>(synchronous: &str) -> ([Arc<dyn Store>; HANDLES], TempDir) {
    let folder = TempDir::new().expect("a temporary folder");
    let url = format!("sqlite:{}", folder.path().join("sessions.db").display());
    let options = [("synchronous".to_owned(), synchronous.to_owned())].into();
    let options = StorageOptions { url, options, ..StorageOptions::default() };
    let mut handles = Vec::new();
    for _ in 0..HANDLES {
        handles.push(Sqlite::open(options.clone()).await.expect("the store opens"));
    }
    (handles.try_into().unwrap_or_else(|_| unreachable!("they were counted")), folder)
}

/// Two handles that take turns, as two processes do.
async fn sqlite() -> Subject {
    let ([first, second], folder) = open("NORMAL").await;
    Subject::new(first).and(second).keeping(folder)
}

/// One handle.
async fn sqlite_alone() -> Subject {
    let ([only], folder) = open("NORMAL").await;
    Subject::new(only).keeping(folder)
}

/// A handle with nine of ten calls, and another one with the rest.
async fn sqlite_skewed() -> Subject {
    let (handles, folder) = open("NORMAL").await;
    Subject::new(Arc::new(Skewed { handles, calls: AtomicUsize::new(0) })).keeping(folder)
}

async fn sqlite_full() -> Subject {
    let ([first, second], folder) = open("FULL").await;
    Subject::new(first).and(second).keeping(folder)
}

/// Every tenth call goes to the second handle, all others to the first.
struct Skewed {
    handles: [Arc<dyn Store>; 2],
    calls: AtomicUsize,
}

impl Skewed {
    fn next(&self) -> &dyn Store {
        let is_tenth = self.calls.fetch_add(1, Ordering::Relaxed) % 10 == 9;
        &*self.handles[usize::from(is_tenth)]
    }
}

macro_rules! forward {
    ($(async fn $method:ident($($argument:ident: $type:ty),*) -> $answer:ty;)+) => {
        #[async_trait]
        impl Store for Skewed {
            fn summary(&self) -> String {
                self.next().summary()
            }

            $(async fn $method(&self, $($argument: $type),*) -> $answer {
                self.next().$method($($argument),*).await
            })+

            async fn close(&self) -> Result<()> {
                for handle in &self.handles {
                    handle.close().await?;
                }
                Ok(())
            }

            fn inspect(&self) -> Option<&dyn Inspect> {
                self.next().inspect()
            }

            fn transfer(&self) -> Option<&dyn Transfer> {
                self.next().transfer()
            }

            fn schema(&self) -> Option<&dyn Schema> {
                self.next().schema()
            }
        }
    };
}

forward! {
    async fn load(key: &Digest, app: &str, now: u64, inline_bytes: u32) -> Result<LoadOutcome>;
    async fn fetch(key: &Digest, app: &str, name: &str, now: u64) -> Result<Option<Vec<u8>>>;
    async fn create(key: &Digest, record: &Record, writes: &Writes) -> Result<CreateOutcome>;
    async fn update(key: &Digest, change: &Change, expected: Option<u64>, now: u64) -> Result<UpdateOutcome>;
    async fn destroy(key: &Digest, only: &DestroyCondition, now: u64, remember: u32) -> Result<bool>;
    async fn destroy_owned(owner: &str, except: Option<&Digest>, now: u64, remember: u32) -> Result<u64>;
    async fn cleanup(now: u64, limit: u32) -> Result<u32>;
}

lemon_session_store::conformance!(sqlite_driver, sqlite);
lemon_session_store::conformance!(sqlite_driver_alone, sqlite_alone);
lemon_session_store::conformance!(sqlite_driver_skewed, sqlite_skewed);
lemon_session_store::conformance!(durable_sqlite_driver, sqlite_full);

/// A store whose tables were made, and what a change to its file makes of the errors.
async fn failures_of_sqlite(change: impl FnOnce(&Path)) -> usize {
    let folder = TempDir::new().expect("a temporary folder");
    let file = folder.path().join("sessions.db");
    let options = StorageOptions::new(format!("sqlite:{}", file.display()));
    let store = Sqlite::open(options.clone()).await.expect("the store opens");
    store.schema().expect("schema").create_tables().await.expect("create_tables");
    assert_eq!(failures(&*store).await, 0, "a whole store answers");
    store.close().await.expect("close");
    change(&file);
    let store = Sqlite::open(options).await.expect("the store opens");
    failures(&*store).await
}

#[tokio::test]
async fn errors_of_sqlite_tell_no_secrets() {
    let failed = failures_of_sqlite(|file| std::fs::write(file, "hunter2".repeat(5_000)).expect("written")).await;
    assert_eq!(failed, CALLS, "it is no database");
    let run = |sql: &'static str| {
        move |file: &Path| rusqlite::Connection::open(file).expect("a database").execute_batch(sql).expect("changes")
    };
    for sql in [
        "DROP TABLE Session_variable",
        "ALTER TABLE Session DROP COLUMN rotated",
        "CREATE TRIGGER t BEFORE INSERT ON Session BEGIN SELECT RAISE(ABORT, 'no'); END",
        "UPDATE Session SET digest = x'ff'",
    ] {
        assert!(failures_of_sqlite(run(sql)).await > 0, "{sql} breaks something");
    }
}
