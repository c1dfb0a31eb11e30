//! The interface `lemon:session/storage`, on top of the drivers.
//!
//! The guest controls every argument: a digest can have any length, a limit any size. An impossible argument is answered with
//! a failure; nothing here panics.

use std::{error::Error, future::Future, time::Instant};

use crate::{
    bindings::lemon::session::{
        storage::{
            Change, CreateOutcome, DestroyCondition, Failure, Grace, Host, Lifetime, Listed, LoadOutcome, Loaded,
            Rotation, SessionRecord, Stored, UpdateOutcome, Variable, Write,
        },
        types::Location,
    },
    context::{Caller, SessionCtxView},
    observer::{Operation, Outcome, observe},
    store::{
        self, Digest, Inspect, Store, Writes,
        guest::{self, CLEANUP_BATCH},
    },
};

type Result<T> = std::result::Result<T, Failure>;

impl SessionCtxView<'_> {
    async fn driver(&self, location: &Location) -> Result<&dyn Store> {
        self.ctx
            .shared
            .stores
            .driver(location)
            .await
            .map(|driver| &**driver)
            .map_err(|error| self.failure(location, error))
    }

    async fn inspect(&self, location: &Location) -> Result<&dyn Inspect> {
        self.driver(location).await?.try_inspect().map_err(|error| self.failure(location, error))
    }

    /// Awaits a driver's answer and reports it to the observer.
    async fn answer<T>(
        &self,
        location: &Location,
        operation: Operation,
        call: impl Future<Output = store::Result<T>>,
        outcome: impl FnOnce(&T) -> Outcome,
    ) -> Result<T> {
        let stores = &self.ctx.shared.stores;
        let answer = observe(stores.observer(), self.ctx.caller().request, operation, call, outcome).await;
        let answer = answer.map_err(|error| self.failure(location, error))?;
        stores.answered(location);
        Ok(answer)
    }

    /// Fails if the client has begun as many sessions as the host allows per minute.
    fn count_new_session(&self) -> Result<()> {
        let (shared, now) = (&self.ctx.shared, Instant::now());
        let &Caller { client, request, .. } = self.ctx.caller();
        if shared.new_sessions.begin(client, now) {
            return Ok(());
        }
        let limit = shared.new_sessions.limit();
        if let Some(observer) = shared.stores.observer() {
            observer.observe_request(request, Operation::Create, Outcome::TooMany, now.elapsed());
        }
        let client = client.map(|client| client.to_string());
        shared.stores.log.new_sessions.limit(now, |left_out| {
            tracing::warn!(
                client,
                left_out,
                "a client begins more than {limit} new sessions a minute: they are refused"
            );
        });
        Err(Failure::TooMany(format!(
            "the client's address has begun {limit} within a minute, as many as new-sessions allows"
        )))
    }

    /// Logs the details of a driver's error and answers the guest with a plain case.
    fn failure(&self, location: &Location, error: store::Error) -> Failure {
        let causes = || {
            let mut causes = Vec::new();
            let mut cause = error.source();
            while let Some(error) = cause {
                causes.push(error.to_string());
                cause = error.source();
            }
            causes.join(": ")
        };
        let (stores, now) = (&self.ctx.shared.stores, Instant::now());
        let log = &stores.log;
        if error.is_unknown_location() {
            log.unknown_location.limit(now, |left_out| {
                tracing::warn!(%error, left_out, "a session was asked for in a place that is not configured");
            });
            Failure::UnknownLocation(error.to_string())
        } else if error.is_missing_tables() {
            let mut is_logged = false;
            log.missing_tables.limit(now, |left_out| {
                is_logged = true;
                tracing::error!(%error, causes = causes(), left_out, "the tables of the sessions are missing");
            });
            stores.failed(location, now, is_logged);
            Failure::MissingTables(error.to_string())
        } else if error.is_clock_off() {
            stores.warn_of_clock(location, &error);
            Failure::Unavailable(error.to_string())
        } else {
            let mut is_logged = false;
            log.unavailable.limit(now, |left_out| {
                is_logged = true;
                tracing::error!(%error, causes = causes(), left_out, "the session store failed");
            });
            // A store that lacks an ability has not failed, and will not have it later.
            if !error.is_unsupported() {
                stores.failed(location, now, is_logged);
            }
            Failure::Unavailable(error.to_string())
        }
    }
}

