//! One connection writes; concurrent saves share a transaction.
//!
//! A caller that finds the writer free commits its own change on its own thread: no hop, no wait, nothing copied. One
//! that finds it taken leaves a copy of its change in the queue. Who has the writer commits what was queued meanwhile as one
//! transaction, each change under a savepoint of its own; if there is still more, a thread of the runtime's blocking
//! pool takes over until the queue is empty. No change is ever held up to make a group larger, and a caller is answered when
//! its transaction is committed.
//!
//! Where a commit waits for the disk (`synchronous` = FULL), or another process is writing, it is always the pool that
//! commits: no thread of the runtime sleeps.

use std::{
    cell::Cell,
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, TryLockError,
        atomic::{AtomicBool, AtomicU32, Ordering},
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

/// How many changes of others a caller commits beside its own.
const FAVOUR: usize = 16;

/// After so many pages the write-ahead log is copied back into the database.
const LOG_PAGES: u32 = 4000;

/// How long a checkpoint may halt the saves to wait for readers.
const LONGEST_HALT: Duration = Duration::from_millis(100);

/// So many pages may be written while that is done; further saves wait for it.
const LOG_SLACK: u32 = 4 * LOG_PAGES;

/// How many pauses a cleanup makes at most before it goes on, though changes wait.
const LONGEST_REST: u32 = 20;

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
    /// Whether somebody has the writer, and sees to it that what is queued is committed: see [`Turn`].
    taken: AtomicBool,
    /// The length of the log in pages, and from which length on it is to be copied back.
    logged: AtomicU32,
    due: AtomicU32,
    checkpointing: AtomicBool,
    checkpoints: Mutex<()>,
}

impl Writer {
    /// A writer, which opens the database when it is first needed.
    pub fn new(options: Arc<Options>) -> Self {
        Self {
            options,
            connection: Mutex::default(),
            queue: Mutex::default(),
            room: Arc::new(Semaphore::new(QUEUE)),
            taken: AtomicBool::default(),
            logged: AtomicU32::default(),
            due: AtomicU32::new(LOG_PAGES),
            checkpointing: AtomicBool::default(),
            checkpoints: Mutex::default(),
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
        if self.options.durable || self.log_is_too_long() {
            return None;
        }
        let turn = self.take()?;
        let answer = {
            let mut connection = match self.connection.try_lock() {
                Ok(connection) => connection,
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => return None,
            };
            match self.connected(&mut connection).map(|connection| commit_alone(connection, work)) {
                Ok(Err(error)) if is_busy(&error) => return None,
                Ok(answer) => answer.map_err(|error| self.options.failure(error)).and_then(|answer| answer),
                Err(error) => Err(error),
            }
        };
        turn.commit_queued(FAVOUR, Duration::ZERO);
        self.checkpoint_if_long();
        Some(answer)
    }

    fn take(self: &Arc<Self>) -> Option<Turn> {
        let taken = self.taken.swap(true, Ordering::SeqCst);
        (!taken).then(|| Turn { writer: Arc::clone(self), begun: true })
    }

    fn connected<'a>(&self, connection: &'a mut MutexGuard<'_, Option<Connection>>) -> Result<&'a mut Connection> {
        if connection.is_none() {
            let opened = self.options.connect_to_write()?;
            opened.busy_timeout(Duration::ZERO).map_err(|error| self.options.failure(error))?;
            opened.wal_hook(Some(|_, pages| {
                LOGGED.set(u32::try_from(pages).ok());
                Ok(())
            }));
            **connection = Some(opened);
        }
        connection.as_mut().ok_or_else(|| self.options.missing_tables())
    }

    /// Sees to it that what is queued is committed. Whoever has the writer does that by himself.
    fn drain_soon(self: &Arc<Self>) {
        let Some(mut turn) = self.take() else { return };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => {
                turn.begun = false;
                runtime.spawn_blocking(move || turn.drain());
            }
            Err(_) => turn.drain(),
        }
    }

    /// Whether changes wait to be written.
    pub fn is_wanted(&self) -> bool {
        !lock(&self.queue).is_empty()
    }

    /// Leaves the writer to others: for so long, and then while changes wait, but not forever.
    pub async fn rest(&self, pause: Duration) {
        for _ in 0..LONGEST_REST {
            tokio::time::sleep(pause).await;
            if !self.is_wanted() {
                break;
            }
        }
    }

    fn log_is_too_long(&self) -> bool {
        self.logged.load(Ordering::Relaxed) >= self.due.load(Ordering::Relaxed).saturating_add(LOG_SLACK)
    }

