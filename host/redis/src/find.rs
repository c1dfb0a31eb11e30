//! The session that a digest leads to, through tombstones within their grace.

use lemon_session_store::{Digest, Result};

use super::{
    Redis, STEPS,
    reply::{Reply, Word},
    script::{self, Args, Script},
    server::Repeat,
};

/// What a digest leads to.
pub enum Found {
    Session {
        reply: Reply,
        /// The nonce of the tombstone that was followed, if any.
        renewal: Option<Vec<u8>>,
    },
    Absent,
    Expired,
    Ended,
    /// A tombstone within its grace, whose session has ended. `reuse` tells whether the tombstone is still there.
    Sealed,
}

impl Redis {
    /// Runs `LOAD` or `FETCH` on the session that a digest leads to.
    pub(super) async fn find(&self, script: &Script, key: &Digest, now: u64, args: &[&[u8]]) -> Result<Found> {
        let (mut at, mut identity, mut renewal) = (*key, Vec::new(), None);
        for _ in 0..STEPS {
            let given = Args::at(now).bytes(&identity).many(args.iter().copied());
            let mut reply = self.call(script, self.entry(&at), &[], &given, Repeat::Safe).await?;
            match reply.word() {
                Word::Found => return Ok(Found::Session { reply, renewal }),
                Word::Follow => {
                    at = reply.key()?;
                    identity = reply.bytes()?;
                    let nonce = reply.bytes()?;
                    renewal.get_or_insert(nonce);
                }
                Word::Pending if self.settle(&at, &reply.text()?, now).await? => {}
                _ if renewal.is_some() => return Ok(Found::Sealed),
                Word::Expired => return Ok(Found::Expired),
                Word::Ended => return Ok(Found::Ended),
                _ => {
                    self.check_absence().await?;
                    return Ok(Found::Absent);
                }
            }
        }
        Err(self.restless())
    }

    /// Counts the use of a tombstone. Returns whether it is there.
    pub(super) async fn reuse(&self, key: &Digest, now: u64) -> Result<bool> {
        let reuse = self.call(&script::REUSE, self.entry(key), &[], &Args::at(now), Repeat::Safe).await?;
        Ok(reuse.word() == Word::Ended)
    }

    /// The identity of the session that a digest leads to, which id rotations keep; empty if it leads to none.
    pub(super) async fn identity(&self, key: &Digest, now: u64) -> Result<Vec<u8>> {
        let (mut at, mut identity) = (*key, Vec::new());
        for _ in 0..STEPS {
            let given = Args::at(now).bytes(&identity);
            let mut reply = self.call(&script::IDENTITY, self.entry(&at), &[], &given, Repeat::Safe).await?;
            match reply.word() {
                Word::Found => return reply.bytes(),
                Word::Follow => {
                    at = reply.key()?;
                    identity = reply.bytes()?;
                }
                Word::Pending if self.settle(&at, &reply.text()?, now).await? => {}
                _ => return Ok(Vec::new()),
            }
        }
        Err(self.restless())
    }
}
