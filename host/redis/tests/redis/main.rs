//! The drivers of Redis and Redis Cluster, on real servers.
//!
//! The conformance suite runs on the server that `LEMON_TEST_REDIS` names (redis://127.0.0.1:6379/ unless given) and on
//! a cluster of three masters that the tests start, with a table for each rule. On the server it also runs over a
//! blocking socket, as on WebAssembly, with an asynchronous client as the second handle: the two race for the same
//! sessions. Tests of faults start servers of their own.

mod blocking;
mod faults;
mod measure;
mod opening;
mod rotations;
mod servers;
mod storing;

use std::{
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU32, Ordering},
    },
    time::SystemTime,
};

use lemon_session_redis::Redis;
use lemon_session_store::{
    Change, CreateOutcome, Digest, Error, Grace, LoadOutcome, Loaded, Record, Rotation, StorageOptions, Store,
    TableName, Write, Writes,
    conformance::{Subject, clocks},
    registry::Open,
};
use servers::{RedisCluster, can_start, skip};

lemon_session_store::conformance!(
    on_a_single_server,
    single_server,
    not_applicable: [
        cleanup_removes_what_has_expired_and_nothing_else,
        cleanup_removes_at_most_the_limit_and_fewer_when_none_is_left,
        cleanup_forgets_keys_in_time,
        cleanup_leaves_no_variables_behind,
        cleanup_ends_the_former_keys_of_an_expired_session,
        cleanup_that_removes_fewer_than_the_limit_has_left_none,
        concurrent_cleanups_count_each_session_once,
        lifetime_that_is_shortened_is_cleaned_up_in_time,
        update_racing_cleanup_never_brings_back,
    ]
);
lemon_session_store::conformance!(
    over_a_blocking_socket,
    blocking_socket,
    not_applicable: [
        cleanup_removes_what_has_expired_and_nothing_else,
        cleanup_removes_at_most_the_limit_and_fewer_when_none_is_left,
        cleanup_forgets_keys_in_time,
        cleanup_leaves_no_variables_behind,
        cleanup_ends_the_former_keys_of_an_expired_session,
        cleanup_that_removes_fewer_than_the_limit_has_left_none,
        concurrent_cleanups_count_each_session_once,
        lifetime_that_is_shortened_is_cleaned_up_in_time,
        update_racing_cleanup_never_brings_back,
    ]
);
lemon_session_store::conformance!(
    on_a_cluster,
    cluster,
    not_applicable: [
        cleanup_removes_what_has_expired_and_nothing_else,
        cleanup_removes_at_most_the_limit_and_fewer_when_none_is_left,
        cleanup_forgets_keys_in_time,
        cleanup_leaves_no_variables_behind,
        cleanup_ends_the_former_keys_of_an_expired_session,
        cleanup_that_removes_fewer_than_the_limit_has_left_none,
        concurrent_cleanups_count_each_session_once,
        login_finds_a_session_that_is_given_other_keys_meanwhile,
        lifetime_that_is_shortened_is_cleaned_up_in_time,
        of_concurrent_logins_exactly_as_many_succeed_as_are_allowed,
        update_racing_cleanup_never_brings_back,
    ]
);

async fn single_server() -> Option<Subject> {
    Some(store(&shared_server().await?).await)
}

async fn blocking_socket() -> Option<Subject> {
    let (url, table) = (shared_server().await?, own_table());
    let blocking = open_over(Redis::open_blocking, &url, &table, &[]).await.expect("the store opens");
    Some(Subject::new(blocking).and(open(&url, &table).await).expiring_by_itself())
}

async fn cluster() -> Option<Subject> {
    Some(store(&shared_cluster()?.url()).await.counting_owned_roughly())
}

async fn store(url: &str) -> Subject {
    let table = own_table();
    Subject::new(open(url, &table).await).and(open(url, &table).await).expiring_by_itself()
}

#[tokio::test]
async fn host_whose_clock_is_off_ends_no_live_session_and_all_of_an_owner() {
    for url in [shared_server().await, shared_cluster().map(|cluster| cluster.url())].into_iter().flatten() {
        let driver = created(&url, &own_table()).await;
        clocks(&*driver).await;
        driver.try_schema().expect("schema").drop_tables().await.expect("drop_tables");
    }
}

