//! `mysql://USER:PASSWORD@HOST:PORT,HOST:PORT/DATABASE`: sessions in MySQL 8 or newer, or in MariaDB 10.5 or newer, shared by
//! any number of hosts.
//!
//! A load is one statement and a save is one call of a stored procedure, which each connection prepares once: one round
//! trip. A load that answers `Ended` takes another one, to count the use. Saves of one session run one after the other;
//! those of different sessions never wait for each other, but for logins of one owner whose sessions are limited. An acknowledged save survives a power failure, unless the
//! server's `innodb_flush_log_at_trx_commit` says otherwise.
//!
//! A session has expired by the caller's clock, or by the server's if that is earlier. Each statement reads the server's
//! clock, so a host whose clock is ahead ends no session that is live.
//!
//! The user needs the privileges `SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX, CREATE ROUTINE, ALTER
//! ROUTINE, EXECUTE` on the database. A save must fit into the server's `max_allowed_packet`. Tables whose names differ
//! only in upper and lower case must be in different databases, because names of procedures are not case-sensitive.
//!
#![doc = include_str!("server.md")]
//!
//! # Galera
//!
//! Every node takes writes, and hosts may use different ones. A save that another node's save of the same session overtook is rolled
//! back when it commits (error 1213); it is repeated up to eight times, as after any deadlock. On a node of Galera each connection
//! sets `wsrep_sync_wait = 1`: a load, and the transaction of a save, first wait until this node has applied what the others had
//! committed. That takes as long as a message to the other nodes and back. Without it, a host could read a session as it was before
//! a save through another node. Logins of one owner whose sessions are limited change one row (`Session_login`), so they conflict on
//! different nodes too, and the limit is exact. A node that is cut off from most of the others answers with error 1047, and another one is used.
#![deny(missing_docs)]

mod connection;
mod import;
mod layout;
mod rows;
mod statements;

use std::sync::Arc;

use async_trait::async_trait;
use lemon_session_sql::{
    attempts::Repeat,
    cleanup::clean_up,
    limits::{check_change, check_owner, check_writes},
    owned::end_expired,
    pool::Calls,
    server::Server,
    tombstone::known_until,
};
use lemon_session_store::{
    Change, CreateOutcome, DestroyCondition, Digest, Inspect, Listed, LoadOutcome, Record, Result, Schema, Snapshot,
    StorageOptions, Store, Transfer, UpdateOutcome, Write, Writes,
    batches::{DESTROY_BATCH, Destroyed, destroy_all},
    registry::{Open, Opening},
};
use mysql_async::{DriverError, Params, Row, TxOpts, Value, prelude::Queryable};

use self::{
    connection::Connections,
    import::import,
    layout::{LAYOUTS, columns, lock, unlock},
    rows::{bytes, column, loaded, number, optional, pack, pack_clears, record, text},
    statements::Statements,
};

/// The schemes of its URLs, for [`Registry::register`](lemon_session_store::Registry::register).
pub const SCHEMES: [(&str, Open); 1] = [("mysql", MySql::open)];

/// Sessions in MySQL or MariaDB.
pub struct MySql {
    calls: Calls<Connections>,
    sql: Arc<Statements>,
}

impl MySql {
    /// Connects to the database that a URL `mysql://USER:PASSWORD@HOST:PORT/DATABASE` names.
    ///
    /// # Errors
    ///
    /// Fails if the URL or an option is wrong, and if the server does not answer, refuses the user or has no such
    /// database.
    pub fn open(options: StorageOptions) -> Opening {
        Box::pin(async move { Ok(Arc::new(Self::connect(&options).await?) as Arc<dyn Store>) })
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
}

#[async_trait]
impl Store for MySql {
    fn summary(&self) -> String {
        self.server().summary()
    }

