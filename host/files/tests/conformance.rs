//! The rules of the storage contract, with one handle and with two.

use std::{path::Path, sync::Arc};

use lemon_session_files::Files;
use lemon_session_store::{StorageOptions, Store, conformance::Subject};
use tempfile::TempDir;

async fn open<const HANDLES: usize>(fsync: &str) -> ([Arc<dyn Store>; HANDLES], TempDir) {
    // In memory, if the system has such a place: there are thousands of small files.
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() };
    let folder = folder.expect("a temporary folder");
    let options = StorageOptions::new(format!("files:{}?fsync={fsync}", folder.path().join("sessions").display()));
    let mut handles = Vec::new();
    for _ in 0..HANDLES {
        handles.push(Files::open(options.clone()).await.expect("the store opens"));
    }
    (handles.try_into().unwrap_or_else(|_| unreachable!("they were counted")), folder)
}

/// Two handles that take turns, as two processes do.
async fn files() -> Subject {
    let ([first, second], folder) = open("off").await;
    Subject::new(first).and(second).keeping(folder)
}

/// One handle.
async fn files_alone() -> Subject {
    let ([only], folder) = open("off").await;
    Subject::new(only).keeping(folder)
}

lemon_session_store::conformance!(files_driver, files);
lemon_session_store::conformance!(files_driver_alone, files_alone);
