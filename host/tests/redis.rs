//! The drivers of Redis and Redis Cluster on real servers.
//!
//! The suite runs on the server that `LEMON_TEST_REDIS` names (redis://127.0.0.1:6379/), in a table of its own for each
//! rule, and on a cluster of three masters that is started here. The faults have servers of their own.
#![cfg(feature = "redis")]

mod servers;

use std::{
    net::TcpListener,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use lemon_session_host::{
    conformance::Store,
    driver::{
        Change, CreateOutcome, Driver, Error, Grace, Key, LoadOutcome, Record, Registry, Rename, StorageOptions,
        Stored, TableName, UpdateOutcome, Write,
    },
};
use servers::{RedisCluster, RedisServer, can_start, skip, wait_for};

const APP: &str = "shop";

async fn try_open(url: &str, table: &TableName, options: &[(&str, &str)]) -> Result<Arc<dyn Driver>, Error> {
    let options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Registry::builtin().open(StorageOptions { url: url.to_owned(), table: table.clone(), options }).await
}

async fn open(url: &str, table: &TableName) -> Arc<dyn Driver> {
    try_open(url, table, &[]).await.expect("the store opens")
}

/// A table nobody else uses.
fn own_table() -> TableName {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    TableName::new(&format!("Test_{}_{number}_{:x}", std::process::id(), now())).expect("a table name")
}

fn now() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().expect("a clock").as_secs()
}

/// The server that tests share, or none.
async fn shared_server() -> Option<String> {
    static URL: LazyLock<String> =
        LazyLock::new(|| std::env::var("LEMON_TEST_REDIS").unwrap_or_else(|_| "redis://127.0.0.1:6379/".to_owned()));
    static ANSWERS: tokio::sync::OnceCell<bool> = tokio::sync::OnceCell::const_new();
    let answers = ANSWERS.get_or_init(|| async {
        match try_open(&URL, &own_table(), &[]).await {
            Ok(_) => true,
            Err(error) => {
                skip(&format!("the server LEMON_TEST_REDIS does not answer ({error})"));
                false
            }
        }
    });
    answers.await.then(|| URL.clone())
}

/// The cluster that tests share, or none.
fn shared_cluster() -> Option<&'static RedisCluster> {
    static CLUSTER: LazyLock<Option<RedisCluster>> = LazyLock::new(|| can_start().then(|| RedisCluster::start(false)));
    CLUSTER.as_ref()
}

async fn store(url: &str) -> Store {
    let table = own_table();
    Store::new(open(url, &table).await).and(open(url, &table).await).expiring_by_itself()
}

async fn single_server() -> Option<Store> {
    Some(store(&shared_server().await?).await)
}

async fn cluster() -> Option<Store> {
    Some(store(&shared_cluster()?.url()).await)
}

lemon_session_host::conformance!(on_a_single_server, single_server);
lemon_session_host::conformance!(on_a_cluster, cluster);
