//! The imported store as a driver.

use async_trait::async_trait;
use lemon_session_store::{
    Change, CreateOutcome, DestroyCondition, Digest, Error, Grace, Inspect, Lifetime, Listed, LoadOutcome, Loaded,
    Record, Result, Rotation, Schema, Store, Stored, UpdateOutcome, Variable, Write, Writes,
};

use crate::bindings::{
    exports::lemon::session_conformance::suite::{self, Tables},
    lemon::session::{
        storage::{self as wit, Failure},
        types::Location,
    },
};

/// A driver whose calls are those of `lemon:session/storage`.
pub struct Imported {
    location: Location,
    has_tables: bool,
}

impl Imported {
    pub fn new(store: &suite::Store) -> Self {
        Self { location: store.location.clone(), has_tables: store.tables != Tables::Absent }
    }

    /// Removes everything.
    pub fn empty(&self) -> Result<()> {
        wit::drop_tables(&self.location).map_err(error)
    }
}

#[async_trait]
impl Store for Imported {
    fn summary(&self) -> String {
        "the imported store".to_owned()
    }

    async fn load(&self, digest: &Digest, app: &str, now: u64, inline_bytes: u32) -> Result<LoadOutcome> {
        let outcome = wit::load(&self.location, digest.as_bytes(), app, now, inline_bytes).map_err(error)?;
        Ok(match outcome {
            wit::LoadOutcome::Found(loaded) => LoadOutcome::Found(Loaded {
                record: from_wit(loaded.record),
                details: loaded.details.into_iter().map(variable).collect(),
                variables: loaded.variables.into_iter().map(variable).collect(),
                renewal: loaded.renewal,
            }),
            wit::LoadOutcome::Absent => LoadOutcome::Absent,
            wit::LoadOutcome::Expired => LoadOutcome::Expired,
            wit::LoadOutcome::Ended => LoadOutcome::Ended,
        })
    }

    async fn fetch(&self, digest: &Digest, app: &str, name: &str, now: u64) -> Result<Option<Vec<u8>>> {
        wit::fetch(&self.location, digest.as_bytes(), app, name, now).map_err(error)
    }

    async fn create(&self, digest: &Digest, record: &Record, writes: &Writes) -> Result<CreateOutcome> {
        let answer = wit::create(&self.location, digest.as_bytes(), &to_wit(record), &written(writes));
        answer.map_err(error).map(|outcome| match outcome {
            wit::CreateOutcome::Created => CreateOutcome::Created,
            wit::CreateOutcome::Exists => CreateOutcome::Exists,
        })
    }

    async fn update(&self, digest: &Digest, change: &Change, expected: Option<u64>, now: u64) -> Result<UpdateOutcome> {
        let rotation = |Rotation { to, grace }| wit::Rotation {
            to: to.as_bytes().to_vec(),
            grace: grace.map(|Grace { until, nonce }| wit::Grace { until, nonce }),
        };
        let change = wit::Change {
            clears: change.clears.clone(),
            writes: written(&change.writes),
            owner: change.owner.clone(),
            max_owned: change.max_owned,
            expires: change.expires,
            lifetime: change
                .lifetime
                .map(|Lifetime { expires, absolute_expiry }| wit::Lifetime { expires, absolute_expiry }),
            rotation: change.rotation.clone().map(rotation),
            max_size: change.max_size,
            remember: change.remember,
        };
        let answer = wit::update(&self.location, digest.as_bytes(), &change, expected, now);
        answer.map_err(error).map(|outcome| match outcome {
            wit::UpdateOutcome::Committed(version) => UpdateOutcome::Committed(version),
            wit::UpdateOutcome::Conflict(version) => UpdateOutcome::Conflict(version),
            wit::UpdateOutcome::Gone => UpdateOutcome::Gone,
            wit::UpdateOutcome::TooLarge(size) => UpdateOutcome::TooLarge(size),
            wit::UpdateOutcome::TooManyOwned(sessions) => UpdateOutcome::TooManyOwned(sessions),
        })
    }

