//! The journal of a move: a file that records which copies the move has made, so that an interrupted move can continue,
//! and so that it does not overwrite sessions that it did not write.

use std::{
    fs::OpenOptions,
    io::{self, ErrorKind},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use lemon_session_host::store::{Digest, Record, Snapshot};
use rusqlite::{Connection, ErrorCode, OptionalExtension as _, Row, params};
use sha2::{Digest as _, Sha256};

/// The outcome of a session that was found at the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A copy is being written, or was when the move was interrupted.
    Begun = 0,
    /// It was copied, or its copy was updated.
    Copied = 1,
    /// Its copy is up to date, because the source has not changed it since.
    Present = 2,
    /// The target has a newer one, or it has ended there: the target was not changed.
    Kept = 3,
    /// It ended or expired at the source.
    Ended = 4,
    /// It could not be copied.
    Failed = 5,
}

impl Outcome {
    fn read(number: i64) -> Self {
        match number {
            1 => Self::Copied,
            2 => Self::Present,
            3 => Self::Kept,
            4 => Self::Ended,
            5 => Self::Failed,
            _ => Self::Begun,
        }
    }
}

/// The journal's entry of a session.
#[derive(Clone, Debug)]
pub struct Entry {
    pub key: Digest,
    /// Its version at the source.
    pub version: u64,
    pub accessed: u64,
    pub expires: u64,
    /// The version of its copy.
    pub copy: Option<u64>,
    /// A copy that was begun and may have been written.
    pub begun: Option<Begun>,
    pub outcome: Outcome,
    /// The last pass that found it live at the source and finished it.
    pub seen: u64,
}

/// A copy that was begun. If the target has a session with this version, its contents show whether it is this copy or
/// was saved at the target, because saves at both stores produce the same version numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Begun {
    pub version: u64,
    /// The SHA-256 hash of the owner and the variables.
    pub contents: [u8; 32],
}

impl Begun {
    pub fn new(Snapshot { record, variables }: &Snapshot) -> Self {
        let mut hash = Sha256::new();
        let mut add = |bytes: Option<&[u8]>| {
            hash.update(bytes.map_or(0, |bytes| bytes.len() as u64 + 1).to_le_bytes());
            hash.update(bytes.unwrap_or_default());
        };
        add(record.owner.as_deref().map(str::as_bytes));
        let mut variables: Vec<_> = variables.iter().collect();
        variables.sort_by_key(|variable| (&variable.app, &variable.name));
        for variable in variables {
            add(Some(variable.app.as_bytes()));
            add(Some(variable.name.as_bytes()));
            add(variable.value.as_deref());
        }
        Self { version: record.version, contents: hash.finalize().into() }
    }
}

impl Entry {
    pub fn new(key: Digest, record: &Record, copy: Option<u64>, outcome: Outcome) -> Self {
        let Record { version, accessed, expires, .. } = *record;
        Self { key, version, accessed, expires, copy, begun: None, outcome, seen: 0 }
    }

    /// Whether the source has not changed it since.
    pub fn is_of(&self, record: &Record) -> bool {
        (self.version, self.accessed, self.expires) == (record.version, record.accessed, record.expires)
    }

    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let number = |column| row.get::<_, i64>(column).map(|number| number as u64);
        Ok(Self {
            key: row.get::<_, [u8; 32]>(0)?.into(),
            version: number(1)?,
            accessed: number(2)?,
            expires: number(3)?,
            copy: row.get::<_, Option<i64>>(4)?.map(|version| version as u64),
            outcome: Outcome::read(row.get(5)?),
            seen: number(6)?,
            begun: match (row.get::<_, Option<i64>>(7)?, row.get(8)?) {
                (Some(version), Some(contents)) => Some(Begun { version: version as u64, contents }),
                _ => None,
            },
        })
    }
}

/// The number of sessions with each outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub found: u64,
    pub copied: u64,
    pub present: u64,
    pub kept: u64,
    pub ended: u64,
    pub failed: u64,
}

pub struct Journal {
    file: PathBuf,
    connection: Connection,
    /// The number of the first pass of this run.
    first: u64,
    /// The number of this pass, counted across all runs.
    pass: u64,
}

impl Journal {
    /// Opens or creates the journal of a move between two stores.
    pub fn open(file: &Path, from: &str, to: &str) -> Result<Self> {
        let name = file.display();
        create(file).with_context(|| format!("cannot create the journal {name}"))?;
        let open = || {
            let connection = Connection::open(file)?;
            connection.busy_timeout(Duration::ZERO)?;
            connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
            connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
            connection.pragma_update(None, "synchronous", "NORMAL")?;
            connection.execute_batch(
                "BEGIN IMMEDIATE;
                CREATE TABLE IF NOT EXISTS move (source TEXT NOT NULL, target TEXT NOT NULL, pass INTEGER NOT NULL) STRICT;
                CREATE TABLE IF NOT EXISTS session (
                    key BLOB PRIMARY KEY,
                    version INTEGER NOT NULL,
                    accessed INTEGER NOT NULL,
                    expires INTEGER NOT NULL,
                    copy INTEGER,
                    outcome INTEGER NOT NULL,
                    seen INTEGER NOT NULL,
                    found INTEGER NOT NULL,
                    begun INTEGER,
                    contents BLOB
                ) STRICT, WITHOUT ROWID;
                COMMIT",
            )?;
            let known = "SELECT source, target, pass FROM move";
            let known =
                connection.query_row(known, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).optional()?;
            if known.is_none() {
                connection.execute("INSERT INTO move VALUES (?1, ?2, 0)", [from, to])?;
            }
            Ok((connection, known))
        };
        let (connection, known): (_, Option<(String, String, i64)>) = match open() {
            Err(error) if code(&error) == Some(ErrorCode::DatabaseBusy) => {
                bail!("another move is using the journal {name}: wait for it, or pass another file with --journal")
            }
            Err(error) if code(&error) == Some(ErrorCode::NotADatabase) => {
                bail!("{name} is not the journal of a move: pass another file with --journal")
            }
            opened => opened.with_context(|| format!("cannot use the journal {name}"))?,
        };
        let (source, target, pass) = known.unwrap_or((from.to_owned(), to.to_owned(), 0));
        if (source.as_str(), target.as_str()) != (from, to) {
            bail!(
                "{name} is the journal of a move from {source} to {target}: pass another file with --journal, or remove \
                 this one if that move is done"
            );
        }
        let first = pass as u64 + 1;
        Ok(Self { file: file.to_owned(), connection, first, pass: pass as u64 })
    }

