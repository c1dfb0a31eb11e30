use async_trait::async_trait;

use super::{Digest, Error, Listed, Record, Result};

/// What the operator's commands (`list`, `show`, `stats`, `doctor`) need of a store.
///
/// A driver whose store cannot tell it answers [`reused`](Self::reused), [`backlog`](Self::backlog) and
/// [`describe`](Self::describe) with an error of which
/// [`is_unsupported`](super::Error::is_unsupported) is true; the commands then leave it out, or say so.
#[async_trait]
pub trait Inspect: Send + Sync {
    /// Returns how many sessions are live.
    async fn count(&self, now: u64) -> Result<u64>;

    /// Returns how often [`Store::load`](super::Store::load) answered [`LoadOutcome::Ended`](super::LoadOutcome::Ended), summed
    /// over all tombstones that have not expired.
    async fn reused(&self, now: u64) -> Result<u64>;

    /// Returns how many expired sessions and tombstones the store holds: what [`Store::cleanup`](super::Store::cleanup) would
    /// remove now, without a limit. A store that removes them itself does not tell.
    async fn backlog(&self, now: u64) -> Result<u64> {
        _ = now;
        Err(Error::unsupported("this store does not tell how many expired sessions it holds"))
    }

    /// Returns at most `limit` live sessions in the order of their digests' bytes: those of `owner`, if given, that follow
    /// the digest `after`, which need not exist.
    async fn list(&self, now: u64, owner: Option<&str>, after: Option<&Digest>, limit: u32) -> Result<Vec<Listed>>;

    /// Returns a live session with the names of all its variables and the sizes of their values in bytes, as
    /// `(application, name, bytes)`, sorted; `None` if there is no such session. Does not follow a former digest.
    async fn describe(&self, digest: &Digest, now: u64) -> Result<Option<(Record, Vec<(String, String, u64)>)>>;

    /// Returns the time by the store's own clock, in seconds since 1970-01-01T00:00:00Z; `None` if that is this machine's
    /// clock.
    async fn clock(&self) -> Result<Option<u64>> {
        Ok(None)
    }
}
