//! One connection writes; concurrent saves share a transaction.
//!
//! A save leaves its change in the queue. One that finds the writer free takes it, lets those tasks run that are ready, so that
//! what they save is in the queue as well, and commits all of it on its own thread, as one transaction; what was queued
//! meanwhile is committed by a task of its own, until nothing is left. A caller is answered when its transaction is committed.
//!
//! A change looks for whatever it can be refused for before it writes. When SQLite itself fails, the transaction is undone
//! and each of its changes made again alone, so that nobody is told of a failure but those whom it concerns.
//!
//! Where a commit waits for the disk (`synchronous` = FULL), or another process is writing, a thread of the runtime's blocking
//! pool commits instead: no other one sleeps.

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
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
};

use super::{
    cache::{Cache, Effect},
    changes::{Changed, Changes},
    frames,
    options::Options,
    schema::Statements,
};
use crate::driver::{Error, Result};

/// How many changes may be queued; further callers wait for room.
const QUEUE: usize = 1024;

/// How many changes may share a transaction that waits for the disk.
const GROUP: usize = 256;

/// How many may share one that does not: the thread does nothing else meanwhile.
const SMALL_GROUP: usize = 32;

/// After so many pages the write-ahead log is copied back into the database.
const LOG_PAGES: u32 = 4000;

/// How long a checkpoint may halt the saves to wait for readers.
const LONGEST_HALT: Duration = Duration::from_millis(100);

/// So many pages may be written while that is done; further saves wait for it.
const LOG_SLACK: u32 = 4 * LOG_PAGES;

/// How many pauses a cleanup makes at most before it goes on, though changes wait.
const LONGEST_REST: u32 = 20;

