//! Stores for tests, in separate tables on the servers of this machine.

use std::{
    env,
    net::TcpStream,
    process,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    thread,
};

use lemon_session_host::store::{Error, StorageOptions, Store, TableName};
use tempfile::TempDir;
use tokio::runtime::Builder;

use crate::drivers;

/// The kinds of stores that hosts share.
pub const KINDS: [&str; 4] = ["sqlite", "mysql", "postgres", "redis"];

/// A store with tables that only this test uses. They are removed when the value is dropped.
pub struct Storage {
    /// Its URL.
    pub url: String,
    /// Its table.
    pub table: String,
    _folder: Option<TempDir>,
}

impl Storage {
    /// A store of a kind. Returns `None` with a warning if its server does not run, and fails in CI.
    pub fn new(kind: &str) -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        Self::named(kind, &format!("E2e_{}_{}", process::id(), NUMBER.fetch_add(1, Relaxed)))
    }

    /// The same with a table of this name.
    pub fn named(kind: &str, table: &str) -> Option<Self> {
        let table = table.to_owned();
        let (variable, default, database) = match kind {
            "sqlite" => {
                let folder = TempDir::with_prefix("lemon-session-").expect("there is room for a folder");
                let url = format!("sqlite:{}", folder.path().join("stored.db").display());
                return Some(Self { url, table, _folder: Some(folder) });
            }
            "mysql" => ("LEMON_TEST_MYSQL", "mysql://root@127.0.0.1:3306/", "test"),
            "postgres" => ("LEMON_TEST_POSTGRES", "postgres://postgres@127.0.0.1:5432/", "postgres"),
            "redis" => ("LEMON_TEST_REDIS", "redis://127.0.0.1:6379/", ""),
            kind => panic!("{kind} is not a kind of store"),
        };
        let url = env::var(variable).unwrap_or_else(|_| default.to_owned());
        let (scheme, rest) = url.split_once("//").expect("a URL");
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let address = authority.rsplit('@').next().unwrap_or(authority);
        if TcpStream::connect(address).is_err() {
            let line = "=".repeat(80);
            eprintln!("{line}\nSKIPPED: no server at {address} ({variable})\n{line}");
            assert!(env::var("CI").as_deref() != Ok("true"), "with CI=true every server has to be there");
            return None;
        }
        let database = if path.is_empty() { database } else { path };
        Some(Self { url: format!("{scheme}//{authority}/{database}"), table, _folder: None })
    }

    /// The flags that name it.
    pub fn flags(&self) -> [&str; 4] {
        ["--storage", &self.url, "--table", &self.table]
    }

    /// The store, opened.
    pub async fn open(&self) -> Arc<dyn Store> {
        open(&self.url, &self.table).await.expect("the store opens")
    }
}

async fn open(url: &str, table: &str) -> Result<Arc<dyn Store>, Error> {
    let table = TableName::new(table).expect("a table's name");
    drivers().open(StorageOptions { table, ..StorageOptions::new(url) }).await
}

impl Drop for Storage {
    fn drop(&mut self) {
        let (url, table) = (self.url.clone(), self.table.clone());
        let dropped = thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime can be started");
            runtime.block_on(async { open(&url, &table).await?.try_schema()?.drop_tables().await })
        });
        let dropped = dropped.join().expect("no panic");
        if !thread::panicking() {
            dropped.expect("the tables can be dropped");
        }
    }
}
