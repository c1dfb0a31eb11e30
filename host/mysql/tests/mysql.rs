//! The driver of MySQL and MariaDB, on real servers.
//!
//! The conformance suite runs on the server that `LEMON_TEST_MYSQL` names (mysql://root@127.0.0.1:3306/ unless given),
//! with a database for each rule. Tests of faults start servers of their own.

#[path = "../../sql/testing/mod.rs"]
mod sql;

use std::sync::{
    LazyLock,
    atomic::{AtomicU32, Ordering},
};

use lemon_session_mysql::SCHEMES;
use lemon_session_store::{Digest, TableName, Writes, conformance::Subject};
use mysql_async::{Conn, prelude::Queryable};
use sql::{
    Locking, open, own_table,
    servers::{OwnServer, PASSWORD},
    skip,
};

static SERVER: LazyLock<String> = LazyLock::new(|| {
    let given = std::env::var("LEMON_TEST_MYSQL");
    given.unwrap_or_else(|_| "mysql://root@127.0.0.1:3306/".to_owned()).trim_end_matches('/').to_owned()
});

/// A database for one test, on the server that tests share. It is dropped with this value.
struct Database {
    name: String,
    url: String,
}

impl Database {
    async fn new() -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("lemon_session_test_{:x}_{}_{number}", sql::now(), std::process::id());
        let created = async { Conn::from_url(&*SERVER).await?.query_drop(format!("CREATE DATABASE {name}")).await };
        if let Err(error) = created.await {
            skip(&format!("the server LEMON_TEST_MYSQL does not answer ({error})"));
            return None;
        }
        Some(Self { url: format!("{}/{name}", *SERVER), name })
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let drop = format!("DROP DATABASE {}", self.name);
        let dropped = std::thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let dropped = runtime.block_on(async move { Conn::from_url(&*SERVER).await?.query_drop(drop).await });
            dropped.map_err(std::io::Error::other)
        });
        if !std::thread::panicking() {
            dropped.join().expect("no panic").expect("the database can be dropped");
        }
    }
}

async fn store() -> Option<Subject> {
    let database = Database::new().await?;
    let table = TableName::default();
    let store = Subject::new(open(&database.url, &table).await).and(open(&database.url, &table).await);
    Some(store.keeping(database))
}

lemon_session_store::conformance!(conformance, store);

struct Other<'a>(&'a str);

impl Locking for Other<'_> {
    type Lock = Conn;

    async fn lock(&self, table: &TableName, name: &str) -> Conn {
        let mut connection = Conn::from_url(self.0).await.expect("a connection");
        connection.query_drop("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED").await.expect("set");
        connection.query_drop("START TRANSACTION").await.expect("begin");
        let lock = format!("SELECT 1 FROM `{table}` WHERE digest = ? FOR UPDATE");
        connection.exec_drop(lock, (Digest::of(name).as_bytes(),)).await.expect("the row is locked");
        connection
    }

    async fn unlock(mut lock: Conn) {
        lock.query_drop("ROLLBACK").await.expect("rollback");
    }
}

