//! Drivers in memory that have a mistake each.

use async_trait::async_trait;
use lemon_session_store::{
    Change, CreateOutcome, DestroyCondition, Digest, Error, Inspect, Listed, LoadOutcome, Record, Result, Schema,
    Snapshot, Store, Stored, Transfer, UpdateOutcome, Write, Writes, memory::Memory,
};

/// What a driver does wrong.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mistake {
    Nothing,
    /// Ends the sessions under the keys that were the owner's when it looked.
    EndsListedKeys,
    /// Counts the sessions that were the owner's when it looked.
    CountsListedKeys,
    /// Ends no more than one transaction takes.
    EndsOneBatch,
    /// Looks at the size before it writes, in another step.
    LooksAtTheSizeBefore,
    /// Looks for the new digest of a rotation before, in another step.
    LooksAtTheKeyBefore,
    /// Imports what is gone meanwhile as if it had never been there.
    ImportsWhatIsGone,
    /// Creates in two steps.
    CreatesInSteps,
    /// Updates in two steps.
    UpdatesInSteps,
    /// Destroys in two steps.
    DestroysInSteps,
    /// Answers less than it could remove.
    CleansUpLessThanItCould,
    /// Removes sessions that are live.
    CleansUpWhatIsLive,
    /// Quotes the key in an error.
    TellsKeys,
    /// Knows nothing of details.
    LeavesDetailsOut,
    /// Answers large details by their size.
    AnswersDetailsBySize,
    /// Knows nothing of lifetimes.
    IgnoresLifetimes,
    /// Moves an expiry only to a later time, as after a use.
    OnlyLengthens,
    /// Counts the sessions of an owner before it writes, in another step.
    CountsOwnedBefore,
    /// Counts a session that is the owner's already as one more.
    CountsOwnedTwice,
    /// Counts expired sessions of an owner.
    CountsExpired,
    /// Counts the sessions of an owner by the keys that they had when it looked.
    CountsListedOwned,
    /// Limits the sessions of no owner.
    LimitsWithoutOwner,
    /// Knows no limit of an owner's sessions.
    IgnoresMaxOwned,
}

use Mistake::{
    AnswersDetailsBySize, CleansUpLessThanItCould, CleansUpWhatIsLive, CountsExpired, CountsListedKeys,
    CountsListedOwned, CountsOwnedBefore, CountsOwnedTwice, CreatesInSteps, DestroysInSteps, EndsListedKeys,
    EndsOneBatch, IgnoresLifetimes, IgnoresMaxOwned, ImportsWhatIsGone, LeavesDetailsOut, LimitsWithoutOwner,
    LooksAtTheKeyBefore, LooksAtTheSizeBefore, OnlyLengthens, TellsKeys, UpdatesInSteps,
};

/// A driver in memory that has a mistake.
pub struct Broken {
    inner: Memory,
    mistake: Mistake,
}

/// What others may do in between.
async fn others() {
    for _ in 0..3 {
        tokio::task::yield_now().await;
    }
}

impl Broken {
    /// An empty store.
    pub fn new(mistake: Mistake) -> Self {
        Self { inner: Memory::new(), mistake }
    }

    fn has(&self, mistake: Mistake) -> bool {
        self.mistake == mistake
    }

    async fn record(&self, key: &Digest, now: u64) -> Result<Option<Record>> {
        Ok(self.inner.describe(key, now).await?.map(|(record, _)| record))
    }
}

#[async_trait]
impl Store for Broken {
    fn summary(&self) -> String {
        "a driver with a mistake".to_owned()
    }

    async fn load(&self, key: &Digest, app: &str, now: u64, inline_bytes: u32) -> Result<LoadOutcome> {
        let mut outcome = self.inner.load(key, app, now, inline_bytes).await?;
        if let LoadOutcome::Found(loaded) = &mut outcome {
            match self.mistake {
                LeavesDetailsOut => loaded.details.clear(),
                AnswersDetailsBySize => loaded.details.iter_mut().for_each(|detail| {
                    if let Stored::Inline(value) = &detail.value
                        && value.len() > inline_bytes as usize
                    {
                        detail.value = Stored::Large(value.len() as u64);
                    }
                }),
                _ => {}
            }
        }
        Ok(outcome)
    }

