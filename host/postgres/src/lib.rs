//! `postgres://USER:PASSWORD@HOST:PORT,HOST:PORT/DATABASE`: sessions in PostgreSQL 12 or newer, shared by any number of hosts.
//!
//! A load is one statement and a save is one call of a stored function, which each connection prepares once: one round
//! trip. A load that answers `Ended` takes another one, to count the use. Saves of one session run one after the other;
//! those of different sessions never wait for each other, but for logins of one owner whose sessions are limited. An acknowledged save survives a power failure, unless the
//! database's `synchronous_commit` is off.
//!
//! A session has expired by the caller's clock, or by the server's if that is earlier. Each statement reads the server's
//! clock, so a host whose clock is ahead ends no session that is live.
//!
//! The user needs the privileges to connect, and to create tables and functions in the schema.
//!
#![doc = include_str!("server.md")]
//!
//! # Behind PgBouncer
//!
//! In its session mode, PgBouncer needs nothing. In transaction mode, it needs `prepare=no`: a statement is then sent with each call,
//! and the server parses and plans it each time; it is one round trip still. The driver then makes no settings either, which would stay
//! with the server's connection: set them for its user, `ALTER ROLE … SET enable_seqscan = off, enable_hashjoin = off,
//! enable_mergejoin = off` one by one, with a `statement_timeout`, and leave `default_transaction_isolation` at `read committed`.
//!
//! # With a standby
//!
//! A URL that names the primary and its standbys leads to the one that takes writes. An acknowledged save is on the new primary after
//! a failover if the standby that is promoted was synchronous (`synchronous_standby_names`), and the old primary was stopped before:
//! a primary that is only cut off from its standbys completes no save, but answers loads with what it knows.
//!
//! # On WebAssembly
//!
//! On `wasm32-wasip2` the driver has a blocking socket of `std::net` in place of tokio's. The client, the statements and
//! what is stored are the same, so native hosts and components can use one database together. Differences:
//!
//! - Each instance has one connection, on which calls run one at a time: `pool-size` has no effect. A call blocks its
//!   thread, and its future is ready when it is first polled.
//! - The connection is kept for the next call. Nothing runs between two calls, so a call first looks whether the server has
//!   closed the connection, and then makes another one.
//! - There is no TLS: `sslmode=require`, `verify-full` and `sslrootcert` are refused, and `prefer` means the same as
//!   `disable`.
//! - There are no Unix sockets: `socket` is refused.
//! - The runtime has to allow connections, and the resolution of names if the URL has a name: with Wasmtime
//!   `-S inherit-network` and `-S allow-ip-name-lookup`.
#![deny(missing_docs)]

mod calls;
mod config;
mod failure;
mod insert;
mod layout;
mod rows;
mod statements;

use std::sync::Arc;

use async_trait::async_trait;
use lemon_session_sql::{
    attempts::Repeat, cleanup::clean_up, limits::check_change, owned::end_expired, server::Server,
};
use lemon_session_store::{
    Change, CreateOutcome, DestroyCondition, Digest, Inspect, Listed, LoadOutcome, Record, Result, Schema, Snapshot,
    StorageOptions, Store, Transfer, UpdateOutcome, Write, Writes,
    batches::{DESTROY_BATCH, Destroyed, destroy_all},
    registry::{Open, Opening},
};

use self::{
    calls::Calls,
    layout::{LAYOUTS, columns, set_up},
    rows::{Update, loaded, number, record, stored, text},
    statements::Statements,
};

/// The schemes of its URLs, for [`Registry::register`](lemon_session_store::Registry::register).
pub const SCHEMES: [(&str, Open); 2] = [("postgres", Postgres::open), ("postgresql", Postgres::open)];

/// Sessions in PostgreSQL.
pub struct Postgres {
    calls: Calls,
    sql: Arc<Statements>,
}

impl Postgres {
    /// Connects to the database that a URL `postgres://USER:PASSWORD@HOST:PORT/DATABASE` names.
    ///
    /// # Errors
    ///
    /// Fails if the URL or an option is wrong, and if the server does not answer, refuses the user or has no such
    /// database.
    pub fn open(options: StorageOptions) -> Opening {
        Box::pin(async move { Ok(Arc::new(Self::connect(&options).await?) as Arc<dyn Store>) })
    }

