//! Drivers that keep the contract but for one mistake.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use async_trait::async_trait;
use lemon_session_store::{
    Change, CreateOutcome, DestroyCondition, Digest, Inspect, LoadOutcome, Record, Result, Schema, Snapshot, Store,
    Transfer as _, UpdateOutcome, Writes, memory::Memory,
};

/// What a driver does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// An update of several variables writes all but the last.
    LosesAWrite,
    /// An update of a session that was destroyed brings it back.
    Resurrects,
    /// The second load of a session answers what the first did.
    ReadsStale,
}

pub struct Broken {
    inner: Memory,
    mistake: Mistake,
    destroyed: Mutex<HashMap<Digest, Snapshot>>,
    loaded: Mutex<HashMap<(Digest, String), LoadOutcome>>,
}

impl Broken {
    pub fn new(mistake: Mistake) -> Self {
        Self { inner: Memory::new(), mistake, destroyed: Mutex::default(), loaded: Mutex::default() }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl Store for Broken {
    fn summary(&self) -> String {
        format!("a driver that {:?}", self.mistake)
    }

    async fn load(&self, digest: &Digest, app: &str, now: u64, inline_bytes: u32) -> Result<LoadOutcome> {
        let outcome = self.inner.load(digest, app, now, inline_bytes).await?;
        if self.mistake != Mistake::ReadsStale || !matches!(outcome, LoadOutcome::Found(_)) {
            return Ok(outcome);
        }
        Ok(locked(&self.loaded).entry((*digest, app.to_owned())).or_insert(outcome).clone())
    }

    async fn fetch(&self, digest: &Digest, app: &str, name: &str, now: u64) -> Result<Option<Vec<u8>>> {
        self.inner.fetch(digest, app, name, now).await
    }

    async fn create(&self, digest: &Digest, record: &Record, writes: &Writes) -> Result<CreateOutcome> {
        self.inner.create(digest, record, writes).await
    }

    async fn update(&self, digest: &Digest, change: &Change, expected: Option<u64>, now: u64) -> Result<UpdateOutcome> {
        let mut change = change.clone();
        if self.mistake == Mistake::LosesAWrite && change.writes.len() > 1 {
            change.writes = change.writes.iter().take(change.writes.len() - 1).cloned().collect();
        }
        let destroyed = locked(&self.destroyed).remove(digest);
        if let Some(snapshot) = destroyed {
            self.inner.import(digest, &snapshot, None, now).await?;
        }
        self.inner.update(digest, &change, expected, now).await
    }

    async fn destroy(&self, digest: &Digest, only: &DestroyCondition, now: u64, remember: u32) -> Result<bool> {
        if self.mistake != Mistake::Resurrects {
            return self.inner.destroy(digest, only, now, remember).await;
        }
        if let Some(snapshot) = self.inner.export(digest, now).await? {
            locked(&self.destroyed).insert(*digest, snapshot);
        }
        self.inner.destroy(digest, only, now, 0).await
    }

    async fn destroy_owned(&self, owner: &str, except: Option<&Digest>, now: u64, remember: u32) -> Result<u64> {
        self.inner.destroy_owned(owner, except, now, remember).await
    }

    async fn cleanup(&self, now: u64, limit: u32) -> Result<u32> {
        self.inner.cleanup(now, limit).await
    }

    fn inspect(&self) -> Option<&dyn Inspect> {
        self.inner.inspect()
    }

    fn schema(&self) -> Option<&dyn Schema> {
        self.inner.schema()
    }
}
