//! The provider `postgres` as a component keeps what the native driver promises beyond the contract.

#[path = "../../../host/postgres/testing/server.rs"]
mod server;
#[path = "../../../host/sql/testing/mod.rs"]
#[allow(dead_code, unused_imports, reason = "some of it is about the native drivers' pool and options")]
mod sql;

use std::{collections::BTreeMap, fs, sync::Arc, time::Duration};

use lemon_session_host::store::{
    Digest, LoadOutcome, Result, StorageOptions, Store, UpdateOutcome,
    registry::{Open, Opening},
};
use lemon_session_tests::drivers;
use server::{Other, connect, own_server};
use sql::{
    Locking, found, now, own_table, proxy::Proxy, servers::PASSWORD, through, try_open, with_tables, write, writing,
};

use super::conformance::{postgres_url, provider};

/// For the shared tests: a URL of PostgreSQL is opened through the component.
const SCHEMES: [(&str, Open); 1] = [("postgres", open)];

/// The options of the driver become variables of the component.
fn open(options: StorageOptions) -> Opening {
    Box::pin(async move {
        let StorageOptions { url, table, options } = options;
        let url_of_component = format!("component:{}", provider("postgres").display());
        let mut given = BTreeMap::from(
            [("connect", sql::address(&url)), ("timeout", "120".to_owned()), ("env.LEMON_SESSION_STORAGE", url)]
                .map(|(name, value)| (name.to_owned(), value)),
        );
        for (name, value) in options {
            let name = match &*name {
                // A connection for each instance.
                "pool-size" => "instances".to_owned(),
                name => format!("env.LEMON_SESSION_STORAGE_{}", name.to_uppercase().replace('-', "_")),
            };
            given.insert(name, value);
        }
        drivers().open(StorageOptions { url: url_of_component, table, options: given }).await
    })
}

async fn tables_exist(url: &str, options: &[(&str, &str)]) -> Result<bool> {
    try_open(url, &own_table(), options).await?.try_schema()?.tables_exist().await
}

/// Why the component does not answer.
async fn refusal(url: &str, options: &[(&str, &str)]) -> String {
    let error = tables_exist(url, options).await.expect_err("it does not answer").to_string();
    assert!(!error.contains("hunter2") && !error.contains(PASSWORD), "{error}");
    error
}

async fn save(store: &dyn Store, value: &[u8]) {
    let change = writing([write("x", value)]);
    let saved = store.update(&Digest::of("a"), &change, None, now()).await.expect("update");
    assert!(matches!(saved, UpdateOutcome::Committed(_)), "{saved:?}");
}

