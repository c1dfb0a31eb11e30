//! `mysql://USER:PASSWORD@HOST:PORT/DATABASE`: sessions in MySQL 8 or newer, or in MariaDB 10.5 or newer, shared by any
//! number of hosts.
//!
//! A load is one statement and a save is one call of a stored procedure, each prepared once by every connection: one round
//! trip. A load that answers `Ended` takes a second one, to count it. Saves of one session follow one another; those of
//! different sessions never wait for each other. A save that was answered survives what the server's
//! `innodb_flush_log_at_trx_commit` makes it survive: a power failure, unless that is changed.
//!
//! The user needs the rights `SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX, CREATE ROUTINE, ALTER ROUTINE,
//! EXECUTE` on the database. A save has to fit the server's `max_allowed_packet`. Tables whose names differ in nothing but
//! upper and lower case have to be in different databases, as the names of procedures do not tell these apart.
//!
#![doc = include_str!("server.md")]

use std::{borrow::Borrow, path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use deadpool::managed::{Manager, Metrics, RecycleResult};
use mysql_async::{
    Conn, DriverError, Error as ClientError, IoError, Opts, OptsBuilder, Params, Row, SslOpts, Transaction, TxOpts,
    Value,
    prelude::{FromValue, Queryable},
};
use rustls::crypto::ring;
use sha2::{Digest, Sha256};

use super::{
    Change, CreateOutcome, Driver, Error, Key, Listed, LoadOutcome, Loaded, Record, Result, Snapshot, StorageOptions,
    Stored, UpdateOutcome, Variable, Write,
    layout::{Parts, differences, parts},
    registry::{Open, Opening},
    server::{
        Backend, Calls, Repeat, Server, SslMode, Trouble, check_change, check_owner, check_writes, known_until,
        last_writes, older_layout,
    },
};

/// What brings the tables from one layout to the next. Their layout is how many of these they went through.
const LAYOUTS: &[&str] = &[include_str!("mysql.sql")];

/// What the tables of the last layout are made of.
const LAYOUT: &str = include_str!("mysql.layout");

/// The schemes of its URLs.
pub(super) const SCHEMES: [(&str, Open); 1] = [("mysql", MySql::open)];

/// How many sessions one transaction of a cleanup removes.
const CLEANUP_BATCH: u32 = 256;

/// A connection that was idle for longer is asked whether it still stands before it is used.
const TRUSTED_IDLE: Duration = Duration::from_secs(30);

/// Sessions in MySQL or MariaDB.
pub struct MySql {
    calls: Calls<Connections>,
    sql: Arc<Statements>,
}

impl MySql {
    /// Opens the store of a URL `mysql://USER:PASSWORD@HOST:PORT/DATABASE`.
    pub fn open(options: StorageOptions) -> Opening {
        Box::pin(async move { Ok(Arc::new(Self::connect(&options).await?) as Arc<dyn Driver>) })
    }

    async fn connect(options: &StorageOptions) -> Result<Self> {
        let server = Arc::new(Server::parse(options, "MySQL", 3306)?);
        let sql = Arc::new(Statements::new(&server));
        let calls = server.pool(Connections::new(&server)?).await?;
        Ok(Self { calls, sql })
    }

    fn server(&self) -> &Server {
        self.calls.server()
    }

    fn sql(&self) -> Arc<Statements> {
        Arc::clone(&self.sql)
    }

    /// The layout of the tables, 0 where there are none.
    async fn layout(&self) -> Result<i64> {
        let layout = self.calls.run(Repeat::Safe, self.sql(), |connection, sql| {
            Box::pin(async move { connection.client.query_first::<i64, _>(&sql.layout).await })
        });
        self.server().known_layout(layout.await.map(Option::unwrap_or_default), LAYOUTS.len() as i64)
    }

    async fn migrate(&self, layouts: &'static [&'static str]) -> Result<()> {
        let server = Arc::clone(self.calls.server());
        let migrated = self.calls.set_up((server, layouts), |connection, (server, layouts)| {
            Box::pin(async move {
                lock(&mut connection.client, server).await?;
                let migrated = migrate(&mut connection.client, server, layouts).await;
                unlock(&mut connection.client, server).await?;
                migrated
            })
        });
        migrated.await?
    }
}

/// Makes those who change the tables themselves go one after the other.
async fn lock(connection: &mut Conn, server: &Server) -> Result<(), ClientError> {
    connection.exec_drop("SELECT GET_LOCK(?, 86400)", (lock_name(server),)).await
}

async fn unlock(connection: &mut Conn, server: &Server) -> Result<(), ClientError> {
    connection.exec_drop("SELECT RELEASE_LOCK(?)", (lock_name(server),)).await
}

/// The lock is the whole server's, and its name has 64 characters at most.
fn lock_name(server: &Server) -> String {
    let name = format!("{}.{}", server.database, server.table.as_str().to_ascii_lowercase());
    Sha256::digest(name.as_bytes())
        .iter()
        .take(16)
        .fold("lemon-session ".to_owned(), |name, byte| name + &format!("{byte:02x}"))
}