    fn failure(&self, error: rusqlite::Error) -> anyhow::Error {
        anyhow::Error::new(error).context(format!("cannot use the journal {}", self.file.display()))
    }

    pub fn first_pass(&self) -> u64 {
        self.first
    }

    /// Begins a pass and returns the number of earlier passes in this run.
    pub fn begin_pass(&mut self) -> Result<u64> {
        self.pass += 1;
        let begun = self.connection.execute("UPDATE move SET pass = ?1", [self.pass as i64]);
        begun.map(|_| self.pass - self.first).map_err(|error| self.failure(error))
    }

    pub fn find(&self, key: &Digest) -> Result<Option<Entry>> {
        let find = || {
            let sql = "SELECT key, version, accessed, expires, copy, outcome, seen, begun, contents FROM session WHERE key = ?1";
            self.connection.prepare_cached(sql)?.query_row([key.as_bytes()], Entry::read).optional()
        };
        find().map_err(|error| self.failure(error))
    }

    /// Records sessions that this pass has found; with `done`, also that it has finished them.
    pub fn note<'a>(&mut self, entries: impl IntoIterator<Item = &'a Entry>, done: bool) -> Result<()> {
        let (pass, first) = (self.pass, self.first);
        let note = |connection: &mut Connection| {
            let transaction = connection.transaction()?;
            for entry in entries {
                let sql = "INSERT OR REPLACE INTO session VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
                transaction.prepare_cached(sql)?.execute(params![
                    entry.key.as_bytes(),
                    entry.version as i64,
                    entry.accessed as i64,
                    entry.expires as i64,
                    entry.copy.map(|version| version as i64),
                    entry.outcome as i64,
                    if done { pass } else { entry.seen } as i64,
                    first as i64,
                    entry.begun.as_ref().map(|begun| begun.version as i64),
                    entry.begun.as_ref().map(|begun| begun.contents),
                ])?;
            }
            transaction.commit()
        };
        note(&mut self.connection).map_err(|error| self.failure(error))
    }

    /// Changes the outcome of sessions that this pass did not find.
    pub fn settle(&mut self, outcomes: &[(Digest, Outcome)]) -> Result<()> {
        let settle = |connection: &mut Connection| {
            let transaction = connection.transaction()?;
            for (key, outcome) in outcomes {
                let sql = "UPDATE session SET outcome = ?2 WHERE key = ?1";
                transaction.prepare_cached(sql)?.execute(params![key.as_bytes(), *outcome as i64])?;
            }
            transaction.commit()
        };
        settle(&mut self.connection).map_err(|error| self.failure(error))
    }

    /// Sessions after a key that were copied earlier, but that this pass did not find.
    pub fn missed(&self, after: Option<&Digest>, limit: u32) -> Result<Vec<Entry>> {
        let missed = || {
            let sql = "SELECT key, version, accessed, expires, copy, outcome, seen, begun, contents FROM session
                WHERE key > ?1 AND seen < ?2 AND outcome NOT IN (?3, ?4) ORDER BY key LIMIT ?5";
            let after = after.map_or(&[][..], |key| key.as_bytes());
            let (kept, ended) = (Outcome::Kept as i64, Outcome::Ended as i64);
            let mut missed = self.connection.prepare_cached(sql)?;
            missed
                .query_map(params![after, self.pass as i64, kept, ended, limit], Entry::read)?
                .collect::<rusqlite::Result<_>>()
        };
        missed().map_err(|error| self.failure(error))
    }

    /// The outcomes of the sessions that this run has found.
    pub fn counts(&self) -> Result<Counts> {
        let counts = || {
            let mut counts = Counts::default();
            let mut outcomes = self.connection.prepare("SELECT outcome FROM session WHERE found = ?1")?;
            let mut rows = outcomes.query([self.first as i64])?;
            while let Some(row) = rows.next()? {
                counts.found += 1;
                *match Outcome::read(row.get(0)?) {
                    Outcome::Copied => &mut counts.copied,
                    Outcome::Present => &mut counts.present,
                    Outcome::Kept => &mut counts.kept,
                    Outcome::Ended => &mut counts.ended,
                    Outcome::Begun | Outcome::Failed => &mut counts.failed,
                } += 1;
            }
            Ok(counts)
        };
        counts().map_err(|error| self.failure(error))
    }
}

/// Creates the file if it does not exist, readable only by its owner. SQLite creates its log with the same mode.
fn create(file: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(file) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

fn code(error: &rusqlite::Error) -> Option<ErrorCode> {
    error.sqlite_error_code()
}
