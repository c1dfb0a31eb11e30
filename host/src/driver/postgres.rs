//! `postgres://USER:PASSWORD@HOST:PORT/DATABASE`: sessions in PostgreSQL 12 or newer, shared by any number of hosts.
//!
//! A load is one statement and a save is one call of a stored function, each prepared once by every connection: one round
//! trip. A load that answers `Ended` takes a second one, to count it. Saves of one session follow one another; those of
//! different sessions never wait for each other. A save that was answered survives what the database's `synchronous_commit`
//! makes it survive: a power failure, unless that is off.
//!
//! The user needs the rights to connect, and to create tables and functions in the schema.
//!
#![doc = include_str!("server.md")]

use std::sync::Arc;

use async_trait::async_trait;
use deadpool_postgres::{ClientWrapper, Connect, Manager, ManagerConfig};
use futures::future::BoxFuture;
use rustls::ClientConfig;
use tokio::task::JoinHandle;
use tokio_postgres::{
    Client, Config, Row,
    config::SslMode as ClientSslMode,
    error::{Severity, SqlState},
};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{
    Change, CreateOutcome, Driver, Key, Listed, LoadOutcome, Loaded, Record, Result, Snapshot, StorageOptions, Stored,
    UpdateOutcome, Variable, Write,
    layout::{Parts, differences, parts},
    registry::{Open, Opening},
    server::{
        Backend, Calls, Repeat, Server, SslMode, Trouble, check_change, check_owner, check_writes, known_until,
        last_writes, older_layout, tls,
    },
};

/// What brings the tables from one layout to the next. Their layout is how many of these they went through.
const LAYOUTS: &[&str] = &[include_str!("postgres.sql")];

/// What the tables of the last layout are made of.
const LAYOUT: &str = include_str!("postgres.layout");

/// The schemes of its URLs.
pub(super) const SCHEMES: [(&str, Open); 2] = [("postgres", Postgres::open), ("postgresql", Postgres::open)];

/// How many sessions one transaction of a cleanup removes.
const CLEANUP_BATCH: u32 = 256;

/// Sessions in PostgreSQL.
pub struct Postgres {
    calls: Calls<Manager>,
    sql: Arc<Statements>,
}

impl Postgres {
    /// Opens the store of a URL `postgres://USER:PASSWORD@HOST:PORT/DATABASE`.
    pub fn open(options: StorageOptions) -> Opening {
        Box::pin(async move { Ok(Arc::new(Self::connect(&options).await?) as Arc<dyn Driver>) })
    }

    async fn connect(options: &StorageOptions) -> Result<Self> {
        let server = Arc::new(Server::parse(options, "PostgreSQL", 5432)?);
        let mut config = Config::new();
        match &server.socket {
            Some(socket) => config.host_path(socket),
            None => config.host(&server.host),
        };
        config
            .port(server.port)
            .user(&server.user)
            .dbname(&server.database)
            .application_name("lemon-session")
            .connect_timeout(server.connect_timeout)
            // So that a server which is gone without a word is noticed.
            .keepalives_idle(server.timeout)
            .tcp_user_timeout(server.timeout)
            .ssl_mode(match server.sslmode {
                // A socket on this machine is not encrypted.
                _ if server.socket.is_some() => ClientSslMode::Disable,
                SslMode::Disable => ClientSslMode::Disable,
                SslMode::Prefer => ClientSslMode::Prefer,
                SslMode::Require | SslMode::VerifyFull => ClientSslMode::Require,
            });
        if let Some(password) = &server.password {
            config.password(password.reveal());
        }
        let connector = Connector { tls: tls(&server)?, settings: settings(&server) };
        let sql = Arc::new(Statements::new(&server));
        let calls = server.pool(Manager::from_connect(config, connector, ManagerConfig::default())).await?;
        Ok(Self { calls, sql })
    }

    fn sql(&self) -> Arc<Statements> {
        Arc::clone(&self.sql)
    }

    fn server(&self) -> &Server {
        self.calls.server()
    }

