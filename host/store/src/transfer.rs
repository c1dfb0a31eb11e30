use async_trait::async_trait;

use super::{Digest, Result, Snapshot};

/// What the command `move` needs of a store, beside [`Inspect`](super::Inspect).
#[async_trait]
pub trait Transfer: Send + Sync {
    /// Returns all of a live session, to be copied to another store; `None` if there is no such session. Does not follow a
    /// former digest.
    async fn export(&self, digest: &Digest, now: u64) -> Result<Option<Snapshot>>;

    /// Stores a copy of another store's session with the version that it has there, and returns whether it was stored. Its
    /// `size` becomes that of the variables.
    ///
    /// Without `over` it never overwrites what [`Store::create`](super::Store::create) would not overwrite at `now`. With
    /// `over` it replaces the live session of the digest if that has this version: `accessed` and `expires` then only move to
    /// later times, `expires` not past the copy's absolute expiry, and former digests still lead to it.
    async fn import(&self, digest: &Digest, snapshot: &Snapshot, over: Option<u64>, now: u64) -> Result<bool>;
}