fn own_server() -> Option<(OwnServer, String)> {
    let Some(server) = OwnServer::mariadb() else {
        skip("MariaDB is not installed on this machine");
        return None;
    };
    let url = server.url("mysql");
    Some((server, url))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_call_is_one_round_trip() {
    let Some(database) = Database::new().await else { return };
    sql::each_call_is_one_round_trip(&database.url).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn host_whose_clock_is_off_ends_no_live_session_and_all_of_an_owner() {
    let Some(database) = Database::new().await else { return };
    sql::host_whose_clock_is_off_ends_no_live_session_and_all_of_an_owner(&database.url).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connection_that_is_cut_between_request_and_answer_is_an_error_and_a_repeat_is_safe() {
    let Some(database) = Database::new().await else { return };
    sql::connection_that_is_cut_between_request_and_answer_is_an_error_and_a_repeat_is_safe(&database.url).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_are_dropped_leave_connections_and_sessions_whole() {
    let Some(database) = Database::new().await else { return };
    sql::calls_that_are_dropped_leave_connections_and_sessions_whole(&database.url).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn saves_of_other_sessions_never_wait() {
    let Some(database) = Database::new().await else { return };
    sql::saves_of_other_sessions_never_wait(&database.url, &Other(&database.url)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pool_that_is_used_up_is_waited_for_and_then_an_error() {
    let Some(database) = Database::new().await else { return };
    sql::pool_that_is_used_up_is_waited_for_and_then_an_error(&database.url, &Other(&database.url)).await;
}

/// Names of procedures are not case-sensitive, but those of tables may be.
#[tokio::test(flavor = "multi_thread")]
async fn tables_that_differ_only_in_case_are_refused() {
    let Some(database) = Database::new().await else { return };
    let [upper, lower] = ["Session", "session"].map(|name| TableName::new(name).expect("a table name"));
    let first = open(&database.url, &upper).await;
    first.try_schema().expect("schema").create_tables().await.expect("create_tables");
    let second = open(&database.url, &lower).await;
    match second.try_schema().expect("schema").create_tables().await {
        Err(error) => assert!(error.is_invalid() && error.to_string().contains("Session"), "{error}"),
        Ok(()) => assert!(
            first.try_schema().expect("schema").tables_exist().await.expect("tables_exist"),
            "both names mean the same table"
        ),
    }
    first.try_schema().expect("schema").create_tables().await.expect("create_tables");
    for driver in [first, second] {
        driver.close().await.expect("close");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn differences_lists_changes_of_the_tables() {
    let Some(database) = Database::new().await else { return };
    let driver = open(&database.url, &TableName::default()).await;
    driver.try_schema().expect("schema").create_tables().await.expect("create_tables");
    let mut connection = Conn::from_url(&database.url).await.expect("a connection");
    for change in [
        "ALTER TABLE Session DROP KEY owner, DROP KEY expires, ADD KEY expires (expires)",
        "ALTER TABLE Session MODIFY owner VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci",
        "ALTER TABLE Session ENGINE = MyISAM",
        "DROP PROCEDURE Session_destroy",
        "ALTER TABLE Session DROP COLUMN nonce, ADD COLUMN more INT NOT NULL DEFAULT 0",
    ] {
        connection.query_drop(change).await.expect("a change");
    }
    connection.disconnect().await.expect("disconnect");
    assert_eq!(
        driver.try_schema().expect("schema").differences().await.expect("differences"),
        [
            "column Session.nonce is missing: varbinary(255)",
            "column Session.owner is varchar(255) collate utf8mb4_general_ci, and should be varbinary(1020)",
            "engine Session is MyISAM, and should be InnoDB",
            "index Session.expires is expires, and should be expires, ended",
            "index Session.owner is missing: owner, digest",
            "procedure Session_destroy is missing: procedure",
            "column Session.more is not of this layout: int not null",
        ]
    );
    driver.close().await.expect("close");
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_of_other_programs_are_left_as_they_are() {
    let Some(database) = Database::new().await else { return };
    let run = async |sql: String| {
        let mut connection = Conn::from_url(&database.url).await.expect("a connection");
        connection.query_drop(sql).await.expect("a statement");
        connection.disconnect().await.expect("disconnect");
    };
    sql::tables_of_other_programs_are_left_as_they_are(&database.url, '`', run).await;
}

/// The program was killed after it had created the tables and before it had created all procedures.
#[tokio::test(flavor = "multi_thread")]
async fn incomplete_tables_are_completed_by_many_hosts_at_once() {
    let Some(database) = Database::new().await else { return };
    let table = TableName::default();
    let driver = open(&database.url, &table).await;
    driver.try_schema().expect("schema").create_tables().await.expect("create_tables");
    driver.create(&Digest::of("a"), &sql::record(), &[sql::write("x", b"1")].into()).await.expect("create");
    let mut connection = Conn::from_url(&database.url).await.expect("a connection");
    for change in ["UPDATE Session_meta SET layout = 0", "DROP PROCEDURE Session_cleanup"] {
        connection.query_drop(change).await.expect("a change");
    }
    connection.disconnect().await.expect("disconnect");
    assert!(!driver.try_schema().expect("schema").tables_exist().await.expect("tables_exist"));
    let hosts: Vec<_> = (0..8)
        .map(|_| {
            let (url, table) = (database.url.clone(), table.clone());
            tokio::spawn(async move { open(&url, &table).await.try_schema().expect("schema").create_tables().await })
        })
        .collect();
    for host in hosts {
        host.await.expect("no panic").expect("create_tables");
    }
    assert_eq!(driver.try_schema().expect("schema").differences().await.expect("differences"), [""; 0]);
    assert_eq!(sql::found(&*driver, "a").await.record.size, 2, "the session still exists");
    driver.close().await.expect("close");
}

#[tokio::test(flavor = "multi_thread")]
async fn change_that_is_larger_than_a_packet_is_a_clear_error() {
    let Some(database) = Database::new().await else { return };
    let url = &database.url;
    sql::with_tables(url, &[("pool-size", "1")], |driver, _| async move {
        let record = sql::record();
        driver.create(&Digest::of("a"), &record, &Writes::default()).await.expect("create");
        let mut connection = Conn::from_url(url).await.expect("a connection");
        let most: usize =
            connection.query_first("SELECT @@max_allowed_packet").await.expect("a setting").expect("a row");
        connection.disconnect().await.expect("disconnect");
        let large = sql::writing([sql::write("large", &vec![1; most + 1])]);
        let error = driver.update(&Digest::of("a"), &large, None, sql::now()).await.expect_err("it is too large");
        assert!(error.to_string().contains("max_allowed_packet"), "{error}");
        assert_eq!(sql::found(&*driver, "a").await.record.size, 0, "the driver still works");
        let fits = sql::writing([sql::write("large", &vec![1; most / 2])]);
        driver.update(&Digest::of("a"), &fits, None, sql::now()).await.expect("a change that fits is stored");
        assert_eq!(sql::found(&*driver, "a").await.record.size, (most / 2 + 5) as u64);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_settings_are_refused_at_once() {
    let Some((server, url)) = own_server() else { return };
    let wrong = format!("mysql://owner:hunter2@127.0.0.1:{}/sessions", server.port);
    sql::wrong_settings_are_refused_at_once(&url, &wrong, &url.replace("/sessions", "/nothing")).await;
    sql::summary_holds_no_password(&url).await;

    let stranger = url.replace("owner", "stranger");
    let error = sql::try_open(&stranger, &own_table(), &[]).await.err().expect("it may not use the database");
    assert!(error.is_invalid() && error.to_string().contains("may not use it"), "{error}");
    let without = format!("mysql://owner@127.0.0.1:{}/sessions", server.port);
    let file = server.folder.path().join("file");
    std::fs::write(&file, format!("{PASSWORD}\n")).expect("a file can be written");
    let options = [("password-file", file.to_str().expect("a path"))];
    sql::try_open(&without, &own_table(), &options).await.expect("the password is in the file");
    let error = sql::try_open(&url, &own_table(), &[("sslmode", "require")]).await.err().expect("it has no TLS");
    assert!(error.to_string().contains("sslmode"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn server_that_is_killed_and_restarted_loses_nothing() {
    let Some((server, url)) = own_server() else { return };
    sql::server_that_is_killed_and_restarted_loses_nothing(server, &url).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn restart_of_an_idle_server_fails_no_load() {
    let Some((server, url)) = own_server() else { return };
    sql::restart_of_an_idle_server_fails_no_load(server, &url).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn saves_go_on_when_another_server_is_the_primary() {
    let Some((server, url)) = own_server() else { return };
    let root = format!("mysql://root@127.0.0.1:{}/sessions", server.port);
    let run = async |sql: &str| {
        let mut connection = Conn::from_url(&root).await.expect("a connection");
        connection.query_drop(sql).await.expect("a change");
        connection.disconnect().await.expect("disconnect");
    };
    // Only new connections get a privilege on the whole server.
    let read_only = async || run("SET GLOBAL read_only = 1").await;
    let writable = async || run("GRANT READ ONLY ADMIN ON *.* TO owner@'127.0.0.1'").await;
    sql::saves_go_on_when_another_server_is_the_primary(&url, read_only, writable).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn saves_go_on_while_all_sessions_of_an_owner_are_ended() {
    let Some(database) = Database::new().await else { return };
    let fill = async |table: &TableName| {
        let mut connection = Conn::from_url(&database.url).await.expect("a connection");
        for n in 0..13 {
            let double = format!(
                "INSERT INTO `{table}` (digest, created, accessed, expires, rotated, owner, version, size)
                SELECT UNHEX(SHA2(CONCAT(HEX(digest), {n}), 256)), created, accessed, expires, rotated, owner, 1, 0
                FROM `{table}`"
            );
            connection.query_drop(double).await.expect("sessions");
        }
        connection.disconnect().await.expect("disconnect");
    };
    sql::saves_go_on_while_all_sessions_of_an_owner_are_ended(&database.url, fill).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_tell_no_secrets() {
    let Some(database) = Database::new().await else { return };
    let changes = [
        "DROP TABLE `{table}_variable`",
        "ALTER TABLE `{table}` DROP COLUMN nonce",
        "ALTER TABLE `{table}` MODIFY owner VARBINARY(2)",
        "ALTER TABLE `{table}` MODIFY owner DATE",
        "ALTER TABLE `{table}_variable` MODIFY value DATE",
        "ALTER TABLE `{table}_variable` MODIFY value DOUBLE",
        "CREATE TRIGGER t BEFORE INSERT ON `{table}_variable` FOR EACH ROW
            SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'hunter2'",
        "UPDATE `{table}` SET created = NULL",
    ];
    let change = async |sql: String| {
        let mut connection = Conn::from_url(&database.url).await.expect("a connection");
        connection.query_drop("SET sql_mode = ''").await.expect("values that do not fit are truncated");
        connection.query_drop(sql).await.expect("a change");
        connection.disconnect().await.expect("disconnect");
    };
    sql::errors_tell_no_secrets(&database.url, &changes, change).await;
}
