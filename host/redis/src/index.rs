//! The index of an owner's sessions.

use std::collections::BTreeSet;

use lemon_session_store::{Key, Result};
use redis::Value;

use super::{
    Redis, reply,
    script::{self, Args, FAR},
    server::{PAGE, Repeat},
};

impl Redis {
    /// In a cluster: adds a key to its owner's index, until well after it expires. Returns until when.
    pub(super) async fn add_to_index(&self, owner: &str, key: &Key, expires: u64, now: u64) -> Result<u64> {
        // Twice as long as the session may last now: it will most likely be used again, and then there is nothing to do.
        let until = expires.saturating_add(expires.saturating_sub(now)).min(FAR);
        let args = Args::at(now).key(key).time(until);
        self.call(&script::INDEX, self.index(owner), &[], &args, Repeat::Safe).await?;
        Ok(until)
    }

    /// The keys in an owner's index, sorted.
    pub(super) async fn owned(&self, owner: &str) -> Result<BTreeSet<Key>> {
        let (mut owned, mut cursor) = (BTreeSet::new(), Some(0));
        while let Some(at) = cursor {
            let (next, keys) = self.owned_from(owner, at).await?;
            owned.extend(keys);
            cursor = next;
        }
        Ok(owned)
    }

    /// The next keys in an owner's index, and where to go on, if there are more. Those that are in it all the time come at
    /// least once.
    pub(super) async fn owned_from(&self, owner: &str, cursor: u64) -> Result<(Option<u64>, Vec<Key>)> {
        let mut scan = redis::cmd("ZSCAN");
        scan.arg(self.index(owner)).arg(cursor).arg("COUNT").arg(PAGE);
        let mut page = reply::array(self.server.command(scan).await?)?.into_iter();
        let next = reply::number(reply::text(page.next().unwrap_or(Value::Nil))?.as_bytes())?;
        // Each is followed by its expiry.
        let members = reply::array(page.next().unwrap_or(Value::Nil))?.into_iter().step_by(2);
        let keys = members.map(|member| reply::key(&reply::bytes_if(member)?.unwrap_or_default()));
        Ok((Some(next).filter(|next| *next != 0), keys.collect::<Result<_>>()?))
    }
}
