//! Passes over all Redis keys of a store.

use futures::{StreamExt, TryStreamExt, stream};
use lemon_session_store::{Digest, Error, Listed, Record, Result};

use super::{
    AT_ONCE, Redis, STEPS,
    reply::{self, RECORD},
    server::Server,
    transport::Node,
};

impl Redis {
    /// A pass over all Redis keys of this store whose names, after the table, begin with `kind`.
    pub(super) async fn pass(&self, kind: &str) -> Result<Pass<'_>> {
        let nodes = self.server.nodes().await?.into_iter();
        Ok(Pass { server: &self.server, prefix: format!("{}:{kind}", self.table), nodes, at: None })
    }

    /// The record of a session, if that is live.
    async fn live(&self, key: &Digest, now: u64) -> Result<Option<Record>> {
        for _ in 0..STEPS {
            let mut fields = self.fields(key, &[&RECORD[..], &["pending"]].concat()).await?;
            match fields.pop().flatten().map(reply::utf8).transpose()? {
                Some(pending) if self.settle(key, &pending, now).await? => {}
                Some(_) => return Ok(None),
                // The entry is absent or a tombstone.
                None if fields.first().is_none_or(Option::is_none) => return Ok(None),
                None => return Ok(Some(reply::record(fields)?).filter(|record| now < record.expires)),
            }
        }
        Err(self.restless())
    }

    /// The live sessions of some digests, in the order of the digests.
    pub(super) async fn live_ones(&self, keys: impl IntoIterator<Item = Digest>, now: u64) -> Result<Vec<Listed>> {
        let asked = stream::iter(keys).map(|key| async move { Ok::<_, Error>((key, self.live(&key, now).await?)) });
        let answers: Vec<_> = asked.buffered(AT_ONCE).try_collect().await?;
        Ok(answers.into_iter().filter_map(|(key, record)| Some(Listed { digest: key, record: record? })).collect())
    }
}

/// A pass over the Redis keys of all nodes.
pub struct Pass<'a> {
    server: &'a Server,
    prefix: String,
    nodes: std::vec::IntoIter<Option<Node>>,
    /// The current node, and the cursor of the next step there.
    at: Option<(Option<Node>, u64)>,
}

impl Pass<'_> {
    /// The names of the next Redis keys, or none at the end. A name may be returned twice.
    pub(super) async fn names(&mut self) -> Result<Option<Vec<Vec<u8>>>> {
        let Some((node, cursor)) = self.at.take().or_else(|| Some((self.nodes.next()?, 0))) else { return Ok(None) };
        let (next, names) = self.server.scan(node.as_ref(), cursor, &format!("{}*", self.prefix)).await?;
        self.at = Some((node, next)).filter(|_| next != 0);
        Ok(Some(names))
    }

    /// The digests in the next names of entries.
    pub(super) async fn keys(&mut self) -> Result<Option<Vec<Digest>>> {
        let Some(names) = self.names().await? else { return Ok(None) };
        let prefix = self.prefix.as_bytes();
        Ok(Some(names.iter().filter_map(|name| reply::key(name.strip_prefix(prefix)?).ok()).collect()))
    }
}