    async fn connect(options: &StorageOptions) -> Result<Self> {
        let server = Arc::new(Server::parse(options, "PostgreSQL", 5432)?);
        let sql = Arc::new(Statements::new(&server));
        let calls = calls::open(server).await?;
        Ok(Self { calls, sql })
    }

    fn sql(&self) -> Arc<Statements> {
        Arc::clone(&self.sql)
    }

    fn server(&self) -> &Server {
        self.calls.server()
    }
}

#[async_trait]
impl Store for Postgres {
    fn summary(&self) -> String {
        self.server().summary()
    }

    async fn load(&self, digest: &Digest, app: &str, now: u64, inline_bytes: u32) -> Result<LoadOutcome> {
        let input = (self.sql(), *digest, app.to_owned(), stored(now), i64::from(inline_bytes));
        let load = self.calls.run(Repeat::Safe, input, |client, (sql, digest, app, now, inline_bytes)| {
            Box::pin(async move {
                let digest = &digest.as_bytes()[..];
                let load = client.prepare_cached(&sql.load).await?;
                let rows = client.query(&load, &[&digest, now, &app.as_bytes(), inline_bytes]).await?;
                let Some(first) = rows.first() else { return Ok(LoadOutcome::Absent) };
                let (found, ended): (bool, bool) = (first.try_get(8)?, first.try_get(9)?);
                if found {
                    return loaded(&rows, first).map(LoadOutcome::Found);
                }
                if !ended {
                    return Ok(LoadOutcome::Expired);
                }
                let is_forgotten: bool = first.try_get(10)?;
                if is_forgotten {
                    return Ok(LoadOutcome::Absent);
                }
                let count = client.prepare_cached(&sql.count_reuse).await?;
                client.execute(&count, &[&digest]).await?;
                Ok(LoadOutcome::Ended)
            })
        });
        load.await
    }

    async fn fetch(&self, digest: &Digest, app: &str, name: &str, now: u64) -> Result<Option<Vec<u8>>> {
        let input = (self.sql(), *digest, app.to_owned(), name.to_owned(), stored(now));
        let fetch = self.calls.run(Repeat::Safe, input, |client, (sql, digest, app, name, now)| {
            Box::pin(async move {
                let fetch = client.prepare_cached(&sql.fetch).await?;
                let digest = &digest.as_bytes()[..];
                let row = client.query_opt(&fetch, &[&digest, now, &app.as_bytes(), &name.as_bytes()]).await?;
                row.map(|row| row.try_get(0)).transpose()
            })
        });
        fetch.await
    }

    async fn create(&self, digest: &Digest, record: &Record, writes: &Writes) -> Result<CreateOutcome> {
        let created = self.insert(digest, &Record { version: 1, ..record.clone() }, writes, record.accessed).await?;
        Ok(if created { CreateOutcome::Created } else { CreateOutcome::Exists })
    }

    async fn update(&self, digest: &Digest, change: &Change, expected: Option<u64>, now: u64) -> Result<UpdateOutcome> {
        check_change(change)?;
        let update = Update::new(digest, change, expected, now);
        let update = self.calls.run(Repeat::Never, (self.sql(), update), |client, (sql, update)| {
            Box::pin(async move {
                let statement = client.prepare_cached(&sql.update).await?;
                let renamed = update.renamed.as_ref().map(|digest| &digest.as_bytes()[..]);
                let row = client
                    .query_one(
                        &statement,
                        &[
                            &&update.digest.as_bytes()[..],
                            &update.expected,
                            &update.clears,
                            &update.writes.apps,
                            &update.writes.names,
                            &update.writes.values,
                            &update.owns,
                            &update.owner,
                            &update.expires,
                            &update.lives,
                            &update.absolute_expiry,
                            &renamed,
                            &update.leads_until,
                            &update.nonce,
                            &update.known_until,
                            &update.max_size,
                            &update.max_owned,
                            &update.now,
                        ],
                    )
                    .await?;
                let number = row.try_get::<_, Option<i64>>(1)?.map_or(0, number);
                Ok(match row.try_get(0)? {
                    "committed" => UpdateOutcome::Committed(number),
                    "conflict" => UpdateOutcome::Conflict(number),
                    "too-large" => UpdateOutcome::TooLarge(number),
                    "too-many-owned" => UpdateOutcome::TooManyOwned(number),
                    _ => UpdateOutcome::Gone,
                })
            })
        });
        update.await
    }

