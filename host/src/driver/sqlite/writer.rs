//! One connection writes; concurrent saves share a transaction.
//!
//! A caller that finds the writer free commits its own change on its own thread: no hop, no wait, nothing copied. One
//! that finds it taken leaves a copy of its change in the queue, and a thread of the runtime's blocking pool commits all that
//! is queued as one transaction, each change under a savepoint of its own, again and again until the queue is empty. It
//! waits for nobody, so a change is never held up to make a group larger. A caller is answered when its
//! transaction is committed.
//!
//! Where a commit waits for the disk (`synchronous` = FULL), or another process is writing, it is always the pool that
//! commits: no thread of the runtime sleeps.

use std::{
    cell::Cell,
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rusqlite::{Connection, ErrorCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::options::Options;
use crate::driver::{Error, Result};

/// How many changes may be queued; further callers wait for room.
const QUEUE: usize = 1024;

/// How many changes may share a transaction.
const GROUP: usize = 256;

/// The length of the write-ahead log, in pages, from which on it is copied back into the database.
const LOG_PAGES: u32 = 4000;

/// What becomes of what a change wrote, beside its answer.
pub enum Outcome<T> {
    /// It is committed.
    Commit(T),
    /// It is undone.
    Undo(Result<T>),
}

/// Where changes are written.
pub struct Writer {
    options: Arc<Options>,
    connection: Mutex<Option<Connection>>,
    queue: Mutex<VecDeque<Box<dyn Queued>>>,
    room: Arc<Semaphore>,
    /// Whether the queue is being worked off, or is about to be.
    draining: AtomicBool,
    checkpointing: AtomicBool,
}

impl Writer {
    /// A writer, which opens the database when it is first needed.
    pub fn new(options: Arc<Options>) -> Self {
        Self {
            options,
            connection: Mutex::default(),
            queue: Mutex::default(),
            room: Arc::new(Semaphore::new(QUEUE)),
            draining: AtomicBool::default(),
            checkpointing: AtomicBool::default(),
        }
    }

    /// Applies a change, all of it or nothing: `work` if that is possible here and now, else the copy that `copy` makes.
    pub async fn write<T, Work, Copy>(self: &Arc<Self>, work: Work, copy: impl FnOnce() -> Copy) -> Result<T>
    where
        T: Send + 'static,
        Work: Fn(&Connection) -> rusqlite::Result<Outcome<T>>,
        Copy: FnOnce(&Connection) -> rusqlite::Result<Outcome<T>> + Send + 'static,
    {
        if let Some(answer) = self.write_now(work) {
            return answer;
        }
        let room = Arc::clone(&self.room);
        let room = match Arc::clone(&room).try_acquire_owned() {
            Ok(room) => room,
            Err(_) => match tokio::time::timeout(self.options.busy_timeout, room.acquire_owned()).await {
                Ok(Ok(room)) => room,
                _ => return Err(Error::unavailable("too many saves wait for SQLite already")),
            },
        };
        let (answer, answered) = oneshot::channel();
        lock(&self.queue).push_back(Box::new(Change {
            work: Some(copy()),
            answer: None,
            to: Some(answer),
            _room: room,
        }));
        self.drain_soon();
        answered.await.unwrap_or_else(|_| Err(Error::unavailable("the save was given up: the program is ending")))
    }

    /// Writes on this thread, unless somebody else is writing or the commit would wait for the disk.
    fn write_now<T>(self: &Arc<Self>, work: impl Fn(&Connection) -> rusqlite::Result<Outcome<T>>) -> Option<Result<T>> {
        if self.options.durable {
            return None;
        }
        let mut connection = match self.connection.try_lock() {
            Ok(connection) => connection,
            Err(std::sync::TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(std::sync::TryLockError::WouldBlock) => return None,
        };
        let connection = match self.connected(&mut connection) {
            Ok(connection) => connection,
            Err(error) => return Some(Err(error)),
        };
        let answer = match commit_alone(connection, work) {
            Err(error) if is_busy(&error) => return None,
            answer => answer.map_err(|error| self.options.failure(error)).and_then(|answer| answer),
        };
        self.checkpoint_if_long();
        Some(answer)
    }

    fn connected<'a>(&self, connection: &'a mut MutexGuard<'_, Option<Connection>>) -> Result<&'a mut Connection> {
        if connection.is_none() {
            let opened = self.options.connect_to_write()?;
            opened.busy_timeout(Duration::ZERO).map_err(|error| self.options.failure(error))?;
            opened.wal_hook(Some(|_, pages| {
                LOGGED.set(u32::try_from(pages).unwrap_or(0));
                Ok(())
            }));
            **connection = Some(opened);
        }
        connection.as_mut().ok_or_else(|| self.options.missing_tables())
    }

    /// Sees to it that what is queued is committed.
    fn drain_soon(self: &Arc<Self>) {
        if self.draining.swap(true, Ordering::SeqCst) {
            return;
        }
        let draining = Draining(Arc::clone(self));
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(move || draining.0.drain())),
            Err(_) => draining.0.drain(),
        }
    }

    fn drain(self: &Arc<Self>) {
        loop {
            let group: Vec<_> = {
                let mut queue = lock(&self.queue);
                let size = queue.len().min(GROUP);
                queue.drain(..size).collect()
            };
            if !group.is_empty() {
                self.commit_group(group);
                continue;
            }
            self.draining.store(false, Ordering::SeqCst);
            // Whoever queued something since then either starts to drain by himself, or saw that this one still did.
            if lock(&self.queue).is_empty() || self.draining.swap(true, Ordering::SeqCst) {
                return;
            }
        }
    }

    fn commit_group(self: &Arc<Self>, mut group: Vec<Box<dyn Queued>>) {
        let committed = {
            let mut connection = lock(&self.connection);
            self.connected(&mut connection).and_then(|connection| {
                connection.busy_timeout(self.options.busy_timeout).map_err(|error| self.options.failure(error))?;
                let committed = commit_group(connection, &self.options, &mut group);
                let patient = connection.busy_timeout(Duration::ZERO);
                committed.and(patient).map_err(|error| self.options.failure(error))
            })
        };
        match committed {
            Ok(()) => group.into_iter().for_each(Queued::answer),
            Err(error) => {
                // Those that were queued meanwhile have waited as long.
                group.extend(lock(&self.queue).drain(..));
                for mut change in group {
                    change.fail(&error);
                    change.answer();
                }
            }
        }
        self.checkpoint_if_long();
    }

    /// Has the log copied back into the database when it has become long. That waits for the disk, and is therefore done
    /// beside the saves.
    fn checkpoint_if_long(self: &Arc<Self>) {
        if LOGGED.take() < LOG_PAGES || self.checkpointing.swap(true, Ordering::SeqCst) {
            return;
        }
        let writer = Arc::clone(self);
        let checkpoint = move || {
            if let Err(error) = writer.checkpoint() {
                tracing::warn!(%error, "the write-ahead log could not be copied back");
            }
            writer.checkpointing.store(false, Ordering::SeqCst);
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(checkpoint)),
            Err(_) => checkpoint(),
        }
    }

    fn checkpoint(&self) -> Result<()> {
        let connection = self.options.connect_to_write()?;
        let checkpoint = || {
            connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
                let (logged, copied): (i64, i64) = (row.get(1)?, row.get(2)?);
                Ok(copied < logged)
            })
        };
        let mut behind = checkpoint().map_err(|error| self.options.failure(error))?;
        if behind {
            // The log begins anew only when all of it was copied: what was written meanwhile is copied while nobody writes.
            let _nobody_writes = lock(&self.connection);
            behind = checkpoint().map_err(|error| self.options.failure(error))?;
        }
        tracing::trace!(behind, "copied the write-ahead log back");
        Ok(())
    }

    /// Commits what is queued and closes the connection.
    pub fn close(self: &Arc<Self>) -> Result<()> {
        self.drain();
        let Some(connection) = lock(&self.connection).take() else { return Ok(()) };
        let copied = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        copied.map_err(|error| self.options.failure(error))
    }
}