    /// Stores a session whose key is free at `now`; false when it is not.
    async fn insert(&self, key: &Key, record: &Record, writes: &[Write], now: u64) -> Result<bool> {
        let columns = Columns::of(record, writes)?;
        let input = (self.sql(), *key, record.clone(), columns, stored(now));
        let insert = self.calls.run(Repeat::Never, input, |client, (sql, key, record, columns, now)| {
            Box::pin(async move {
                let create = client.prepare_cached(&sql.create).await?;
                let row = client
                    .query_opt(
                        &create,
                        &[
                            &&key.as_bytes()[..],
                            &stored(record.created),
                            &stored(record.accessed),
                            &stored(record.expires),
                            &record.ends.map(stored),
                            &stored(record.renewed),
                            &record.owner.as_deref().map(str::as_bytes),
                            &stored(columns.size()),
                            &columns.apps,
                            &columns.names,
                            &columns.values,
                            &stored(record.version),
                            now,
                        ],
                    )
                    .await?;
                Ok(row.is_some())
            })
        });
        insert.await
    }

    /// Puts another session in place of a live one of the version `over`; false when there is none.
    async fn replace(&self, key: &Key, record: &Record, writes: &[Write], over: u64, now: u64) -> Result<bool> {
        let columns = Columns::of(record, writes)?;
        let input = (self.sql(), *key, record.clone(), columns, stored(over), stored(now));
        let replace = self.calls.run(Repeat::Never, input, |client, (sql, key, record, columns, over, now)| {
            Box::pin(async move {
                // Undone where it is dropped.
                let transaction = client.transaction().await?;
                let find = transaction.prepare_cached(&sql.find).await?;
                let found = transaction.query_opt(&find, &[&&key.as_bytes()[..], now, over]).await?;
                let Some(session) = found.map(|row| row.try_get::<_, i64>(0)).transpose()? else {
                    return Ok(false);
                };
                let clear = transaction.prepare_cached(&sql.clear).await?;
                transaction.execute(&clear, &[&session]).await?;
                let replace = transaction.prepare_cached(&sql.replace).await?;
                transaction
                    .execute(
                        &replace,
                        &[
                            &session,
                            &stored(record.created),
                            &stored(record.accessed),
                            &stored(record.expires),
                            &record.ends.map(stored),
                            &stored(record.renewed),
                            &record.owner.as_deref().map(str::as_bytes),
                            &stored(record.version),
                            &stored(columns.size()),
                        ],
                    )
                    .await?;
                let write = transaction.prepare_cached(&sql.write).await?;
                transaction.execute(&write, &[&session, &columns.apps, &columns.names, &columns.values]).await?;
                transaction.commit().await?;
                Ok(true)
            })
        });
        replace.await
    }

    /// The layout of the tables, 0 where there are none.
    async fn layout(&self) -> Result<i64> {
        let layout = self.calls.run(Repeat::Safe, self.sql(), |client, sql| {
            Box::pin(async move { client.query_one(&sql.layout, &[]).await?.try_get::<_, i64>(0) })
        });
        self.server().known_layout(layout.await, LAYOUTS.len() as i64)
    }

    async fn migrate(&self, layouts: &'static [&'static str]) -> Result<()> {
        let server = Arc::clone(self.calls.server());
        let migrated = self.calls.set_up((server, layouts), |client, (server, layouts)| {
            Box::pin(async move {
                let transaction = client.transaction().await?;
                transaction.batch_execute(&set_up(server)).await?;
                let meta = server.sql(r#""{table}_meta""#);
                let mut layout = 0;
                if transaction.query_one("SELECT to_regclass($1) IS NOT NULL", &[&meta]).await?.try_get(0)? {
                    layout = transaction.query_one(&format!("SELECT layout FROM {meta}"), &[]).await?.try_get(0)?;
                } else {
                    let create = format!("CREATE TABLE {meta} (layout bigint NOT NULL); INSERT INTO {meta} VALUES (0)");
                    transaction.batch_execute(&create).await?;
                }
                let known = layouts.len() as i64;
                let Some(steps) = usize::try_from(layout).ok().and_then(|layout| layouts.get(layout..)) else {
                    return Ok(Err(server.newer_layout(layout, known)));
                };
                for step in steps {
                    transaction.batch_execute(&server.sql(step)).await?;
                }
                transaction.execute(&format!("UPDATE {meta} SET layout = $1"), &[&known]).await?;
                transaction.commit().await?;
                Ok(Ok(()))
            })
        });
        migrated.await?
    }
}