    async fn fetch(&self, key: &Digest, app: &str, name: &str, now: u64) -> Result<Option<Vec<u8>>> {
        self.inner.fetch(key, app, name, now).await
    }

    async fn create(&self, key: &Digest, record: &Record, writes: &Writes) -> Result<CreateOutcome> {
        if !self.has(CreatesInSteps) {
            return self.inner.create(key, record, writes).await;
        }
        let created = self.inner.create(key, record, &Writes::default()).await?;
        if created == CreateOutcome::Created {
            others().await;
            let change = Change { writes: writes.clone(), max_size: u64::MAX, ..Change::default() };
            self.inner.update(key, &change, None, record.accessed).await?;
        }
        Ok(created)
    }

    async fn update(&self, key: &Digest, change: &Change, expected: Option<u64>, now: u64) -> Result<UpdateOutcome> {
        match self.mistake {
            LooksAtTheSizeBefore => {
                let Some(before) = self.record(key, now).await? else { return Ok(UpdateOutcome::Gone) };
                let bytes = |write: &Write| write.name.len() + write.value.as_ref().map_or(0, Vec::len);
                let size = before.size + change.writes.iter().map(bytes).sum::<usize>() as u64;
                if size > change.max_size {
                    return Ok(UpdateOutcome::TooLarge(size));
                }
                others().await;
                let change = Change { max_size: u64::MAX, ..change.clone() };
                self.inner.update(key, &change, expected, now).await
            }
            LooksAtTheKeyBefore if change.rotation.is_some() => {
                let to = change.rotation.as_ref().map(|rotation| rotation.to).expect("a rename");
                if self.inner.load(&to, "", now, 0).await? != LoadOutcome::Absent {
                    return Err(Error::unavailable("the new digest of a session is taken"));
                }
                others().await;
                self.inner.destroy(&to, &DestroyCondition::Any, now, 0).await?;
                self.inner.update(key, change, expected, now).await
            }
            IgnoresLifetimes => {
                let change = Change { lifetime: None, ..change.clone() };
                self.inner.update(key, &change, expected, now).await
            }
            OnlyLengthens => {
                let expires = change.lifetime.map(|lifetime| lifetime.expires).or(change.expires);
                let change = Change { lifetime: None, expires, ..change.clone() };
                self.inner.update(key, &change, expected, now).await
            }
            IgnoresMaxOwned => {
                let change = Change { max_owned: None, ..change.clone() };
                self.inner.update(key, &change, expected, now).await
            }
            LimitsWithoutOwner if change.max_owned == Some(0) && !matches!(change.owner, Some(Some(_))) => {
                Ok(UpdateOutcome::TooManyOwned(0))
            }
            CountsListedOwned => {
                if let Some((owner, most)) = change.owner_limit() {
                    let listed = self.inner.list(now, Some(owner), None, u32::MAX).await?;
                    others().await;
                    let mut owned = 0;
                    for Listed { digest, .. } in listed {
                        owned += u64::from(self.record(&digest, now).await?.is_some());
                    }
                    if owned >= most {
                        return Ok(UpdateOutcome::TooManyOwned(owned));
                    }
                }
                let change = Change { max_owned: None, ..change.clone() };
                self.inner.update(key, &change, expected, now).await
            }
            CountsOwnedBefore | CountsOwnedTwice | CountsExpired => {
                if let Some((owner, most)) = change.owner_limit() {
                    let at = if self.has(CountsExpired) { now - 1 } else { now };
                    let owned = self.inner.list(at, Some(owner), None, u32::MAX).await?;
                    let is_theirs = owned.iter().any(|listed| listed.digest == *key) && !self.has(CountsOwnedTwice);
                    if owned.len() as u64 >= most && !is_theirs {
                        return Ok(UpdateOutcome::TooManyOwned(owned.len() as u64));
                    }
                    others().await;
                }
                let change = Change { max_owned: None, ..change.clone() };
                self.inner.update(key, &change, expected, now).await
            }
            UpdatesInSteps => {
                let first = Change { rotation: None, owner: None, expires: None, lifetime: None, ..change.clone() };
                let rest = Change { clears: Vec::new(), writes: Writes::default(), ..change.clone() };
                match self.inner.update(key, &first, expected, now).await? {
                    UpdateOutcome::Committed(version) => {
                        others().await;
                        match self.inner.update(key, &rest, None, now).await? {
                            UpdateOutcome::Committed(_) => Ok(UpdateOutcome::Committed(version)),
                            other => Ok(other),
                        }
                    }
                    other => Ok(other),
                }
            }
            TellsKeys => match self.inner.update(key, change, expected, now).await {
                Err(error) => Err(Error::unavailable("an update failed").with_source(format!("{error}: {key:?}"))),
                answer => answer,
            },
            _ => self.inner.update(key, change, expected, now).await,
        }
    }

