//! Drivers with the mistakes that drivers of session stores have made: each of them breaks the contract only when two requests, or
//! a request and a failure, meet.

use async_trait::async_trait;
use lemon_session_store::{
    Change, CreateOutcome, DestroyCondition, Digest, Inspect, LoadOutcome, Record, Result, Snapshot, Store, Transfer,
    UpdateOutcome, Write, Writes, memory::Memory,
};

/// What a driver does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// An update of a session that is gone stores it again.
    RecreatesOnUpdate,
    /// A cleanup removes what was expired when it looked, even if it was extended since.
    IgnoresExtension,
    /// An update writes back the whole session as it was read.
    WritesBack,
    /// The old id of a rotation still has a copy of the session.
    KeepsTheOldId,
    /// An update with an expected version does not compare it.
    IgnoresTheVersion,
    /// A conflict counts as saved: an `add` is not repeated.
    TakesConflictForSaved,
}

pub struct Mistaken {
    inner: Memory,
    mistake: Mistake,
}

/// What others may do in between.
async fn others() {
    for _ in 0..3 {
        tokio::task::yield_now().await;
    }
}

impl Mistaken {
    pub fn new(mistake: Mistake) -> Self {
        Self { inner: Memory::new(), mistake }
    }

    /// Without tombstones, which would keep an update from storing a session again.
    fn remember(&self, remember: u32) -> u32 {
        match self.mistake {
            Mistake::RecreatesOnUpdate | Mistake::KeepsTheOldId => 0,
            _ => remember,
        }
    }

    async fn recreate(&self, digest: &Digest, change: &Change, now: u64) -> Result<UpdateOutcome> {
        let record = Record {
            created: now,
            accessed: now,
            expires: change.expires.unwrap_or(now + 1440),
            absolute_expiry: None,
            rotated: now,
            owner: change.owner.clone().flatten(),
            version: 1,
            size: 0,
        };
        self.inner.create(digest, &record, &change.writes).await?;
        Ok(UpdateOutcome::Committed(1))
    }

    async fn write_back(&self, digest: &Digest, change: &Change, now: u64) -> Result<UpdateOutcome> {
        let Some(Snapshot { mut record, variables }) = self.inner.export(digest, now).await? else {
            return Ok(UpdateOutcome::Gone);
        };
        let kept = variables.iter().filter(|write| !change.clears.contains(&write.app));
        let variables: Writes = kept.chain(change.writes.iter()).cloned().collect();
        let variables: Vec<Write> = variables.iter().filter(|write| write.value.is_some()).cloned().collect();
        if let Some(owner) = &change.owner {
            record.owner.clone_from(owner);
        }
        record.expires = record.expires.max(change.expires.unwrap_or_default());
        others().await;
        let Some((Record { version, .. }, _)) = self.inner.describe(digest, now).await? else {
            return Ok(UpdateOutcome::Gone);
        };
        record.version = version + 1;
        let snapshot = Snapshot { record, variables: variables.into() };
        self.inner.import(digest, &snapshot, Some(version), now).await?;
        Ok(UpdateOutcome::Committed(version + 1))
    }
}

#[async_trait]
impl Store for Mistaken {
    fn summary(&self) -> String {
        format!("a driver that {:?}", self.mistake)
    }

    async fn load(&self, digest: &Digest, app: &str, now: u64, inline_bytes: u32) -> Result<LoadOutcome> {
        self.inner.load(digest, app, now, inline_bytes).await
    }

    async fn fetch(&self, digest: &Digest, app: &str, name: &str, now: u64) -> Result<Option<Vec<u8>>> {
        self.inner.fetch(digest, app, name, now).await
    }

    async fn create(&self, digest: &Digest, record: &Record, writes: &Writes) -> Result<CreateOutcome> {
        self.inner.create(digest, record, writes).await
    }

    async fn update(&self, digest: &Digest, change: &Change, expected: Option<u64>, now: u64) -> Result<UpdateOutcome> {
        let change = &Change { remember: self.remember(change.remember), ..change.clone() };
        match self.mistake {
            Mistake::RecreatesOnUpdate => match self.inner.update(digest, change, expected, now).await? {
                UpdateOutcome::Gone if change.rotation.is_none() => self.recreate(digest, change, now).await,
                outcome => Ok(outcome),
            },
            Mistake::WritesBack if expected.is_none() && change.rotation.is_none() && !change.writes.is_empty() => {
                self.write_back(digest, change, now).await
            }
            Mistake::KeepsTheOldId => {
                let outcome = self.inner.update(digest, change, expected, now).await?;
                if let (UpdateOutcome::Committed(_), Some(rotation)) = (&outcome, &change.rotation)
                    && let Some(snapshot) = self.inner.export(&rotation.to, now).await?
                {
                    self.inner.import(digest, &snapshot, None, now).await?;
                }
                Ok(outcome)
            }
            Mistake::IgnoresTheVersion => self.inner.update(digest, change, None, now).await,
            Mistake::TakesConflictForSaved => match self.inner.update(digest, change, expected, now).await? {
                UpdateOutcome::Conflict(version) => Ok(UpdateOutcome::Committed(version)),
                outcome => Ok(outcome),
            },
            _ => self.inner.update(digest, change, expected, now).await,
        }
    }

    async fn destroy(&self, digest: &Digest, only: &DestroyCondition, now: u64, remember: u32) -> Result<bool> {
        self.inner.destroy(digest, only, now, self.remember(remember)).await
    }

    async fn destroy_owned(&self, owner: &str, except: Option<&Digest>, now: u64, remember: u32) -> Result<u64> {
        self.inner.destroy_owned(owner, except, now, self.remember(remember)).await
    }

    async fn cleanup(&self, now: u64, limit: u32) -> Result<u32> {
        if self.mistake != Mistake::IgnoresExtension {
            return self.inner.cleanup(now, limit).await;
        }
        let mut expired = self.inner.list(0, None, None, limit).await?;
        expired.retain(|listed| listed.record.expires <= now);
        others().await;
        for listed in &expired {
            self.inner.destroy(&listed.digest, &DestroyCondition::Any, now, 0).await?;
        }
        Ok(expired.len() as u32)
    }
}