    async fn destroy(&self, digest: &Digest, only: &DestroyCondition, now: u64, remember: u32) -> Result<bool> {
        let only = match only {
            DestroyCondition::Any => wit::DestroyCondition::Any,
            DestroyCondition::Expired => wit::DestroyCondition::Expired,
            DestroyCondition::Owned(owner) => wit::DestroyCondition::Owned(owner.clone()),
        };
        wit::destroy(&self.location, digest.as_bytes(), &only, now, remember).map_err(error)
    }

    async fn destroy_owned(&self, owner: &str, except: Option<&Digest>, now: u64, remember: u32) -> Result<u64> {
        let except = except.map(|digest| &digest.as_bytes()[..]);
        wit::destroy_owned(&self.location, owner, except, now, remember).map_err(error)
    }

    async fn cleanup(&self, now: u64, limit: u32) -> Result<u32> {
        wit::cleanup(&self.location, now, limit).map_err(error)
    }

    fn inspect(&self) -> Option<&dyn Inspect> {
        Some(self)
    }

    fn schema(&self) -> Option<&dyn Schema> {
        self.has_tables.then_some(self)
    }
}

#[async_trait]
impl Inspect for Imported {
    async fn count(&self, now: u64) -> Result<u64> {
        wit::count(&self.location, now).map_err(error)
    }

    async fn reused(&self, _now: u64) -> Result<u64> {
        Err(Error::unsupported("no call tells how often tombstones were loaded"))
    }

    async fn list(&self, now: u64, owner: Option<&str>, after: Option<&Digest>, limit: u32) -> Result<Vec<Listed>> {
        let after = after.map(|digest| &digest.as_bytes()[..]);
        let listed = wit::list(&self.location, now, owner, after, limit).map_err(error)?;
        let entry = |wit::Listed { digest, record }| {
            let digest = Digest::try_from(&digest[..]).expect("list answers digests of 32 bytes");
            Listed { digest, record: from_wit(record) }
        };
        Ok(listed.into_iter().map(entry).collect())
    }

    async fn describe(&self, _: &Digest, _now: u64) -> Result<Option<(Record, Vec<(String, String, u64)>)>> {
        Err(Error::unsupported("no call describes a session"))
    }
}

#[async_trait]
impl Schema for Imported {
    async fn create_tables(&self) -> Result<()> {
        wit::create_tables(&self.location).map_err(error)
    }

    async fn drop_tables(&self) -> Result<()> {
        self.empty()
    }

    async fn tables_exist(&self) -> Result<bool> {
        wit::tables_exist(&self.location).map_err(error)
    }
}

fn error(failure: Failure) -> Error {
    match failure {
        Failure::MissingTables(why) => Error::missing_tables(why),
        Failure::UnknownLocation(why) => Error::unknown_location(why),
        Failure::Unavailable(why) | Failure::TooMany(why) => Error::unavailable(why),
    }
}

fn variable(wit::Variable { name, value }: wit::Variable) -> Variable {
    let value = match value {
        wit::Stored::Inline(bytes) => Stored::Inline(bytes),
        wit::Stored::Large(size) => Stored::Large(size),
    };
    Variable { name, value }
}

fn written(writes: &Writes) -> Vec<wit::Write> {
    let write = |Write { app, name, value }| wit::Write { app, name, value };
    writes.iter().cloned().map(write).collect()
}

fn to_wit(record: &Record) -> wit::SessionRecord {
    let Record { created, accessed, expires, absolute_expiry, rotated, owner, version, size } = record.clone();
    wit::SessionRecord { created, accessed, expires, absolute_expiry, rotated, owner, version, size }
}

fn from_wit(record: wit::SessionRecord) -> Record {
    let wit::SessionRecord { created, accessed, expires, absolute_expiry, rotated, owner, version, size } = record;
    Record { created, accessed, expires, absolute_expiry, rotated, owner, version, size }
}
