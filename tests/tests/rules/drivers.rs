//! Every rule on every driver.

use std::{
    env,
    net::TcpStream,
    panic::{AssertUnwindSafe, resume_unwind},
    pin::Pin,
    process,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
};

use futures::FutureExt;
use lemon_session_host::store::{StorageOptions, TableName, memory::Memory};

use crate::{rules, site::Site};

macro_rules! every_rule {
    ($($driver:ident: $open:path),+ $(,)?) => {
        $(mod $driver {
            every_rule!(@ $open;
                every_kind_of_value_is_there_on_the_next_request
                fifty_parallel_requests_keep_fifty_variables
                a_save_in_flight_at_a_logout_answers_gone
                a_save_in_flight_at_the_expiry_answers_gone
                a_save_in_flight_at_a_login_answers_gone
                a_save_in_flight_at_the_end_of_all_of_an_owners_sessions_answers_gone
                of_two_saves_of_a_variable_the_last_wins
                a_strict_counter_that_is_retried_loses_nothing
                additions_are_never_lost
                a_login_keeps_all_variables_and_ends_the_old_id_at_once
                however_many_race_for_a_renewal_there_is_one_successor
                a_session_expires_to_the_second_and_never_before_its_idle_time
                without_rolling_and_at_the_maximum_a_session_ends_to_the_second
                a_hundred_reads_of_a_fresh_session_write_at_most_once
                trouble_in_the_store_reaches_the_application
                a_reserved_application_opens_only_to_its_holder
                limits_are_kept_and_named
                concurrent_growth_never_passes_the_limit_of_a_session
                data_of_an_unknown_format_is_refused_and_left_as_it_is
            );
        })+
    };
    (@ $open:path; $($rule:ident)+) => {
        $(#[test]
        fn $rule() {
            $open(|site| Box::pin(super::rules::$rule(site)));
        })+
    };
}

every_rule! {
    memory: super::on_memory,
    sqlite: super::on_sqlite,
    mysql: super::on_mysql,
    postgres: super::on_postgres,
    redis: super::on_redis,
}

type Rule = fn(Site) -> Pin<Box<dyn Future<Output = ()>>>;

fn on_memory(rule: Rule) {
    run(async move { rule(Site::new(Arc::new(Memory::new()))).await });
}

fn on_sqlite(rule: Rule) {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    on(rule, format!("sqlite:{}", folder.path().join("sessions.db").display()), 100);
}

fn on_mysql(rule: Rule) {
    on_server(rule, "LEMON_TEST_MYSQL", "mysql://root@127.0.0.1:3306/", "test");
}

fn on_postgres(rule: Rule) {
    on_server(rule, "LEMON_TEST_POSTGRES", "postgres://postgres@127.0.0.1:5432/", "postgres");
}

fn on_redis(rule: Rule) {
    on_server(rule, "LEMON_TEST_REDIS", "redis://127.0.0.1:6379/", "");
}

/// Runs a rule on a server, in separate tables. Without the server, it prints a warning and skips the rule, and fails
/// in CI.
fn on_server(rule: Rule, variable: &str, default: &str, database: &str) {
    let url = env::var(variable).unwrap_or_else(|_| default.to_owned());
    let (_, rest) = url.split_once("//").expect("a URL");
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let address = authority.rsplit('@').next().unwrap_or(authority);
    if TcpStream::connect(address).is_err() {
        let line = "=".repeat(80);
        eprintln!("{line}\nSKIPPED: no server at {address} ({variable})\n{line}");
        assert!(env::var("CI").as_deref() != Ok("true"), "with CI=true every server has to be there");
        return;
    }
    let database = if path.is_empty() { database } else { path };
    on(rule, format!("{}//{authority}/{database}", url.split("//").next().unwrap_or_default()), 10);
}

fn on(rule: Rule, url: String, times: i64) {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let name = format!("Rules_{}_{}", process::id(), NUMBER.fetch_add(1, Relaxed));
    let table = TableName::new(&name).expect("a table's name");
    run(async move {
        let options = StorageOptions { table, ..StorageOptions::new(url) };
        let driver = lemon_session_tests::drivers().open(options).await.expect("the store opens");
        driver.set_up().await.expect("tables can be created");
        let mut site = Site::new(Arc::clone(&driver));
        site.times = times;
        let outcome = AssertUnwindSafe(rule(site)).catch_unwind().await;
        driver.schema().expect("schema").drop_tables().await.expect("tables can be dropped");
        driver.close().await.expect("the store closes");
        if let Err(panic) = outcome {
            resume_unwind(panic);
        }
    });
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime can be started").block_on(test);
}