async fn migrate(connection: &mut Conn, server: &Server, layouts: &[&str]) -> Result<Result<()>, ClientError> {
    let similar = "SELECT table_name FROM information_schema.tables
        WHERE @@lower_case_table_names = 0 AND table_schema = DATABASE()
        AND LOWER(table_name) = LOWER(?) AND BINARY table_name <> ?";
    let meta = server.sql("{table}_meta");
    if let Some(taken) = connection.exec_first::<String, _, _>(similar, (&meta, &meta)).await? {
        return Ok(Err(Error::invalid(format!(
            "there is a table {} already, and names of procedures do not differ in upper and lower case: choose another \
             name for {}, or another database",
            taken.trim_end_matches("_meta"),
            server.table
        ))));
    }
    let version: String = connection.query_first("SELECT VERSION()").await?.unwrap_or_default();
    let skip_locked = if skips_locked(&version) { "SKIP LOCKED" } else { "" };

    let create = "CREATE TABLE IF NOT EXISTS `{table}_meta` (layout BIGINT NOT NULL) ENGINE = InnoDB";
    connection.query_drop(server.sql(create)).await?;
    let layout = match connection.query_first(server.sql("SELECT layout FROM `{table}_meta`")).await? {
        Some(layout) => layout,
        None => {
            connection.query_drop(server.sql("INSERT INTO `{table}_meta` VALUES (0)")).await?;
            0
        }
    };
    let Some(steps) = usize::try_from(layout).ok().and_then(|layout| layouts.get(layout..)) else {
        return Ok(Err(server.newer_layout(layout, layouts.len() as i64)));
    };
    for (step, reached) in steps.iter().zip(layout + 1..) {
        // The server ends a transaction with every statement of these. Where a step was broken off, it begins anew: its
        // statements do nothing where their work is done.
        for statement in step.split("\n//\n") {
            connection.query_drop(server.sql(statement).replace("{skip locked}", skip_locked)).await?;
        }
        connection.exec_drop(server.sql("UPDATE `{table}_meta` SET layout = ?"), (reached,)).await?;
    }
    Ok(Ok(()))
}

/// Whether `SKIP LOCKED` is known: to MySQL 8, and to MariaDB from 10.6 on.
fn skips_locked(version: &str) -> bool {
    let version_number = version.strip_prefix("5.5.5-").unwrap_or(version);
    let mut numbers = version_number.split(['.', '-']).map(|number| number.parse::<u32>().unwrap_or(0));
    let version_number = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version.contains("MariaDB") { version_number >= (10, 6) } else { version_number >= (8, 0) }
}

/// A connection.
struct Connection {
    client: Conn,
    /// The server's `max_allowed_packet`.
    largest: usize,
}

impl Connection {
    /// Calls a procedure that takes all that a save writes. The client would split what is too large for the server, which
    /// then breaks the connection.
    async fn save(&mut self, sql: &str, parameters: &[Value]) -> Result<Row, ClientError> {
        let bytes = parameters.iter().map(|value| if let Value::Bytes(bytes) = value { bytes.len() } else { 0 });
        if bytes.sum::<usize>() + 1024 > self.largest {
            return Err(DriverError::PacketTooLarge.into());
        }
        let rows: Vec<Row> = self.client.exec(sql, Params::Positional(parameters.to_vec())).await?;
        rows.into_iter().next().ok_or_else(unexpected)
    }

    /// The one value of the one row that a procedure or an aggregate answers.
    async fn value<T: FromValue>(&mut self, sql: &str, parameters: Vec<Value>) -> Result<T, ClientError> {
        let row = self.client.exec_first(sql, Params::Positional(parameters)).await?;
        column(&mut row.ok_or_else(unexpected)?, 0)
    }
}

/// Makes connections.
struct Connections {
    encrypted: Option<Opts>,
    plain: Option<Opts>,
}

impl Connections {
    fn new(server: &Server) -> Result<Self> {
        // The client takes the process's own, and panics where there is none or a choice.
        let _ = ring::default_provider().install_default();
        server.root_certificates()?;
        let seconds = server.timeout.as_secs().max(1);
        let plain = OptsBuilder::default()
            .ip_or_hostname(&server.host)
            .tcp_port(server.port)
            .socket(server.socket.as_ref().and_then(|socket| socket.to_str()))
            .prefer_socket(false)
            .user(Some(&server.user))
            .pass(server.password.as_ref().map(|password| password.reveal()))
            .db_name(Some(&server.database))
            .tcp_keepalive(Some(server.timeout))
            .init(vec![
                "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED".to_owned(),
                format!(
                    "SET SESSION autocommit = 1, innodb_lock_wait_timeout = {seconds}, \
                     sql_mode = 'STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'"
                ),
            ]);
        let roots: Vec<PathBuf> = server.sslrootcert.iter().cloned().collect();
        let verified = server.sslmode == SslMode::VerifyFull;
        let tls = SslOpts::default()
            .with_danger_accept_invalid_certs(!verified)
            .with_disable_built_in_roots(verified && !roots.is_empty())
            .with_root_certs(roots.into_iter().map(Into::into).collect());
        let encrypted = plain.clone().ssl_opts(tls);
        // A socket on this machine is not encrypted.
        let socket = server.socket.is_some();
        Ok(Self {
            encrypted: (!socket && server.sslmode != SslMode::Disable).then(|| encrypted.into()),
            plain: (socket || matches!(server.sslmode, SslMode::Disable | SslMode::Prefer)).then(|| plain.into()),
        })
    }
}

