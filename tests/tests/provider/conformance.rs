//! The conformance suite on the providers of this project, loaded as components.

use std::{
    env,
    net::TcpStream,
    path::PathBuf,
    process,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
};

use lemon_session_host::store::{StorageOptions, Store, TableName};
use lemon_session_store::conformance::Subject;
use lemon_session_tests::{build::root, drivers};
use tempfile::TempDir;

/// A provider that is part of the command.
pub fn provider(name: &str) -> PathBuf {
    root().join("host/command/providers").join(name).with_extension("wasm")
}

async fn open(url: &str, table: TableName) -> Arc<dyn Store> {
    let options = StorageOptions { table, ..StorageOptions::new(url) };
    drivers().open(options).await.expect("the provider can be opened")
}

/// Two handles, as two processes have them, on a new directory.
async fn files() -> Subject {
    let folder = TempDir::new().expect("a temporary folder");
    let url = format!(
        "component:{}?timeout=60&dir={}",
        provider("files").display(),
        folder.path().join("sessions").display()
    );
    let handle = || open(&url, TableName::default());
    Subject::new(handle().await).and(handle().await).keeping(folder)
}

/// Two handles on a table of the server's that nothing else uses.
async fn redis() -> Option<Subject> {
    let server = env::var("LEMON_TEST_REDIS").unwrap_or_else(|_| "redis://127.0.0.1:6379/".to_owned());
    let (file, address) = (provider("redis"), address(&server));
    if !answers(address, "LEMON_TEST_REDIS") {
        return None;
    }
    let url = format!("component:{}?timeout=60&connect={address}&env.LEMON_SESSION_STORAGE={server}", file.display());
    let table = own_table();
    Some(Subject::new(open(&url, table.clone()).await).and(open(&url, table).await).expiring_by_itself())
}

/// The host and port in a URL.
fn address(url: &str) -> &str {
    let authority = url.split("//").nth(1).and_then(|rest| rest.split('/').next()).expect("a URL with a host");
    authority.rsplit('@').next().unwrap_or(authority)
}

/// Whether a server runs there. Fails in CI if not.
fn answers(address: &str, variable: &str) -> bool {
    let answers = TcpStream::connect(address).is_ok();
    if !answers {
        eprintln!("SKIPPED: no server at {address} ({variable})");
        assert!(env::var("CI").as_deref() != Ok("true"), "with CI=true every server has to be there");
    }
    answers
}

fn own_table() -> TableName {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    TableName::new(&format!("Component_{}_{}", process::id(), NUMBER.fetch_add(1, Relaxed))).expect("a name")
}

/// The server that `LEMON_TEST_POSTGRES` names, if it runs.
pub fn postgres_url() -> Option<String> {
    let server = env::var("LEMON_TEST_POSTGRES");
    let server = server.unwrap_or_else(|_| "postgres://postgres@127.0.0.1:5432/postgres".to_owned());
    answers(address(&server), "LEMON_TEST_POSTGRES").then_some(server)
}

/// Two handles on tables of the server's that nothing else uses.
async fn postgres() -> Option<Subject> {
    let server = postgres_url()?;
    let (file, address) = (provider("postgres"), address(&server));
    let url = format!("component:{}?timeout=60&connect={address}&env.LEMON_SESSION_STORAGE={server}", file.display());
    let table = own_table();
    Some(Subject::new(open(&url, table.clone()).await).and(open(&url, table).await))
}

/// The suite, without the rules about what a component does not tell: uses of ended digests, one session as a whole, and moving.
macro_rules! conformance {
    ($module:ident, $open:ident $(, $rule:ident)* $(,)?) => {
        lemon_session_store::conformance!(
            $module,
            $open,
            not_applicable: [
                describe_tells_names_and_sizes_of_all_applications,
                every_ended_answer_is_counted_until_the_key_is_forgotten,
                fetch_counts_no_use_of_an_ended_digest,
                export_answers_all_of_a_live_session_and_nothing_else,
                export_never_sees_half_an_update,
                import_keeps_the_record_with_its_version,
                import_over_a_version_replaces_everything,
                import_over_a_session_never_passes_the_copys_end,
                details_are_copied,
                import_over_another_version_or_no_session_changes_nothing,
                import_racing_destroy_never_brings_back,
                import_racing_update_loses_nothing_that_was_committed,
                import_without_over_never_overwrites,
                imported_session_is_one_like_any_other,
                $($rule,)*
            ]
        );
    };
}

conformance!(files_as_a_component, files);
conformance!(
    redis_as_a_component,
    redis,
    cleanup_ends_the_former_keys_of_an_expired_session,
    cleanup_forgets_keys_in_time,
    cleanup_leaves_no_variables_behind,
    cleanup_removes_at_most_the_limit_and_fewer_when_none_is_left,
    cleanup_removes_what_has_expired_and_nothing_else,
    cleanup_that_removes_fewer_than_the_limit_has_left_none,
    concurrent_cleanups_count_each_session_once,
    lifetime_that_is_shortened_is_cleaned_up_in_time,
    update_racing_cleanup_never_brings_back,
);
conformance!(postgres_as_a_component, postgres);