    /// Has the log copied back into the database when it has become long. That waits for the disk, and is therefore done
    /// beside the saves.
    fn checkpoint_if_long(self: &Arc<Self>) {
        let Some(logged) = LOGGED.take() else { return };
        if logged < self.logged.swap(logged, Ordering::Relaxed) {
            // It has begun anew.
            self.due.store(LOG_PAGES, Ordering::Relaxed);
        }
        if logged < self.due.load(Ordering::Relaxed) || self.checkpointing.swap(true, Ordering::SeqCst) {
            return;
        }
        let writer = Arc::clone(self);
        let checkpoint = move || {
            writer.checkpoint();
            writer.checkpointing.store(false, Ordering::SeqCst);
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(checkpoint)),
            Err(_) => checkpoint(),
        }
    }

    fn checkpoint(&self) {
        let _one_at_a_time = lock(&self.checkpoints);
        let copied = self.options.connect_to_write().and_then(|connection| {
            let copy = || {
                connection.busy_timeout(LONGEST_HALT)?;
                connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?;
                // It begins anew only when all of it was copied: what was written meanwhile is copied while nobody writes.
                let _nobody_writes = lock(&self.connection);
                connection.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(()))
            };
            copy().map_err(|error| self.options.failure(error))
        });
        if let Err(error) = copied {
            tracing::warn!(%error, "the write-ahead log could not be copied back into the database");
        }
        // If a reader held it up: not again at once.
        self.due.store(self.logged.load(Ordering::Relaxed).saturating_add(LOG_PAGES), Ordering::Relaxed);
    }

    /// Closes the connection.
    pub fn close(&self) -> Result<()> {
        let Some(connection) = lock(&self.connection).take() else { return Ok(()) };
        let copied = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        copied.map_err(|error| self.options.failure(error))
    }
}

thread_local! {
    /// The length of the log after this thread's last commit, in pages.
    static LOGGED: Cell<Option<u32>> = const { Cell::new(None) };
}

/// The right to write, and the duty to see to the queue.
struct Turn {
    writer: Arc<Writer>,
    begun: bool,
}

impl Turn {
    fn drain(mut self) {
        self.begun = true;
        while self.commit_queued(GROUP, self.writer.options.busy_timeout) {
            self.writer.checkpoint_if_long();
            if self.writer.log_is_too_long() {
                self.writer.checkpoint();
            }
        }
    }

    /// Commits at most `most` of the queued changes as one transaction; false when there are none, or another process has
    /// the database for longer than `patience` when there is none.
    fn commit_queued(&self, most: usize, patience: Duration) -> bool {
        let writer = &self.writer;
        let mut group: Vec<_> = {
            let mut queue = lock(&writer.queue);
            let most = most.min(queue.len());
            queue.drain(..most).collect()
        };
        if group.is_empty() {
            return false;
        }
        let committed = {
            let mut connection = lock(&writer.connection);
            writer.connected(&mut connection).and_then(|connection| {
                let failure = |error| writer.options.failure(error);
                connection.busy_timeout(patience).map_err(failure)?;
                let begun = run(connection, "BEGIN IMMEDIATE");
                connection.busy_timeout(Duration::ZERO).map_err(failure)?;
                match begun {
                    Err(error) if is_busy(&error) && patience.is_zero() => Ok(false),
                    begun => begun
                        .and_then(|()| commit_group(connection, &writer.options, &mut group))
                        .map_err(failure)
                        .map(|()| true),
                }
            })
        };
        match committed {
            Ok(true) => group.into_iter().for_each(Queued::answer),
            Ok(false) => {
                let mut queue = lock(&writer.queue);
                group.into_iter().rev().for_each(|change| queue.push_front(change));
                return false;
            }
            Err(error) => {
                // Those that were queued meanwhile have waited as long.
                group.extend(lock(&writer.queue).drain(..));
                for mut change in group {
                    change.fail(&error);
                    change.answer();
                }
            }
        }
        true
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if !self.begun {
            // The runtime is ending and will run nothing any more: whoever waits learns it by this.
            lock(&self.writer.queue).clear();
        }
        self.writer.taken.store(false, Ordering::SeqCst);
        // Whoever queued something before that relied on this turn.
        if !lock(&self.writer.queue).is_empty() {
            self.writer.drain_soon();
        }
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

/// Ends a transaction that was begun.
fn commit_group(connection: &Connection, options: &Options, group: &mut [Box<dyn Queued>]) -> rusqlite::Result<()> {
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
