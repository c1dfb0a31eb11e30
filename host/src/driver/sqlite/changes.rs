//! What changes sessions, each within a transaction of the writer.
//!
//! Whatever a change can be refused for is looked at before it writes anything, so that those beside it in the transaction
//! have nothing to be saved from.

use std::{collections::BTreeMap, sync::Arc};

use rusqlite::{CachedStatement, Connection, OptionalExtension, Row, params};

use super::{
    cache::{Cache, Created, Effect, Updated},
    schema::{INLINE, Statements},
};
use crate::driver::{
    Change, CreateOutcome, DestroyCondition, Error, Key, Record, Rename, Result, Snapshot, UpdateOutcome, Write,
};

/// A time as SQLite keeps it: those it cannot keep are too far away to matter.
pub fn seconds(time: u64) -> i64 {
    i64::try_from(time).unwrap_or(i64::MAX)
}

/// A record as it is read again.
fn as_kept(record: &Record) -> Record {
    let kept = |time| seconds(time) as u64;
    Record {
        created: kept(record.created),
        accessed: kept(record.accessed),
        expires: kept(record.expires),
        ends: record.ends.map(kept),
        renewed: kept(record.renewed),
        ..record.clone()
    }
}

/// What a change answers, and what it has done once it is committed. An error of SQLite undoes the transaction.
pub type Changed<T> = rusqlite::Result<(Result<T>, Effect)>;

/// The answer of a change that does nothing to a session that is stored.
fn just<T>(answer: T) -> Changed<T> {
    Ok((Ok(answer), Effect::None))
}

/// Values by application and name.
type Latest<'a> = BTreeMap<(&'a str, &'a str), Option<&'a [u8]>>;

/// Of each variable the last value.
pub fn latest(writes: &[Write]) -> Latest<'_> {
    writes.iter().map(|Write { app, name, value }| ((&**app, &**name), value.as_deref())).collect()
}

/// A session as an update finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    pub session: i64,
    pub accessed: i64,
    pub expires: i64,
    pub ends: Option<i64>,
    pub version: i64,
    pub size: i64,
}

/// What a variable was: its bytes, and the row of its value if that is long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Old {
    pub bytes: i64,
    pub large: Option<i64>,
}

/// The statements, on the connection of a transaction.
pub struct Changes<'a> {
    pub connection: &'a Connection,
    pub sql: &'a Statements,
    pub cache: &'a Cache,
    /// What those before in the transaction have done.
    pub done: &'a [Effect],
}