/// What every connection begins with.
fn settings(server: &Server) -> String {
    // A function's statements see what was committed before each of them began only in READ COMMITTED.
    //
    // Every statement of a load or save finds its rows by an index. Without the other settings, a plan that was made while
    // the tables were small would read them whole later on.
    format!(
        "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED;
        SET statement_timeout = {};
        SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off",
        server.timeout.as_millis().max(1)
    )
}

/// How a transaction begins that changes the tables themselves: it takes the time it needs, and one goes after the other.
fn set_up(server: &Server) -> String {
    server.sql(
        "SET LOCAL statement_timeout = 0;
        SELECT pg_advisory_xact_lock(hashtextextended('lemon-session {table}', 0))",
    )
}

struct Connector {
    tls: ClientConfig,
    settings: String,
}

impl Connect for Connector {
    fn connect(&self, config: &Config) -> BoxFuture<'_, Result<(Client, JoinHandle<()>), tokio_postgres::Error>> {
        let config = config.clone();
        Box::pin(async move {
            let (client, connection) = config.connect(MakeRustlsConnect::new(self.tls.clone())).await?;
            let task = tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::warn!("a connection to PostgreSQL has broken: {}", describe(&error));
                }
            });
            if let Err(error) = client.batch_execute(&self.settings).await {
                task.abort();
                return Err(error);
            }
            Ok((client, task))
        })
    }
}

/// The text of an error, without the values that the server may quote.
fn describe(error: &tokio_postgres::Error) -> String {
    let Some(error) = error.as_db_error() else {
        let why = std::iter::successors(std::error::Error::source(error), |why| why.source());
        return why.fold(error.to_string(), |text, why| format!("{text}: {why}"));
    };
    let code = error.code().code();
    // Class 22 is about data, class 23 about keys.
    if code.starts_with("22") || code.starts_with("23") {
        return format!("SQLSTATE {code}");
    }
    format!("{} (SQLSTATE {code})", error.message())
}

impl Backend for Manager {
    fn trouble(error: tokio_postgres::Error, server: &Server) -> Trouble {
        let text = describe(&error);
        let Some(db) = error.as_db_error() else {
            if text.contains("password missing") {
                return Trouble::Refused(server.refused("it asks for a password, and none is given"));
            }
            return Trouble::Broken(text);
        };
        match db.code() {
            &SqlState::UNDEFINED_TABLE | &SqlState::UNDEFINED_FUNCTION | &SqlState::UNDEFINED_COLUMN => {
                Trouble::Refused(server.missing_tables())
            }
            &SqlState::T_R_SERIALIZATION_FAILURE | &SqlState::T_R_DEADLOCK_DETECTED => Trouble::Undone(text),
            &SqlState::UNIQUE_VIOLATION => Trouble::Refused(server.trouble("the new key of a session is taken")),
            &SqlState::QUERY_CANCELED => Trouble::Refused(server.too_late()),
            &SqlState::INVALID_PASSWORD | &SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
                Trouble::Refused(server.refused(db.message()))
            }
            &SqlState::INVALID_CATALOG_NAME => Trouble::Refused(server.missing_database()),
            _ if matches!(db.parsed_severity(), Some(Severity::Error)) => Trouble::Refused(server.trouble(text)),
            _ => Trouble::Broken(text),
        }
    }

    fn discard(connection: ClientWrapper) {
        // Ends the task that owns the socket.
        drop(connection);
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
    describe: String,
    export: String,
    find: String,
    clear: String,
    replace: String,
    write: String,
    layout: String,
    parts: String,
    drop_tables: String,
}

