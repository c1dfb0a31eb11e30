//! The writer: one thread with one connection. Saves that wait at the same time share a transaction.

mod change;
mod checkpoint;
mod thread;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use lemon_session_store::{Error, Result};
use tokio::sync::{
    mpsc::{self, error::SendTimeoutError},
    oneshot,
};

use self::{
    change::{Change, Queued},
    thread::WriterThread,
};
use super::{
    changes::{Changed, Changes},
    options::Options,
    statements::Statements,
};

/// Changes the queue has room for. Further callers wait, up to `busy-timeout`.
const QUEUE: usize = 1024;

/// How many pauses [`Writer::rest`] makes at most while the log is copied.
const LONGEST_REST: u32 = 20;

/// Sends changes to the writer thread, which runs from the first change until [`Writer::close`].
pub struct Writer {
    options: Arc<Options>,
    sql: Arc<Statements>,
    running: Mutex<Option<Running>>,
    is_copying: Arc<AtomicBool>,
}

struct Running {
    queue: mpsc::Sender<Box<dyn Queued>>,
    thread: JoinHandle<Result<()>>,
}

impl Writer {
    /// A writer that opens the database at the first change.
    pub fn new(options: Arc<Options>, sql: Arc<Statements>) -> Self {
        Self { options, sql, running: Mutex::default(), is_copying: Arc::default() }
    }

    /// Applies a change and returns its answer once it is committed. If the answer is an error, nothing was written.
    ///
    /// `work` runs again if its transaction is undone because of another change.
    pub async fn write<T, Work>(&self, work: Work) -> Result<T>
    where
        T: Send + 'static,
        Work: Fn(Changes<'_>) -> Changed<T> + Send + 'static,
    {
        let patience = self.options.busy_timeout;
        let (answer, answered) = oneshot::channel();
        let change = Change::new(work, answer, Instant::now() + patience);
        let queue = self.queue()?;
        match queue.send_timeout(Box::new(change), patience).await {
            Ok(()) => {}
            Err(SendTimeoutError::Timeout(_)) => {
                return Err(Error::unavailable("the queue of saves to SQLite is full: the disk is too slow for them"));
            }
            Err(SendTimeoutError::Closed(_)) => return Err(Error::unavailable(ENDED)),
        }
        // Without it, closing the store would wait for this caller.
        drop(queue);
        answered.await.unwrap_or_else(|_| Err(Error::unavailable(ENDED)))
    }

    /// Returns the queue of the writer thread, and starts the thread if it is not running.
    fn queue(&self) -> Result<mpsc::Sender<Box<dyn Queued>>> {
        let mut running = self.running();
        if let Some(Running { queue, .. }) = running.as_ref().filter(|running| !running.queue.is_closed()) {
            return Ok(queue.clone());
        }
        let (queue, changes) = mpsc::channel(QUEUE);
        let writer = WriterThread::new(Arc::clone(&self.options), Arc::clone(&self.sql), Arc::clone(&self.is_copying));
        let thread = std::thread::Builder::new().name("sqlite-writer".to_owned()).spawn(move || writer.run(changes));
        let thread = thread.map_err(|error| {
            Error::unavailable(format!("cannot start the thread that writes to SQLite: {error}")).with_source(error)
        })?;
        *running = Some(Running { queue: queue.clone(), thread });
        Ok(queue)
    }

    /// Pauses work that is done in batches: for `pause`, and longer while the log is copied back into the database, so that
    /// the batches do not lengthen the log faster than it is copied.
    pub async fn rest(&self, pause: Duration) {
        for _ in 0..LONGEST_REST {
            tokio::time::sleep(pause).await;
            if !self.is_copying.load(Ordering::Relaxed) {
                break;
            }
        }
    }

    /// Commits what is queued, copies the log back into the database and ends the thread. The next change starts it again.
    pub async fn close(&self) -> Result<()> {
        let Some(Running { queue, thread }) = self.running().take() else { return Ok(()) };
        drop(queue);
        super::blocking(move || thread.join().unwrap_or_else(|_| Err(Error::unavailable(ENDED)))).await
    }

    fn running(&self) -> MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const ENDED: &str = "the thread that writes to SQLite has ended";
