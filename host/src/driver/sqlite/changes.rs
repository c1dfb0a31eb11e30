//! What changes sessions, each within a transaction of the writer.

use rusqlite::{CachedStatement, Connection, OptionalExtension, params};

use super::{
    schema::{INLINE, Statements},
    writer::Outcome,
};
use crate::driver::{Change, CreateOutcome, Error, Key, Record, Rename, Snapshot, UpdateOutcome, Write};

/// A time as SQLite keeps it: those it cannot keep are too far away to matter.
pub fn seconds(time: u64) -> i64 {
    i64::try_from(time).unwrap_or(i64::MAX)
}

/// The statements, on the connection of a transaction.
pub struct Changes<'a> {
    connection: &'a Connection,
    sql: &'a Statements,
}

impl<'a> Changes<'a> {
    pub fn new(connection: &'a Connection, sql: &'a Statements) -> Self {
        Self { connection, sql }
    }

    fn prepare(&self, sql: &str) -> rusqlite::Result<CachedStatement<'a>> {
        self.connection.prepare_cached(sql)
    }

    pub fn create(&self, key: &Key, record: &Record, writes: &[Write]) -> rusqlite::Result<Outcome<CreateOutcome>> {
        let created = self.insert(key, &Record { version: 1, ..record.clone() }, writes, record.accessed)?;
        Ok(Outcome::Commit(if created { CreateOutcome::Created } else { CreateOutcome::Exists }))
    }

    /// Stores a session whose key is free; false when it is not.
    fn insert(&self, key: &Key, record: &Record, writes: &[Write], now: u64) -> rusqlite::Result<bool> {
        if !self.is_no_former(key, now)? {
            return Ok(false);
        }
        let created = self.prepare(&self.sql.create)?.execute(params![
            key.as_bytes(),
            seconds(record.created),
            seconds(record.accessed),
            seconds(record.expires),
            record.ends.map(seconds),
            seconds(record.renewed),
            record.owner,
            seconds(record.version),
        ])?;
        if created > 0 {
            self.fill(self.connection.last_insert_rowid(), writes)?;
        }
        Ok(created > 0)
    }

    /// Writes the variables of a session that has none, and its size.
    fn fill(&self, session: i64, writes: &[Write]) -> rusqlite::Result<()> {
        let mut size = 0;
        for write in writes {
            size = self.write(session, write, size)?;
        }
        if size > 0 {
            self.prepare(&self.sql.resize)?.execute((session, size))?;
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
    ) -> rusqlite::Result<Outcome<bool>> {
        let Some(over) = over else { return self.insert(key, record, variables, now).map(Outcome::Commit) };
        let found: Option<(i64, i64, i64)> = self
            .prepare(&self.sql.find)?
            .query_row([key.as_bytes()], |row| Ok((row.get(0)?, row.get(2)?, row.get(4)?)))
            .optional()?;
        let Some((session, expires, version)) = found else { return Ok(Outcome::Commit(false)) };
        if expires <= seconds(now) || version != seconds(over) {
            return Ok(Outcome::Commit(false));
        }
        self.prepare(&self.sql.remove_large)?.execute([session])?;
        self.prepare(&self.sql.remove_variables)?.execute([session])?;
        self.prepare(&self.sql.replace)?.execute(params![
            session,
            seconds(record.created),
            seconds(record.accessed),
            seconds(record.expires),
            record.ends.map(seconds),
            seconds(record.renewed),
            record.owner,
            seconds(record.version),
        ])?;
        self.fill(session, variables)?;
        Ok(Outcome::Commit(true))
    }

    pub fn update(
        &self,
        key: &Key,
        change: &Change,
        expected: Option<u64>,
        now: u64,
    ) -> rusqlite::Result<Outcome<UpdateOutcome>> {
        let mut find = self.prepare(&self.sql.find)?;
        let mut rows = find.query([key.as_bytes()])?;
        let Some(row) = rows.next()? else { return Ok(Outcome::Commit(UpdateOutcome::Gone)) };
        let (session, accessed, expires): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let (ends, version, old_size): (Option<i64>, i64, i64) = (row.get(3)?, row.get(4)?, row.get(5)?);
        drop(rows);
        if expires <= seconds(now) {
            return Ok(Outcome::Commit(UpdateOutcome::Gone));
        }
        if expected.is_some_and(|expected| expected != version as u64) {
            return Ok(Outcome::Commit(UpdateOutcome::Conflict(version as u64)));
        }

        let mut size = old_size;
        for app in &change.clears {
            size -= self.prepare(&self.sql.app_size)?.query_row((session, app), |row| row.get::<_, i64>(0))?;
            self.prepare(&self.sql.clear_large)?.execute((session, app))?;
            self.prepare(&self.sql.clear)?.execute((session, app))?;
        }
        for write in &change.writes {
            size = self.write(session, write, size)?;
        }
        if size > old_size && size as u64 > change.max_size {
            return Ok(Outcome::Undo(Ok(UpdateOutcome::TooLarge(size as u64))));
        }

        let changes = !change.clears.is_empty() || !change.writes.is_empty() || change.owner.is_some();
        let version = version + i64::from(changes);
        let accessed = accessed.max(seconds(now));
        let later = change.expires.map(|new| seconds(new).min(ends.unwrap_or(i64::MAX))).filter(|new| *new > expires);
        match later {
            // Leaves the index of expiries alone.
            None => self.prepare(&self.sql.change)?.execute((session, accessed, version, size))?,
            Some(later) => {
                self.prepare(&self.sql.change_expires)?.execute((session, accessed, version, size, later))?
            }
        };
        if let Some(owner) = &change.owner {
            self.prepare(&self.sql.set_owner)?.execute((session, owner))?;
        }
        if let Some(rename) = &change.rename
            && !self.rename(session, key, rename, now, change.remember)?
        {
            return Ok(Outcome::Undo(Err(Error::unavailable("the new key of a session is taken"))));
        }
        Ok(Outcome::Commit(UpdateOutcome::Committed(version as u64)))
    }

    /// Writes one variable; returns what becomes of the session's size.
    fn write(&self, session: i64, write: &Write, size: i64) -> rusqlite::Result<i64> {
        let Write { app, name, value } = write;
        let old: Option<(i64, Option<i64>)> = self
            .prepare(&self.sql.old_value)?
            .query_row((session, app, name), |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let named = name.len() as i64;
        let (size, old_large) = match old {
            Some((bytes, large)) => (size - named - bytes, large),
            None => (size, None),
        };
        let Some(value) = value else {
            self.delete_large(old_large)?;
            if old.is_some() {
                self.prepare(&self.sql.delete)?.execute((session, app, name))?;
            }
            return Ok(size);
        };
        let bytes = value.len() as i64;
        if value.len() <= INLINE {
            self.delete_large(old_large)?;
            self.prepare(&self.sql.write)?.execute((session, app, name, value, None::<i64>, None::<i64>))?;
        } else {
            let large = match old_large {
                Some(large) => {
                    self.prepare(&self.sql.replace_large)?.execute((large, value))?;
                    large
                }
                None => self.prepare(&self.sql.insert_large)?.insert([value])?,
            };
            self.prepare(&self.sql.write)?.execute((session, app, name, None::<&[u8]>, large, bytes))?;
        }
        Ok(size + named + bytes)
    }

    fn delete_large(&self, large: Option<i64>) -> rusqlite::Result<()> {
        if let Some(large) = large {
            self.prepare(&self.sql.delete_large)?.execute([large])?;
        }
        Ok(())
    }

    /// Gives a session its new key; false when that is taken.
    fn rename(&self, session: i64, from: &Key, rename: &Rename, now: u64, remember: u32) -> rusqlite::Result<bool> {
        let taken = self.prepare(&self.sql.find)?.exists([rename.to.as_bytes()])?;
        if taken || !self.is_no_former(&rename.to, now)? {
            return Ok(false);
        }
        self.prepare(&self.sql.rename)?.execute((session, rename.to.as_bytes(), seconds(now)))?;
        match &rename.grace {
            None => {
                self.seal(session)?;
                self.remember(from, now, remember)?;
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
            }
        }
        Ok(true)
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

    pub fn destroy(&self, key: &Key, now: u64, remember: u32) -> rusqlite::Result<Outcome<bool>> {
        let found: Option<(i64, i64)> = self
            .prepare(&self.sql.find)?
            .query_row([key.as_bytes()], |row| Ok((row.get(0)?, row.get(2)?)))
            .optional()?;
        let Some((session, expires)) = found else { return Ok(Outcome::Commit(false)) };
        self.remove(session)?;
        let live = expires > seconds(now);
        if live {
            self.remember(key, now, remember)?;
        }
        Ok(Outcome::Commit(live))
    }

    pub fn destroy_owned(
        &self,
        owner: &str,
        except: Option<&Key>,
        now: u64,
        remember: u32,
    ) -> rusqlite::Result<Outcome<u64>> {
        let mut owned = self.prepare(&self.sql.owned)?;
        let owned: Vec<(i64, [u8; 32])> = owned
            .query_map((owner, seconds(now)), |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?;
        let mut ended = 0;
        for (session, key) in owned {
            let key = Key::from(key);
            if Some(&key) != except {
                self.remove(session)?;
                self.remember(&key, now, remember)?;
                ended += 1;
            }
        }
        Ok(Outcome::Commit(ended))
    }

    /// Counts that an ended key was presented.
    pub fn count_reuse(&self, key: &Key) -> rusqlite::Result<Outcome<()>> {
        self.prepare(&self.sql.count_reuse)?.execute([key.as_bytes()])?;
        Ok(Outcome::Commit(()))
    }

    /// Removes at most `limit` expired sessions and forgotten keys.
    pub fn cleanup(&self, now: u64, limit: u32) -> rusqlite::Result<Outcome<u32>> {
        let mut expired = self.prepare(&self.sql.expired)?;
        let expired: Vec<i64> =
            expired.query_map((seconds(now), limit), |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        for session in &expired {
            self.remove(*session)?;
        }
        let removed = expired.len() as u32;
        let forgotten = self.prepare(&self.sql.forget_some)?.execute((seconds(now), limit.saturating_sub(removed)))?;
        Ok(Outcome::Commit(removed + forgotten as u32))
    }
}