thread_local! {
    /// The length of the log after this thread's last commit, in pages.
    static LOGGED: Cell<u32> = const { Cell::new(0) };
}

/// That somebody drains the queue: ends with the task, also when the task is dropped or panics.
struct Draining(Arc<Writer>);

impl Drop for Draining {
    fn drop(&mut self) {
        self.0.draining.store(false, Ordering::SeqCst);
    }
}

/// A change in the queue, whatever its answer.
trait Queued: Send {
    /// Writes; tells whether that is to be kept.
    fn run(&mut self, connection: &Connection, options: &Options) -> bool;
    /// Takes the answer back: nothing was committed.
    fn fail(&mut self, error: &Error);
    fn answer(self: Box<Self>);
}

struct Change<Work, T> {
    work: Option<Work>,
    answer: Option<Result<T>>,
    to: Option<oneshot::Sender<Result<T>>>,
    _room: OwnedSemaphorePermit,
}

impl<Work, T> Queued for Change<Work, T>
where
    Work: FnOnce(&Connection) -> rusqlite::Result<Outcome<T>> + Send,
    T: Send,
{
    fn run(&mut self, connection: &Connection, options: &Options) -> bool {
        let Some(work) = self.work.take() else { return false };
        let (answer, keep) = match work(connection) {
            Ok(Outcome::Commit(answer)) => (Ok(answer), true),
            Ok(Outcome::Undo(answer)) => (answer, false),
            Err(error) => (Err(options.failure(error)), false),
        };
        self.answer = Some(answer);
        keep
    }

    fn fail(&mut self, error: &Error) {
        self.answer = Some(Err(error.again()));
    }

    fn answer(mut self: Box<Self>) {
        if let (Some(to), Some(answer)) = (self.to.take(), self.answer.take()) {
            // A caller that does not wait any more does not want it.
            let _ = to.send(answer);
        }
    }
}

