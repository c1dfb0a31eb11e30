//! Id rotations in a cluster, in three steps.

use lemon_session_store::{Digest, Result, Rotation};

use super::{
    Redis,
    change::Changes,
    create::random_token,
    reply::{self, Reply, Word, unexpected},
    script::{self, Args},
    server::Repeat,
};

impl Redis {
    /// Rotates the id of a session that `UPDATE` has found ready for it. Returns none if the session has changed since:
    /// then it has to be read again.
    pub(super) async fn rename(
        &self,
        key: &Digest,
        change: &Changes<'_>,
        rotation: &Rotation,
        copy: Copy,
        now: u64,
    ) -> Result<Option<Reply>> {
        let token = random_token()?;
        let pending = format!("{}{token}", key.to_hex());
        let args = |indexed: &str| {
            let fields = copy.fields.iter().map(Vec::as_slice);
            change.args(indexed, &token, None).key(key).many(fields)
        };
        let mut indexed = String::new();
        if let Some(owner) = &copy.owner {
            indexed = format!("{}:{owner}", self.add_to_index(owner, &rotation.to, copy.lasts, now).await?);
        }
        let placed = self.call(&script::PLACE, self.entry(&rotation.to), &[], &args(&indexed), Repeat::Never).await?;
        if placed.word() != Word::Committed {
            return Ok(Some(placed));
        }

        let depart = Args::at(now)
            .key(&rotation.to)
            .time_if(rotation.grace.as_ref().map(|grace| grace.until))
            .bytes(rotation.grace.as_ref().map_or(&[], |grace| &grace.nonce))
            .number(change.change.remember.into())
            .text(&token)
            .time(copy.lasts)
            .many(copy.version.iter().map(Vec::as_slice));
        let left = self.call(&script::DEPART, self.entry(key), &[], &depart, Repeat::Never).await?;
        match left.word() {
            Word::Left => {
                // If this fails, the next reader of the session takes this step.
                let _ = self.finish(&rotation.to, &pending, true, now).await;
                Ok(Some(placed))
            }
            Word::Gone => {
                let _ = self.finish(&rotation.to, &pending, false, now).await;
                Ok(Some(left))
            }
            _ => {
                self.finish(&rotation.to, &pending, false, now).await?;
                Ok(None)
            }
        }
    }

    /// Takes the last step for a pending copy if its rotation has been decided. Returns false if it has not: then there
    /// is no session.
    pub(super) async fn settle(&self, key: &Digest, pending: &str, now: u64) -> Result<bool> {
        let (from, token) =
            pending.split_at_checked(64).ok_or_else(|| unexpected("a pending session of an unknown form"))?;
        let from = Digest::from_hex(from).ok_or_else(|| unexpected("a pending session of an unknown form"))?;
        let left = self.fields(&from, &["to", "token"]).await?;
        if left != [Some(key.to_hex().into_bytes()), Some(token.as_bytes().to_vec())] {
            return Ok(false);
        }
        self.finish(key, pending, true, now).await?;
        Ok(true)
    }

    /// Makes a pending copy the session (`keep`), or removes it.
    pub(super) async fn finish(&self, key: &Digest, pending: &str, keep: bool, now: u64) -> Result<()> {
        let args = Args::at(now).text(pending).text(if keep { "keep" } else { "drop" });
        self.call(&script::SETTLE, self.entry(key), &[], &args, Repeat::Harmless).await.map(drop)
    }
}

/// A session that is to be copied to its new digest.
pub struct Copy {
    /// When it expires after the change.
    lasts: u64,
    /// Its owner after the change.
    owner: Option<String>,
    /// Identity, version, last use and expiry: if they are the same, it has not changed since.
    version: Vec<Vec<u8>>,
    /// Its fields and their values.
    fields: Vec<Vec<u8>>,
}

impl Copy {
    pub(super) fn new(mut reply: Reply) -> Result<Self> {
        let lasts = reply.number()?;
        let owner = reply.bytes_if()?.map(reply::utf8).transpose()?;
        let version = (0..4).map(|_| reply.bytes()).collect::<Result<_>>()?;
        let fields = match reply.next() {
            Some(fields) => reply::list(fields)?.into_iter().flatten().collect(),
            None => return Err(unexpected("a session without fields")),
        };
        Ok(Self { lasts, owner, version, fields })
    }
}
