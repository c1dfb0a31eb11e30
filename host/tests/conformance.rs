//! The driver conformance suite on the drivers of this crate.

use std::sync::Arc;

use lemon_session_host::{
    conformance::Store,
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

lemon_session_host::conformance!(memory_driver, memory);
lemon_session_host::conformance!(sqlite_driver, sqlite);
lemon_session_host::conformance!(durable_sqlite_driver, sqlite_full);