    async fn destroy(&self, digest: &Digest, only: &DestroyCondition, now: u64, remember: u32) -> Result<bool> {
        let input = (self.sql(), *digest, only.clone(), stored(now), i64::from(remember));
        let destroy = self.calls.run(Repeat::Never, input, |client, (sql, digest, only, now, remember)| {
            Box::pin(async move {
                let destroy = client.prepare_cached(&sql.destroy).await?;
                let expired = *only == DestroyCondition::Expired;
                let owner = match only {
                    DestroyCondition::Owned(owner) => Some(owner.as_bytes()),
                    DestroyCondition::Any | DestroyCondition::Expired => None,
                };
                client
                    .query_one(&destroy, &[&&digest.as_bytes()[..], &expired, &owner, now, remember])
                    .await?
                    .try_get(0)
            })
        });
        destroy.await
    }

    async fn destroy_owned(&self, owner: &str, except: Option<&Digest>, now: u64, remember: u32) -> Result<u64> {
        let input = (self.sql(), except.copied(), stored(now));
        let scope = self.calls.run(Repeat::Safe, input, |client, (sql, except, now)| {
            Box::pin(async move {
                let scope = client.prepare_cached(&sql.destroy_scope).await?;
                let except = except.as_ref().map(|digest| &digest.as_bytes()[..]);
                let row = client.query_one(&scope, &[&except, now]).await?;
                Ok((row.try_get::<_, i64>(0)?, row.try_get::<_, Option<i64>>(1)?, row.try_get::<_, i64>(2)?))
            })
        });
        let (newest, spared, moment) = scope.await?;
        end_expired(self, number(moment), || {
            let input = (self.sql(), owner.as_bytes().to_vec(), moment, newest);
            self.calls.run(Repeat::Safe, input, |client, (sql, owner, moment, newest)| {
                Box::pin(async move {
                    let expired = client.prepare_cached(&sql.expired_owned).await?;
                    let rows = client.query(&expired, &[owner, moment, newest, &i64::from(DESTROY_BATCH)]).await?;
                    rows.iter().map(|row| row.try_get(0)).collect::<Result<Vec<Vec<u8>>, _>>()
                })
            })
        })
        .await?;
        destroy_all(|after| {
            let input = (self.sql(), owner.as_bytes().to_vec(), spared, newest, after, moment, i64::from(remember));
            self.calls.run(Repeat::Never, input, |client, (sql, owner, spared, newest, after, moment, remember)| {
                Box::pin(async move {
                    let destroy = client.prepare_cached(&sql.destroy_owned).await?;
                    let most = i64::from(DESTROY_BATCH);
                    let row =
                        client.query_one(&destroy, &[owner, spared, newest, after, &most, moment, remember]).await?;
                    let (found, ended) = (number(row.try_get(0)?), number(row.try_get(1)?));
                    Ok(Destroyed { found, ended, last: row.try_get(2)? })
                })
            })
        })
        .await
    }

    async fn cleanup(&self, now: u64, limit: u32) -> Result<u32> {
        clean_up(limit, |most| {
            self.calls.run(Repeat::Never, (self.sql(), stored(now), most), |client, (sql, now, most)| {
                Box::pin(async move {
                    let cleanup = client.prepare_cached(&sql.cleanup).await?;
                    let row = client.query_one(&cleanup, &[now, &i64::from(*most)]).await?;
                    Ok((u32::try_from(row.try_get::<_, i64>(0)?).unwrap_or(*most), row.try_get(1)?))
                })
            })
        })
        .await
    }

    async fn close(&self) -> Result<()> {
        self.calls.close();
        Ok(())
    }

    fn inspect(&self) -> Option<&dyn Inspect> {
        Some(self)
    }

    fn transfer(&self) -> Option<&dyn Transfer> {
        Some(self)
    }

    fn schema(&self) -> Option<&dyn Schema> {
        Some(self)
    }
}

#[async_trait]
impl Inspect for Postgres {
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

    async fn backlog(&self, now: u64) -> Result<u64> {
        let backlog = self.calls.run(Repeat::Safe, (self.sql(), stored(now)), |client, (sql, now)| {
            Box::pin(async move {
                let backlog = client.prepare_cached(&sql.backlog).await?;
                client.query_one(&backlog, &[now]).await?.try_get(0).map(number)
            })
        });
        backlog.await
    }

