use lemon_session_store::{
    Change, CreateOutcome, DestroyCondition, Digest, LoadOutcome, Record, Result, Store, UpdateOutcome, Writes,
};

/// A call of a store as a value, so that a network can delay it, lose it and repeat it.
#[expect(missing_docs, reason = "the documentation is in lemon_session_store::Store")]
#[derive(Clone, Debug)]
pub enum Ask {
    Load { digest: Digest, app: String, now: u64, inline_bytes: u32 },
    Fetch { digest: Digest, app: String, name: String, now: u64 },
    Create { digest: Digest, record: Record, writes: Writes },
    Update { digest: Digest, change: Change, expected: Option<u64>, now: u64 },
    Destroy { digest: Digest, only: DestroyCondition, now: u64, remember: u32 },
    DestroyOwned { owner: String, except: Option<Digest>, now: u64, remember: u32 },
    Cleanup { now: u64, limit: u32 },
}

/// What a store replies to an [`Ask`].
#[expect(missing_docs, reason = "the documentation is in lemon_session_store::Store")]
#[derive(Debug)]
pub enum Reply {
    Load(LoadOutcome),
    Fetch(Option<Vec<u8>>),
    Create(CreateOutcome),
    Update(UpdateOutcome),
    Destroy(bool),
    DestroyOwned(u64),
    Cleanup(u32),
}

impl Ask {
    /// The call as a store with a clock of its own takes it: at the time that this shows, if that is earlier than the caller's.
    #[must_use]
    pub fn at_most(mut self, clock: u64) -> Self {
        match &mut self {
            Self::Load { now, .. }
            | Self::Fetch { now, .. }
            | Self::Update { now, .. }
            | Self::Destroy { now, .. }
            | Self::DestroyOwned { now, .. }
            | Self::Cleanup { now, .. } => *now = clock.min(*now),
            Self::Create { .. } => {}
        }
        self
    }

    /// Calls a store.
    ///
    /// # Errors
    ///
    /// Fails as the method of the store does.
    pub async fn put_to(&self, store: &dyn Store) -> Result<Reply> {
        Ok(match self {
            Self::Load { digest, app, now, inline_bytes } => {
                Reply::Load(store.load(digest, app, *now, *inline_bytes).await?)
            }
            Self::Fetch { digest, app, name, now } => Reply::Fetch(store.fetch(digest, app, name, *now).await?),
            Self::Create { digest, record, writes } => Reply::Create(store.create(digest, record, writes).await?),
            Self::Update { digest, change, expected, now } => {
                Reply::Update(store.update(digest, change, *expected, *now).await?)
            }
            Self::Destroy { digest, only, now, remember } => {
                Reply::Destroy(store.destroy(digest, only, *now, *remember).await?)
            }
            Self::DestroyOwned { owner, except, now, remember } => {
                Reply::DestroyOwned(store.destroy_owned(owner, except.as_ref(), *now, *remember).await?)
            }
            Self::Cleanup { now, limit } => Reply::Cleanup(store.cleanup(*now, *limit).await?),
        })
    }
}
