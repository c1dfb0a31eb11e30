//! The interface `lemon:session/storage`, on top of the drivers.
//!
//! Every argument is the guest's: keys may have any length, limits any size. What cannot be is answered with a failure;
//! nothing here panics.

use std::error::Error;

use crate::{
    bindings::lemon::session::{
        storage::{
            Change, CreateOutcome, Failure, Grace, Host, Listed, LoadOutcome, Loaded, Rename, SessionRecord, Stored,
            UpdateOutcome, Variable, Write,
        },
        types::Location,
    },
    context::SessionCtxView,
    driver::{self, Driver, Key},
};

/// The most sessions that one `list` returns, as all of them are in memory at once.
const LIST_LIMIT: u32 = 10_000;
/// How many sessions a cleanup removes in one transaction.
const CLEANUP_BATCH: u32 = 500;

type Result<T> = std::result::Result<T, Failure>;

impl SessionCtxView<'_> {
    async fn driver(&self, location: &Location) -> Result<&dyn Driver> {
        self.ctx.shared.stores.driver(location).await.map(|driver| &**driver).map_err(failure)
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
        let outcome = self.driver(&location).await?.load(&key, &app, now, inline_bytes).await.map_err(failure)?;
        Ok(match outcome {
            driver::LoadOutcome::Found(loaded) => LoadOutcome::Found(loaded.into()),
            driver::LoadOutcome::Absent => LoadOutcome::Absent,
            driver::LoadOutcome::Expired => LoadOutcome::Expired,
            driver::LoadOutcome::Ended => {
                tracing::warn!(session = &key.to_hex()[..8], "the id of a session that has ended was presented");
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
        self.driver(&location).await?.fetch(&key, &app, &name, now).await.map_err(failure)
    }

    async fn create(
        &mut self,
        location: Location,
        key: Vec<u8>,
        record: SessionRecord,
        writes: Vec<Write>,
    ) -> Result<CreateOutcome> {
        let key = to_key(&key)?;
        let writes: Vec<_> = writes.into_iter().map(driver::Write::from).collect();
        let outcome = self.driver(&location).await?.create(&key, &record.into(), &writes).await.map_err(failure)?;
        Ok(match outcome {
            driver::CreateOutcome::Created => CreateOutcome::Created,
            driver::CreateOutcome::Exists => CreateOutcome::Exists,
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
        let outcome = self.driver(&location).await?.update(&key, &change, expected, now).await.map_err(failure)?;
        Ok(match outcome {
            driver::UpdateOutcome::Committed(version) => UpdateOutcome::Committed(version),
            driver::UpdateOutcome::Conflict(version) => UpdateOutcome::Conflict(version),
            driver::UpdateOutcome::Gone => UpdateOutcome::Gone,
            driver::UpdateOutcome::TooLarge(size) => UpdateOutcome::TooLarge(size),
        })
    }

    async fn destroy(&mut self, location: Location, key: Vec<u8>, now: u64, remember: u32) -> Result<bool> {
        let key = to_key(&key)?;
        self.driver(&location).await?.destroy(&key, now, remember).await.map_err(failure)
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
        let driver = self.driver(&location).await?;
        driver.destroy_owned(&owner, except.as_ref(), now, remember).await.map_err(failure)
    }

    async fn cleanup(&mut self, location: Location, now: u64, limit: u32) -> Result<u32> {
        let driver = self.driver(&location).await?;
        let mut removed = 0;
        while removed < limit {
            let batch = CLEANUP_BATCH.min(limit - removed);
            let count = driver.cleanup(now, batch).await.map_err(failure)?;
            removed = removed.saturating_add(count);
            if count < batch {
                break;
            }
        }
        Ok(removed)
    }

    fn cleanup_later(&mut self, location: Location, now: u64) {
        if let Err(error) = self.ctx.shared.stores.cleanup_later(&location, now) {
            failure(error);
        }
    }

    async fn count(&mut self, location: Location, now: u64) -> Result<u64> {
        self.driver(&location).await?.count(now).await.map_err(failure)
    }

    async fn list(
        &mut self,
        location: Location,
        now: u64,
        owner: Option<String>,
        after: Option<Vec<u8>>,
        limit: u32,
    ) -> Result<Vec<Listed>> {
        if limit > LIST_LIMIT {
            return Err(Failure::Unavailable(format!("a list of {limit} sessions; at most {LIST_LIMIT} are returned")));
        }
        let after = after.as_deref().map(to_key).transpose()?;
        let driver = self.driver(&location).await?;
        let listed = driver.list(now, owner.as_deref(), after.as_ref(), limit).await.map_err(failure)?;
        Ok(listed.into_iter().map(Listed::from).collect())
    }

    async fn create_tables(&mut self, location: Location) -> Result<()> {
        self.driver(&location).await?.create_tables().await.map_err(failure)
    }

    async fn drop_tables(&mut self, location: Location) -> Result<()> {
        self.driver(&location).await?.drop_tables().await.map_err(failure)
    }

    async fn tables_exist(&mut self, location: Location) -> Result<bool> {
        self.driver(&location).await?.tables_exist().await.map_err(failure)
    }
}

/// The one way a driver's error reaches a guest: the details go to the log, a plain case to the guest.
fn failure(error: driver::Error) -> Failure {
    let mut causes = Vec::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        causes.push(error.to_string());
        cause = error.source();
    }
    if error.is_unknown_location() {
        tracing::warn!(%error, "a session was asked for in a place that is not configured");
        Failure::UnknownLocation(error.to_string())
    } else if error.is_missing_tables() {
        tracing::error!(%error, causes = causes.join(": "), "the tables of the sessions are missing");
        Failure::MissingTables(error.to_string())
    } else {
        tracing::error!(%error, causes = causes.join(": "), "the store of the sessions is in trouble");
        Failure::Unavailable(error.to_string())
    }
}

fn to_key(bytes: &[u8]) -> Result<Key> {
    Key::try_from(bytes).map_err(|_| {
        tracing::warn!(bytes = bytes.len(), "a guest named a session by something that is not a SHA-256 digest");
        Failure::Unavailable(format!("a session's key has 32 bytes, not {}", bytes.len()))
    })
}

fn to_change(change: Change) -> Result<driver::Change> {
    let rename = match change.rename {
        None => None,
        Some(Rename { to, grace }) => Some(driver::Rename {
            to: to_key(&to)?,
            grace: grace.map(|Grace { until, nonce }| driver::Grace { until, nonce }),
        }),
    };
    Ok(driver::Change {
        clears: change.clears,
        writes: change.writes.into_iter().map(driver::Write::from).collect(),
        owner: change.owner,
        expires: change.expires,
        rename,
        max_size: change.max_size,
        remember: change.remember,
    })
}

impl From<Write> for driver::Write {
    fn from(Write { app, name, value }: Write) -> Self {
        Self { app, name, value }
    }
}

impl From<SessionRecord> for driver::Record {
    fn from(record: SessionRecord) -> Self {
        let SessionRecord { created, accessed, expires, ends, renewed, owner, version, size } = record;
        Self { created, accessed, expires, ends, renewed, owner, version, size }
    }
}

impl From<driver::Record> for SessionRecord {
    fn from(record: driver::Record) -> Self {
        let driver::Record { created, accessed, expires, ends, renewed, owner, version, size } = record;
        Self { created, accessed, expires, ends, renewed, owner, version, size }
    }
}

impl From<driver::Loaded> for Loaded {
    fn from(loaded: driver::Loaded) -> Self {
        let variable = |driver::Variable { name, value }| {
            let value = match value {
                driver::Stored::Inline(bytes) => Stored::Inline(bytes),
                driver::Stored::Large(size) => Stored::Large(size),
            };
            Variable { name, value }
        };
        Self {
            record: loaded.record.into(),
            variables: loaded.variables.into_iter().map(variable).collect(),
            renewal: loaded.renewal,
        }
    }
}

impl From<driver::Listed> for Listed {
    fn from(listed: driver::Listed) -> Self {
        Self { key: listed.key.as_bytes().to_vec(), record: listed.record.into() }
    }
}
