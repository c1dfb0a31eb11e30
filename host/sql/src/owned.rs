//! The end of an owner's sessions that have expired.

use std::future::Future;

use lemon_session_store::{DestroyCondition, Digest, Error, Result, Store};

/// Ends sessions of an owner that have expired at `moment`: for a host whose clock is behind, they are live. `find` returns
/// the digests of some, and none once all have ended.
///
/// Those that are live at `moment` are to be ended afterwards, at the same moment. An expiry only moves to a later time, so
/// that a session which another host extends in between is found then.
pub async fn end_expired<Found: Future<Output = Result<Vec<Vec<u8>>>>>(
    store: &dyn Store,
    moment: u64,
    find: impl Fn() -> Found,
) -> Result<()> {
    loop {
        let expired = find().await?;
        if expired.is_empty() {
            return Ok(());
        }
        for digest in expired {
            let digest =
                Digest::try_from(&digest[..]).map_err(|_| Error::unavailable("a digest has a wrong length"))?;
            // False also for one whose id was rotated since: then the next look finds its new digest.
            store.destroy(&digest, &DestroyCondition::Expired, moment, 0).await?;
        }
    }
}