impl Connections {
    async fn connect(&self) -> Result<Conn, ClientError> {
        let without = DriverError::NoClientSslFlagFromServer;
        let Some(encrypted) = &self.encrypted else {
            return match &self.plain {
                Some(plain) => Conn::new(plain.clone()).await,
                None => Err(without.into()),
            };
        };
        match (Conn::new(encrypted.clone()).await, &self.plain) {
            (Err(ClientError::Driver(DriverError::NoClientSslFlagFromServer)), Some(plain)) => {
                Conn::new(plain.clone()).await
            }
            (connection, _) => connection,
        }
    }
}

impl Manager for Connections {
    type Type = Connection;
    type Error = ClientError;

    async fn create(&self) -> Result<Connection, ClientError> {
        let mut client = self.connect().await?;
        let largest = client.query_first("SELECT @@max_allowed_packet").await?;
        Ok(Connection { client, largest: largest.ok_or_else(unexpected)? })
    }

    async fn recycle(&self, connection: &mut Connection, metrics: &Metrics) -> RecycleResult<ClientError> {
        if metrics.last_used() > TRUSTED_IDLE {
            connection.client.ping().await?;
        }
        Ok(())
    }
}

/// The text of an error, without the values that the server may quote.
fn describe(error: &ClientError) -> String {
    match error {
        ClientError::Server(error) => match error.code {
            // Too many connections, memory, disk, rights, read-only, encryption: none of these is about data.
            1021
            | 1037..=1042
            | 1044
            | 1045
            | 1049
            | 1053
            | 1114
            | 1129
            | 1130
            | 1142
            | 1143
            | 1153
            | 1158..=1161
            | 1203
            | 1205
            | 1213
            | 1226
            | 1227
            | 1290
            | 1304
            | 1317
            | 1370
            | 1419
            | 1665
            | 1698
            | 1792
            | 1820
            | 1836
            | 1862
            | 1927
            | 1969
            | 3024
            | 3159
            | 3572 => {
                format!("{} (error {}, SQLSTATE {})", error.message, error.code, error.state)
            }
            1064 => {
                "it does not know a statement of this program (error 1064): is it MySQL 8 or MariaDB 10.5, or newer?"
                    .to_owned()
            }
            code => format!("error {code} (SQLSTATE {})", error.state),
        },
        ClientError::Driver(DriverError::PacketTooLarge) => {
            "the change is larger than the server's max_allowed_packet: raise that, or lower the limits of sessions"
                .to_owned()
        }
        ClientError::Driver(
            DriverError::UnexpectedPacket { .. } | DriverError::FromRow { .. } | DriverError::FromValue { .. },
        ) => "the server's answer is not what was asked for".to_owned(),
        ClientError::Io(IoError::Io(error)) => error.to_string(),
        other => other.to_string(),
    }
}

impl Backend for Connections {
    fn trouble(error: ClientError, server: &Server) -> Trouble {
        let text = describe(&error);
        let ClientError::Server(refusal) = error else {
            return match error {
                ClientError::Driver(DriverError::PacketTooLarge) => Trouble::Refused(server.trouble(text)),
                ClientError::Driver(DriverError::NoClientSslFlagFromServer) => {
                    Trouble::Refused(server.refused("it does not encrypt connections, which sslmode demands"))
                }
                _ => Trouble::Broken(text),
            };
        };
        match refusal.code {
            // An unknown table, column or procedure, or one with other parameters.
            1054 | 1146 | 1305 | 1318 => Trouble::Refused(server.missing_tables()),
            // A deadlock; a row that has changed; a statement that has to be prepared anew.
            1020 | 1213 | 1615 => Trouble::Undone(text),
            1062 => Trouble::Refused(server.trouble("the new key of a session is taken")),
            1205 | 1969 | 3024 => Trouble::Refused(server.too_late()),
            1045 | 1130 | 1698 | 3159 => Trouble::Refused(server.refused(text)),
            1044 | 1049 => Trouble::Refused(server.missing_database()),
            1053 | 1153 | 1158..=1161 | 1317 | 1927 | 3169 => Trouble::Broken(text),
            _ => Trouble::Refused(server.trouble(text)),
        }
    }

    fn discard(connection: Connection) {
        // The client's own way would read the rest of the answer first, however long that takes.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(tokio::time::timeout(Duration::from_millis(100), connection.client.disconnect()));
        }
    }
}

