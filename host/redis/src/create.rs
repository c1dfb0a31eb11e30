//! New sessions, and sessions that are moved here from another store.

use lemon_session_store::{Error, Key, Record, Result, Write};
use rand::{TryRng, rngs::SysRng};

use super::{
    Redis, STEPS,
    change::last_writes,
    reply::Word,
    script::{self, Args},
    server::Repeat,
};

impl Redis {
    /// Stores a session at a digest that is free at `now`; with `over`, instead of the live session there if that has
    /// this version. Returns false if something else is there.
    pub(super) async fn store(
        &self,
        key: &Key,
        record: &Record,
        writes: &[Write],
        over: Option<u64>,
        now: u64,
    ) -> Result<bool> {
        if self.server.is_cluster() {
            self.check_layout().await?;
        }
        let writes = last_writes(writes);
        let puts = writes.iter().filter_map(|(field, write)| Some((field, write, write.value.as_ref()?)));
        let size = puts.clone().map(|(_, write, value)| (write.name.len() + value.len()) as u64).sum();
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
                .time_if(record.ends)
                .time(record.renewed)
                .owner(record.owner.as_deref())
                .number(record.version)
                .number(size)
                .many(puts.clone().flat_map(|(field, _, value)| [field.as_slice(), value]));
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
