//! Changes of sessions, each within a transaction of the writer.
//!
//! A change decides whether it is refused before it writes anything: a refused change has nothing to undo, and the others in
//! its transaction go on.

use std::time::{Duration, Instant};

use lemon_session_store::{
    Change, CreateOutcome, DestroyCondition, Digest, Error, Record, Result, Rotation, Snapshot, UpdateOutcome, Write,
    Writes,
};
use rusqlite::{CachedStatement, Connection, OptionalExtension, Row, params};

use super::{schema::INLINE, statements::Statements};

/// A time as SQLite stores it. Times beyond its range are too far away to matter.
pub fn seconds(time: u64) -> i64 {
    i64::try_from(time).unwrap_or(i64::MAX)
}

/// How long one batch removes sessions, and with it, about how long it delays a save.
const REMOVING: Duration = Duration::from_millis(2);

/// The answer of a change. An error of SQLite undoes the transaction.
pub type Changed<T> = rusqlite::Result<Result<T>>;

/// A session as an update finds it.
struct Found {
    session: i64,
    accessed: i64,
    expires: i64,
    absolute_expiry: Option<i64>,
    version: i64,
    size: i64,
}

/// A variable before the update: the size of its value and, if that is long, the row it is in.
#[derive(Clone, Copy)]
struct Old {
    bytes: i64,
    large: Option<i64>,
}

/// The statements, on the connection of a transaction.
pub struct Changes<'a> {
    pub connection: &'a Connection,
    pub sql: &'a Statements,
}

