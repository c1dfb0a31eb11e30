//! The driver conformance suite on the drivers of this crate.

mod broken;

use std::{path::Path, sync::Arc};

use lemon_session_host::{
    conformance::{CALLS, Store, failures},
    driver::{Driver, Registry, StorageOptions, memory::Memory},
};
use tempfile::TempDir;

async fn memory() -> Store {
    Store::new(Arc::new(Memory::new())).without_tables()
}

async fn sqlite_with(synchronous: &str) -> Store {
    let folder = TempDir::new().expect("a temporary folder");
    let url = format!("sqlite:{}", folder.path().join("sessions.db").display());
    let options = [("synchronous".to_owned(), synchronous.to_owned())].into();
    let options = StorageOptions { url, options, ..StorageOptions::default() };
    let open =
        async || -> Arc<dyn Driver> { Registry::builtin().open(options.clone()).await.expect("the store opens") };
    Store::new(open().await).and(open().await).keeping(folder)
}

async fn sqlite() -> Store {
    sqlite_with("NORMAL").await
}

async fn sqlite_full() -> Store {
    sqlite_with("FULL").await
}

lemon_session_host::conformance!(
    memory_driver,
    memory,
    not_applicable: [operations_without_tables_say_that_they_are_missing]
);
lemon_session_host::conformance!(sqlite_driver, sqlite);
lemon_session_host::conformance!(durable_sqlite_driver, sqlite_full);

/// A store whose tables were made, and what a change to its file makes of the errors.
async fn failures_of_sqlite(change: impl FnOnce(&Path)) -> usize {
    let folder = TempDir::new().expect("a temporary folder");
    let file = folder.path().join("sessions.db");
    let options = StorageOptions::new(format!("sqlite:{}", file.display()));
    let store = Registry::builtin().open(options.clone()).await.expect("the store opens");
    store.create_tables().await.expect("create_tables");
    assert_eq!(failures(&*store).await, 0, "a whole store answers");
    store.close().await.expect("close");
    change(&file);
    let store = Registry::builtin().open(options).await.expect("the store opens");
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
        "ALTER TABLE Session DROP COLUMN renewed",
        "CREATE TRIGGER t BEFORE INSERT ON Session BEGIN SELECT RAISE(ABORT, 'no'); END",
        "UPDATE Session SET key = x'ff'",
    ] {
        assert!(failures_of_sqlite(run(sql)).await > 0, "{sql} breaks something");
    }
}