async fn create(store: &dyn Store) {
    store.create(&Digest::of("a"), &sql::record(), &[write("x", b"1")].into()).await.expect("create");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_call_is_one_round_trip() {
    let Some(url) = postgres_url() else { return };
    sql::each_call_is_one_round_trip(&url).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connection_that_is_cut_between_request_and_answer_is_an_error_and_a_repeat_is_safe() {
    let Some(url) = postgres_url() else { return };
    sql::connection_that_is_cut_between_request_and_answer_is_an_error_and_a_repeat_is_safe(&url).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn saves_of_other_sessions_never_wait() {
    let Some(url) = postgres_url() else { return };
    sql::saves_of_other_sessions_never_wait(&url, &Other(url.clone())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn server_that_is_killed_and_restarted_loses_nothing() {
    let Some((server, url)) = own_server().await else { return };
    sql::server_that_is_killed_and_restarted_loses_nothing(server, &url).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn restart_of_an_idle_server_fails_no_load() {
    let Some((server, url)) = own_server().await else { return };
    sql::restart_of_an_idle_server_fails_no_load(server, &url).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn saves_go_on_when_another_server_is_the_primary() {
    let Some((_server, url)) = own_server().await else { return };
    let run = async |value: &str| {
        let client = connect(&url).await;
        client.batch_execute("SET default_transaction_read_only = off").await.expect("set");
        // Only new connections get it.
        let alter = format!("ALTER ROLE owner SET default_transaction_read_only = {value}");
        client.batch_execute(&alter).await.expect("a change");
    };
    let (read_only, writable) = (async || run("on").await, async || run("off").await);
    sql::saves_go_on_when_another_server_is_the_primary(&url, read_only, writable).await;
}

/// Between two calls a component does not learn that its connection has ended.
#[tokio::test(flavor = "multi_thread")]
async fn save_after_the_server_has_ended_the_idle_connection_succeeds() {
    let Some(url) = postgres_url() else { return };
    let url = &url;
    with_tables(url, &[("pool-size", "1")], |store, table| async move {
        create(&*store).await;
        let other = connect(url).await;
        // A save is never repeated once it may have been sent.
        let end = format!(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
            WHERE application_name = 'lemon-session' AND query LIKE '%\"{table}_update\"%'"
        );
        for round in 0..3 {
            save(&*store, &[round]).await;
            let ended = other.query(&end, &[]).await.expect("pg_terminate_backend");
            assert_eq!(ended.len(), 1, "the one connection of the one instance");
            save(&*store, &[round]).await;
        }
        assert_eq!(found(&*store, "a").await.record.version, 7);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn call_that_is_not_answered_in_time_fails_and_the_next_one_connects_again() {
    let Some(url) = postgres_url() else { return };
    let proxy = Proxy::to(sql::address(&url)).await;
    let url = through(&url, &proxy);
    with_tables(&url, &[("pool-size", "1"), ("timeout", "1s"), ("connect-timeout", "1s")], |store, _| async move {
        create(&*store).await;
        for _ in 0..2 {
            proxy.hold_answers(true);
            let late = store.load(&Digest::of("a"), "shop", now(), 0).await.expect_err("no answer").to_string();
            assert!(late.contains("no answer within 1s (timeout)"), "{late}");
            let silent = store.load(&Digest::of("a"), "shop", now(), 0).await.expect_err("no answer").to_string();
            assert!(silent.contains("no answer within 1s (connect-timeout)"), "{silent}");
            proxy.hold_answers(false);
            save(&*store, b"2").await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_that_is_locked_for_too_long_is_an_error_and_the_connection_is_kept() {
    let Some(url) = postgres_url() else { return };
    let other = &Other(url.clone());
    with_tables(&url, &[("pool-size", "1"), ("timeout", "1s")], |store, table| async move {
        create(&*store).await;
        let lock = other.lock(&table, "a").await;
        let change = writing([write("x", b"2")]);
        let late = store.update(&Digest::of("a"), &change, None, now()).await.expect_err("the row is locked");
        assert!(late.to_string().contains("no answer within 1s (timeout)"), "{late}");
        assert!(matches!(store.load(&Digest::of("a"), "shop", now(), 0).await, Ok(LoadOutcome::Found(_))));
        Other::unlock(lock).await;
        save(&*store, b"3").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn user_logs_in_by_scram_by_md5_and_by_password() {
    let Some((server, url)) = own_server().await else { return };
    let owner = connect(&url).await;
    owner
        .batch_execute(&format!(
            "SET password_encryption = md5; CREATE ROLE hashed LOGIN PASSWORD '{PASSWORD}';
            CREATE ROLE plain LOGIN PASSWORD '{PASSWORD}'; CREATE ROLE nobody LOGIN"
        ))
        .await
        .expect("roles");
    let rules = server.folder.path().join("data/pg_hba.conf");
    let others = fs::read_to_string(&rules).expect("the file can be read");
    fs::write(
        &rules,
        format!("host all hashed all md5\nhost all plain all password\nhost all nobody all reject\n{others}"),
    )
    .expect("the file can be written");
    owner.batch_execute("SELECT pg_reload_conf()").await.expect("a reload");
    for user in ["owner", "hashed", "plain"] {
        let url = url.replace("owner", user);
        // The server reads the file when it is idle.
        let mut answer = tables_exist(&url, &[]).await;
        for _ in 0..100 {
            if answer.is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
            answer = tables_exist(&url, &[]).await;
        }
        assert!(!answer.unwrap_or_else(|error| panic!("{user}: {error}")), "there are no tables");
    }
    let wrong = format!("postgres://owner:hunter2@127.0.0.1:{}/sessions", server.port);
    let refused = refusal(&wrong, &[]).await;
    assert!(refused.contains("refuses the user \"owner\": password authentication failed"), "{refused}");
    let none = refusal(&wrong.replace(":hunter2", ""), &[]).await;
    assert!(none.contains("it asks for a password, but none is given"), "{none}");
    let rejected = refusal(&url.replace("owner", "nobody"), &[]).await;
    assert!(rejected.contains("pg_hba.conf rejects connection"), "{rejected}");
    let missing = refusal(&url.replace("/sessions", "/nothing"), &[]).await;
    assert!(missing.contains("no database \"nothing\""), "{missing}");
}

#[tokio::test(flavor = "multi_thread")]
async fn option_that_a_component_cannot_keep_is_refused_with_what_to_do() {
    // Nothing listens there.
    let url = "postgres://user:hunter2@127.0.0.1:1/sessions";
    let tls = "this provider has no TLS: name a proxy that encrypts";
    for (options, says) in [
        (&[("sslmode", "require")][..], tls),
        (&[("sslmode", "verify-full")], tls),
        (&[("sslmode", "verify-full"), ("sslrootcert", "/certificates/ca.pem")], tls),
        (&[("sslrootcert", "/certificates/ca.pem")], tls),
        (&[("sslmode", "yes")], "it has to be one of disable, prefer, require, verify-full"),
        (&[("socket", "/run/postgresql")], "a component reaches no Unix socket"),
        (&[("timeout", "soon")], "not a time"),
        (&[], "does the runtime allow to connect to it, and to look up its name (`wasmtime -S "),
    ] {
        let error = refusal(url, options).await;
        assert!(error.contains(says), "{options:?}: {error}");
    }
    let Some(url) = postgres_url() else { return };
    for mode in ["disable", "prefer"] {
        assert!(!tables_exist(&url, &[("sslmode", mode)]).await.expect("an answer"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn native_driver_and_component_share_sessions() {
    let Some(url) = postgres_url() else { return };
    let url = &url;
    with_tables(url, &[], |component, table| async move {
        let native = drivers().open(StorageOptions { table, ..StorageOptions::new(url.as_str()) }).await;
        let native = native.expect("the native driver opens");
        create(&*component).await;
        let stores: [&Arc<dyn Store>; 2] = [&native, &component];
        for round in 0..6_usize {
            save(&**stores[round % 2], &[round as u8]).await;
            let loaded = found(&**stores[(round + 1) % 2], "a").await;
            assert_eq!(loaded.record.version, 2 + round as u64);
        }
        native.close().await.expect("close");
    })
    .await;
}