    async fn load(&self, digest: &Digest, app: &str, now: u64, inline_bytes: u32) -> Result<LoadOutcome> {
        let input = (self.sql(), *digest, app.to_owned(), now, inline_bytes);
        let load = self.calls.run(Repeat::Safe, input, |connection, (sql, digest, app, now, inline_bytes)| {
            Box::pin(async move {
                let digest = bytes(digest.as_bytes());
                let parameters = vec![
                    number(*now),
                    number((*inline_bytes).into()),
                    number(*now),
                    number(*now),
                    bytes(app.as_bytes()),
                    digest.clone(),
                ];
                let mut rows: Vec<Row> = connection.client.exec(&sql.load, Params::Positional(parameters)).await?;
                let Some(first) = rows.first_mut() else { return Ok(LoadOutcome::Absent) };
                let (found, ended, is_forgotten): (bool, bool, bool) =
                    (column(first, 8)?, column(first, 9)?, column(first, 10)?);
                if found {
                    return loaded(rows);
                }
                if !ended {
                    return Ok(LoadOutcome::Expired);
                }
                if is_forgotten {
                    return Ok(LoadOutcome::Absent);
                }
                connection.client.exec_drop(&sql.count_reuse, (digest,)).await?;
                Ok(LoadOutcome::Ended)
            })
        });
        load.await
    }

    async fn fetch(&self, digest: &Digest, app: &str, name: &str, now: u64) -> Result<Option<Vec<u8>>> {
        let input = (self.sql(), *digest, app.to_owned(), name.to_owned(), now);
        let fetch = self.calls.run(Repeat::Safe, input, |connection, (sql, digest, app, name, now)| {
            Box::pin(async move {
                let names = [app.as_bytes(), name.as_bytes(), digest.as_bytes()];
                let times = [number(*now), number(*now)];
                let parameters = times.into_iter().chain(names.map(bytes)).collect();
                let row = connection.client.exec_first(&sql.fetch, Params::Positional(parameters)).await?;
                row.map(|mut row| column(&mut row, 0)).transpose()
            })
        });
        fetch.await
    }

    async fn create(&self, digest: &Digest, record: &Record, writes: &Writes) -> Result<CreateOutcome> {
        check_owner(record.owner.as_deref())?;
        check_writes(writes)?;
        let parameters = vec![
            bytes(digest.as_bytes()),
            number(record.created),
            number(record.accessed),
            number(record.expires),
            optional(record.absolute_expiry, number),
            number(record.rotated),
            optional(record.owner.as_deref(), |owner| bytes(owner.as_bytes())),
            number(writes.size()),
            Value::Bytes(pack(writes.iter().filter(|write| write.value.is_some()))),
        ];
        let create = self.calls.run(Repeat::Never, (self.sql(), parameters), |connection, (sql, parameters)| {
            Box::pin(async move { column(&mut connection.save(&sql.create, parameters).await?, 0) })
        });
        Ok(if create.await? { CreateOutcome::Created } else { CreateOutcome::Exists })
    }