impl<'a> Changes<'a> {
    fn prepare(&self, sql: &str) -> rusqlite::Result<CachedStatement<'a>> {
        self.connection.prepare_cached(sql)
    }

    pub fn create(&self, key: &Key, record: &Record, writes: &Arc<[Write]>) -> Changed<CreateOutcome> {
        let latest = latest(writes);
        let record = as_kept(&Record { version: 1, size: size_of(&latest) as u64, ..record.clone() });
        let Some(session) = self.insert(key, &record, latest, record.accessed)? else {
            return just(CreateOutcome::Exists);
        };
        let created = Created { key: *key, session, record, writes: Arc::clone(writes) };
        Ok((Ok(CreateOutcome::Created), Effect::Created(Box::new(created))))
    }

    /// Stores a session whose key is free, and answers its number; none when it is not.
    fn insert(&self, key: &Key, record: &Record, writes: Latest<'_>, now: u64) -> rusqlite::Result<Option<i64>> {
        if !self.is_no_former(key, now)? {
            return Ok(None);
        }
        let created = self.prepare(&self.sql.create)?.execute(params![
            key.as_bytes(),
            seconds(record.created),
            seconds(record.expires),
            record.ends.map(seconds),
            seconds(record.renewed),
            record.owner,
        ])?;
        if created == 0 {
            return Ok(None);
        }
        let session = self.connection.last_insert_rowid();
        self.fill(session, seconds(record.accessed), record.version, writes)?;
        Ok(Some(session))
    }

    /// Writes the head and the variables of a session that has neither.
    fn fill(&self, session: i64, accessed: i64, version: u64, writes: Latest<'_>) -> rusqlite::Result<()> {
        self.prepare(&self.sql.create_head)?.execute((session, accessed, seconds(version), size_of(&writes)))?;
        for (name, value) in writes {
            self.write(session, name, value, None)?;
        }
        Ok(())
    }

    /// Stores a copy of another store's session; false when it may not be stored.
    pub fn import(
        &self,
        key: &Key,
        Snapshot { record, variables }: &Snapshot,
        over: Option<u64>,
        now: u64,
    ) -> Changed<bool> {
        let Some(over) = over else { return just(self.insert(key, record, latest(variables), now)?.is_some()) };
        let Some(Found { session, accessed, expires, version, .. }) = self.find(key)? else { return just(false) };
        if expires <= seconds(now) || version != seconds(over) {
            return just(false);
        }
        self.prepare(&self.sql.remove_large)?.execute([session])?;
        self.prepare(&self.sql.remove_variables)?.execute([session])?;
        self.prepare(&self.sql.replace)?.execute(params![
            session,
            seconds(record.created),
            seconds(record.expires),
            record.ends.map(seconds),
            seconds(record.renewed),
            record.owner,
        ])?;
        self.fill(session, accessed.max(seconds(record.accessed)), record.version, latest(variables))?;
        Ok((Ok(true), Effect::Ended(vec![*key])))
    }

    pub fn update(&self, key: &Key, change: &Arc<Change>, expected: Option<u64>, now: u64) -> Changed<UpdateOutcome> {
        let writes = latest(&change.writes);
        let (found, known_olds) = match self.known(key, change, &writes) {
            Some((found, olds)) => (Some(found), Some(olds)),
            None => (self.find(key)?, None),
        };
        let Some(Found { session, accessed, expires, ends, version, size: old_size }) = found else {
            return just(UpdateOutcome::Gone);
        };
        if expires <= seconds(now) {
            return just(UpdateOutcome::Gone);
        }
        if expected.is_some_and(|expected| expected != version as u64) {
            return just(UpdateOutcome::Conflict(version as u64));
        }

        let mut size = old_size + size_of(&writes);
        for app in &change.clears {
            size -= self.prepare(&self.sql.app_size)?.query_row((session, app), |row| row.get::<_, i64>(0))?;
        }
        let olds = known_olds.map_or_else(|| self.olds(session, &change.clears, &writes), Ok)?;
        for ((_, name), old) in writes.keys().zip(&olds) {
            size -= old.map_or(0, |old| name.len() as i64 + old.bytes);
        }
        if size > old_size && size as u64 > change.max_size {
            return just(UpdateOutcome::TooLarge(size as u64));
        }
        if let Some(rename) = &change.rename
            && !self.is_free(&rename.to, now)?
        {
            return Ok((Err(Error::unavailable("the new key of a session is taken")), Effect::None));
        }

        for app in &change.clears {
            self.prepare(&self.sql.clear_large)?.execute((session, app))?;
            self.prepare(&self.sql.clear)?.execute((session, app))?;
        }
        for ((name, value), old) in writes.into_iter().zip(olds) {
            self.write(session, name, value, old)?;
        }
        let changes = !change.clears.is_empty() || !change.writes.is_empty() || change.owner.is_some();
        let version = version + i64::from(changes);
        let accessed = accessed.max(seconds(now));
        let later = change.expires.map(|new| seconds(new).min(ends.unwrap_or(i64::MAX))).filter(|new| *new > expires);
        self.prepare(&self.sql.change)?.execute((session, accessed, version, size))?;
        if let Some(later) = later {
            self.prepare(&self.sql.set_expires)?.execute((session, later))?;
        }
        if let Some(owner) = &change.owner {
            self.prepare(&self.sql.set_owner)?.execute((session, owner))?;
        }
        if let Some(rename) = &change.rename {
            self.rename(session, key, rename, now, change.remember)?;
        }
        let updated = Updated {
            key: *key,
            session,
            change: Arc::clone(change),
            accessed: accessed as u64,
            expires: later.unwrap_or(expires) as u64,
            version: version as u64,
            size: size as u64,
        };
        Ok((Ok(UpdateOutcome::Committed(version as u64)), Effect::Updated(Box::new(updated))))
    }

    /// What the cache knows of a session and of the variables that are written, which is what is stored but for the changes
    /// of this transaction.
    fn known(&self, key: &Key, change: &Change, writes: &Latest<'_>) -> Option<(Found, Vec<Option<Old>>)> {
        let is_as_before = change.clears.is_empty() && !self.done.iter().any(|effect| effect.may_concern(key));
        if is_as_before { self.cache.find(key, writes.keys().copied()) } else { None }
    }

    fn find(&self, key: &Key) -> rusqlite::Result<Option<Found>> {
        let found = |row: &Row<'_>| {
            Ok(Found {
                session: row.get(0)?,
                accessed: row.get(1)?,
                expires: row.get(2)?,
                ends: row.get(3)?,
                version: row.get(4)?,
                size: row.get(5)?,
            })
        };
        self.prepare(&self.sql.find)?.query_row([key.as_bytes()], found).optional()
    }

    fn olds(&self, session: i64, clears: &[String], writes: &Latest<'_>) -> rusqlite::Result<Vec<Option<Old>>> {
        let mut old_value = self.prepare(&self.sql.old_value)?;
        let mut old = |app, name| {
            let old = |row: &Row<'_>| Ok(Old { bytes: row.get(0)?, large: row.get(1)? });
            old_value.query_row((session, app, name), old).optional()
        };
        let is_cleared = |app| clears.iter().any(|cleared| cleared == app);
        writes.keys().map(|(app, name)| if is_cleared(*app) { Ok(None) } else { old(*app, *name) }).collect()
    }

    /// Writes or removes one variable.
    fn write(
        &self,
        session: i64,
        (app, name): (&str, &str),
        value: Option<&[u8]>,
        old: Option<Old>,
    ) -> rusqlite::Result<()> {
        let is_there = old.is_some();
        let old_large = old.and_then(|old| old.large);
        match value {
            None => {
                self.delete_large(old_large)?;
                if is_there {
                    self.prepare(&self.sql.delete)?.execute((session, app, name))?;
                }
            }
            Some(value) if value.len() <= INLINE => {
                self.delete_large(old_large)?;
                self.prepare(&self.sql.write)?.execute((session, app, name, value, None::<i64>, None::<i64>))?;
            }
            Some(value) => {
                let large = match old_large {
                    Some(large) => {
                        self.prepare(&self.sql.replace_large)?.execute((large, value))?;
                        large
                    }
                    None => self.prepare(&self.sql.insert_large)?.insert([value])?,
                };
                let bytes = value.len() as i64;
                self.prepare(&self.sql.write)?.execute((session, app, name, None::<&[u8]>, large, bytes))?;
            }
        }
        Ok(())
    }

    fn delete_large(&self, large: Option<i64>) -> rusqlite::Result<()> {
        if let Some(large) = large {
            self.prepare(&self.sql.delete_large)?.execute([large])?;
        }
        Ok(())
    }

    /// Gives a session its new key, which is free.
    fn rename(&self, session: i64, from: &Key, rename: &Rename, now: u64, remember: u32) -> rusqlite::Result<()> {
        self.prepare(&self.sql.rename)?.execute((session, rename.to.as_bytes(), seconds(now)))?;
        match &rename.grace {
            None => {
                self.seal(session)?;
                self.remember(from, now, remember)
            }
            Some(grace) => {
                let forget = seconds(grace.until.saturating_add(remember.into()));
                if forget > seconds(now) {
                    self.prepare(&self.sql.remember)?.execute((
                        from.as_bytes(),
                        session,
                        seconds(grace.until),
                        &grace.nonce,
                        forget,
                    ))?;
                }
                Ok(())
            }
        }
    }

    /// Whether a session may have this key.
    fn is_free(&self, key: &Key, now: u64) -> rusqlite::Result<bool> {
        Ok(!self.prepare(&self.sql.find)?.exists([key.as_bytes()])? && self.is_no_former(key, now)?)
    }

    /// Whether a key has not ended, or was forgotten since.
    fn is_no_former(&self, key: &Key, now: u64) -> rusqlite::Result<bool> {
        if !self.prepare(&self.sql.is_former)?.exists([key.as_bytes()])? {
            return Ok(true);
        }
        Ok(self.prepare(&self.sql.forget)?.execute((key.as_bytes(), seconds(now)))? > 0)
    }

    fn remember(&self, key: &Key, now: u64, remember: u32) -> rusqlite::Result<()> {
        if remember > 0 {
            let forget = seconds(now.saturating_add(remember.into()));
            let nothing = None::<i64>;
            self.prepare(&self.sql.remember)?.execute((key.as_bytes(), nothing, nothing, nothing, forget))?;
        }
        Ok(())
    }

    /// Has no former key lead to a session any more.
    fn seal(&self, session: i64) -> rusqlite::Result<()> {
        self.prepare(&self.sql.seal)?.execute([session])?;
        Ok(())
    }

    /// Removes a session and all that is its own.
    fn remove(&self, session: i64) -> rusqlite::Result<()> {
        self.prepare(&self.sql.remove_large)?.execute([session])?;
        self.prepare(&self.sql.remove_variables)?.execute([session])?;
        self.seal(session)?;
        self.prepare(&self.sql.remove)?.execute([session])?;
        Ok(())
    }

    pub fn destroy(&self, key: &Key, only: &DestroyCondition, now: u64, remember: u32) -> Changed<bool> {
        let Some(Found { session, expires, .. }) = self.find(key)? else { return just(false) };
        let live = expires > seconds(now);
        let is_meant = match only {
            DestroyCondition::Any => true,
            DestroyCondition::Expired => !live,
            DestroyCondition::Owned(owner) => live && self.prepare(&self.sql.is_owned)?.exists((session, owner))?,
        };
        if !is_meant {
            return just(false);
        }
        self.remove(session)?;
        if live {
            self.remember(key, now, remember)?;
        }
        Ok((Ok(live), Effect::Ended(vec![*key])))
    }

    pub fn destroy_owned(&self, owner: &str, except: Option<&Key>, now: u64, remember: u32) -> Changed<u64> {
        let mut owned = self.prepare(&self.sql.owned)?;
        let owned: Vec<(i64, [u8; 32])> = owned
            .query_map((owner, seconds(now)), |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?;
        let spared = match except {
            Some(key) => self
                .prepare(&self.sql.leads_to)?
                .query_row((key.as_bytes(), seconds(now)), |row| row.get::<_, i64>(0))
                .optional()?,
            None => None,
        };
        let mut ended = Vec::new();
        for (session, key) in owned {
            let key = Key::from(key);
            if Some(session) != spared {
                self.remove(session)?;
                self.remember(&key, now, remember)?;
                ended.push(key);
            }
        }
        Ok((Ok(ended.len() as u64), Effect::Ended(ended)))
    }

    /// Counts that an ended key was presented.
    pub fn count_reuse(&self, key: &Key) -> Changed<()> {
        self.prepare(&self.sql.count_reuse)?.execute([key.as_bytes()])?;
        just(())
    }

    /// Removes at most `limit` expired sessions and forgotten keys.
    pub fn cleanup(&self, now: u64, limit: u32) -> Changed<u32> {
        let mut expired = self.prepare(&self.sql.expired)?;
        let expired: Vec<i64> =
            expired.query_map((seconds(now), limit), |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        for session in &expired {
            self.remove(*session)?;
        }
        let removed = expired.len() as u32;
        let forgotten = self.prepare(&self.sql.forget_some)?.execute((seconds(now), limit.saturating_sub(removed)))?;
        Ok((Ok(removed + forgotten as u32), Effect::Expired(now)))
    }
}

/// The bytes of the names and values that are written.
fn size_of(writes: &Latest<'_>) -> i64 {
    let sizes = writes.iter().map(|((_, name), value)| value.map_or(0, |value| name.len() + value.len()));
    sizes.sum::<usize>() as i64
}
