//! A driver that implements `Store` alone.

use async_trait::async_trait;
use lemon_session_store::{
    Change, CreateOutcome, DestroyCondition, Digest, LoadOutcome, Record, Result, Store, UpdateOutcome, Writes,
    memory::Memory,
};

/// Memory, without what the operator needs of it.
#[derive(Default)]
pub struct Plain(Memory);

#[async_trait]
impl Store for Plain {
    fn summary(&self) -> String {
        "a plain store".to_owned()
    }

    async fn load(&self, key: &Digest, app: &str, now: u64, inline_bytes: u32) -> Result<LoadOutcome> {
        self.0.load(key, app, now, inline_bytes).await
    }

    async fn fetch(&self, key: &Digest, app: &str, name: &str, now: u64) -> Result<Option<Vec<u8>>> {
        self.0.fetch(key, app, name, now).await
    }

    async fn create(&self, key: &Digest, record: &Record, writes: &Writes) -> Result<CreateOutcome> {
        self.0.create(key, record, writes).await
    }

    async fn update(&self, key: &Digest, change: &Change, expected: Option<u64>, now: u64) -> Result<UpdateOutcome> {
        self.0.update(key, change, expected, now).await
    }

    async fn destroy(&self, key: &Digest, only: &DestroyCondition, now: u64, remember: u32) -> Result<bool> {
        self.0.destroy(key, only, now, remember).await
    }

    async fn destroy_owned(&self, owner: &str, except: Option<&Digest>, now: u64, remember: u32) -> Result<u64> {
        self.0.destroy_owned(owner, except, now, remember).await
    }

    async fn cleanup(&self, now: u64, limit: u32) -> Result<u32> {
        self.0.cleanup(now, limit).await
    }
}