/// The statements, with the table's name in them.
struct Statements {
    load: String,
    count_reuse: String,
    fetch: String,
    create: String,
    update: String,
    destroy: String,
    destroy_owned: String,
    cleanup: String,
    count: String,
    reused: String,
    list: String,
    list_owned: String,
    describe: String,
    export: String,
    forget: String,
    insert: String,
    find: String,
    clear: String,
    replace: String,
    write: String,
    layout: String,
    parts: String,
    drop_tables: Vec<String>,
}

impl Statements {
    fn new(server: &Server) -> Self {
        // The session `s` that the key `k` leads to. Its two parameters are both the time.
        let follow = "`{table}` k LEFT JOIN `{table}` s
            ON s.id = CASE WHEN NOT k.ended THEN k.id WHEN k.leads_until > ? THEN k.leads_to END
            AND NOT s.ended AND s.expires > ? AND (NOT k.ended OR s.era = k.leads_era)";
        let record = "s.created, s.accessed, s.expires, s.ends, s.renewed, s.owner, s.version, s.size";
        let sql = |text: &str| server.sql(&text.replace("{follow}", follow).replace("{record}", record));
        let drop = [
            "TABLE IF EXISTS `{table}_meta`",
            "PROCEDURE IF EXISTS `{table}_create`",
            "PROCEDURE IF EXISTS `{table}_update`",
            "PROCEDURE IF EXISTS `{table}_destroy`",
            "PROCEDURE IF EXISTS `{table}_destroy_owned`",
            "PROCEDURE IF EXISTS `{table}_cleanup`",
            "TABLE IF EXISTS `{table}`",
            "TABLE IF EXISTS `{table}_variable`",
        ];
        Self {
            load: sql("SELECT {record}, s.id IS NOT NULL, k.ended, k.expires, k.nonce,
                    v.name, LENGTH(v.value), CASE WHEN LENGTH(v.value) <= ? THEN v.value END
                FROM {follow} LEFT JOIN `{table}_variable` v ON v.session = s.id AND v.app = ?
                WHERE k.digest = ?"),
            count_reuse: sql("UPDATE `{table}` SET reused = reused + 1 WHERE digest = ? AND ended"),
            fetch: sql("SELECT v.value
                FROM {follow} JOIN `{table}_variable` v ON v.session = s.id AND v.app = ? AND v.name = ?
                WHERE k.digest = ?"),
            create: sql("CALL `{table}_create`(?, ?, ?, ?, ?, ?, ?, ?, ?)"),
            update: sql("CALL `{table}_update`(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"),
            destroy: sql("CALL `{table}_destroy`(?, ?, ?)"),
            destroy_owned: sql("CALL `{table}_destroy_owned`(?, ?, ?, ?)"),
            cleanup: sql("CALL `{table}_cleanup`(?, ?)"),
            count: sql("SELECT COUNT(*) FROM `{table}` WHERE NOT ended AND expires > ?"),
            reused: sql("SELECT CAST(COALESCE(SUM(reused), 0) AS UNSIGNED) FROM `{table}` WHERE ended AND expires > ?"),
            list: sql("SELECT {record}, s.digest FROM `{table}` s
                WHERE NOT s.ended AND s.expires > ? AND s.digest > ? ORDER BY s.digest LIMIT ?"),
            list_owned: sql("SELECT {record}, s.digest FROM `{table}` s
                WHERE NOT s.ended AND s.expires > ? AND s.digest > ? AND s.owner = ? ORDER BY s.digest LIMIT ?"),
            describe: sql("SELECT {record}, v.app, v.name, LENGTH(v.value)
                FROM `{table}` s LEFT JOIN `{table}_variable` v ON v.session = s.id
                WHERE s.digest = ? AND NOT s.ended AND s.expires > ?"),
            export: sql("SELECT {record}, v.app, v.name, v.value
                FROM `{table}` s LEFT JOIN `{table}_variable` v ON v.session = s.id
                WHERE s.digest = ? AND NOT s.ended AND s.expires > ?"),
            forget: sql("DELETE s FROM `{table}` s FORCE INDEX (digest)
                WHERE s.digest = ? AND s.ended AND s.expires <= ?"),
            insert: sql(
                "INSERT INTO `{table}` (created, accessed, expires, ends, renewed, owner, version, size, digest)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            ),
            find: sql("SELECT id FROM `{table}` FORCE INDEX (digest)
                WHERE digest = ? AND NOT ended AND expires > ? AND version = ? FOR UPDATE"),
            clear: sql("DELETE FROM `{table}_variable` WHERE session = ?"),
            replace: sql("UPDATE `{table}` SET created = ?, accessed = GREATEST(accessed, ?),
                expires = GREATEST(expires, ?), ends = ?, renewed = ?, owner = ?, version = ?, size = ? WHERE id = ?"),
            write: sql("INSERT INTO `{table}_variable` (session, app, name, value) VALUES (?, ?, ?, ?)"),
            layout: sql("SELECT layout FROM `{table}_meta`"),
            // MySQL 8 tells no width of integers.
            parts: sql("SELECT CONCAT('column ', table_name, '.', column_name), CONCAT(
                    REGEXP_REPLACE(column_type, 'int[(][0-9]+[)]', 'int'),
                    COALESCE(CONCAT(' collate ', collation_name), ''), IF(is_nullable = 'NO', ' not null', ''))
                FROM information_schema.columns
                WHERE table_schema = DATABASE() AND table_name IN ('{table}', '{table}_variable')
                UNION ALL SELECT CONCAT('engine ', table_name), engine FROM information_schema.tables
                WHERE table_schema = DATABASE() AND table_name IN ('{table}', '{table}_variable')
                UNION ALL SELECT CONCAT('index ', table_name, '.', index_name), CONCAT(
                    GROUP_CONCAT(column_name ORDER BY seq_in_index SEPARATOR ', '), IF(MIN(non_unique), '', ', unique'))
                FROM information_schema.statistics
                WHERE table_schema = DATABASE() AND table_name IN ('{table}', '{table}_variable')
                GROUP BY table_name, index_name
                UNION ALL SELECT CONCAT('procedure ', routine_name), LOWER(routine_type) FROM information_schema.routines
                WHERE routine_schema = DATABASE() AND routine_name IN ('{table}_create', '{table}_update',
                    '{table}_destroy', '{table}_destroy_owned', '{table}_cleanup')"),
            drop_tables: drop.iter().map(|what| sql(&format!("DROP {what}"))).collect(),
        }
    }
}

fn bytes(bytes: &[u8]) -> Value {
    Value::Bytes(bytes.to_vec())
}

fn number(number: u64) -> Value {
    Value::UInt(number)
}

fn optional<T>(value: Option<T>, some: impl FnOnce(T) -> Value) -> Value {
    value.map_or(Value::NULL, some)
}

/// Takes a column out of a row.
fn column<T: FromValue>(row: &mut Row, index: usize) -> Result<T, ClientError> {
    // The error of the client would hold the value.
    let value = row.take_opt(index).and_then(Result::ok);
    value.ok_or_else(unexpected)
}

fn unexpected() -> ClientError {
    DriverError::UnexpectedPacket { payload: Vec::new() }.into()
}

/// A record from the first eight columns of a row.
fn record(row: &mut Row) -> Result<Record, ClientError> {
    Ok(Record {
        created: column(row, 0)?,
        accessed: column(row, 1)?,
        expires: column(row, 2)?,
        ends: column(row, 3)?,
        renewed: column(row, 4)?,
        owner: column::<Option<Vec<u8>>>(row, 5)?.map(text),
        version: column(row, 6)?,
        size: column(row, 7)?,
    })
}

/// A name that was text when it was stored.
fn text(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Writes as the procedures read them: the lengths of application, name and value in 4, 4 and 10 digits, and then these.
fn pack(writes: &[&Write]) -> Vec<u8> {
    let mut packed = Vec::new();
    for write in writes {
        let length = write.value.as_ref().map_or(-1, |value| value.len() as i64);
        packed.extend(format!("{:04}{:04}{length:010}", write.app.len(), write.name.len()).into_bytes());
        packed.extend(write.app.as_bytes());
        packed.extend(write.name.as_bytes());
        packed.extend(write.value.as_deref().unwrap_or_default());
    }
    packed
}

fn pack_clears(clears: &[String]) -> Vec<u8> {
    clears.iter().flat_map(|app| format!("{:04}{app}", app.len()).into_bytes()).collect()
}

/// The answer of a load that found the session.
fn loaded(mut rows: Vec<Row>) -> Result<LoadOutcome, ClientError> {
    let mut variables = Vec::with_capacity(rows.len());
    for row in &mut rows {
        // A session without variables is one row.
        let Some(name) = column::<Option<Vec<u8>>>(row, 12)? else { continue };
        let value = match column(row, 14)? {
            Some(value) => Stored::Inline(value),
            None => Stored::Large(column(row, 13)?),
        };
        variables.push(Variable { name: text(name), value });
    }
    variables.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    let Some(first) = rows.first_mut() else { return Ok(LoadOutcome::Absent) };
    let (record, renewal) = (record(first)?, column(first, 11)?);
    Ok(LoadOutcome::Found(Loaded { record, variables, renewal }))
}

/// The writes that a new session has: of each variable the last, unless it removes.
fn stored_writes(writes: &[Write]) -> Vec<&Write> {
    last_writes(writes).into_iter().filter(|write| write.value.is_some()).collect()
}

fn size<W: Borrow<Write>>(writes: &[W]) -> u64 {
    let bytes = |write: &Write| write.name.len() + write.value.as_ref().map_or(0, Vec::len);
    writes.iter().map(|write| bytes(write.borrow())).sum::<usize>() as u64
}

/// Writes another store's session, within a transaction; tells whether it may be kept.
async fn import(
    transaction: &mut Transaction<'_>,
    sql: &Statements,
    key: &Key,
    mut fields: Vec<Value>,
    writes: &[Write],
    over: Option<u64>,
    now: u64,
) -> Result<bool, ClientError> {
    let key = bytes(key.as_bytes());
    let session = match over {
        None => {
            transaction.exec_drop(&sql.forget, (key.clone(), now)).await?;
            fields.push(key);
            match transaction.exec_drop(&sql.insert, Params::Positional(fields)).await {
                Err(ClientError::Server(error)) if error.code == 1062 => return Ok(false),
                inserted => inserted?,
            }
            transaction.last_insert_id().ok_or_else(unexpected)?
        }
        Some(over) => {
            let Some(session) = transaction.exec_first::<u64, _, _>(&sql.find, (key, now, over)).await? else {
                return Ok(false);
            };
            transaction.exec_drop(&sql.clear, (session,)).await?;
            fields.push(number(session));
            transaction.exec_drop(&sql.replace, Params::Positional(fields)).await?;
            session
        }
    };
    for Write { app, name, value } in writes {
        let value = bytes(value.as_deref().unwrap_or_default());
        let parameters = vec![number(session), bytes(app.as_bytes()), bytes(name.as_bytes()), value];
        transaction.exec_drop(&sql.write, Params::Positional(parameters)).await?;
    }
    Ok(true)
}

#[async_trait]
impl Driver for MySql {
    fn summary(&self) -> String {
        self.server().summary()
    }

    async fn load(&self, key: &Key, app: &str, now: u64, inline_bytes: u32) -> Result<LoadOutcome> {
        let input = (self.sql(), *key, app.to_owned(), now, inline_bytes);
        let load = self.calls.run(Repeat::Safe, input, |connection, (sql, key, app, now, inline_bytes)| {
            Box::pin(async move {
                let key = bytes(key.as_bytes());
                let parameters = vec![
                    number((*inline_bytes).into()),
                    number(*now),
                    number(*now),
                    bytes(app.as_bytes()),
                    key.clone(),
                ];
                let mut rows: Vec<Row> = connection.client.exec(&sql.load, Params::Positional(parameters)).await?;
                let Some(first) = rows.first_mut() else { return Ok(LoadOutcome::Absent) };
                let (found, ended, forgotten): (bool, bool, u64) =
                    (column(first, 8)?, column(first, 9)?, column(first, 10)?);
                if found {
                    return loaded(rows);
                }
                if !ended {
                    return Ok(LoadOutcome::Expired);
                }
                if forgotten <= *now {
                    return Ok(LoadOutcome::Absent);
                }
                connection.client.exec_drop(&sql.count_reuse, (key,)).await?;
                Ok(LoadOutcome::Ended)
            })
        });
        load.await
    }

    async fn fetch(&self, key: &Key, app: &str, name: &str, now: u64) -> Result<Option<Vec<u8>>> {
        let input = (self.sql(), *key, app.to_owned(), name.to_owned(), now);
        let fetch = self.calls.run(Repeat::Safe, input, |connection, (sql, key, app, name, now)| {
            Box::pin(async move {
                let names = [app.as_bytes(), name.as_bytes(), key.as_bytes()];
                let times = [number(*now), number(*now)];
                let parameters = times.into_iter().chain(names.map(bytes)).collect();
                let row = connection.client.exec_first(&sql.fetch, Params::Positional(parameters)).await?;
                row.map(|mut row| column(&mut row, 0)).transpose()
            })
        });
        fetch.await
    }

    async fn create(&self, key: &Key, record: &Record, writes: &[Write]) -> Result<CreateOutcome> {
        check_owner(record.owner.as_deref())?;
        check_writes(writes)?;
        let writes = stored_writes(writes);
        let parameters = vec![
            bytes(key.as_bytes()),
            number(record.created),
            number(record.accessed),
            number(record.expires),
            optional(record.ends, number),
            number(record.renewed),
            optional(record.owner.as_deref(), |owner| bytes(owner.as_bytes())),
            number(size(&writes)),
            Value::Bytes(pack(&writes)),
        ];
        let create = self.calls.run(Repeat::Never, (self.sql(), parameters), |connection, (sql, parameters)| {
            Box::pin(async move { column(&mut connection.save(&sql.create, parameters).await?, 0) })
        });
        Ok(if create.await? { CreateOutcome::Created } else { CreateOutcome::Exists })
    }

    async fn update(&self, key: &Key, change: &Change, expected: Option<u64>, now: u64) -> Result<UpdateOutcome> {
        check_change(change)?;
        let grace = change.rename.as_ref().and_then(|rename| rename.grace.as_ref());
        let parameters = vec![
            bytes(key.as_bytes()),
            optional(expected, number),
            Value::Bytes(pack_clears(&change.clears)),
            Value::Bytes(pack(&last_writes(&change.writes))),
            Value::from(change.owner.is_some()),
            optional(change.owner.as_ref().and_then(Option::as_deref), |owner| bytes(owner.as_bytes())),
            optional(change.expires, number),
            optional(change.rename.as_ref(), |rename| bytes(rename.to.as_bytes())),
            optional(grace, |grace| number(grace.until)),
            optional(grace, |grace| bytes(&grace.nonce)),
            number(known_until(change, now)),
            number(change.max_size),
            number(now),
        ];
        let update = self.calls.run(Repeat::Never, (self.sql(), parameters), |connection, (sql, parameters)| {
            Box::pin(async move {
                let mut row = connection.save(&sql.update, parameters).await?;
                let number = column(&mut row, 1)?;
                Ok(match column::<String>(&mut row, 0)?.as_str() {
                    "committed" => UpdateOutcome::Committed(number),
                    "conflict" => UpdateOutcome::Conflict(number),
                    "too-large" => UpdateOutcome::TooLarge(number),
                    _ => UpdateOutcome::Gone,
                })
            })
        });
        update.await
    }

    async fn destroy(&self, key: &Key, now: u64, remember: u32) -> Result<bool> {
        let until = now.saturating_add(remember.into());
        let parameters = vec![bytes(key.as_bytes()), number(now), number(until)];
        let destroy = self.calls.run(Repeat::Never, (self.sql(), parameters), |connection, (sql, parameters)| {
            Box::pin(async move { connection.value(&sql.destroy, parameters.clone()).await })
        });
        destroy.await
    }

    async fn destroy_owned(&self, owner: &str, except: Option<&Key>, now: u64, remember: u32) -> Result<u64> {
        let until = now.saturating_add(remember.into());
        let except = optional(except, |key| bytes(key.as_bytes()));
        let parameters = vec![bytes(owner.as_bytes()), except, number(now), number(until)];
        let destroy = self.calls.run(Repeat::Never, (self.sql(), parameters), |connection, (sql, parameters)| {
            Box::pin(async move { connection.value(&sql.destroy_owned, parameters.clone()).await })
        });
        destroy.await
    }

    async fn cleanup(&self, now: u64, limit: u32) -> Result<u32> {
        let mut removed = 0;
        while removed < limit {
            let batch = CLEANUP_BATCH.min(limit - removed);
            let parameters = vec![number(now), number(batch.into())];
            let cleanup = self.calls.run(Repeat::Never, (self.sql(), parameters), |connection, (sql, parameters)| {
                Box::pin(async move { connection.value::<u32>(&sql.cleanup, parameters.clone()).await })
            });
            match cleanup.await? {
                0 => break,
                more => removed += more,
            }
        }
        Ok(removed)
    }

    async fn count(&self, now: u64) -> Result<u64> {
        let count = self.calls.run(Repeat::Safe, (self.sql(), now), |connection, (sql, now)| {
            Box::pin(connection.value(&sql.count, vec![number(*now)]))
        });
        count.await
    }

    async fn reused(&self, now: u64) -> Result<u64> {
        let reused = self.calls.run(Repeat::Safe, (self.sql(), now), |connection, (sql, now)| {
            Box::pin(connection.value(&sql.reused, vec![number(*now)]))
        });
        reused.await
    }

    async fn list(&self, now: u64, owner: Option<&str>, after: Option<&Key>, limit: u32) -> Result<Vec<Listed>> {
        let input = (self.sql(), now, owner.map(str::to_owned), after.copied(), limit);
        let list = self.calls.run(Repeat::Safe, input, |connection, (sql, now, owner, after, limit)| {
            Box::pin(async move {
                let mut parameters = vec![
                    number(*now),
                    bytes(after.as_ref().map_or(&[][..], |key| key.as_bytes())),
                    number((*limit).into()),
                ];
                let mut list = &sql.list;
                if let Some(owner) = owner {
                    list = &sql.list_owned;
                    parameters.insert(2, bytes(owner.as_bytes()));
                }
                let mut listed = Vec::new();
                for mut row in connection.client.exec::<Row, _, _>(list, Params::Positional(parameters)).await? {
                    // The driver wrote no key that is shorter.
                    if let Ok(key) = Key::try_from(column::<Vec<u8>>(&mut row, 8)?.as_slice()) {
                        listed.push(Listed { key, record: record(&mut row)? });
                    }
                }
                Ok(listed)
            })
        });
        list.await
    }

    async fn describe(&self, key: &Key, now: u64) -> Result<Option<(Record, Vec<(String, String, u64)>)>> {
        let describe = self.calls.run(Repeat::Safe, (self.sql(), *key, now), |connection, (sql, key, now)| {
            Box::pin(async move {
                let parameters = Params::Positional(vec![bytes(key.as_bytes()), number(*now)]);
                let mut rows: Vec<Row> = connection.client.exec(&sql.describe, parameters).await?;
                let mut variables = Vec::with_capacity(rows.len());
                for row in &mut rows {
                    let Some(app) = column::<Option<Vec<u8>>>(row, 8)? else { continue };
                    variables.push((text(app), text(column(row, 9)?), column(row, 10)?));
                }
                variables.sort_unstable();
                rows.first_mut().map(|first| Ok((record(first)?, variables))).transpose()
            })
        });
        describe.await
    }

    async fn export(&self, key: &Key, now: u64) -> Result<Option<Snapshot>> {
        let export = self.calls.run(Repeat::Safe, (self.sql(), *key, now), |connection, (sql, key, now)| {
            Box::pin(async move {
                let parameters = Params::Positional(vec![bytes(key.as_bytes()), number(*now)]);
                let mut rows: Vec<Row> = connection.client.exec(&sql.export, parameters).await?;
                let mut variables = Vec::with_capacity(rows.len());
                for row in &mut rows {
                    let Some(app) = column::<Option<Vec<u8>>>(row, 8)? else { continue };
                    variables.push(Write {
                        app: text(app),
                        name: text(column(row, 9)?),
                        value: Some(column(row, 10)?),
                    });
                }
                variables.sort_unstable_by(|a, b| (&a.app, &a.name).cmp(&(&b.app, &b.name)));
                rows.first_mut().map(|first| Ok(Snapshot { record: record(first)?, variables })).transpose()
            })
        });
        export.await
    }

    async fn import(&self, key: &Key, snapshot: &Snapshot, over: Option<u64>, now: u64) -> Result<bool> {
        let Snapshot { record, variables } = snapshot;
        check_owner(record.owner.as_deref())?;
        check_writes(variables)?;
        let writes: Vec<Write> = stored_writes(variables).into_iter().cloned().collect();
        let fields = vec![
            number(record.created),
            number(record.accessed),
            number(record.expires),
            optional(record.ends, number),
            number(record.renewed),
            optional(record.owner.as_deref(), |owner| bytes(owner.as_bytes())),
            number(record.version),
            number(size(&writes)),
        ];
        let input = (self.sql(), *key, fields, writes, over, now);
        let import = self.calls.run(Repeat::Never, input, |connection, (sql, key, fields, writes, over, now)| {
            Box::pin(async move {
                let longest = writes.iter().map(|write| write.value.as_ref().map_or(0, Vec::len)).max();
                if longest.unwrap_or(0) + 4096 > connection.largest {
                    return Err(DriverError::PacketTooLarge.into());
                }
                let mut transaction = connection.client.start_transaction(TxOpts::default()).await?;
                let imported = import(&mut transaction, sql, key, fields.clone(), writes, *over, *now).await;
                match imported {
                    Ok(true) => transaction.commit().await?,
                    _ => transaction.rollback().await?,
                }
                imported
            })
        });
        import.await
    }

    async fn create_tables(&self) -> Result<()> {
        self.migrate(LAYOUTS).await
    }

    async fn drop_tables(&self) -> Result<()> {
        let input = (Arc::clone(self.calls.server()), self.sql());
        let drop = self.calls.set_up(input, |connection, (server, sql)| {
            Box::pin(async move {
                lock(&mut connection.client, server).await?;
                let mut dropped = Ok(());
                for statement in &sql.drop_tables {
                    dropped = dropped.and(connection.client.query_drop(statement).await);
                }
                unlock(&mut connection.client, server).await?;
                dropped
            })
        });
        drop.await
    }

    async fn tables_exist(&self) -> Result<bool> {
        Ok(self.layout().await? == LAYOUTS.len() as i64)
    }

    async fn differences(&self) -> Result<Vec<String>> {
        match self.layout().await? {
            0 => return Ok(vec!["the tables are not there".to_owned()]),
            layout if layout != LAYOUTS.len() as i64 => return Ok(vec![older_layout(layout, LAYOUTS.len())]),
            _ => {}
        }
        let found = self.calls.run(Repeat::Safe, self.sql(), |connection, sql| {
            Box::pin(async move {
                let rows: Vec<Row> = connection.client.query(&sql.parts).await?;
                let part = |mut row: Row| Ok((text(column(&mut row, 0)?), text(column(&mut row, 1)?)));
                rows.into_iter().map(part).collect::<Result<Parts, ClientError>>()
            })
        });
        Ok(differences(&parts(&self.server().sql(LAYOUT)), &found.await?))
    }

    async fn close(&self) -> Result<()> {
        self.calls.close();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::migrating::older_layout_is_upgraded;

    /// A second `ADD COLUMN` would fail.
    const NEXT: &[&str] = &[LAYOUTS[0], "ALTER TABLE `{table}` ADD COLUMN device VARBINARY(255)"];
    const FAILS: &[&str] = &[LAYOUTS[0], "DROP TABLE `{table}_no`"];

    #[tokio::test]
    async fn older_layout_is_upgraded_by_one_of_many_hosts_and_loses_no_session() {
        let url = std::env::var("LEMON_TEST_MYSQL").unwrap_or_else(|_| "mysql://root@127.0.0.1:3306/test".to_owned());
        older_layout_is_upgraded(&url, MySql::connect, MySql::migrate, NEXT, FAILS).await;
    }
}