impl Host for SessionCtxView<'_> {
    async fn load(
        &mut self,
        location: Location,
        key: Vec<u8>,
        app: String,
        now: u64,
        inline_bytes: u32,
    ) -> Result<LoadOutcome> {
        let key = to_key(&key)?;
        let call = self.driver(&location).await?.load(&key, &app, now, inline_bytes);
        let outcome = self.answer(&location, Operation::Load, call, |outcome| outcome.into()).await?;
        Ok(match outcome {
            store::LoadOutcome::Found(loaded) => LoadOutcome::Found(loaded.into()),
            store::LoadOutcome::Absent => LoadOutcome::Absent,
            store::LoadOutcome::Expired => LoadOutcome::Expired,
            store::LoadOutcome::Ended => {
                self.ctx.shared.stores.log.ended.limit(Instant::now(), |left_out| {
                    let session = &key.to_hex()[..8];
                    tracing::warn!(session, left_out, "the id of a session that has ended was presented");
                });
                LoadOutcome::Ended
            }
        })
    }

    async fn fetch(
        &mut self,
        location: Location,
        key: Vec<u8>,
        app: String,
        name: String,
        now: u64,
    ) -> Result<Option<Vec<u8>>> {
        let key = to_key(&key)?;
        let call = self.driver(&location).await?.fetch(&key, &app, &name, now);
        self.answer(&location, Operation::Fetch, call, |_| Outcome::Done).await
    }

    async fn create(
        &mut self,
        location: Location,
        key: Vec<u8>,
        record: SessionRecord,
        writes: Vec<Write>,
    ) -> Result<CreateOutcome> {
        let key = to_key(&key)?;
        let record = record.into();
        let writes: Writes = writes.into_iter().map(store::Write::from).collect();
        self.count_new_session()?;
        let call = self.driver(&location).await?.create(&key, &record, &writes);
        let outcome = self.answer(&location, Operation::Create, call, |outcome| outcome.into()).await?;
        Ok(match outcome {
            store::CreateOutcome::Created => CreateOutcome::Created,
            store::CreateOutcome::Exists => CreateOutcome::Exists,
        })
    }

    async fn update(
        &mut self,
        location: Location,
        key: Vec<u8>,
        change: Change,
        expected: Option<u64>,
        now: u64,
    ) -> Result<UpdateOutcome> {
        let key = to_key(&key)?;
        let change = to_change(change)?;
        let call = self.driver(&location).await?.update(&key, &change, expected, now);
        let outcome = self.answer(&location, Operation::Update, call, |outcome| outcome.into()).await?;
        Ok(match outcome {
            store::UpdateOutcome::Committed(version) => UpdateOutcome::Committed(version),
            store::UpdateOutcome::Conflict(version) => UpdateOutcome::Conflict(version),
            store::UpdateOutcome::Gone => UpdateOutcome::Gone,
            store::UpdateOutcome::TooLarge(size) => UpdateOutcome::TooLarge(size),
            store::UpdateOutcome::TooManyOwned(sessions) => UpdateOutcome::TooManyOwned(sessions),
        })
    }

    async fn destroy(
        &mut self,
        location: Location,
        key: Vec<u8>,
        only: DestroyCondition,
        now: u64,
        remember: u32,
    ) -> Result<bool> {
        let (key, only) = (to_key(&key)?, only.into());
        let call = self.driver(&location).await?.destroy(&key, &only, now, remember);
        self.answer(&location, Operation::Destroy, call, |&was_live| Outcome::Removed(was_live.into())).await
    }

    async fn destroy_owned(
        &mut self,
        location: Location,
        owner: String,
        except: Option<Vec<u8>>,
        now: u64,
        remember: u32,
    ) -> Result<u64> {
        let except = except.as_deref().map(to_key).transpose()?;
        let call = self.driver(&location).await?.destroy_owned(&owner, except.as_ref(), now, remember);
        self.answer(&location, Operation::DestroyOwned, call, |&count| Outcome::Removed(count)).await
    }

    async fn cleanup(&mut self, location: Location, now: u64, limit: u32) -> Result<u32> {
        let driver = self.driver(&location).await?;
        driver.check_clock(now).await.map_err(|error| self.failure(&location, error))?;
        let mut removed = 0;
        while removed < limit {
            let batch = CLEANUP_BATCH.min(limit - removed);
            let call = driver.cleanup(now, batch);
            let count =
                self.answer(&location, Operation::Cleanup, call, |&count| Outcome::Removed(count.into())).await?;
            removed = removed.saturating_add(count);
            if count < batch {
                break;
            }
        }
        Ok(removed)
    }

    fn cleanup_later(&mut self, location: Location, now: u64) {
        if let Err(error) = self.ctx.shared.stores.cleanup_later(&location, now) {
            self.failure(&location, error);
        }
    }

    async fn count(&mut self, location: Location, now: u64) -> Result<u64> {
        let inspect = self.inspect(&location).await?;
        let call = inspect.count(now);
        self.answer(&location, Operation::Count, call, |_| Outcome::Done).await
    }

    async fn list(
        &mut self,
        location: Location,
        now: u64,
        owner: Option<String>,
        after: Option<Vec<u8>>,
        limit: u32,
    ) -> Result<Vec<Listed>> {
        guest::list_limit(limit).map_err(|error| Failure::Unavailable(error.to_string()))?;
        let after = after.as_deref().map(to_key).transpose()?;
        let inspect = self.inspect(&location).await?;
        let call = inspect.list(now, owner.as_deref(), after.as_ref(), limit);
        let listed = self.answer(&location, Operation::List, call, |_| Outcome::Done).await?;
        Ok(listed.into_iter().map(Listed::from).collect())
    }

    async fn create_tables(&mut self, location: Location) -> Result<()> {
        let call = self.driver(&location).await?.set_up();
        self.answer(&location, Operation::CreateTables, call, |_| Outcome::Done).await
    }

    async fn drop_tables(&mut self, location: Location) -> Result<()> {
        let schema = self.driver(&location).await?.try_schema().map_err(|error| self.failure(&location, error))?;
        let call = schema.drop_tables();
        self.answer(&location, Operation::DropTables, call, |_| Outcome::Done).await
    }

    async fn tables_exist(&mut self, location: Location) -> Result<bool> {
        // A driver without `Schema` needs no tables.
        let Some(schema) = self.driver(&location).await?.schema() else { return Ok(true) };
        self.answer(&location, Operation::TablesExist, schema.tables_exist(), |_| Outcome::Done).await
    }
}

