//! The end of one session.

use lemon_session_store::{Digest, Result};

use super::{
    Redis, STEPS,
    reply::{self, Word},
    script::{self, Args},
    server::Repeat,
};

impl Redis {
    /// Ends the session of a digest, with the arguments of `DESTROY`, and with `follows` also one whose id was rotated.
    /// Returns whether a live session was ended.
    pub(super) async fn end(&self, key: &Digest, follows: bool, args: &Args, now: u64) -> Result<bool> {
        let mut at = *key;
        for _ in 0..STEPS {
            let mut reply = self.call(&script::DESTROY, self.entry(&at), &[], args, Repeat::Never).await?;
            match reply.word() {
                Word::Ended => return Ok(true),
                Word::Pending if self.settle(&at, &reply.text()?, now).await? => {}
                Word::Pending => return Ok(false),
                _ => match reply.bytes_if()? {
                    Some(to) if follows => at = reply::key(&to)?,
                    _ => return Ok(false),
                },
            }
        }
        Err(self.restless())
    }
}