    async fn list(&self, now: u64, owner: Option<&str>, after: Option<&Digest>, limit: u32) -> Result<Vec<Listed>> {
        let input = (self.sql(), stored(now), after.copied(), owner.map(str::to_owned), i64::from(limit));
        let list = self.calls.run(Repeat::Safe, input, |client, (sql, now, after, owner, limit)| {
            Box::pin(async move {
                let list = client.prepare_cached(&sql.list).await?;
                let after = after.as_ref().map_or(&[][..], |digest| digest.as_bytes());
                let owner = owner.as_deref().map(str::as_bytes);
                let mut listed = Vec::new();
                for row in client.query(&list, &[now, &after, &owner, limit]).await? {
                    // The driver wrote no key that is shorter.
                    if let Ok(digest) = Digest::try_from(row.try_get::<_, &[u8]>(8)?) {
                        listed.push(Listed { digest, record: record(&row)? });
                    }
                }
                Ok(listed)
            })
        });
        list.await
    }

    async fn describe(&self, digest: &Digest, now: u64) -> Result<Option<(Record, Vec<(String, String, u64)>)>> {
        let describe =
            self.calls.run(Repeat::Safe, (self.sql(), *digest, stored(now)), |client, (sql, digest, now)| {
                Box::pin(async move {
                    let describe = client.prepare_cached(&sql.describe).await?;
                    let rows = client.query(&describe, &[&&digest.as_bytes()[..], now]).await?;
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

    async fn clock(&self) -> Result<Option<u64>> {
        let clock = self.calls.run(Repeat::Safe, (), |client, ()| {
            Box::pin(async move {
                let now = "SELECT extract(epoch FROM clock_timestamp())::bigint";
                let now = client.prepare_cached(now).await?;
                client.query_one(&now, &[]).await?.try_get::<_, i64>(0)
            })
        });
        Ok(Some(number(clock.await?)))
    }
}

#[async_trait]
impl Transfer for Postgres {
    async fn export(&self, digest: &Digest, now: u64) -> Result<Option<Snapshot>> {
        let export = self.calls.run(Repeat::Safe, (self.sql(), *digest, stored(now)), |client, (sql, digest, now)| {
            Box::pin(async move {
                let export = client.prepare_cached(&sql.export).await?;
                let rows = client.query(&export, &[&&digest.as_bytes()[..], now]).await?;
                let Some(first) = rows.first() else { return Ok(None) };
                let mut variables = Vec::with_capacity(rows.len());
                for row in &rows {
                    let Some(app) = row.try_get::<_, Option<&[u8]>>(8)? else { continue };
                    let value = Some(row.try_get(10)?);
                    variables.push(Write { app: text(app), name: text(row.try_get(9)?), value });
                }
                Ok(Some(Snapshot { record: record(first)?, variables: variables.into() }))
            })
        });
        export.await
    }

    async fn import(&self, digest: &Digest, snapshot: &Snapshot, over: Option<u64>, now: u64) -> Result<bool> {
        let Snapshot { record, variables } = snapshot;
        match over {
            None => self.insert(digest, record, variables, now).await,
            Some(over) => self.replace(digest, record, variables, over, now).await,
        }
    }
}

#[async_trait]
impl Schema for Postgres {
    async fn create_tables(&self) -> Result<()> {
        self.migrate(LAYOUTS).await
    }

    async fn drop_tables(&self) -> Result<()> {
        let input = (Arc::clone(self.calls.server()), self.sql());
        let drop = self.calls.set_up(input, |client, (server, sql)| {
            Box::pin(async move {
                let transaction = client.transaction().await?;
                transaction.batch_execute(&set_up(server)).await?;
                let found = columns(&transaction.query(&sql.columns, &[]).await?)?;
                if let Err(foreign) = server.refuse_foreign(found) {
                    return Ok(Err(foreign));
                }
                transaction.batch_execute(&sql.drop_tables).await?;
                transaction.commit().await.map(Ok)
            })
        });
        drop.await?
    }

    async fn tables_exist(&self) -> Result<bool> {
        Ok(self.layout().await? == LAYOUTS.len() as i64)
    }

    async fn differences(&self) -> Result<Vec<String>> {
        self.compare().await
    }
}
