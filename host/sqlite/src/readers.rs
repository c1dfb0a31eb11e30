//! The pool of connections that read. A load runs on the caller's thread: it takes a few microseconds, less than handing it to
//! another thread.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lemon_session_store::{Digest, Listed, LoadOutcome, Loaded, Record, Result, Snapshot, Stored, Variable, Write};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, types::ValueRef};

use super::{changes::seconds, file::FileConnection, options::Options, statements::Statements};

/// The pool.
pub struct Readers {
    options: Arc<Options>,
    sql: Arc<Statements>,
    free: Mutex<Vec<FileConnection>>,
}

/// How many idle connections are kept.
const KEPT: usize = 64;

/// The names of all variables with the sizes of their values.
pub type Sizes = Vec<(String, String, u64)>;

impl Readers {
    /// An empty pool.
    pub fn new(options: Arc<Options>, sql: Arc<Statements>) -> Self {
        Self { options, sql, free: Mutex::default() }
    }

    fn read<T>(&self, read: impl FnOnce(&mut Connection, &Statements) -> rusqlite::Result<T>) -> Result<T> {
        let free = self.free().pop().filter(FileConnection::is_current);
        let mut connection = free.map_or_else(|| self.options.connect_to_read(), Ok)?;
        let answer = read(&mut connection, &self.sql).map_err(|error| self.options.failure(error));
        let mut free = self.free();
        if free.len() < KEPT && connection.is_current() {
            free.push(connection);
        }
        answer
    }

    fn free(&self) -> MutexGuard<'_, Vec<FileConnection>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes all idle connections.
    pub fn close(&self) {
        self.free().clear();
    }

    /// [`LoadOutcome::Ended`] is not counted here.
    pub fn load(&self, digest: &Digest, app: &str, now: u64, inline_bytes: u32) -> Result<LoadOutcome> {
        self.read(|connection, sql| {
            if let Some(found) = load(connection, sql, digest, app, now, inline_bytes)? {
                return Ok(found);
            }
            let snapshot = Transaction::new(connection, TransactionBehavior::Deferred)?;
            let Some(former) = Former::find(&snapshot, sql, digest, now)? else { return Ok(LoadOutcome::Absent) };
            let found = match former.leads_to {
                Some((digest, nonce)) => load(&snapshot, sql, &digest, app, now, inline_bytes)?.zip(Some(nonce)),
                None => None,
            };
            Ok(match found {
                Some((LoadOutcome::Found(loaded), nonce)) => {
                    LoadOutcome::Found(Loaded { renewal: Some(nonce), ..loaded })
                }
                _ => LoadOutcome::Ended,
            })
        })
    }

    pub fn fetch(&self, digest: &Digest, app: &str, name: &str, now: u64) -> Result<Option<Vec<u8>>> {
        self.read(|connection, sql| {
            let fetch = |connection: &Connection, digest: &Digest| {
                let mut fetch = connection.prepare_cached(&sql.fetch)?;
                fetch.query_row((digest.as_bytes(), app, name, seconds(now)), |row| row.get(0)).optional()
            };
            if let Some(value) = fetch(connection, digest)? {
                return Ok(Some(value));
            }
            let snapshot = Transaction::new(connection, TransactionBehavior::Deferred)?;
            match Former::find(&snapshot, sql, digest, now)? {
                Some(Former { leads_to: Some((digest, _)) }) => fetch(&snapshot, &digest),
                _ => Ok(None),
            }
        })
    }

    pub fn count(&self, now: u64) -> Result<u64> {
        self.number(|sql| &sql.count, now)
    }

    pub fn reused(&self, now: u64) -> Result<u64> {
        self.number(|sql| &sql.reused, now)
    }

    pub fn backlog(&self, now: u64) -> Result<u64> {
        self.number(|sql| &sql.backlog, now)
    }

    fn number(&self, statement: impl FnOnce(&Statements) -> &str, now: u64) -> Result<u64> {
        self.read(|connection, sql| {
            let mut statement = connection.prepare_cached(statement(sql))?;
            statement.query_row([seconds(now)], |row| Ok(row.get::<_, i64>(0)? as u64))
        })
    }

    pub fn list(&self, now: u64, owner: Option<&str>, after: Option<&Digest>, limit: u32) -> Result<Vec<Listed>> {
        self.read(|connection, sql| {
            let after = after.map_or(&[][..], |digest| digest.as_bytes());
            let listed =
                |row: &Row<'_>| Ok(Listed { digest: Digest::from(row.get::<_, [u8; 32]>(8)?), record: record(row)? });
            match owner {
                None => {
                    connection.prepare_cached(&sql.list)?.query_map((after, seconds(now), limit), listed)?.collect()
                }
                Some(owner) => connection
                    .prepare_cached(&sql.list_owned)?
                    .query_map((after, seconds(now), limit, owner), listed)?
                    .collect(),
            }
        })
    }

