//! The driver of PostgreSQL, on real servers.
//!
//! The conformance suite runs on the server that `LEMON_TEST_POSTGRES` names
//! (postgres://postgres@127.0.0.1:5432/postgres unless given), with tables for each rule. Tests of faults start servers
//! of their own.

#[path = "../testing/server.rs"]
mod server;
#[path = "../../sql/testing/mod.rs"]
mod sql;

use std::sync::LazyLock;

use lemon_session_postgres::SCHEMES;
use lemon_session_store::{TableName, conformance::Subject};
use server::{Other, connect, own_server};
use sql::{open, own_table, servers::PASSWORD, skip};

/// The server that tests share, or none.
async fn shared() -> Option<&'static str> {
    static URL: LazyLock<String> = LazyLock::new(|| {
        let given = std::env::var("LEMON_TEST_POSTGRES");
        given.unwrap_or_else(|_| "postgres://postgres@127.0.0.1:5432/postgres".to_owned())
    });
    match sql::try_open(&URL, &own_table(), &[]).await {
        Ok(driver) => {
            driver.close().await.expect("close");
            Some(&URL)
        }
        Err(error) => {
            skip(&format!("the server LEMON_TEST_POSTGRES does not answer ({error})"));
            None
        }
    }
}

async fn store() -> Option<Subject> {
    let url = shared().await?;
    let table = own_table();
    Some(Subject::new(open(url, &table).await).and(open(url, &table).await))
}

lemon_session_store::conformance!(conformance, store);

