//! A store that has every call wait twice: before it takes effect, and before the caller learns the answer.

use std::{pin::pin, task::Poll, time::Duration};

use super::Outside;
use crate::{
    Env,
    settings::{Caller, Notice, Settings},
    storage::{
        Change, CreateOutcome, DestroyCondition, Failure, Listed, LoadOutcome, Location, SessionRecord, UpdateOutcome,
        Write,
    },
};

pub struct Waiting(pub Outside);

/// Waits until it is polled again.
async fn pause() {
    let mut waited = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut waited, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

async fn slowly<T>(call: impl Future<Output = T>) -> T {
    let call = pin!(call);
    pause().await;
    let answer = call.await;
    pause().await;
    answer
}

impl Env for Waiting {
    fn clock(&self) -> Duration {
        self.0.clock()
    }

    fn random(&self, bytes: &mut [u8]) {
        self.0.random(bytes);
    }

    fn defaults(&self) -> Settings {
        self.0.defaults()
    }

    fn caller(&self) -> Caller {
        self.0.caller()
    }

    fn notify(&self, notice: &Notice) {
        self.0.notify(notice);
    }

    async fn load(
        &self,
        at: &Location,
        digest: &[u8],
        app: &str,
        now: u64,
        inline: u32,
    ) -> Result<LoadOutcome, Failure> {
        slowly(self.0.load(at, digest, app, now, inline)).await
    }

    async fn fetch(
        &self,
        at: &Location,
        digest: &[u8],
        app: &str,
        name: &str,
        now: u64,
    ) -> Result<Option<Vec<u8>>, Failure> {
        slowly(self.0.fetch(at, digest, app, name, now)).await
    }

    async fn create(
        &self,
        at: &Location,
        digest: &[u8],
        record: &SessionRecord,
        writes: &[Write],
    ) -> Result<CreateOutcome, Failure> {
        slowly(self.0.create(at, digest, record, writes)).await
    }

    async fn update(
        &self,
        at: &Location,
        digest: &[u8],
        change: &Change,
        expected: Option<u64>,
        now: u64,
    ) -> Result<UpdateOutcome, Failure> {
        slowly(self.0.update(at, digest, change, expected, now)).await
    }

    async fn destroy(
        &self,
        at: &Location,
        digest: &[u8],
        only: &DestroyCondition,
        now: u64,
        remember: u32,
    ) -> Result<bool, Failure> {
        slowly(self.0.destroy(at, digest, only, now, remember)).await
    }

    async fn destroy_owned(
        &self,
        at: &Location,
        owner: &str,
        except: Option<&[u8]>,
        now: u64,
        remember: u32,
    ) -> Result<u64, Failure> {
        slowly(self.0.destroy_owned(at, owner, except, now, remember)).await
    }

    async fn cleanup(&self, at: &Location, now: u64, limit: u32) -> Result<u32, Failure> {
        slowly(self.0.cleanup(at, now, limit)).await
    }

    fn cleanup_later(&self, at: &Location, now: u64) {
        self.0.cleanup_later(at, now);
    }

    async fn count(&self, at: &Location, now: u64) -> Result<u64, Failure> {
        slowly(self.0.count(at, now)).await
    }

    async fn list(
        &self,
        at: &Location,
        now: u64,
        owner: Option<&str>,
        after: Option<&[u8]>,
        limit: u32,
    ) -> Result<Vec<Listed>, Failure> {
        slowly(self.0.list(at, now, owner, after, limit)).await
    }

    async fn create_tables(&self, at: &Location) -> Result<(), Failure> {
        slowly(self.0.create_tables(at)).await
    }

    async fn drop_tables(&self, at: &Location) -> Result<(), Failure> {
        slowly(self.0.drop_tables(at)).await
    }

    async fn tables_exist(&self, at: &Location) -> Result<bool, Failure> {
        slowly(self.0.tables_exist(at)).await
    }
}
