//! What the writer thread does: it takes all changes that wait, commits them as one transaction, and answers them.
//!
//! A change decides whether it can be refused before it writes. When SQLite fails, or a change panics, the transaction is
//! undone and its changes are made again one by one, so that only the change at fault fails.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, atomic::AtomicBool},
    thread,
    time::{Duration, Instant},
};

use lemon_session_store::{Error, Result};
use rusqlite::{Connection, ErrorCode, ffi::SQLITE_IOERR_WRITE};
use tokio::sync::mpsc;

use super::{change::Queued, checkpoint::Log};
use crate::{changes::Changes, file::FileConnection, options::Options, statements::Statements};

/// How many changes may share a transaction.
const GROUP: usize = 256;

/// After this time a transaction takes no further change, so that a save waits for one long change at most.
const LONGEST_TRANSACTION: Duration = Duration::from_millis(10);

/// After a checkpoint found no room on the disk, the next one is tried this much later.
const FULL: Duration = Duration::from_secs(1);

type Group = VecDeque<Box<dyn Queued>>;

/// The state of the writer thread.
pub struct WriterThread {
    options: Arc<Options>,
    sql: Arc<Statements>,
    connection: Option<FileConnection>,
    log: Log,
    /// Until when the disk is taken to be full.
    full_until: Option<Instant>,
}

/// Why a transaction was undone.
enum Undone {
    /// Another process writes.
    Busy,
    /// The disk has no room for the log to grow.
    NoRoom(Error),
    Failed(Error),
}

impl WriterThread {
    /// A thread that has not run yet.
    pub fn new(options: Arc<Options>, sql: Arc<Statements>, is_copying: Arc<AtomicBool>) -> Self {
        let log = Log::new(Arc::clone(&options), is_copying);
        Self { options, sql, connection: None, log, full_until: None }
    }

    /// Commits changes until the queue is closed and empty, then closes the database.
    pub fn run(mut self, mut queue: mpsc::Receiver<Box<dyn Queued>>) -> Result<()> {
        let mut waiting = Vec::new();
        while queue.blocking_recv_many(&mut waiting, GROUP) > 0 {
            // Callers that are ready to save run first, and join.
            thread::yield_now();
            while waiting.len() < GROUP
                && let Ok(change) = queue.try_recv()
            {
                waiting.push(change);
            }
            let mut group: Group = waiting.drain(..).collect();
            self.commit(&mut group);
            if let Some(connection) = &self.connection {
                self.log.keep_short(connection);
            }
        }
        self.log.finish_copying();
        let Some(connection) = self.connection.filter(FileConnection::is_current) else { return Ok(()) };
        let copied = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        copied.map_err(|error| self.options.failure(error))
    }

    /// Commits and answers all changes of a group.
    fn commit(&mut self, group: &mut Group) {
        while !group.is_empty() {
            match self.transact(group) {
                Ok(made) => answer(group.drain(..made)),
                Err(Undone::Busy) => self.fail_overdue(group),
                Err(undone) if group.len() == 1 => self.settle(group, undone),
                Err(_) => group.drain(..).for_each(|change| self.commit(&mut VecDeque::from([change]))),
            }
        }
    }

    /// Fails the changes that have waited for other processes until their deadline.
    fn fail_overdue(&self, group: &mut Group) {
        let now = Instant::now();
        let (overdue, patient): (Group, Group) = group.drain(..).partition(|change| change.deadline() <= now);
        overdue.into_iter().for_each(|change| change.fail(self.options.busy()));
        *group = patient;
    }

    /// Fails a change that is alone in its transaction, unless a checkpoint makes room for it.
    fn settle(&mut self, alone: &mut Group, undone: Undone) {
        let error = match undone {
            Undone::NoRoom(error) if self.full_until.is_some_and(|until| Instant::now() < until) => error,
            Undone::NoRoom(_) => {
                if let Some(connection) = &self.connection {
                    self.log.begin_anew(connection);
                }
                match self.transact(alone) {
                    Ok(made) => return alone.drain(..made).for_each(Queued::answer),
                    Err(Undone::Busy) => return,
                    Err(Undone::NoRoom(error)) => {
                        self.full_until = Some(Instant::now() + FULL);
                        error
                    }
                    Err(Undone::Failed(error)) => error,
                }
            }
            Undone::Failed(error) => error,
            Undone::Busy => return,
        };
        alone.drain(..).for_each(|change| change.fail(error.again()));
    }

    /// Makes the first changes of a group, at least one, in one transaction and returns how many. If it fails, none is made.
    fn transact(&mut self, group: &mut Group) -> Result<usize, Undone> {
        let connection = self.connect().map_err(Undone::Failed)?;
        let Ok(made) = catch_unwind(AssertUnwindSafe(|| self.make(&connection, group))) else {
            group.iter_mut().for_each(|change| change.undo());
            // Drops the connection, and with it the transaction.
            return Err(Undone::Failed(Error::unavailable("a change of a session has panicked")));
        };
        if made.is_err() {
            group.iter_mut().for_each(|change| change.undo());
        }
        // Some errors have ended the transaction already.
        if connection.is_autocommit() || run(&connection, "ROLLBACK").is_ok() {
            self.connection = Some(connection);
        }
        made.map_err(|error| self.undone(error))
    }

    fn make(&self, connection: &Connection, group: &mut Group) -> rusqlite::Result<usize> {
        let deadline = group.iter().map(|change| change.deadline()).min();
        let patience = deadline.map_or(Duration::ZERO, |deadline| deadline.saturating_duration_since(Instant::now()));
        // SQLite counts whole milliseconds.
        connection.busy_timeout(patience + Duration::from_millis(1))?;
        run(connection, "BEGIN IMMEDIATE")?;
        let (started, mut made) = (Instant::now(), 0);
        for change in group {
            change.make(Changes { connection, sql: &self.sql })?;
            made += 1;
            if started.elapsed() >= LONGEST_TRANSACTION {
                break;
            }
        }
        run(connection, "COMMIT")?;
        Ok(made)
    }

    /// Takes the connection, or opens one if there is none or the file was replaced.
    fn connect(&mut self) -> Result<FileConnection> {
        if let Some(connection) = self.connection.take().filter(FileConnection::is_current) {
            return Ok(connection);
        }
        let connection = self.options.connect_to_write()?;
        self.log.watch(&connection);
        Ok(connection)
    }

    fn undone(&self, error: rusqlite::Error) -> Undone {
        if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) {
            return Undone::Busy;
        }
        // A quota, or a limit on the size of files, fails as a write error.
        let code = error.sqlite_error().map(|error| error.extended_code);
        let no_room = error.sqlite_error_code() == Some(ErrorCode::DiskFull) || code == Some(SQLITE_IOERR_WRITE);
        let error = self.options.failure(error);
        if no_room { Undone::NoRoom(error) } else { Undone::Failed(error) }
    }
}

/// Answers changes, the first of them last. Its caller won the race if the others expected the same version; as callers come
/// back in the order in which they are answered, each of them wins in its turn.
fn answer(mut made: impl Iterator<Item = Box<dyn Queued>>) {
    let first = made.next();
    made.chain(first).for_each(Queued::answer);
}

fn run(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(|_| ())
}
