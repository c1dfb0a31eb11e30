//! The driver of PostgreSQL on real servers.
//!
//! The suite runs on the server that `LEMON_TEST_POSTGRES` names (postgres://postgres@127.0.0.1:5432/postgres), with tables
//! of its own for each rule. The faults have servers of their own.
#![cfg(feature = "postgres")]

mod sql;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Command, Stdio},
    sync::LazyLock,
};

use lemon_session_host::{
    conformance::Store,
    driver::{Key, TableName},
};
use sql::{
    Locking, open, own_table,
    servers::{OwnServer, PASSWORD, find, is_root},
    skip,
};
use tokio_postgres::NoTls;

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

async fn store() -> Option<Store> {
    let url = shared().await?;
    let table = own_table();
    Some(Store::new(open(url, &table).await).and(open(url, &table).await))
}

lemon_session_host::conformance!(conformance, store);

struct Other(&'static str);

impl Locking for Other {
    type Lock = tokio_postgres::Client;

    async fn lock(&self, table: &TableName, name: &str) -> Self::Lock {
        let (client, connection) = tokio_postgres::connect(self.0, NoTls).await.expect("a connection");
        tokio::spawn(connection);
        client.batch_execute("BEGIN").await.expect("begin");
        let lock = format!("SELECT 1 FROM \"{table}\" WHERE digest = $1 FOR UPDATE");
        client.query_one(&lock, &[&&Key::of(name).as_bytes()[..]]).await.expect("the row is locked");
        client
    }

    async fn unlock(lock: Self::Lock) {
        lock.batch_execute("ROLLBACK").await.expect("rollback");
    }
}

/// PostgreSQL with the user `owner`, who needs a password, and a database `sessions`; none where it is not installed.
fn postgres() -> Option<OwnServer> {
    let binaries = find("postgres").map(|path| path.with_file_name("")).or_else(|| {
        let mut versions: Vec<PathBuf> =
            fs::read_dir("/usr/lib/postgresql").ok()?.flatten().map(|entry| entry.path().join("bin")).collect();
        versions.sort();
        versions.pop()
    })?;
    let folder = tempfile::tempdir().expect("a folder for a server");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("the folder is ours");
    // PostgreSQL refuses to run as root.
    let mut demoted: Vec<String> = Vec::new();
    if is_root() {
        demoted = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"].map(str::to_owned).into();
    }
    let (data, password) = (folder.path().join("data"), folder.path().join("password"));
    fs::create_dir(&data).expect("a folder can be made");
    fs::write(&password, PASSWORD).expect("a file can be written");
    if is_root() {
        let owned = Command::new("chown").arg("postgres").args([&data, &password]).status();
        assert!(owned.is_ok_and(|status| status.success()), "the folder can be given to the user postgres");
    }
    let run = |name: &str, arguments: &[&str], database: Option<&str>| {
        let program = [demoted.clone(), vec![binaries.join(name).display().to_string()]].concat();
        let mut command = Command::new(&program[0]);
        command.args(&program[1..]).args(arguments).current_dir("/").stdout(Stdio::null()).stderr(Stdio::piped());
        if database.is_some() {
            command.stdin(Stdio::piped());
        }
        let mut child = command.spawn().expect("PostgreSQL's programs run");
        if let (Some(sql), Some(mut input)) = (database, child.stdin.take()) {
            std::io::Write::write_all(&mut input, sql.as_bytes()).expect("postgres reads its input");
        }
        let done = child.wait_with_output().expect("PostgreSQL's programs end");
        assert!(done.status.success(), "{name}: {}", String::from_utf8_lossy(&done.stderr));
    };
    let (data, password) = (data.display().to_string(), password.display().to_string());
    let pwfile = format!("--pwfile={password}");
    run("initdb", &["-D", &data, "-U", "owner", "-A", "scram-sha-256", "-N", "-E", "UTF8", &pwfile], None);
    run("postgres", &["--single", "-D", &data, "postgres"], Some("CREATE DATABASE sessions;\n"));
    let socket = folder.path().join("data").display().to_string();
    let mut program = demoted;
    program.extend([binaries.join("postgres").display().to_string(), "-D".to_owned(), data, "-k".to_owned(), socket]);
    Some(OwnServer::start(folder, program, |program, port| program.extend(["-p".to_owned(), port.to_string()])))
}

fn own_server() -> Option<(OwnServer, String)> {
    let Some(server) = postgres() else {
        skip("PostgreSQL is not installed on this machine");
        return None;
    };
    let url = format!("postgres://owner:{}@127.0.0.1:{}/sessions", encoded(PASSWORD), server.port);
    Some((server, url))
}

fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_call_is_one_round_trip() {
    let Some(url) = shared().await else { return };
    sql::each_call_is_one_round_trip(url).await;
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
    sql::saves_of_other_sessions_never_wait(url, &Other(url)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pool_that_is_used_up_is_waited_for_and_then_an_error() {
    let Some(url) = shared().await else { return };
    sql::pool_that_is_used_up_is_waited_for_and_then_an_error(url, &Other(url)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_somebody_changed_are_told_of() {
    let Some(url) = shared().await else { return };
    sql::with_tables(url, &[], |driver, table| async move {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("a connection");
        tokio::spawn(connection);
        let changes = "DROP INDEX \"T_owner\"; ALTER TABLE \"T\" DROP COLUMN nonce, ADD COLUMN more text;
            ALTER TABLE \"T_variable\" ALTER COLUMN name DROP NOT NULL, ALTER COLUMN name TYPE text USING 'x';
            DROP FUNCTION \"T_cleanup\"";
        // A primary key is not null: it goes first.
        let changes = format!("ALTER TABLE \"T_variable\" DROP CONSTRAINT \"T_variable_pkey\"; {changes}");
        client.batch_execute(&changes.replace("\"T", &format!("\"{table}"))).await.expect("changes");
        let expected = [
            "column T.nonce is missing: bytea",
            "column T_variable.name is text, and should be bytea not null",
            "function T_cleanup is missing: bigint",
            "index T_owner is missing: owner, digest",
            "index T_variable_pkey is missing: session, app, name, unique",
            "column T.more is not of this layout: text",
        ];
        let expected =
            expected.map(|line| line.replace("T_", &format!("{table}_")).replace("T.", &format!("{table}.")));
        assert_eq!(driver.differences().await.expect("differences"), expected);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said_at_once() {
    let Some((server, url)) = own_server() else { return };
    // It listens before it is ready.
    while sql::try_open(&url, &own_table(), &[]).await.is_err_and(|error| !error.is_invalid()) {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let wrong = format!("postgres://owner:hunter2@127.0.0.1:{}/sessions", server.port);
    sql::what_is_wrong_is_said_at_once(&url, &wrong, &url.replace("/sessions", "/nothing")).await;
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
    let Some((server, url)) = own_server() else { return };
    while sql::try_open(&url, &own_table(), &[]).await.is_err_and(|error| !error.is_invalid()) {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    sql::server_that_is_killed_and_restarted_loses_nothing(server, &url).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn server_that_was_restarted_in_silence_is_connected_to_again() {
    let Some((server, url)) = own_server() else { return };
    while sql::try_open(&url, &own_table(), &[]).await.is_err_and(|error| !error.is_invalid()) {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    sql::server_that_was_restarted_in_silence_is_connected_to_again(server, &url).await;
}