    async fn destroy(&self, key: &Digest, only: &DestroyCondition, now: u64, remember: u32) -> Result<bool> {
        if self.has(DestroysInSteps) {
            let removed = Change { clears: vec!["shop".to_owned()], max_size: u64::MAX, ..Change::default() };
            self.inner.update(key, &removed, None, now).await?;
            others().await;
        }
        self.inner.destroy(key, only, now, remember).await
    }

    async fn destroy_owned(&self, owner: &str, except: Option<&Digest>, now: u64, remember: u32) -> Result<u64> {
        let limit = match self.mistake {
            EndsListedKeys | CountsListedKeys => u32::MAX,
            EndsOneBatch => 64,
            _ => return self.inner.destroy_owned(owner, except, now, remember).await,
        };
        let mut listed = self.inner.list(now, Some(owner), None, limit).await?;
        listed.retain(|listed| Some(&listed.digest) != except);
        others().await;
        let mut ended = 0;
        for Listed { digest: key, .. } in &listed {
            let only = DestroyCondition::Owned(owner.to_owned());
            ended += u64::from(self.inner.destroy(key, &only, now, remember).await?);
        }
        Ok(if self.has(CountsListedKeys) { listed.len() as u64 } else { ended })
    }

    async fn cleanup(&self, now: u64, limit: u32) -> Result<u32> {
        match self.mistake {
            CleansUpLessThanItCould => self.inner.cleanup(now, limit.div_ceil(2)).await,
            CleansUpWhatIsLive => self.inner.cleanup(now + 4_000, limit).await,
            _ => self.inner.cleanup(now, limit).await,
        }
    }

    fn inspect(&self) -> Option<&dyn Inspect> {
        self.inner.inspect()
    }

    fn transfer(&self) -> Option<&dyn Transfer> {
        Some(self)
    }

    fn schema(&self) -> Option<&dyn Schema> {
        self.inner.schema()
    }
}

#[async_trait]
impl Transfer for Broken {
    async fn export(&self, key: &Digest, now: u64) -> Result<Option<Snapshot>> {
        self.inner.export(key, now).await
    }

    async fn import(&self, key: &Digest, snapshot: &Snapshot, over: Option<u64>, now: u64) -> Result<bool> {
        if self.has(ImportsWhatIsGone) && over.is_some() {
            let found = self.record(key, now).await?;
            if found.map(|record| record.version) != over {
                return Ok(false);
            }
            others().await;
            if self.record(key, now).await?.is_none() {
                self.inner.drop_tables().await?;
                return self.inner.import(key, snapshot, None, now).await;
            }
        }
        self.inner.import(key, snapshot, over, now).await
    }
}