impl Statements {
    fn new(server: &Server) -> Self {
        // The session `s` that the key `k` leads to at $2.
        let follow = r#""{table}" k LEFT JOIN "{table}" s
            ON s.id = CASE WHEN NOT k.ended THEN k.id WHEN $2 < k.leads_until THEN k.leads_to END
            AND NOT s.ended AND s.expires > $2 AND (NOT k.ended OR s.era = k.leads_era)"#;
        let record = "s.created, s.accessed, s.expires, s.ends, s.renewed, s.owner, s.version, s.size";
        let sql = |text: &str| server.sql(&text.replace("{follow}", follow).replace("{record}", record));
        Self {
            load: sql(r#"SELECT {record}, s.id IS NOT NULL, k.ended, k.expires, k.nonce,
                    v.name, octet_length(v.value)::bigint, CASE WHEN octet_length(v.value) <= $4::bigint THEN v.value END
                FROM {follow} LEFT JOIN "{table}_variable" v ON v.session = s.id AND v.app = $3
                WHERE k.digest = $1 ORDER BY v.name"#),
            count_reuse: sql(r#"UPDATE "{table}" SET reused = reused + 1 WHERE digest = $1 AND ended"#),
            fetch: sql(r#"SELECT v.value
                FROM {follow} JOIN "{table}_variable" v ON v.session = s.id AND v.app = $3 AND v.name = $4
                WHERE k.digest = $1"#),
            create: sql(r#"WITH made AS (
                    INSERT INTO "{table}" AS s (digest, created, accessed, expires, ends, renewed, owner, version, size)
                    VALUES ($1, $2, $3, $4, $5, $6, $7, $12, $8)
                    ON CONFLICT (digest) DO UPDATE SET
                        id = EXCLUDED.id, ended = false, created = EXCLUDED.created, accessed = EXCLUDED.accessed,
                        expires = EXCLUDED.expires, ends = EXCLUDED.ends, renewed = EXCLUDED.renewed,
                        owner = EXCLUDED.owner, version = EXCLUDED.version, size = EXCLUDED.size, era = 0,
                        leads_to = NULL, leads_era = NULL, leads_until = NULL, nonce = NULL, reused = 0
                    WHERE s.ended AND s.expires <= $13
                    RETURNING s.id
                ), written AS (
                    INSERT INTO "{table}_variable" (session, app, name, value)
                    SELECT made.id, w.* FROM made, unnest($9::bytea[], $10::bytea[], $11::bytea[]) AS w
                )
                SELECT id FROM made"#),
            update: sql(r#"SELECT outcome, number
                FROM "{table}_update"($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)"#),
            destroy: sql(r#"SELECT "{table}_destroy"($1, $2, $3)"#),
            destroy_owned: sql(r#"SELECT "{table}_destroy_owned"($1, $2, $3, $4)"#),
            cleanup: sql(r#"SELECT "{table}_cleanup"($1, $2)"#),
            count: sql(r#"SELECT count(*) FROM "{table}" WHERE NOT ended AND expires > $1"#),
            reused: sql(r#"SELECT coalesce(sum(reused), 0)::bigint FROM "{table}" WHERE ended AND expires > $1"#),
            list: sql(r#"SELECT {record}, s.digest FROM "{table}" s
                WHERE s.digest > $2 AND ($3::bytea IS NULL OR s.owner = $3) AND NOT s.ended AND s.expires > $1
                ORDER BY s.digest LIMIT $4"#),
            describe: sql(r#"SELECT {record}, v.app, v.name, octet_length(v.value)::bigint
                FROM "{table}" s LEFT JOIN "{table}_variable" v ON v.session = s.id
                WHERE s.digest = $1 AND NOT s.ended AND s.expires > $2 ORDER BY v.app, v.name"#),
            export: sql(r#"SELECT {record}, v.app, v.name, v.value
                FROM "{table}" s LEFT JOIN "{table}_variable" v ON v.session = s.id
                WHERE s.digest = $1 AND NOT s.ended AND s.expires > $2 ORDER BY v.app, v.name"#),
            find: sql(r#"SELECT id FROM "{table}"
                WHERE digest = $1 AND NOT ended AND expires > $2 AND version = $3 FOR UPDATE"#),
            clear: sql(r#"DELETE FROM "{table}_variable" WHERE session = $1"#),
            replace: sql(r#"UPDATE "{table}" SET created = $2, accessed = greatest(accessed, $3),
                expires = greatest(expires, $4), ends = $5, renewed = $6, owner = $7, version = $8, size = $9
                WHERE id = $1"#),
            write: sql(r#"INSERT INTO "{table}_variable" (session, app, name, value)
                SELECT $1, w.* FROM unnest($2::bytea[], $3::bytea[], $4::bytea[]) AS w"#),
            layout: sql(r#"SELECT layout FROM "{table}_meta""#),
            parts: sql(r#"WITH here AS (
                    SELECT c.oid, c.relname FROM pg_class c WHERE c.oid IN (to_regclass('"{table}"'), to_regclass('"{table}_variable"'))
                )
                SELECT 'column ' || h.relname || '.' || a.attname,
                    format_type(a.atttypid, a.atttypmod) || CASE WHEN a.attnotnull THEN ' not null' ELSE '' END
                FROM here h JOIN pg_attribute a ON a.attrelid = h.oid AND a.attnum > 0 AND NOT a.attisdropped
                UNION ALL SELECT 'index ' || c.relname, (
                        SELECT string_agg(pg_get_indexdef(i.indexrelid, n, true), ', ' ORDER BY n)
                        FROM generate_series(1, i.indnkeyatts) n
                    ) || CASE WHEN i.indisunique THEN ', unique' ELSE '' END || CASE WHEN i.indisvalid THEN '' ELSE ', invalid' END
                FROM here h JOIN pg_index i ON i.indrelid = h.oid JOIN pg_class c ON c.oid = i.indexrelid
                UNION ALL SELECT 'function ' || p.proname, format_type(p.prorettype, NULL)
                FROM pg_proc p WHERE pg_function_is_visible(p.oid)
                AND p.proname IN ('{table}_update', '{table}_destroy', '{table}_destroy_owned', '{table}_cleanup')"#),
            drop_tables: sql(r#"DROP FUNCTION IF EXISTS "{table}_update";
                DROP FUNCTION IF EXISTS "{table}_destroy";
                DROP FUNCTION IF EXISTS "{table}_destroy_owned";
                DROP FUNCTION IF EXISTS "{table}_cleanup";
                DROP TABLE IF EXISTS "{table}";
                DROP TABLE IF EXISTS "{table}_variable";
                DROP TABLE IF EXISTS "{table}_meta""#),
        }
    }
}

/// How a time, a size or a version is stored: no one is ever past the most that PostgreSQL's integers hold.
fn stored(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn number(stored: i64) -> u64 {
    u64::try_from(stored).unwrap_or(0)
}

/// A record from the first eight columns of a row.
fn record(row: &Row) -> Result<Record, tokio_postgres::Error> {
    let column = |index: usize| row.try_get::<_, i64>(index).map(number);
    Ok(Record {
        created: column(0)?,
        accessed: column(1)?,
        expires: column(2)?,
        ends: row.try_get::<_, Option<i64>>(3)?.map(number),
        renewed: column(4)?,
        owner: row.try_get::<_, Option<&[u8]>>(5)?.map(text),
        version: column(6)?,
        size: column(7)?,
    })
}

/// A name that was text when it was stored.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Writes as three parallel arrays.
#[derive(Default)]
struct Columns {
    apps: Vec<Vec<u8>>,
    names: Vec<Vec<u8>>,
    values: Vec<Option<Vec<u8>>>,
}

impl Columns {
    /// The variables of a new session.
    fn of(record: &Record, writes: &[Write]) -> Result<Self> {
        check_owner(record.owner.as_deref())?;
        check_writes(writes)?;
        Ok(last_writes(writes).into_iter().filter(|write| write.value.is_some()).collect())
    }

    fn size(&self) -> u64 {
        self.names.iter().map(Vec::len).chain(self.values.iter().flatten().map(Vec::len)).sum::<usize>() as u64
    }
}

impl<'a> FromIterator<&'a Write> for Columns {
    fn from_iter<T: IntoIterator<Item = &'a Write>>(writes: T) -> Self {
        let mut columns = Self::default();
        for write in writes {
            columns.apps.push(write.app.clone().into_bytes());
            columns.names.push(write.name.clone().into_bytes());
            columns.values.push(write.value.clone());
        }
        columns
    }
}

/// The parameters of an update.
struct Update {
    key: Key,
    expected: Option<i64>,
    clears: Vec<Vec<u8>>,
    writes: Columns,
    owns: bool,
    owner: Option<Vec<u8>>,
    expires: Option<i64>,
    renamed: Option<Key>,
    leads_until: Option<i64>,
    nonce: Option<Vec<u8>>,
    known_until: i64,
    max_size: i64,
    now: i64,
}

impl Update {
    fn new(key: &Key, change: &Change, expected: Option<u64>, now: u64) -> Self {
        let grace = change.rename.as_ref().and_then(|rename| rename.grace.as_ref());
        Self {
            key: *key,
            expected: expected.map(stored),
            clears: change.clears.iter().map(|app| app.clone().into_bytes()).collect(),
            writes: last_writes(&change.writes).into_iter().collect(),
            owns: change.owner.is_some(),
            owner: change.owner.clone().flatten().map(String::into_bytes),
            expires: change.expires.map(stored),
            renamed: change.rename.as_ref().map(|rename| rename.to),
            leads_until: grace.map(|grace| stored(grace.until)),
            nonce: grace.map(|grace| grace.nonce.clone()),
            known_until: stored(known_until(change, now)),
            max_size: stored(change.max_size),
            now: stored(now),
        }
    }
}

/// The answer of a load that found the session.
fn loaded(rows: &[Row], first: &Row) -> Result<Loaded, tokio_postgres::Error> {
    let mut variables = Vec::with_capacity(rows.len());
    for row in rows {
        // A session without variables is one row.
        let Some(name) = row.try_get::<_, Option<&[u8]>>(12)? else { continue };
        let value = match row.try_get::<_, Option<Vec<u8>>>(14)? {
            Some(value) => Stored::Inline(value),
            None => Stored::Large(number(row.try_get(13)?)),
        };
        variables.push(Variable { name: text(name), value });
    }
    Ok(Loaded { record: record(first)?, variables, renewal: first.try_get(11)? })
}

#[async_trait]
impl Driver for Postgres {
    fn summary(&self) -> String {
        self.server().summary()
    }

    async fn load(&self, key: &Key, app: &str, now: u64, inline_bytes: u32) -> Result<LoadOutcome> {
        let input = (self.sql(), *key, app.to_owned(), stored(now), i64::from(inline_bytes));
        let load = self.calls.run(Repeat::Safe, input, |client, (sql, key, app, now, inline_bytes)| {
            Box::pin(async move {
                let key = &key.as_bytes()[..];
                let load = client.prepare_cached(&sql.load).await?;
                let rows = client.query(&load, &[&key, now, &app.as_bytes(), inline_bytes]).await?;
                let Some(first) = rows.first() else { return Ok(LoadOutcome::Absent) };
                let (found, ended): (bool, bool) = (first.try_get(8)?, first.try_get(9)?);
                if found {
                    return loaded(&rows, first).map(LoadOutcome::Found);
                }
                if !ended {
                    return Ok(LoadOutcome::Expired);
                }
                let forgotten: i64 = first.try_get(10)?;
                if forgotten <= *now {
                    return Ok(LoadOutcome::Absent);
                }
                let count = client.prepare_cached(&sql.count_reuse).await?;
                client.execute(&count, &[&key]).await?;
                Ok(LoadOutcome::Ended)
            })
        });
        load.await
    }

    async fn fetch(&self, key: &Key, app: &str, name: &str, now: u64) -> Result<Option<Vec<u8>>> {
        let input = (self.sql(), *key, app.to_owned(), name.to_owned(), stored(now));
        let fetch = self.calls.run(Repeat::Safe, input, |client, (sql, key, app, name, now)| {
            Box::pin(async move {
                let fetch = client.prepare_cached(&sql.fetch).await?;
                let key = &key.as_bytes()[..];
                let row = client.query_opt(&fetch, &[&key, now, &app.as_bytes(), &name.as_bytes()]).await?;
                row.map(|row| row.try_get(0)).transpose()
            })
        });
        fetch.await
    }

    async fn create(&self, key: &Key, record: &Record, writes: &[Write]) -> Result<CreateOutcome> {
        let created = self.insert(key, &Record { version: 1, ..record.clone() }, writes, record.accessed).await?;
        Ok(if created { CreateOutcome::Created } else { CreateOutcome::Exists })
    }

    async fn update(&self, key: &Key, change: &Change, expected: Option<u64>, now: u64) -> Result<UpdateOutcome> {
        check_change(change)?;
        let update = Update::new(key, change, expected, now);
        let update = self.calls.run(Repeat::Never, (self.sql(), update), |client, (sql, update)| {
            Box::pin(async move {
                let statement = client.prepare_cached(&sql.update).await?;
                let renamed = update.renamed.as_ref().map(|key| &key.as_bytes()[..]);
                let row = client
                    .query_one(
                        &statement,
                        &[
                            &&update.key.as_bytes()[..],
                            &update.expected,
                            &update.clears,
                            &update.writes.apps,
                            &update.writes.names,
                            &update.writes.values,
                            &update.owns,
                            &update.owner,
                            &update.expires,
                            &renamed,
                            &update.leads_until,
                            &update.nonce,
                            &update.known_until,
                            &update.max_size,
                            &update.now,
                        ],
                    )
                    .await?;
                let number = row.try_get::<_, Option<i64>>(1)?.map_or(0, number);
                Ok(match row.try_get(0)? {
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
        let input = (self.sql(), *key, stored(now), stored(now.saturating_add(remember.into())));
        let destroy = self.calls.run(Repeat::Never, input, |client, (sql, key, now, until)| {
            Box::pin(async move {
                let destroy = client.prepare_cached(&sql.destroy).await?;
                client.query_one(&destroy, &[&&key.as_bytes()[..], now, until]).await?.try_get(0)
            })
        });
        destroy.await
    }

    async fn destroy_owned(&self, owner: &str, except: Option<&Key>, now: u64, remember: u32) -> Result<u64> {
        let until = now.saturating_add(remember.into());
        let input = (self.sql(), owner.to_owned(), except.copied(), stored(now), stored(until));
        let destroy = self.calls.run(Repeat::Never, input, |client, (sql, owner, except, now, until)| {
            Box::pin(async move {
                let destroy = client.prepare_cached(&sql.destroy_owned).await?;
                let except = except.as_ref().map(|key| &key.as_bytes()[..]);
                let row = client.query_one(&destroy, &[&owner.as_bytes(), &except, now, until]).await?;
                row.try_get(0).map(number)
            })
        });
        destroy.await
    }

    async fn cleanup(&self, now: u64, limit: u32) -> Result<u32> {
        let mut removed = 0;
        while removed < limit {
            let batch = CLEANUP_BATCH.min(limit - removed);
            let input = (self.sql(), stored(now), i64::from(batch));
            let cleanup = self.calls.run(Repeat::Never, input, |client, (sql, now, batch)| {
                Box::pin(async move {
                    let cleanup = client.prepare_cached(&sql.cleanup).await?;
                    client.query_one(&cleanup, &[now, batch]).await?.try_get::<_, i64>(0)
                })
            });
            match u32::try_from(cleanup.await?).unwrap_or(batch) {
                0 => break,
                more => removed += more,
            }
        }
        Ok(removed)
    }

    async fn count(&self, now: u64) -> Result<u64> {
        let count = self.calls.run(Repeat::Safe, (self.sql(), stored(now)), |client, (sql, now)| {
            Box::pin(async move {
                let count = client.prepare_cached(&sql.count).await?;
                client.query_one(&count, &[now]).await?.try_get(0).map(number)
            })
        });
        count.await
    }

    async fn reused(&self, now: u64) -> Result<u64> {
        let reused = self.calls.run(Repeat::Safe, (self.sql(), stored(now)), |client, (sql, now)| {
            Box::pin(async move {
                let reused = client.prepare_cached(&sql.reused).await?;
                client.query_one(&reused, &[now]).await?.try_get(0).map(number)
            })
        });
        reused.await
    }

    async fn list(&self, now: u64, owner: Option<&str>, after: Option<&Key>, limit: u32) -> Result<Vec<Listed>> {
        let input = (self.sql(), stored(now), after.copied(), owner.map(str::to_owned), i64::from(limit));
        let list = self.calls.run(Repeat::Safe, input, |client, (sql, now, after, owner, limit)| {
            Box::pin(async move {
                let list = client.prepare_cached(&sql.list).await?;
                let after = after.as_ref().map_or(&[][..], |key| key.as_bytes());
                let owner = owner.as_deref().map(str::as_bytes);
                let mut listed = Vec::new();
                for row in client.query(&list, &[now, &after, &owner, limit]).await? {
                    // The driver wrote no key that is shorter.
                    if let Ok(key) = Key::try_from(row.try_get::<_, &[u8]>(8)?) {
                        listed.push(Listed { key, record: record(&row)? });
                    }
                }
                Ok(listed)
            })
        });
        list.await
    }

    async fn describe(&self, key: &Key, now: u64) -> Result<Option<(Record, Vec<(String, String, u64)>)>> {
        let describe = self.calls.run(Repeat::Safe, (self.sql(), *key, stored(now)), |client, (sql, key, now)| {
            Box::pin(async move {
                let describe = client.prepare_cached(&sql.describe).await?;
                let rows = client.query(&describe, &[&&key.as_bytes()[..], now]).await?;
                let Some(first) = rows.first() else { return Ok(None) };
                let mut variables = Vec::with_capacity(rows.len());
                for row in &rows {
                    let Some(app) = row.try_get::<_, Option<&[u8]>>(8)? else { continue };
                    variables.push((text(app), text(row.try_get(9)?), number(row.try_get(10)?)));
                }
                Ok(Some((record(first)?, variables)))
            })
        });
        describe.await
    }

    async fn export(&self, key: &Key, now: u64) -> Result<Option<Snapshot>> {
        let export = self.calls.run(Repeat::Safe, (self.sql(), *key, stored(now)), |client, (sql, key, now)| {
            Box::pin(async move {
                let export = client.prepare_cached(&sql.export).await?;
                let rows = client.query(&export, &[&&key.as_bytes()[..], now]).await?;
                let Some(first) = rows.first() else { return Ok(None) };
                let mut variables = Vec::with_capacity(rows.len());
                for row in &rows {
                    let Some(app) = row.try_get::<_, Option<&[u8]>>(8)? else { continue };
                    let value = Some(row.try_get(10)?);
                    variables.push(Write { app: text(app), name: text(row.try_get(9)?), value });
                }
                Ok(Some(Snapshot { record: record(first)?, variables }))
            })
        });
        export.await
    }

    async fn import(&self, key: &Key, snapshot: &Snapshot, over: Option<u64>, now: u64) -> Result<bool> {
        let Snapshot { record, variables } = snapshot;
        match over {
            None => self.insert(key, record, variables, now).await,
            Some(over) => self.replace(key, record, variables, over, now).await,
        }
    }

    async fn create_tables(&self) -> Result<()> {
        self.migrate(LAYOUTS).await
    }

    async fn drop_tables(&self) -> Result<()> {
        let input = (Arc::clone(self.calls.server()), self.sql());
        let drop = self.calls.set_up(input, |client, (server, sql)| {
            Box::pin(async move {
                let transaction = client.transaction().await?;
                transaction.batch_execute(&set_up(server)).await?;
                transaction.batch_execute(&sql.drop_tables).await?;
                transaction.commit().await
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
        let found = self.calls.run(Repeat::Safe, self.sql(), |client, sql| {
            Box::pin(async move {
                let rows = client.query(&sql.parts, &[]).await?;
                rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect::<Result<Parts, _>>()
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
    const NEXT: &[&str] = &[LAYOUTS[0], r#"ALTER TABLE "{table}" ADD COLUMN device bytea"#];
    const FAILS: &[&str] = &[LAYOUTS[0], r#"DELETE FROM "{table}"; DROP TABLE "{table}_no""#];

    #[tokio::test]
    async fn older_layout_is_upgraded_by_one_of_many_hosts_and_loses_no_session() {
        let url = std::env::var("LEMON_TEST_POSTGRES")
            .unwrap_or_else(|_| "postgres://postgres@127.0.0.1:5432/postgres".to_owned());
        older_layout_is_upgraded(&url, Postgres::connect, Postgres::migrate, NEXT, FAILS).await;
    }
}