    async fn update(&self, digest: &Digest, change: &Change, expected: Option<u64>, now: u64) -> Result<UpdateOutcome> {
        check_change(change)?;
        let grace = change.rotation.as_ref().and_then(|rotation| rotation.grace.as_ref());
        let parameters = vec![
            bytes(digest.as_bytes()),
            optional(expected, number),
            Value::Bytes(pack_clears(&change.clears)),
            Value::Bytes(pack(&change.writes)),
            Value::from(change.owner.is_some()),
            optional(change.owner.as_ref().and_then(Option::as_deref), |owner| bytes(owner.as_bytes())),
            optional(change.lifetime.map(|lifetime| lifetime.expiry()).or(change.expires), number),
            Value::from(change.lifetime.is_some()),
            optional(change.lifetime.and_then(|lifetime| lifetime.absolute_expiry), number),
            optional(change.rotation.as_ref(), |rotation| bytes(rotation.to.as_bytes())),
            optional(grace, |grace| number(grace.until)),
            optional(grace, |grace| bytes(&grace.nonce)),
            number(known_until(change, now)),
            number(change.max_size),
            optional(change.max_owned, |most| number(most.into())),
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
                    "too-many-owned" => UpdateOutcome::TooManyOwned(number),
                    _ => UpdateOutcome::Gone,
                })
            })
        });
        update.await
    }

    async fn destroy(&self, digest: &Digest, only: &DestroyCondition, now: u64, remember: u32) -> Result<bool> {
        let owner = match only {
            DestroyCondition::Owned(owner) => bytes(owner.as_bytes()),
            DestroyCondition::Any | DestroyCondition::Expired => Value::NULL,
        };
        let expired = Value::from(*only == DestroyCondition::Expired);
        let parameters =
            vec![bytes(digest.as_bytes()), expired, owner, number(now), number(now), number(remember.into())];
        let destroy = self.calls.run(Repeat::Never, (self.sql(), parameters), |connection, (sql, parameters)| {
            Box::pin(async move { connection.value(&sql.destroy, parameters.clone()).await })
        });
        destroy.await
    }

    async fn destroy_owned(&self, owner: &str, except: Option<&Digest>, now: u64, remember: u32) -> Result<u64> {
        let scope =
            self.calls.run(Repeat::Safe, (self.sql(), except.copied(), now), |connection, (sql, except, now)| {
                Box::pin(async move {
                    let except = optional(*except, |digest| bytes(digest.as_bytes()));
                    let parameters = vec![number(*now), number(*now), except, number(*now)];
                    let mut row = connection.row(&sql.destroy_scope, parameters).await?;
                    Ok((column::<u64>(&mut row, 0)?, column::<Option<u64>>(&mut row, 1)?, column::<u64>(&mut row, 2)?))
                })
            });
        let (newest, spared, moment) = scope.await?;
        let owner = bytes(owner.as_bytes());
        end_expired(self, moment, || {
            let parameters = vec![owner.clone(), number(moment), number(newest), number(DESTROY_BATCH.into())];
            self.calls.run(Repeat::Safe, (self.sql(), parameters), |connection, (sql, parameters)| {
                Box::pin(connection.client.exec(&sql.expired_owned, Params::Positional(parameters.clone())))
            })
        })
        .await?;
        destroy_all(|after| {
            let parameters = vec![
                owner.clone(),
                optional(spared, number),
                number(newest),
                Value::Bytes(after),
                number(DESTROY_BATCH.into()),
                number(moment),
                number(moment),
                number(remember.into()),
            ];
            self.calls.run(Repeat::Never, (self.sql(), parameters), |connection, (sql, parameters)| {
                Box::pin(async move {
                    let mut row = connection.row(&sql.destroy_owned, parameters.clone()).await?;
                    let (found, ended, last) = (column(&mut row, 0)?, column(&mut row, 1)?, column(&mut row, 2)?);
                    Ok(Destroyed { found, ended, last })
                })
            })
        })
        .await
    }

    async fn cleanup(&self, now: u64, limit: u32) -> Result<u32> {
        clean_up(limit, |most| {
            let parameters = vec![number(now), number(most.into())];
            self.calls.run(Repeat::Never, (self.sql(), parameters), |connection, (sql, parameters)| {
                Box::pin(async move {
                    let mut row = connection.row(&sql.cleanup, parameters.clone()).await?;
                    Ok((column(&mut row, 0)?, column(&mut row, 1)?))
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
impl Inspect for MySql {
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

    async fn backlog(&self, now: u64) -> Result<u64> {
        let backlog = self.calls.run(Repeat::Safe, (self.sql(), now), |connection, (sql, now)| {
            Box::pin(connection.value(&sql.backlog, vec![number(*now)]))
        });
        backlog.await
    }

    async fn list(&self, now: u64, owner: Option<&str>, after: Option<&Digest>, limit: u32) -> Result<Vec<Listed>> {
        let input = (self.sql(), now, owner.map(str::to_owned), after.copied(), limit);
        let list = self.calls.run(Repeat::Safe, input, |connection, (sql, now, owner, after, limit)| {
            Box::pin(async move {
                let mut parameters = vec![
                    number(*now),
                    bytes(after.as_ref().map_or(&[][..], |digest| digest.as_bytes())),
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
                    if let Ok(digest) = Digest::try_from(column::<Vec<u8>>(&mut row, 8)?.as_slice()) {
                        listed.push(Listed { digest, record: record(&mut row)? });
                    }
                }
                Ok(listed)
            })
        });
        list.await
    }

    async fn describe(&self, digest: &Digest, now: u64) -> Result<Option<(Record, Vec<(String, String, u64)>)>> {
        let describe = self.calls.run(Repeat::Safe, (self.sql(), *digest, now), |connection, (sql, digest, now)| {
            Box::pin(async move {
                let parameters = Params::Positional(vec![bytes(digest.as_bytes()), number(*now)]);
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

    async fn clock(&self) -> Result<Option<u64>> {
        let clock = self.calls.run(Repeat::Safe, (), |connection, ()| {
            Box::pin(async move { connection.client.query_first("SELECT UNIX_TIMESTAMP()").await })
        });
        clock.await
    }
}

#[async_trait]
impl Transfer for MySql {
    async fn export(&self, digest: &Digest, now: u64) -> Result<Option<Snapshot>> {
        let export = self.calls.run(Repeat::Safe, (self.sql(), *digest, now), |connection, (sql, digest, now)| {
            Box::pin(async move {
                let parameters = Params::Positional(vec![bytes(digest.as_bytes()), number(*now)]);
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
                let variables = variables.into();
                rows.first_mut().map(|first| Ok(Snapshot { record: record(first)?, variables })).transpose()
            })
        });
        export.await
    }

    async fn import(&self, digest: &Digest, snapshot: &Snapshot, over: Option<u64>, now: u64) -> Result<bool> {
        let Snapshot { record, variables } = snapshot;
        check_owner(record.owner.as_deref())?;
        check_writes(variables)?;
        let fields = vec![
            number(record.created),
            number(record.accessed),
            optional(record.absolute_expiry, number),
            number(record.expires),
            number(record.rotated),
            optional(record.owner.as_deref(), |owner| bytes(owner.as_bytes())),
            number(record.version),
            number(variables.size()),
        ];
        let input = (self.sql(), *digest, fields, variables.clone(), over, now);
        let import = self.calls.run(Repeat::Never, input, |connection, (sql, digest, fields, writes, over, now)| {
            Box::pin(async move {
                let longest = writes.iter().map(|write| write.value.as_ref().map_or(0, Vec::len)).max();
                if longest.unwrap_or(0) + 4096 > connection.largest {
                    return Err(DriverError::PacketTooLarge.into());
                }
                let mut transaction = connection.client.start_transaction(TxOpts::default()).await?;
                let imported = import(&mut transaction, sql, digest, fields.clone(), writes, *over, *now).await;
                match imported {
                    Ok(true) => transaction.commit().await?,
                    _ => transaction.rollback().await?,
                }
                imported
            })
        });
        import.await
    }
}

#[async_trait]
impl Schema for MySql {
    async fn create_tables(&self) -> Result<()> {
        self.migrate(LAYOUTS).await
    }

    async fn drop_tables(&self) -> Result<()> {
        let input = (Arc::clone(self.calls.server()), self.sql());
        let drop = self.calls.set_up(input, |connection, (server, sql)| {
            Box::pin(async move {
                lock(&mut connection.client, server).await?;
                let mut dropped = columns(&mut connection.client, sql).await.map(|found| server.refuse_foreign(found));
                if let Ok(Ok(())) = dropped {
                    for statement in &sql.drop_tables {
                        dropped = dropped.and(connection.client.query_drop(statement).await.map(Ok));
                    }
                }
                unlock(&mut connection.client, server).await?;
                dropped
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
