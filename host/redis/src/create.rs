//! New sessions, and sessions that are moved here from another store.

use lemon_session_store::{Digest, Error, Record, Result, Write, Writes};
use rand::{TryRng, rngs::SysRng};

use super::{
    Redis, STEPS,
    keys::field,
    reply::Word,
    script::{self, Args},
    server::Repeat,
};

impl Redis {
    /// Stores a session at a digest that is free at `now`; with `over`, instead of the live session there if that has
    /// this version. Returns false if something else is there.
    pub(super) async fn store(
        &self,
        key: &Digest,
        record: &Record,
        writes: &Writes,
        over: Option<u64>,
        now: u64,
    ) -> Result<bool> {
        if self.server.is_cluster() {
            self.check_layout().await?;
        }
        let puts: Vec<_> = writes
            .iter()
            .filter_map(|Write { app, name, value }| Some((field(app, name), value.as_deref()?)))
            .collect();
        let (mut expires, identity) = (record.expires, random_token()?);
        for _ in 0..STEPS {
            let mut indexed = None;
            if let Some(owner) = record.owner.as_ref().filter(|_| self.server.is_cluster()) {
                indexed = Some(self.add_to_index(owner, key, expires, now).await?);
            }
            let args = Args::at(now)
                .text(&identity)
                .time_if(indexed)
                .text(&over.map_or_else(String::new, |version| version.to_string()))
                .time(record.created)
                .time(record.accessed)
                .time(record.expires)
                .time_if(record.absolute_expiry)
                .time(record.rotated)
                .owner(record.owner.as_deref())
                .number(record.version)
                .number(writes.size())
                .many(puts.iter().flat_map(|(field, value)| [field.as_slice(), value]));
            let mut reply = self.call(&script::CREATE, self.entry(key), &[], &args, Repeat::Never).await?;
            match reply.word() {
                Word::Created => return Ok(true),
                Word::Index => expires = reply.number()?,
                Word::Pending if self.settle(key, &reply.text()?, now).await? => {}
                _ => return Ok(false),
            }
        }
        Err(self.restless())
    }
}

/// A name that is used only once.
pub fn random_token() -> Result<String> {
    let mut bytes = [0; 16];
    let drawn = SysRng.try_fill_bytes(&mut bytes);
    drawn.map_err(|error| Error::unavailable(format!("the system has no random bytes: {error}")))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