fn to_key(bytes: &[u8]) -> Result<Digest> {
    guest::digest(bytes).map_err(|error| {
        tracing::warn!(bytes = bytes.len(), "a guest named a session by something that is not a SHA-256 digest");
        Failure::Unavailable(error.to_string())
    })
}

fn to_change(change: Change) -> Result<store::Change> {
    let rotation = match change.rotation {
        None => None,
        Some(Rotation { to, grace }) => Some(store::Rotation {
            to: to_key(&to)?,
            grace: grace.map(|Grace { until, nonce }| store::Grace { until, nonce }),
        }),
    };
    Ok(store::Change {
        clears: change.clears,
        writes: change.writes.into_iter().map(store::Write::from).collect(),
        owner: change.owner,
        max_owned: change.max_owned,
        expires: change.expires,
        lifetime: change
            .lifetime
            .map(|Lifetime { expires, absolute_expiry }| store::Lifetime { expires, absolute_expiry }),
        rotation,
        max_size: change.max_size,
        remember: change.remember,
    })
}

impl From<Write> for store::Write {
    fn from(Write { app, name, value }: Write) -> Self {
        Self { app, name, value }
    }
}

impl From<DestroyCondition> for store::DestroyCondition {
    fn from(condition: DestroyCondition) -> Self {
        match condition {
            DestroyCondition::Any => Self::Any,
            DestroyCondition::Expired => Self::Expired,
            DestroyCondition::Owned(owner) => Self::Owned(owner),
        }
    }
}

impl From<SessionRecord> for store::Record {
    fn from(record: SessionRecord) -> Self {
        let SessionRecord { created, accessed, expires, absolute_expiry, rotated, owner, version, size } = record;
        Self { created, accessed, expires, absolute_expiry, rotated, owner, version, size }
    }
}

impl From<store::Record> for SessionRecord {
    fn from(record: store::Record) -> Self {
        let store::Record { created, accessed, expires, absolute_expiry, rotated, owner, version, size } = record;
        Self { created, accessed, expires, absolute_expiry, rotated, owner, version, size }
    }
}

impl From<store::Loaded> for Loaded {
    fn from(loaded: store::Loaded) -> Self {
        let variable = |store::Variable { name, value }| {
            let value = match value {
                store::Stored::Inline(bytes) => Stored::Inline(bytes),
                store::Stored::Large(size) => Stored::Large(size),
            };
            Variable { name, value }
        };
        Self {
            record: loaded.record.into(),
            details: loaded.details.into_iter().map(variable).collect(),
            variables: loaded.variables.into_iter().map(variable).collect(),
            renewal: loaded.renewal,
        }
    }
}

impl From<store::Listed> for Listed {
    fn from(listed: store::Listed) -> Self {
        Self { digest: listed.digest.as_bytes().to_vec(), record: listed.record.into() }
    }
}

#[cfg(test)]
mod tests;