fn commit_alone<T>(
    connection: &Connection,
    work: impl Fn(&Connection) -> rusqlite::Result<Outcome<T>>,
) -> rusqlite::Result<Result<T>> {
    run(connection, "BEGIN IMMEDIATE")?;
    match work(connection) {
        Ok(Outcome::Commit(answer)) => match run(connection, "COMMIT") {
            Ok(()) => Ok(Ok(answer)),
            Err(error) => roll_back(connection).and(Err(error)),
        },
        Ok(Outcome::Undo(answer)) => roll_back(connection).map(|()| answer),
        Err(error) => roll_back(connection).and(Err(error)),
    }
}

fn commit_group(connection: &Connection, options: &Options, group: &mut [Box<dyn Queued>]) -> rusqlite::Result<()> {
    run(connection, "BEGIN IMMEDIATE")?;
    let committed = run_group(connection, options, group).and_then(|()| run(connection, "COMMIT"));
    if committed.is_err() {
        roll_back(connection)?;
    }
    committed
}

fn run_group(connection: &Connection, options: &Options, group: &mut [Box<dyn Queued>]) -> rusqlite::Result<()> {
    for change in group {
        run(connection, "SAVEPOINT change")?;
        if !change.run(connection, options) {
            // Fails where the error of a change has undone the whole transaction.
            run(connection, "ROLLBACK TO change")?;
        }
        run(connection, "RELEASE change")?;
    }
    Ok(())
}

fn roll_back(connection: &Connection) -> rusqlite::Result<()> {
    // Some errors have done it already.
    if connection.is_autocommit() { Ok(()) } else { run(connection, "ROLLBACK") }
}

fn run(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(|_| ())
}

fn is_busy(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
