//! Drivers around a driver: one that fails when told to, and counts what it is asked.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
};

use async_trait::async_trait;
use lemon_session_host::store::{
    Change, CreateOutcome, DestroyCondition, Digest, Error, LoadOutcome, Record, Result, Store, UpdateOutcome, Writes,
};

/// Fails before or after the store has done what it was asked, and counts writes.
pub struct Wrapped {
    inner: Arc<dyn Store>,
    pub fails_before: AtomicBool,
    pub fails_after: AtomicBool,
    pub writes: AtomicUsize,
}

impl Wrapped {
    pub fn new(inner: Arc<dyn Store>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            fails_before: AtomicBool::new(false),
            fails_after: AtomicBool::new(false),
            writes: AtomicUsize::new(0),
        })
    }

    async fn around<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        let trouble = || Error::unavailable("the connection to db.internal was cut: password=hunter2");
        if self.fails_before.load(Relaxed) {
            return Err(trouble());
        }
        let answer = call.await?;
        if self.fails_after.load(Relaxed) { Err(trouble()) } else { Ok(answer) }
    }
}

#[async_trait]
impl Store for Wrapped {
    fn summary(&self) -> String {
        self.inner.summary()
    }

    async fn load(&self, key: &Digest, app: &str, now: u64, inline_bytes: u32) -> Result<LoadOutcome> {
        self.around(self.inner.load(key, app, now, inline_bytes)).await
    }

    async fn fetch(&self, key: &Digest, app: &str, name: &str, now: u64) -> Result<Option<Vec<u8>>> {
        self.around(self.inner.fetch(key, app, name, now)).await
    }

    async fn create(&self, key: &Digest, record: &Record, writes: &Writes) -> Result<CreateOutcome> {
        self.writes.fetch_add(1, Relaxed);
        self.around(self.inner.create(key, record, writes)).await
    }

    async fn update(&self, key: &Digest, change: &Change, expected: Option<u64>, now: u64) -> Result<UpdateOutcome> {
        self.writes.fetch_add(1, Relaxed);
        self.around(self.inner.update(key, change, expected, now)).await
    }

    async fn destroy(&self, key: &Digest, only: &DestroyCondition, now: u64, remember: u32) -> Result<bool> {
        self.around(self.inner.destroy(key, only, now, remember)).await
    }

    async fn destroy_owned(&self, owner: &str, except: Option<&Digest>, now: u64, remember: u32) -> Result<u64> {
        self.around(self.inner.destroy_owned(owner, except, now, remember)).await
    }

    async fn cleanup(&self, now: u64, limit: u32) -> Result<u32> {
        self.around(self.inner.cleanup(now, limit)).await
    }
}
