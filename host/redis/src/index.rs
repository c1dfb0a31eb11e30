//! The index of an owner's sessions.

use std::collections::BTreeSet;

use lemon_session_store::{Digest, Result};
use redis::Value;

use super::{
    Redis, reply,
    script::{self, Args, FAR},
    server::{PAGE, Repeat},
};

impl Redis {
    /// In a cluster: adds a digest to its owner's index, until well after its session expires. Returns until when.
    pub(super) async fn add_to_index(&self, owner: &str, key: &Digest, expires: u64, now: u64) -> Result<u64> {
        // Twice the remaining life of the session: when it is used again, its digest need not be added again.
        let until = expires.saturating_add(expires.saturating_sub(now)).min(FAR);
        let args = Args::at(now).key(key).time(until);
        self.call(&script::INDEX, self.index(owner), &[], &args, Repeat::Harmless).await?;
        Ok(until)
    }

    /// The digests in an owner's index, sorted.
    pub(super) async fn owned(&self, owner: &str) -> Result<BTreeSet<Digest>> {
        let (mut owned, mut cursor) = (BTreeSet::new(), Some(0));
        while let Some(at) = cursor {
            let (next, keys) = self.owned_from(owner, at).await?;
            owned.extend(keys);
            cursor = next;
        }
        Ok(owned)
    }

    /// How many live sessions an owner has.
    pub(super) async fn live_owned(&self, owner: &str, now: u64) -> Result<u64> {
        let now = now.min(self.server.time().await?);
        let live = self.live_ones(self.owned(owner).await?, now).await?;
        Ok(live.iter().filter(|listed| listed.record.owner.as_deref() == Some(owner)).count() as u64)
    }

    /// The next digests in an owner's index, and the cursor of those that follow, if any. A digest that is in the index
    /// all the time is returned at least once.
    pub(super) async fn owned_from(&self, owner: &str, cursor: u64) -> Result<(Option<u64>, Vec<Digest>)> {
        let mut scan = redis::cmd("ZSCAN");
        scan.arg(self.index(owner)).arg(cursor).arg("COUNT").arg(PAGE);
        let mut page = reply::array(self.server.command(scan).await?)?.into_iter();
        let next = reply::number(reply::text(page.next().unwrap_or(Value::Nil))?.as_bytes())?;
        // Each digest is followed by its expiry.
        let members = reply::array(page.next().unwrap_or(Value::Nil))?.into_iter().step_by(2);
        let keys = members.map(|member| reply::key(&reply::bytes_if(member)?.unwrap_or_default()));
        Ok((Some(next).filter(|next| *next != 0), keys.collect::<Result<_>>()?))
    }
}
