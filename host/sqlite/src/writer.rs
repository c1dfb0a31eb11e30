//! One connection writes; concurrent saves share a transaction.
//!
//! A save leaves its change in the queue. One that finds the writer free takes it, lets those tasks run that are ready, so that
//! what they save is in the queue as well, and commits all of it on its own thread, as one transaction; what was queued
//! meanwhile is committed by a task of its own, until nothing is left. A caller is answered when its transaction is committed.
//!
//! A change looks for whatever it can be refused for before it writes. When SQLite itself fails, or a change panics, the
//! transaction is undone and each of its changes made again alone, so that nobody is told of a failure but those whom it
//! concerns. A connection on which something panicked is closed, and with it its transaction.
//!
//! Where a commit waits for the disk (`synchronous` = FULL), another process is writing, or the disk is full, a thread of the
//! runtime's blocking pool commits instead: no other one sleeps. Each save waits for other processes until its own deadline.
//! When there is no room for the log to grow, it is copied back into the database, so that it begins anew, and the save is
//! tried once more.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    slice,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, TryLockError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use lemon_session_store::{Error, Result};
use rusqlite::{Connection, ErrorCode, ffi::SQLITE_IOERR_WRITE};
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
};

use super::{
    cache::Cache,
    changes::{Changed, Changes},
    file::FileConnection,
    options::Options,
    schema::Statements,
};

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

/// How many pauses are made at most for the saves that wait, or for a checkpoint.
const LONGEST_REST: u32 = 20;

/// How long no checkpoint is tried to make room after one that made none.
const NO_ROOM: Duration = Duration::from_secs(1);