#[tokio::test(flavor = "multi_thread")]
async fn each_call_is_one_round_trip() {
    let Some(url) = shared().await else { return };
    sql::each_call_is_one_round_trip(url).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn host_whose_clock_is_off_ends_no_live_session_and_all_of_an_owner() {
    let Some(url) = shared().await else { return };
    sql::host_whose_clock_is_off_ends_no_live_session_and_all_of_an_owner(url).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connection_that_is_cut_between_request_and_answer_is_an_error_and_a_repeat_is_safe() {
    let Some(url) = shared().await else { return };
    sql::connection_that_is_cut_between_request_and_answer_is_an_error_and_a_repeat_is_safe(url).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_are_dropped_leave_connections_and_sessions_whole() {
    let Some(url) = shared().await else { return };
    sql::calls_that_are_dropped_leave_connections_and_sessions_whole(url).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn saves_of_other_sessions_never_wait() {
    let Some(url) = shared().await else { return };
    sql::saves_of_other_sessions_never_wait(url, &Other(url.to_owned())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pool_that_is_used_up_is_waited_for_and_then_an_error() {
    let Some(url) = shared().await else { return };
    sql::pool_that_is_used_up_is_waited_for_and_then_an_error(url, &Other(url.to_owned())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn differences_lists_changes_of_the_tables() {
    let Some(url) = shared().await else { return };
    sql::with_tables(url, &[], |driver, table| async move {
        let client = connect(url).await;
        let changes = "DROP INDEX \"T_owner\"; ALTER TABLE \"T\" DROP COLUMN nonce, ADD COLUMN more text;
            ALTER TABLE \"T_variable\" ALTER COLUMN name DROP NOT NULL, ALTER COLUMN name TYPE text USING 'x';
            DROP FUNCTION \"T_cleanup\"";
        // The primary key must be dropped first: its columns cannot be null.
        let changes = format!("ALTER TABLE \"T_variable\" DROP CONSTRAINT \"T_variable_pkey\"; {changes}");
        client.batch_execute(&changes.replace("\"T", &format!("\"{table}"))).await.expect("changes");
        let expected = [
            "column T.nonce is missing: bytea",
            "column T_variable.name is text, and should be bytea not null",
            "function T_cleanup is missing: record",
            "index T_owner is missing: owner, digest",
            "index T_variable_pkey is missing: session, app, name, unique",
            "column T.more is not of this layout: text",
        ];
        let expected =
            expected.map(|line| line.replace("T_", &format!("{table}_")).replace("T.", &format!("{table}.")));
        assert_eq!(driver.try_schema().expect("schema").differences().await.expect("differences"), expected);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_of_other_programs_are_left_as_they_are() {
    let Some(url) = shared().await else { return };
    let run = async |sql: String| run_on_shared(url, &sql).await;
    sql::tables_of_other_programs_are_left_as_they_are(url, '"', run).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_settings_are_refused_at_once() {
    let Some((server, url)) = own_server().await else { return };
    let wrong = format!("postgres://owner:hunter2@127.0.0.1:{}/sessions", server.port);
    sql::wrong_settings_are_refused_at_once(&url, &wrong, &url.replace("/sessions", "/nothing")).await;
    sql::summary_holds_no_password(&url).await;

    let without = format!("postgres://owner@127.0.0.1:{}/sessions", server.port);
    let error = sql::try_open(&without, &own_table(), &[]).await.err().expect("a password is needed");
    assert!(error.is_invalid() && error.to_string().contains("password"), "{error}");
    let file = server.folder.path().join("file");
    std::fs::write(&file, format!("{PASSWORD}\n")).expect("a file can be written");
    let options = [("password-file", file.to_str().expect("a path"))];
    sql::try_open(&without, &own_table(), &options).await.expect("the password is in the file");
    let socket = server.folder.path().join("data");
    let options = [("socket", socket.to_str().expect("a path"))];
    sql::try_open(&url, &own_table(), &options).await.expect("the server has a socket");
    let error = sql::try_open(&url, &own_table(), &[("sslmode", "require")]).await.err().expect("it has no TLS");
    assert!(error.to_string().contains("TLS"), "{error}");
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

async fn run_on_shared(url: &str, sql: &str) {
    let client = connect(url).await;
    client.batch_execute(sql).await.expect("a change");
}

#[tokio::test(flavor = "multi_thread")]
async fn saves_go_on_while_all_sessions_of_an_owner_are_ended() {
    let Some(url) = shared().await else { return };
    let fill = async |table: &TableName| {
        for n in 0..13 {
            let double = format!(
                "INSERT INTO \"{table}\" (digest, created, accessed, expires, rotated, owner, version, size)
                SELECT sha256(digest || '{n}'::bytea), created, accessed, expires, rotated, owner, 1, 0 FROM \"{table}\""
            );
            run_on_shared(url, &double).await;
        }
        run_on_shared(url, &format!("ANALYZE \"{table}\"")).await;
    };
    sql::saves_go_on_while_all_sessions_of_an_owner_are_ended(url, fill).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_tell_no_secrets() {
    let Some(url) = shared().await else { return };
    let changes = [
        r#"DROP TABLE "{table}_variable""#,
        r#"ALTER TABLE "{table}" DROP COLUMN nonce"#,
        r#"ALTER TABLE "{table}" ALTER owner TYPE text USING 'x'"#,
        r#"ALTER TABLE "{table}_variable" ALTER value TYPE date USING now()"#,
        r#"ALTER TABLE "{table}" ADD CHECK (owner IS NULL) NOT VALID"#,
        r#"ALTER TABLE "{table}_variable" ADD EXCLUDE (value WITH =); ALTER TABLE "{table}_variable" ADD CHECK (value = '') NOT VALID"#,
        r#"CREATE FUNCTION "{table}_refuses"() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION 'no %', convert_from(NEW.name, 'UTF8'); END $$;
            CREATE TRIGGER t BEFORE INSERT ON "{table}_variable" FOR EACH ROW EXECUTE FUNCTION "{table}_refuses"()"#,
        r#"UPDATE "{table}" SET created = NULL"#,
    ];
    sql::errors_tell_no_secrets(url, &changes, async |sql: String| run_on_shared(url, &sql).await).await;
}
