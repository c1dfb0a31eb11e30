//! The tests that drivers of SQL servers share: each rule is stated once, and checked on every kind of server.

mod calls;
mod foreign;
mod opening;
#[allow(dead_code, reason = "each test program uses a part of it")]
pub mod proxy;
mod restarts;
mod secrets;
#[allow(dead_code, reason = "each test program uses a part of it")]
pub mod servers;
mod waits;

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::SystemTime,
};

use lemon_session_store::{
    Change, CreateOutcome, Digest, Error, LoadOutcome, Loaded, Record, Registry, StorageOptions, Store, TableName,
    Write, Writes,
};
use proxy::Proxy;

pub use self::{calls::*, foreign::*, opening::*, restarts::*, secrets::*, waits::*};

const APP: &str = "shop";

pub async fn try_open(url: &str, table: &TableName, options: &[(&str, &str)]) -> Result<Arc<dyn Store>, Error> {
    let options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let mut registry = Registry::new();
    registry.register(&super::SCHEMES)?;
    registry.open(StorageOptions { url: url.to_owned(), table: table.clone(), options }).await
}

pub async fn open(url: &str, table: &TableName) -> Arc<dyn Store> {
    try_open(url, table, &[]).await.expect("the store opens")
}

/// A table that no other test uses.
pub fn own_table() -> TableName {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    TableName::new(&format!("Test_{:x}_{}_{number}", now(), std::process::id())).expect("a table name")
}

pub fn now() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().expect("a clock").as_secs()
}

/// Reports that tests are skipped because a server is missing. If `CI` is `true`, they fail instead.
pub fn skip(why: &str) {
    let line = "=".repeat(80);
    eprintln!("{line}\nSKIPPED: {why}\n{line}");
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{why}: with CI=true every server is needed");
}

/// The address in a URL, `127.0.0.1:5432`.
pub fn address(url: &str) -> String {
    let authority = url.split("//").nth(1).and_then(|rest| rest.split('/').next()).expect("a URL with a host");
    authority.rsplit('@').next().unwrap_or(authority).to_owned()
}

/// The URL with the address of the proxy.
pub fn through(url: &str, proxy: &Proxy) -> String {
    url.replacen(&address(url), &format!("127.0.0.1:{}", proxy.port), 1)
}

fn key(name: &str) -> Digest {
    Digest::of(name)
}

pub fn record() -> Record {
    let now = now();
    let expires = now + 3600;
    Record {
        created: now,
        accessed: now,
        expires,
        absolute_expiry: None,
        rotated: now,
        owner: None,
        version: 0,
        size: 0,
    }
}

pub fn write(name: &str, value: &[u8]) -> Write {
    Write { app: APP.to_owned(), name: name.to_owned(), value: Some(value.to_owned()) }
}

pub fn writing(writes: impl Into<Writes>) -> Change {
    Change { writes: writes.into(), max_size: u64::MAX, remember: 60, ..Change::default() }
}

async fn create(driver: &dyn Store, name: &str, writes: &[Write]) {
    let created = driver.create(&key(name), &record(), &writes.to_vec().into()).await.expect("create");
    assert_eq!(created, CreateOutcome::Created);
}

pub async fn found(driver: &dyn Store, name: &str) -> Loaded {
    match driver.load(&key(name), APP, now(), u32::MAX).await.expect("load") {
        LoadOutcome::Found(loaded) => loaded,
        other => panic!("the session is live, but load answers {other:?}"),
    }
}

fn assert_unavailable(error: &Error) {
    assert!(!error.is_invalid() && !error.is_missing_tables() && !error.is_unknown_location(), "{error}");
}

/// Runs `rule` on tables of its own at `url`, and drops them afterwards.
pub async fn with_tables<Checking: Future<Output = ()>>(
    url: &str,
    options: &[(&str, &str)],
    rule: impl FnOnce(Arc<dyn Store>, TableName) -> Checking,
) {
    let table = own_table();
    let owner = open(url, &table).await;
    owner.schema().expect("schema").create_tables().await.expect("create_tables");
    let driver = try_open(url, &table, options).await.expect("the store opens");
    rule(Arc::clone(&driver), table).await;
    driver.close().await.expect("close");
    owner.schema().expect("schema").drop_tables().await.expect("drop_tables");
    owner.close().await.expect("close");
}