/// Where changes are written.
pub struct Writer {
    options: Arc<Options>,
    sql: Arc<Statements>,
    cache: Arc<Cache>,
    connection: Mutex<Option<FileConnection>>,
    queue: Mutex<VecDeque<Box<dyn Queued>>>,
    room: Arc<Semaphore>,
    /// Whether somebody has the writer, and sees to it that what is queued is committed: see [`Turn`].
    taken: AtomicBool,
    /// The length of the log in pages, and from which length on it is to be copied back.
    logged: AtomicU32,
    due: AtomicU32,
    checkpointing: AtomicBool,
    checkpoints: Mutex<()>,
    /// Until when the disk is taken to be full.
    full_until: Mutex<Option<Instant>>,
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
            full_until: Mutex::default(),
        }
    }

    /// Applies a change, all of it or nothing. Where the answer is an error, the change has written nothing; it may be run again.
    pub async fn write<T, Work>(self: &Arc<Self>, work: Work) -> Result<T>
    where
        T: Send + 'static,
        Work: Fn(Changes<'_>) -> Changed<T> + Send + 'static,
    {
        let deadline = Instant::now() + self.options.busy_timeout;
        let room = Arc::clone(&self.room);
        let room = match Arc::clone(&room).try_acquire_owned() {
            Ok(room) => room,
            Err(_) => match tokio::time::timeout(self.options.busy_timeout, room.acquire_owned()).await {
                Ok(Ok(room)) => room,
                _ => return Err(Error::unavailable("too many saves wait for SQLite already")),
            },
        };
        let (to, answered) = oneshot::channel();
        let change = Change { work, made: None, to: Some(to), deadline, _room: room };
        lock(&self.queue).push_back(Box::new(change));
        if self.options.durable || self.log_is_too_long() {
            self.drain_soon();
        } else if let Some(turn) = self.take() {
            // Those that are about to save leave their changes as well.
            tokio::task::yield_now().await;
            turn.commit_queued(SMALL_GROUP, false);
        }
        answered.await.unwrap_or_else(|_| Err(Error::unavailable("the save was given up before it was made")))
    }

    fn take(self: &Arc<Self>) -> Option<Turn> {
        let taken = self.taken.swap(true, Ordering::SeqCst);
        (!taken).then(|| Turn { writer: Arc::clone(self), begun: true, is_blocked: Cell::new(false) })
    }

    /// The connection, opened if there is none or its file was replaced.
    fn connected(&self, connection: Option<FileConnection>) -> Result<FileConnection> {
        if let Some(connection) = connection.filter(FileConnection::is_current) {
            return Ok(connection);
        }
        let opened = self.options.connect_to_write()?;
        opened.wal_hook(Some(|_, pages| {
            LOGGED.set(u32::try_from(pages).ok());
            Ok(())
        }));
        self.logged.store(0, Ordering::Relaxed);
        self.due.store(LOG_PAGES, Ordering::Relaxed);
        Ok(opened)
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

    /// Leaves the writer to others: for so long, and then while the log is copied back or, if this is `patient`, changes wait;
    /// but not forever.
    pub async fn rest(&self, pause: Duration, patient: bool) {
        for _ in 0..LONGEST_REST {
            tokio::time::sleep(pause).await;
            let is_checkpointing = self.checkpointing.load(Ordering::SeqCst);
            if !is_checkpointing && (!patient || !self.is_wanted()) {
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

    /// Copies the log back into the database, so that the next save begins it anew.
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
        let Some(connection) = lock(&self.connection).take().filter(FileConnection::is_current) else { return Ok(()) };
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
        while self.commit_queued(GROUP, true) {
            if self.writer.log_is_too_long() {
                self.writer.checkpoint();
            }
        }
    }

    async fn lead(mut self) {
        self.begun = true;
        while self.commit_queued(SMALL_GROUP, false) && !self.writer.log_is_too_long() {
            tokio::task::yield_now().await;
        }
    }

    /// Commits at most `most` of the queued changes as one transaction; false when there are none, or when this has to wait and
    /// may not.
    fn commit_queued(&self, most: usize, may_wait: bool) -> bool {
        let writer = &self.writer;
        let mut group: Vec<_> = {
            let mut queue = lock(&writer.queue);
            let most = most.min(queue.len());
            queue.drain(..most).collect()
        };
        if group.is_empty() {
            return false;
        }
        writer.commit(&mut group, may_wait);
        let (made, waiting): (Vec<_>, Vec<_>) = group.into_iter().partition(|change| change.is_made());
        made.into_iter().for_each(Queued::answer);
        let must_wait = !waiting.is_empty();
        let mut queue = lock(&writer.queue);
        waiting.into_iter().rev().for_each(|change| queue.push_front(change));
        drop(queue);
        writer.checkpoint_if_long();
        if must_wait && !may_wait {
            self.is_blocked.set(true);
            return false;
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

/// Why nothing of a transaction was committed.
enum Undone {
    /// Another process has the database.
    Busy,
    /// There is no room for the log to grow.
    NoRoom(Error),
    Failed(Error),
}

impl Writer {
    /// Makes the changes of a group in one transaction, or, if that fails, each in one of its own. Those that are not made
    /// afterwards are to be tried again: by a thread that may wait, if this one may not.
    fn commit(&self, group: &mut [Box<dyn Queued>], may_wait: bool) {
        match self.transact(group, may_wait) {
            Ok(()) => {}
            Err(Undone::Busy) if may_wait => {
                let now = Instant::now();
                for change in group.iter_mut().filter(|change| change.deadline() <= now) {
                    change.fail(self.options.busy());
                }
            }
            Err(Undone::Busy) => {}
            Err(undone) => match (group, undone) {
                ([_], Undone::NoRoom(_)) if !may_wait => {}
                (alone @ [_], Undone::NoRoom(error)) => self.make_room(alone, error),
                ([change], Undone::Failed(error)) => change.fail(error),
                (group, _) => group.iter_mut().for_each(|change| self.commit(slice::from_mut(change), may_wait)),
            },
        }
    }

    /// Has the log begin anew, and tries the change once more.
    fn make_room(&self, change: &mut [Box<dyn Queued>], error: Error) {
        let is_full = lock(&self.full_until).is_some_and(|until| Instant::now() < until);
        let made = if is_full {
            Err(Undone::NoRoom(error))
        } else {
            self.checkpoint();
            self.transact(change, true)
        };
        let Err(undone) = made else { return };
        if matches!(undone, Undone::NoRoom(_)) && !is_full {
            *lock(&self.full_until) = Some(Instant::now() + NO_ROOM);
        }
        let error = match undone {
            Undone::Busy => self.options.busy(),
            Undone::NoRoom(error) | Undone::Failed(error) => error,
        };
        change.iter_mut().for_each(|change| change.fail(error.again()));
    }

    /// Makes all changes of a group in one transaction, or none of them.
    fn transact(&self, group: &mut [Box<dyn Queued>], may_wait: bool) -> Result<(), Undone> {
        let mut place = match self.connection.try_lock() {
            Ok(place) => place,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) if may_wait => lock(&self.connection),
            Err(TryLockError::WouldBlock) => return Err(Undone::Busy),
        };
        // What panics takes the connection along.
        let connection = self.connected(place.take()).map_err(Undone::Failed)?;
        let first_deadline = group.iter().map(|change| change.deadline()).min().filter(|_| may_wait);
        let patience = first_deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let begun = begin(&connection, patience).map_err(|error| self.undone(error));
        let (done, panicked) = match begun {
            Ok(()) => self.finish(&connection, group),
            Err(undone) => (Err(undone), false),
        };
        if !panicked && connection.is_autocommit() {
            *place = Some(connection);
        }
        done
    }

    /// Ends a transaction that was begun, with these changes or with none. Tells as well whether a change panicked.
    fn finish(&self, connection: &Connection, group: &mut [Box<dyn Queued>]) -> (Result<(), Undone>, bool) {
        let before = self.cache.before_commit();
        LOGGED.set(None);
        let touched = RefCell::default();
        let make = || {
            for change in group.iter_mut() {
                change.make(Changes { connection, sql: &self.sql, touched: &touched })?;
            }
            Ok(())
        };
        let made = catch_unwind(AssertUnwindSafe(make));
        let panicked = made.is_err();
        let committed = match made {
            Ok(made) => made.and_then(|()| run(connection, "COMMIT")).map_err(|error| self.undone(error)),
            Err(_) => Err(Undone::Failed(Error::unavailable("a change of a session has panicked"))),
        };
        if committed.is_ok() {
            self.cache.after_commit(before, LOGGED.get().is_some(), &touched.borrow());
        } else {
            self.cache.gave_up();
            group.iter_mut().for_each(|change| change.undo());
            // Some errors have done it already. Where it fails, the connection is given up.
            if !connection.is_autocommit() && !panicked {
                let _ = run(connection, "ROLLBACK");
            }
        }
        (committed, panicked)
    }

    fn undone(&self, error: rusqlite::Error) -> Undone {
        if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) {
            return Undone::Busy;
        }
        // A limit on the size of files, or a quota, is an error of writing.
        let code = error.sqlite_error().map(|error| error.extended_code);
        let no_room = error.sqlite_error_code() == Some(ErrorCode::DiskFull) || code == Some(SQLITE_IOERR_WRITE);
        let error = self.options.failure(error);
        if no_room { Undone::NoRoom(error) } else { Undone::Failed(error) }
    }
}

/// Begins a transaction that writes. Waits for other processes as long as `patience`, if any.
fn begin(connection: &Connection, patience: Option<Duration>) -> rusqlite::Result<()> {
    // SQLite counts whole milliseconds.
    let patience = patience.map_or(Duration::ZERO, |patience| patience + Duration::from_millis(1));
    connection.busy_timeout(patience)?;
    run(connection, "BEGIN IMMEDIATE")
}

/// A change in the queue, whatever its answer.
trait Queued: Send {
    /// Until when it may wait.
    fn deadline(&self) -> Instant;
    /// Writes, within a transaction.
    fn make(&mut self, changes: Changes<'_>) -> rusqlite::Result<()>;
    /// Takes the answer back: nothing was committed.
    fn undo(&mut self);
    /// Answers an error instead.
    fn fail(&mut self, error: Error);
    /// Whether there is an answer.
    fn is_made(&self) -> bool;
    fn answer(self: Box<Self>);
}

struct Change<Work, T> {
    work: Work,
    made: Option<Result<T>>,
    to: Option<oneshot::Sender<Result<T>>>,
    deadline: Instant,
    _room: OwnedSemaphorePermit,
}

impl<Work, T> Queued for Change<Work, T>
where
    Work: Fn(Changes<'_>) -> Changed<T> + Send,
    T: Send,
{
    fn deadline(&self) -> Instant {
        self.deadline
    }

    fn make(&mut self, changes: Changes<'_>) -> rusqlite::Result<()> {
        self.made = Some((self.work)(changes)?);
        Ok(())
    }

    fn undo(&mut self) {
        self.made = None;
    }

    fn is_made(&self) -> bool {
        self.made.is_some()
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

fn run(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(|_| ())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
