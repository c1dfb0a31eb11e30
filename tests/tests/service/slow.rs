//! A store in memory that takes its time.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use lemon_session_host::store::{
    Change, CreateOutcome, DestroyCondition, Digest, Inspect, LoadOutcome, Record, Result, Store, UpdateOutcome,
    Writes, memory::Memory,
};
use tokio::time::sleep;

/// Waits before each call.
pub struct Slow {
    inner: Memory,
    latency: Duration,
}

impl Slow {
    pub fn new(latency: Duration) -> Arc<Self> {
        Arc::new(Self { inner: Memory::new(), latency })
    }

    async fn after<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        sleep(self.latency).await;
        call.await
    }
}

#[async_trait]
impl Store for Slow {
    fn summary(&self) -> String {
        "slow memory".to_owned()
    }

    async fn load(&self, key: &Digest, app: &str, now: u64, inline_bytes: u32) -> Result<LoadOutcome> {
        self.after(self.inner.load(key, app, now, inline_bytes)).await
    }

    async fn fetch(&self, key: &Digest, app: &str, name: &str, now: u64) -> Result<Option<Vec<u8>>> {
        self.after(self.inner.fetch(key, app, name, now)).await
    }

    async fn create(&self, key: &Digest, record: &Record, writes: &Writes) -> Result<CreateOutcome> {
        self.after(self.inner.create(key, record, writes)).await
    }

    async fn update(&self, key: &Digest, change: &Change, expected: Option<u64>, now: u64) -> Result<UpdateOutcome> {
        self.after(self.inner.update(key, change, expected, now)).await
    }

    async fn destroy(&self, key: &Digest, only: &DestroyCondition, now: u64, remember: u32) -> Result<bool> {
        self.after(self.inner.destroy(key, only, now, remember)).await
    }

    async fn destroy_owned(&self, owner: &str, except: Option<&Digest>, now: u64, remember: u32) -> Result<u64> {
        self.after(self.inner.destroy_owned(owner, except, now, remember)).await
    }

    async fn cleanup(&self, now: u64, limit: u32) -> Result<u32> {
        self.after(self.inner.cleanup(now, limit)).await
    }

    fn inspect(&self) -> Option<&dyn Inspect> {
        self.inner.inspect()
    }
}