/// Where changes are written.
pub struct Writer {
    options: Arc<Options>,
    sql: Arc<Statements>,
    cache: Arc<Cache>,
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
    pub fn new(options: Arc<Options>, sql: Arc<Statements>, cache: Arc<Cache>) -> Self {
        Self {
            options,
            sql,
            cache,
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

    /// Applies a change, all of it or nothing. Where the answer is an error, the change has written nothing; it may be run again.
    pub async fn write<T, Work>(self: &Arc<Self>, work: Work) -> Result<T>
    where
        T: Send + 'static,
        Work: Fn(Changes<'_>) -> Changed<T> + Send + 'static,
    {
        let room = Arc::clone(&self.room);
        let room = match Arc::clone(&room).try_acquire_owned() {
            Ok(room) => room,
            Err(_) => match tokio::time::timeout(self.options.busy_timeout, room.acquire_owned()).await {
                Ok(Ok(room)) => room,
                _ => return Err(Error::unavailable("too many saves wait for SQLite already")),
            },
        };
        let (to, answered) = oneshot::channel();
        let change = Change { work, made: None, to: Some(to), _room: room };
        lock(&self.queue).push_back(Box::new(change));
        if self.options.durable || self.log_is_too_long() {
            self.drain_soon();
        } else if let Some(turn) = self.take() {
            // Those that are about to save leave their changes as well.
            tokio::task::yield_now().await;
            turn.commit_queued(SMALL_GROUP, Duration::ZERO);
        }
        answered.await.unwrap_or_else(|_| Err(Error::unavailable("the save was given up: the program is ending")))
    }

    fn take(self: &Arc<Self>) -> Option<Turn> {
        let taken = self.taken.swap(true, Ordering::SeqCst);
        (!taken).then(|| Turn { writer: Arc::clone(self), begun: true, is_blocked: Cell::new(false) })
    }

    fn connected<'a>(&self, connection: &'a mut MutexGuard<'_, Option<Connection>>) -> Result<&'a mut Connection> {
        if connection.is_none() {
            let opened = self.options.connect_to_write()?;
            opened.busy_timeout(Duration::ZERO).map_err(|error| self.options.failure(error))?;
            opened.wal_hook(Some(|_, pages| {
                LOGGED.set(u32::try_from(pages).ok());
                Ok(())
            }));
            frames::prepare(&opened);
            **connection = Some(opened);
        }
        connection.as_mut().ok_or_else(|| self.options.missing_tables())
    }

    /// Sees to it that what is queued is committed, by a thread that may wait. Whoever has the writer does that by himself.
    fn drain_soon(self: &Arc<Self>) {
        let Some(mut turn) = self.take() else { return };
        match Handle::try_current() {
            Ok(runtime) => {
                turn.begun = false;
                runtime.spawn_blocking(move || turn.drain());
            }
            Err(_) => turn.drain(),
        }
    }

    /// The same, by a task that waits for nobody.
    fn lead_soon(self: &Arc<Self>) {
        let Ok(runtime) = Handle::try_current() else { return self.drain_soon() };
        let Some(mut turn) = self.take() else { return };
        turn.begun = false;
        runtime.spawn(turn.lead());
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
        match Handle::try_current() {
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
    /// The length of the log after this thread's last commit, in pages; none if it wrote nothing.
    static LOGGED: Cell<Option<u32>> = const { Cell::new(None) };
}

/// The right to write, and the duty to see to the queue.
struct Turn {
    writer: Arc<Writer>,
    begun: bool,
    /// Whether somebody else has the database, so that the next to have the writer has to wait.
    is_blocked: Cell<bool>,
}

impl Turn {
    fn drain(mut self) {
        self.begun = true;
        while self.commit_queued(GROUP, self.writer.options.busy_timeout) {
            if self.writer.log_is_too_long() {
                self.writer.checkpoint();
            }
        }
    }

    async fn lead(mut self) {
        self.begun = true;
        while self.commit_queued(SMALL_GROUP, Duration::ZERO) && !self.writer.log_is_too_long() {
            tokio::task::yield_now().await;
        }
    }

    /// Commits at most `most` of the queued changes as one transaction; false when there are none, or somebody else has the
    /// database for longer than `patience`.
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
        let committed = match writer.connection.try_lock() {
            Ok(connection) => writer.commit(connection, &mut group, patience),
            Err(TryLockError::Poisoned(poisoned)) => writer.commit(poisoned.into_inner(), &mut group, patience),
            Err(TryLockError::WouldBlock) if patience.is_zero() => Ok(false),
            Err(TryLockError::WouldBlock) => writer.commit(lock(&writer.connection), &mut group, patience),
        };
        match committed {
            Ok(true) => group.into_iter().for_each(Queued::answer),
            Ok(false) => {
                let mut queue = lock(&writer.queue);
                group.into_iter().rev().for_each(|change| queue.push_front(change));
                self.is_blocked.set(true);
                return false;
            }
            Err(error) => {
                // Those that were queued meanwhile have waited as long.
                group.extend(lock(&writer.queue).drain(..));
                for mut change in group {
                    change.fail(error.again());
                    change.answer();
                }
            }
        }
        writer.checkpoint_if_long();
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
        if lock(&self.writer.queue).is_empty() {
            return;
        }
        if self.is_blocked.get() || self.writer.options.durable || self.writer.log_is_too_long() {
            self.writer.drain_soon();
        } else {
            self.writer.lead_soon();
        }
    }
}

impl Writer {
    /// Commits a group as one transaction, or, if SQLite fails, each of its changes alone. False when another process has the
    /// database for longer than `patience` when there is none.
    fn commit(
        &self,
        mut connection: MutexGuard<'_, Option<Connection>>,
        group: &mut [Box<dyn Queued>],
        patience: Duration,
    ) -> Result<bool> {
        let connection = self.connected(&mut connection)?;
        let failure = |error| self.options.failure(error);
        connection.busy_timeout(patience).map_err(failure)?;
        match run(connection, "BEGIN IMMEDIATE") {
            Err(error) if is_busy(&error) && patience.is_zero() => return Ok(false),
            begun => begun.map_err(failure)?,
        }
        if let Err(error) = self.finish(connection, group) {
            match group {
                [change] => change.fail(failure(error)),
                group => {
                    for change in group {
                        let alone = std::slice::from_mut(change);
                        let made = run(connection, "BEGIN IMMEDIATE").and_then(|()| self.finish(connection, alone));
                        made.unwrap_or_else(|error| change.fail(failure(error)));
                    }
                }
            }
        }
        Ok(true)
    }

    /// Ends a transaction that was begun, with these changes or with none.
    fn finish(&self, connection: &Connection, group: &mut [Box<dyn Queued>]) -> rusqlite::Result<()> {
        let before = self.cache.before_commit();
        LOGGED.set(None);
        let mut done = Vec::with_capacity(group.len());
        let made = group.iter_mut().try_for_each(|change| {
            let changes = Changes { connection, sql: &self.sql, cache: &self.cache, done: &done };
            done.push(change.make(changes)?);
            Ok(())
        });
        match made.and_then(|()| frames::at_once(|| run(connection, "COMMIT"))) {
            Ok(()) => {
                self.cache.after_commit(before, LOGGED.get().is_some(), done);
                Ok(())
            }
            Err(error) => {
                self.cache.gave_up();
                roll_back(connection).and(Err(error))
            }
        }
    }
}

/// A change in the queue, whatever its answer.
trait Queued: Send {
    /// Writes, within a transaction; returns what it has done.
    fn make(&mut self, changes: Changes<'_>) -> rusqlite::Result<Effect>;
    /// Takes the answer back: nothing was committed.
    fn fail(&mut self, error: Error);
    fn answer(self: Box<Self>);
}

struct Change<Work, T> {
    work: Work,
    made: Option<Result<T>>,
    to: Option<oneshot::Sender<Result<T>>>,
    _room: OwnedSemaphorePermit,
}

impl<Work, T> Queued for Change<Work, T>
where
    Work: Fn(Changes<'_>) -> Changed<T> + Send,
    T: Send,
{
    fn make(&mut self, changes: Changes<'_>) -> rusqlite::Result<Effect> {
        let (answer, effect) = (self.work)(changes)?;
        self.made = Some(answer);
        Ok(effect)
    }

    fn fail(&mut self, error: Error) {
        self.made = Some(Err(error));
    }

    fn answer(mut self: Box<Self>) {
        if let (Some(to), Some(answer)) = (self.to.take(), self.made.take()) {
            // A caller that does not wait any more does not want it.
            let _ = to.send(answer);
        }
    }
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