/// The server that tests share, or none.
async fn shared_server() -> Option<String> {
    static URL: LazyLock<String> =
        LazyLock::new(|| std::env::var("LEMON_TEST_REDIS").unwrap_or_else(|_| "redis://127.0.0.1:6379/".to_owned()));
    static ANSWERS: tokio::sync::OnceCell<bool> = tokio::sync::OnceCell::const_new();
    let answers = ANSWERS.get_or_init(|| async {
        let answer = try_open(&URL, &own_table(), &[]).await;
        if let Err(error) = &answer {
            skip(&format!("the server that LEMON_TEST_REDIS names does not answer ({error})"));
        }
        answer.is_ok()
    });
    answers.await.then(|| URL.clone())
}

/// The cluster that tests share, or none.
fn shared_cluster() -> Option<&'static RedisCluster> {
    static CLUSTER: LazyLock<Option<RedisCluster>> = LazyLock::new(|| can_start().then(|| RedisCluster::start(false)));
    CLUSTER.as_ref()
}

/// The ways to reach a single server: an asynchronous client, and a blocking socket.
const TRANSPORTS: [Open; 2] = [Redis::open, Redis::open_blocking];

async fn open_over(
    open: Open,
    url: &str,
    table: &TableName,
    options: &[(&str, &str)],
) -> Result<Arc<dyn Store>, Error> {
    let options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    open(StorageOptions { url: url.to_owned(), table: table.clone(), options }).await
}

async fn try_open(url: &str, table: &TableName, options: &[(&str, &str)]) -> Result<Arc<dyn Store>, Error> {
    open_over(Redis::open, url, table, options).await
}

async fn open(url: &str, table: &TableName) -> Arc<dyn Store> {
    try_open(url, table, &[]).await.expect("the store opens")
}

/// Opens a store and creates its tables.
async fn created(url: &str, table: &TableName) -> Arc<dyn Store> {
    created_over(Redis::open, url, table).await
}

async fn created_over(open: Open, url: &str, table: &TableName) -> Arc<dyn Store> {
    let driver = open_over(open, url, table, &[]).await.expect("the store opens");
    driver.try_schema().expect("schema").create_tables().await.expect("create_tables");
    driver
}

/// A table that no other test uses.
fn own_table() -> TableName {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    TableName::new(&format!("Test_{}_{number}_{:x}", std::process::id(), now())).expect("a table name")
}

fn now() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().expect("a clock").as_secs()
}

const APP: &str = "shop";
const HOUR: u64 = 3600;

fn record() -> Record {
    let now = now();
    Record {
        created: now,
        accessed: now,
        expires: now + HOUR,
        absolute_expiry: None,
        rotated: now,
        owner: None,
        version: 0,
        size: 0,
    }
}

fn put(name: &str, value: &[u8]) -> Write {
    Write { app: APP.to_owned(), name: name.to_owned(), value: Some(value.to_owned()) }
}

fn writing(writes: impl Into<Writes>) -> Change {
    Change { writes: writes.into(), max_size: u64::MAX, remember: HOUR as u32, ..Change::default() }
}

fn renaming_to(to: Digest, grace: Option<Grace>) -> Change {
    Change { rotation: Some(Rotation { to, grace }), ..writing([]) }
}

async fn create(driver: &dyn Store, key: &Digest, record: &Record, writes: &[Write]) {
    assert_eq!(driver.create(key, record, &writes.to_vec().into()).await.expect("create"), CreateOutcome::Created);
}

async fn load(driver: &dyn Store, key: &Digest) -> LoadOutcome {
    driver.load(key, APP, now(), u32::MAX).await.expect("load")
}

async fn found(driver: &dyn Store, key: &Digest) -> Loaded {
    match load(driver, key).await {
        LoadOutcome::Found(loaded) => loaded,
        other => panic!("the session is live, but load answers {other:?}"),
    }
}
