//! Stores on the servers that `LEMON_TEST_MYSQL`, `LEMON_TEST_POSTGRES` and `LEMON_TEST_REDIS` name, or those on the standard ports of
//! this machine.

use std::{
    env,
    future::Future,
    process,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
};

use lemon_session_store::{Registry, Result, StorageOptions, Store, TableName};
use tokio::runtime::Runtime;

/// What the connections to servers run on.
pub static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));

pub fn wait_for<T>(call: impl Future<Output = T>) -> T {
    RUNTIME.block_on(call)
}

/// Where sessions are stored: a URL, and the name of the tables.
#[derive(Clone)]
pub struct Place {
    pub url: String,
    pub table: String,
}

impl Place {
    pub fn open(&self) -> Result<Arc<dyn Store>> {
        let mut registry = Registry::new();
        for schemes in [
            &lemon_session_mysql::SCHEMES[..],
            &lemon_session_postgres::SCHEMES,
            &lemon_session_redis::SCHEMES,
            &lemon_session_sqlite::SCHEMES,
        ] {
            registry.register(schemes).expect("no scheme twice");
        }
        let table = TableName::new(&self.table).expect("a table name");
        wait_for(registry.open(StorageOptions { table, ..StorageOptions::new(&self.url) }))
    }
}

/// A place on each server that answers, with tables of its own, and a store there.
pub fn places() -> Vec<(Place, Arc<dyn Store>)> {
    let servers = [
        ("LEMON_TEST_MYSQL", "mysql://root@127.0.0.1:3306/test"),
        ("LEMON_TEST_POSTGRES", "postgres://postgres@127.0.0.1:5432/postgres"),
        ("LEMON_TEST_REDIS", "redis://127.0.0.1:6379/"),
    ];
    let open = |(variable, standard): (&str, &str)| {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let table = format!("History_{}_{}", process::id(), NUMBER.fetch_add(1, Relaxed));
        let mut url = env::var(variable).unwrap_or_else(|_| standard.to_owned());
        // The variable may name no database.
        if url.starts_with("mysql") && url.trim_end_matches('/').matches('/').count() == 2 {
            url = format!("{}/test", url.trim_end_matches('/'));
        }
        let place = Place { url, table };
        match place.open() {
            Ok(store) => Some((place, store)),
            Err(error) => {
                eprintln!("SKIPPED: the server {variable} does not answer ({error})");
                assert!(env::var("CI").as_deref() != Ok("true"), "with CI=true every server is needed");
                None
            }
        }
    };
    let places = servers.into_iter().filter_map(open);
    places.inspect(|(_, store)| wait_for(store.set_up()).expect("tables")).collect()
}