    /// The numbers of all live sessions of an owner but the one that the digest `except` leads to. A session keeps its number
    /// when its id is rotated.
    pub fn owned(&self, owner: &str, except: Option<&Digest>, now: u64) -> Result<Vec<i64>> {
        self.read(|connection, sql| {
            let snapshot = Transaction::new(connection, TransactionBehavior::Deferred)?;
            let mut leads_to = snapshot.prepare_cached(&sql.leads_to)?;
            let spared: Option<i64> = match except {
                Some(digest) => leads_to.query_row((digest.as_bytes(), seconds(now)), |row| row.get(0)).optional()?,
                None => None,
            };
            let mut owned = snapshot.prepare_cached(&sql.owned)?;
            let owned = owned.query_map((owner, seconds(now)), |row| row.get(0))?;
            owned.filter(|number| number.as_ref().map_or(true, |number| Some(*number) != spared)).collect()
        })
    }

    pub fn describe(&self, digest: &Digest, now: u64) -> Result<Option<(Record, Sizes)>> {
        self.read(|connection, sql| {
            let mut describe = connection.prepare_cached(&sql.describe)?;
            let mut rows = describe.query((digest.as_bytes(), seconds(now)))?;
            let mut described = None;
            while let Some(row) = rows.next()? {
                let (_, sizes): &mut (Record, Sizes) = match &mut described {
                    Some(described) => described,
                    none => none.insert((record(row)?, Vec::new())),
                };
                if let Some(app) = row.get(8)? {
                    sizes.push((app, row.get(9)?, row.get::<_, i64>(10)? as u64));
                }
            }
            Ok(described)
        })
    }

    pub fn export(&self, digest: &Digest, now: u64) -> Result<Option<Snapshot>> {
        self.read(|connection, sql| {
            let mut export = connection.prepare_cached(&sql.export)?;
            let mut rows = export.query((digest.as_bytes(), seconds(now)))?;
            let mut snapshot = None;
            while let Some(row) = rows.next()? {
                let (_, variables) = match &mut snapshot {
                    Some(snapshot) => snapshot,
                    none => none.insert((record(row)?, Vec::new())),
                };
                if let Some(app) = row.get(8)? {
                    variables.push(Write { app, name: row.get(9)?, value: Some(row.get(10)?) });
                }
            }
            Ok(snapshot.map(|(record, variables)| Snapshot { record, variables: variables.into() }))
        })
    }
}

/// Loads a session by its current digest.
fn load(
    connection: &Connection,
    sql: &Statements,
    digest: &Digest,
    app: &str,
    now: u64,
    inline_bytes: u32,
) -> rusqlite::Result<Option<LoadOutcome>> {
    let mut load = connection.prepare_cached(&sql.load)?;
    let mut rows = load.query((digest.as_bytes(), app, inline_bytes))?;
    let Some(first) = rows.next()? else { return Ok(None) };
    let record = record(first)?;
    if record.expires <= now {
        return Ok(Some(LoadOutcome::Expired));
    }
    let (mut details, mut variables) = (Vec::new(), Vec::new());
    let mut next = Some(first);
    while let Some(row) = next {
        // A session without details, and without variables of this application, has one row, without a name.
        if let Some(name) = row.get_ref(8)?.as_str_or_null()? {
            let value = match row.get_ref(10)? {
                ValueRef::Null => Stored::Large(row.get::<_, i64>(9)? as u64),
                value => Stored::Inline(value.as_blob()?.to_vec()),
            };
            let of = if row.get(11)? { &mut details } else { &mut variables };
            of.push(Variable { name: name.to_owned(), value });
        }
        next = rows.next()?;
    }
    Ok(Some(LoadOutcome::Found(Loaded { record, details, variables, renewal: None })))
}

/// Reads a record from the first eight columns.
fn record(row: &Row<'_>) -> rusqlite::Result<Record> {
    let seconds = |column| row.get::<_, i64>(column).map(|seconds| seconds as u64);
    Ok(Record {
        created: seconds(0)?,
        accessed: seconds(1)?,
        expires: seconds(2)?,
        absolute_expiry: row.get::<_, Option<i64>>(3)?.map(|seconds| seconds as u64),
        rotated: seconds(4)?,
        owner: row.get(5)?,
        version: seconds(6)?,
        size: seconds(7)?,
    })
}

/// A tombstone.
struct Former {
    /// Within its grace: the current digest of its session, and the nonce.
    leads_to: Option<(Digest, Vec<u8>)>,
}

impl Former {
    fn find(connection: &Connection, sql: &Statements, digest: &Digest, now: u64) -> rusqlite::Result<Option<Self>> {
        let mut former = connection.prepare_cached(&sql.former)?;
        let mut rows = former.query([digest.as_bytes()])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        if row.get::<_, i64>(3)? <= seconds(now) {
            return Ok(None);
        }
        let leads: (Option<i64>, Option<i64>) = (row.get(0)?, row.get(1)?);
        let (Some(session), Some(until)) = leads else { return Ok(Some(Self { leads_to: None })) };
        if until <= seconds(now) {
            return Ok(Some(Self { leads_to: None }));
        }
        let nonce: Vec<u8> = row.get(2)?;
        let current = connection.prepare_cached(&sql.digest_of)?.query_row([session], |row| row.get(0)).optional()?;
        Ok(Some(Self { leads_to: current.map(|digest: [u8; 32]| (Digest::from(digest), nonce)) }))
    }
}
