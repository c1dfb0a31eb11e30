//! Keeps the write-ahead log short.
//!
//! By default, SQLite copies a long log back into the database within a commit, which then waits for the disk. Here a second
//! thread copies most of it while saves go on. The writer then copies the pages that were written meanwhile, so that its next
//! commit begins the log anew.

use std::{
    cell::Cell,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use rusqlite::Connection;

use crate::options::Options;

/// Length of the log, in pages, at which it is copied.
const LOG_PAGES: u32 = 4000;

/// How many pages may be written while it is copied. Further saves wait until that is done.
const LOG_SLACK: u32 = 4 * LOG_PAGES;

/// How long saves wait at most for readers of the old log. If they read longer, the log grows on and is copied later.
const LONGEST_HALT: Duration = Duration::from_millis(20);

/// Each round copies what was written during the one before. The writer, which halts the saves, gets the short rest.
const ROUNDS: u32 = 3;

thread_local! {
    /// Length of the log after this thread's last commit, in pages.
    static PAGES: Cell<u32> = const { Cell::new(0) };
}

/// The log as the writer knows it.
pub struct Log {
    options: Arc<Options>,
    pages: u32,
    /// The length at which it is copied next, or at which the copy began.
    due: u32,
    copying: Option<JoinHandle<()>>,
    is_copying: Arc<AtomicBool>,
}

impl Log {
    /// The log of a database that is not open yet. `is_copying` is true while the second thread copies.
    pub fn new(options: Arc<Options>, is_copying: Arc<AtomicBool>) -> Self {
        Self { options, pages: 0, due: LOG_PAGES, copying: None, is_copying }
    }

    /// Learns the length of the log from each commit of a new connection.
    pub fn watch(&mut self, connection: &Connection) {
        connection.wal_hook(Some(|_, pages| {
            PAGES.set(u32::try_from(pages).unwrap_or(u32::MAX));
            Ok(())
        }));
        PAGES.set(0);
        (self.pages, self.due) = (0, LOG_PAGES);
    }

    /// Has the log copied when it has become long. To be called between two transactions.
    pub fn keep_short(&mut self, connection: &Connection) {
        let pages = PAGES.get();
        if pages < self.pages {
            // It has begun anew.
            self.due = LOG_PAGES;
        }
        self.pages = pages;
        let is_too_long = pages >= self.due.saturating_add(LOG_SLACK);
        match &self.copying {
            Some(copying) if is_too_long || copying.is_finished() => self.begin_anew(connection),
            None if pages >= self.due => self.copy(connection),
            _ => {}
        }
    }

    /// Copies the log while saves go on.
    fn copy(&mut self, connection: &Connection) {
        self.due = self.pages;
        let (options, is_copying) = (Arc::clone(&self.options), Arc::clone(&self.is_copying));
        is_copying.store(true, Ordering::Relaxed);
        let copy = move || {
            let copied = options.connect_to_write().and_then(|connection| {
                let copy = |_| connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
                (0..ROUNDS).try_for_each(copy).map_err(|error| options.failure(error))
            });
            is_copying.store(false, Ordering::Relaxed);
            if let Err(error) = copied {
                tracing::warn!(%error, "{NOT_COPIED}");
            }
        };
        match thread::Builder::new().name("sqlite-checkpoint".to_owned()).spawn(copy) {
            Ok(copying) => self.copying = Some(copying),
            Err(_) => self.begin_anew(connection),
        }
    }

    /// Copies what the log still holds, so that the next commit begins it anew.
    pub fn begin_anew(&mut self, connection: &Connection) {
        self.finish_copying();
        let copy = || {
            connection.busy_timeout(LONGEST_HALT)?;
            connection.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(()))
        };
        if let Err(error) = copy().map_err(|error| self.options.failure(error)) {
            tracing::warn!(%error, "{NOT_COPIED}");
        }
        // Not again at once if a reader held it up.
        self.due = self.pages.saturating_add(LOG_PAGES);
    }

    /// Waits for the second thread.
    pub fn finish_copying(&mut self) {
        if let Some(copying) = self.copying.take() {
            let _ = copying.join();
        }
        self.is_copying.store(false, Ordering::Relaxed);
    }
}

const NOT_COPIED: &str = "the write-ahead log could not be copied back into the database";