impl<'a> Changes<'a> {
    fn prepare(&self, sql: &str) -> rusqlite::Result<CachedStatement<'a>> {
        self.connection.prepare_cached(sql)
    }

    pub fn create(&self, digest: &Digest, record: &Record, writes: &Writes) -> Changed<CreateOutcome> {
        let record = Record { version: 1, ..record.clone() };
        let created = self.insert(digest, &record, writes, record.accessed)?;
        Ok(Ok(if created { CreateOutcome::Created } else { CreateOutcome::Exists }))
    }

    /// Stores a session unless its digest is taken. Tells whether it was stored.
    fn insert(&self, digest: &Digest, record: &Record, writes: &Writes, now: u64) -> rusqlite::Result<bool> {
        if !self.is_no_former(digest, now)? {
            return Ok(false);
        }
        let created = self.prepare(&self.sql.create)?.execute(params![
            digest.as_bytes(),
            seconds(record.created),
            seconds(record.accessed),
            seconds(record.expires),
            record.absolute_expiry.map(seconds),
            seconds(record.rotated),
            record.owner,
            seconds(record.version),
            writes.size() as i64,
        ])?;
        if created == 0 {
            return Ok(false);
        }
        self.fill(self.connection.last_insert_rowid(), writes)?;
        Ok(true)
    }

    /// Writes the variables of a session that has none.
    fn fill(&self, session: i64, writes: &Writes) -> rusqlite::Result<()> {
        for write in writes {
            self.write(session, write, None)?;
        }
        Ok(())
    }

    /// Stores a copy of another store's session; false when it may not be stored.
    pub fn import(
        &self,
        digest: &Digest,
        Snapshot { record, variables }: &Snapshot,
        over: Option<u64>,
        now: u64,
    ) -> Changed<bool> {
        let Some(over) = over else { return self.insert(digest, record, variables, now).map(Ok) };
        let Some(Found { session, expires, version, .. }) = self.find(digest)? else { return Ok(Ok(false)) };
        if expires <= seconds(now) || version != seconds(over) {
            return Ok(Ok(false));
        }
        self.prepare(&self.sql.remove_large)?.execute([session])?;
        self.prepare(&self.sql.remove_variables)?.execute([session])?;
        self.prepare(&self.sql.replace)?.execute(params![
            session,
            seconds(record.created),
            seconds(record.accessed),
            seconds(record.expires),
            record.absolute_expiry.map(seconds),
            seconds(record.rotated),
            record.owner,
            seconds(record.version),
            variables.size() as i64,
        ])?;
        self.fill(session, variables)?;
        Ok(Ok(true))
    }

    pub fn update(&self, digest: &Digest, change: &Change, expected: Option<u64>, now: u64) -> Changed<UpdateOutcome> {
        let writes = &change.writes;
        let Some(Found { session, accessed, expires, absolute_expiry, version, size: old_size }) = self.find(digest)?
        else {
            return Ok(Ok(UpdateOutcome::Gone));
        };
        if expires <= seconds(now) {
            return Ok(Ok(UpdateOutcome::Gone));
        }
        if expected.is_some_and(|expected| expected != version as u64) {
            return Ok(Ok(UpdateOutcome::Conflict(version as u64)));
        }

        let mut size = old_size + writes.size() as i64;
        for app in &change.clears {
            size -= self.prepare(&self.sql.app_size)?.query_row((session, app), |row| row.get::<_, i64>(0))?;
        }
        let olds = self.olds(session, &change.clears, writes)?;
        for (write, old) in writes.iter().zip(&olds) {
            size -= old.map_or(0, |old| write.name.len() as i64 + old.bytes);
        }
        if size > old_size && size as u64 > change.max_size {
            return Ok(Ok(UpdateOutcome::TooLarge(size as u64)));
        }
        if let Some((owner, most)) = change.owner_limit()
            && !self.prepare(&self.sql.is_owned)?.exists((session, owner))?
        {
            let count =
                self.prepare(&self.sql.count_owned)?.query_row((owner, seconds(now)), |row| row.get::<_, i64>(0));
            let others = count? as u64;
            if others >= most {
                return Ok(Ok(UpdateOutcome::TooManyOwned(others)));
            }
        }
        if let Some(rotation) = &change.rotation
            && !self.is_free(&rotation.to, now)?
        {
            return Ok(Err(Error::unavailable("the new digest of a session is taken")));
        }

        for app in &change.clears {
            self.prepare(&self.sql.clear_large)?.execute((session, app))?;
            self.prepare(&self.sql.clear)?.execute((session, app))?;
        }
        for (write, old) in writes.iter().zip(olds) {
            self.write(session, write, old)?;
        }
        let version = version + i64::from(change.is_counted());
        let accessed = accessed.max(seconds(now));
        let later = change
            .expires
            .map(|new| seconds(new).min(absolute_expiry.unwrap_or(i64::MAX)))
            .filter(|new| *new > expires);
        self.prepare(&self.sql.change)?.execute((session, accessed, version, size))?;
        if let Some(lifetime) = change.lifetime {
            let absolute_expiry = lifetime.absolute_expiry.map(seconds);
            self.prepare(&self.sql.set_lifetime)?.execute((session, seconds(lifetime.expiry()), absolute_expiry))?;
        } else if let Some(later) = later {
            self.prepare(&self.sql.set_expires)?.execute((session, later))?;
        }
        if let Some(owner) = &change.owner {
            self.prepare(&self.sql.set_owner)?.execute((session, owner))?;
        }
        if let Some(rotation) = &change.rotation {
            self.rotate(session, digest, rotation, now, change.remember)?;
        }
        Ok(Ok(UpdateOutcome::Committed(version as u64)))
    }

    fn find(&self, digest: &Digest) -> rusqlite::Result<Option<Found>> {
        let found = |row: &Row<'_>| {
            Ok(Found {
                session: row.get(0)?,
                accessed: row.get(1)?,
                expires: row.get(2)?,
                absolute_expiry: row.get(3)?,
                version: row.get(4)?,
                size: row.get(5)?,
            })
        };
        self.prepare(&self.sql.find)?.query_row([digest.as_bytes()], found).optional()
    }

    fn olds(&self, session: i64, clears: &[String], writes: &Writes) -> rusqlite::Result<Vec<Option<Old>>> {
        let mut old_value = self.prepare(&self.sql.old_value)?;
        let mut old = |Write { app, name, .. }: &Write| {
            let old = |row: &Row<'_>| Ok(Old { bytes: row.get(0)?, large: row.get(1)? });
            old_value.query_row((session, app, name), old).optional()
        };
        writes.iter().map(|write| if clears.contains(&write.app) { Ok(None) } else { old(write) }).collect()
    }

    /// Writes or removes one variable.
    fn write(&self, session: i64, Write { app, name, value }: &Write, old: Option<Old>) -> rusqlite::Result<()> {
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

    /// Gives a session its new digest, which is free.
    fn rotate(
        &self,
        session: i64,
        from: &Digest,
        rotation: &Rotation,
        now: u64,
        remember: u32,
    ) -> rusqlite::Result<()> {
        self.prepare(&self.sql.rotation)?.execute((session, rotation.to.as_bytes(), seconds(now)))?;
        match &rotation.grace {
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

    /// Whether this digest is free for a session.
    fn is_free(&self, digest: &Digest, now: u64) -> rusqlite::Result<bool> {
        Ok(!self.prepare(&self.sql.find)?.exists([digest.as_bytes()])? && self.is_no_former(digest, now)?)
    }

    /// Whether a digest has no tombstone. One that has expired is removed.
    fn is_no_former(&self, digest: &Digest, now: u64) -> rusqlite::Result<bool> {
        if !self.prepare(&self.sql.is_former)?.exists([digest.as_bytes()])? {
            return Ok(true);
        }
        Ok(self.prepare(&self.sql.forget)?.execute((digest.as_bytes(), seconds(now)))? > 0)
    }

    fn remember(&self, digest: &Digest, now: u64, remember: u32) -> rusqlite::Result<()> {
        if remember > 0 {
            let forget = seconds(now.saturating_add(remember.into()));
            let nothing = None::<i64>;
            self.prepare(&self.sql.remember)?.execute((digest.as_bytes(), nothing, nothing, nothing, forget))?;
        }
        Ok(())
    }

    /// Ends the graces of all digests that lead to a session.
    fn seal(&self, session: i64) -> rusqlite::Result<()> {
        self.prepare(&self.sql.seal)?.execute([session])?;
        Ok(())
    }

    /// Removes a session with its variables.
    fn remove(&self, session: i64) -> rusqlite::Result<()> {
        self.prepare(&self.sql.remove_large)?.execute([session])?;
        self.prepare(&self.sql.remove_variables)?.execute([session])?;
        self.seal(session)?;
        self.prepare(&self.sql.remove)?.execute([session])?;
        Ok(())
    }

    pub fn destroy(&self, digest: &Digest, only: &DestroyCondition, now: u64, remember: u32) -> Changed<bool> {
        let Some(Found { session, expires, .. }) = self.find(digest)? else { return Ok(Ok(false)) };
        let live = expires > seconds(now);
        let is_meant = match only {
            DestroyCondition::Any => true,
            DestroyCondition::Expired => !live,
            DestroyCondition::Owned(owner) => live && self.prepare(&self.sql.is_owned)?.exists((session, owner))?,
        };
        if !is_meant {
            return Ok(Ok(false));
        }
        self.remove(session)?;
        if live {
            self.remember(digest, now, remember)?;
        }
        Ok(Ok(live))
    }

    /// Ends sessions of a list that are live and still the owner's, for [`REMOVING`]. Returns how many of the list it has
    /// looked at, at least one, and how many of these it has ended.
    pub fn end_owned(&self, owner: &str, sessions: &[i64], now: u64, remember: u32) -> Changed<(usize, u64)> {
        let started = Instant::now();
        let (mut looked, mut ended) = (0, 0);
        for session in sessions {
            let mut digest = self.prepare(&self.sql.digest_of_owned)?;
            let digest: Option<[u8; 32]> =
                digest.query_row((session, owner, seconds(now)), |row| row.get(0)).optional()?;
            if let Some(digest) = digest.map(Digest::from) {
                self.remove(*session)?;
                self.remember(&digest, now, remember)?;
                ended += 1;
            }
            looked += 1;
            if started.elapsed() >= REMOVING {
                break;
            }
        }
        Ok(Ok((looked, ended)))
    }

    /// Counts that an ended digest was presented.
    pub fn count_reuse(&self, digest: &Digest) -> Changed<()> {
        self.prepare(&self.sql.count_reuse)?.execute([digest.as_bytes()])?;
        Ok(Ok(()))
    }

    /// Removes at most `limit` expired sessions and tombstones, for [`REMOVING`]. Returns how many, and whether all are removed.
    pub fn cleanup(&self, now: u64, limit: u32) -> Changed<(u32, bool)> {
        let started = Instant::now();
        let mut expired = self.prepare(&self.sql.expired)?;
        let expired: Vec<i64> =
            expired.query_map((seconds(now), limit), |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        let mut removed = 0;
        for session in expired {
            self.remove(session)?;
            removed += 1;
            if started.elapsed() >= REMOVING {
                return Ok(Ok((removed, false)));
            }
        }
        let forgotten = self.prepare(&self.sql.forget_some)?.execute((seconds(now), limit - removed))?;
        removed += forgotten as u32;
        Ok(Ok((removed, removed < limit)))
    }
}
