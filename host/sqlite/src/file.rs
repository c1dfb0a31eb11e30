//! Notices when the database file is replaced by another file, such as a restored backup.
//!
//! A backup that is moved into place is a different file under the same name. Open connections stay with the old file, and a
//! new connection would apply the old file's log to the new file. So the path is checked before each new connection and
//! every second. When it leads to another file, the old log is moved aside and all connections are opened again.

use std::{
    fs::{self, File},
    io,
    ops::{Deref, DerefMut},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use rusqlite::Connection;

/// The file of a database.
#[derive(Debug)]
pub struct DatabaseFile {
    path: PathBuf,
    /// Number of times it was replaced.
    replaced: AtomicU64,
    opened: Mutex<Option<Opened>>,
}

/// The files that connections have open.
#[derive(Debug)]
struct Opened {
    database: Identity,
    log: Option<Identity>,
    index: Option<Identity>,
}

/// Identifies a file while it is open: its device and inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity(u64, u64);

impl Identity {
    /// None on systems where an open file cannot be replaced.
    #[cfg(unix)]
    fn of(path: &Path) -> io::Result<Option<Self>> {
        use std::os::unix::fs::MetadataExt as _;
        fs::metadata(path).map(|file| Some(Self(file.dev(), file.ino())))
    }

    #[cfg(not(unix))]
    fn of(_path: &Path) -> io::Result<Option<Self>> {
        Ok(None)
    }

    fn find(path: &Path) -> Option<Self> {
        Self::of(path).ok().flatten()
    }
}

impl DatabaseFile {
    /// The file at a path. It is not opened yet.
    pub fn new(path: PathBuf) -> Self {
        Self { path, replaced: AtomicU64::new(0), opened: Mutex::default() }
    }

    /// The path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path as messages name it.
    pub fn name(&self) -> impl std::fmt::Display {
        self.path.strip_prefix(".").unwrap_or(&self.path).display()
    }

    /// Opens a connection with `open`, which has to run a transaction on it.
    pub fn connect<T, E>(
        self: &Arc<Self>,
        open: impl Fn() -> Result<(Connection, T), E>,
    ) -> Result<(FileConnection, T), E> {
        loop {
            self.check();
            let replaced = self.replaced();
            let before = Identity::find(&self.path);
            let (connection, other) = open()?;
            if self.note(replaced, before) {
                return Ok((FileConnection { connection, file: Arc::clone(self), replaced }, other));
            }
        }
    }

    /// Notes which files are open now; false if they were replaced meanwhile.
    fn note(&self, replaced: u64, before: Option<Identity>) -> bool {
        let mut opened = self.opened();
        if replaced != self.replaced() || before != Identity::find(&self.path) {
            return false;
        }
        *opened = before.map(|database| Opened {
            database,
            log: Identity::find(&self.beside("-wal")),
            index: Identity::find(&self.beside("-shm")),
        });
        true
    }

    /// Checks whether the file was replaced or removed since it was opened. If so, no connection [is
    /// current](FileConnection::is_current) any more.
    pub fn check(&self) -> bool {
        let mut opened = self.opened();
        let Some(Opened { database, .. }) = &*opened else { return false };
        let is_there = match Identity::of(&self.path) {
            Ok(found) if found.is_none_or(|found| found == *database) => return false,
            Ok(_) => true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            // The check itself failed, for example for lack of permission.
            Err(_) => return false,
        };
        let file = self.name();
        if is_there {
            tracing::warn!("{file} was replaced by another file: sessions are kept in that one from now on");
        } else {
            tracing::error!("{file} is gone: no session can be loaded or saved until it is there again");
        }
        if let Some(opened) = opened.take()
            && let Err(error) = self.set_aside(&opened)
        {
            tracing::error!(%error, "the log of the old {file} could not be moved: remove {file}-wal and {file}-shm");
        }
        self.replaced.fetch_add(1, Ordering::Release);
        true
    }

    /// Moves the log of the old file out of the way of the new one, and removes its index.
    fn set_aside(&self, old: &Opened) -> io::Result<()> {
        let log = self.beside("-wal");
        let log_is_old = || old.log.is_some() && Identity::find(&log) == old.log;
        if !log_is_old() {
            return self.remove_index(old);
        }
        // Another process may be doing the same, and may open the new file at any moment.
        let lock = File::open(&log)?;
        lock.lock()?;
        if log_is_old() {
            self.remove_index(old)?;
            let aside = self.beside("-wal.replaced");
            fs::rename(&log, &aside)?;
            tracing::warn!("the write-ahead log of the old {} is now {}", self.name(), aside.display());
        }
        Ok(())
    }

    fn remove_index(&self, old: &Opened) -> io::Result<()> {
        let index = self.beside("-shm");
        let is_old = old.index.is_some() && Identity::find(&index) == old.index;
        if is_old { fs::remove_file(index) } else { Ok(()) }
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(suffix);
        path.into()
    }

    /// Number of times the file was seen to be replaced.
    pub fn replaced(&self) -> u64 {
        self.replaced.load(Ordering::Acquire)
    }

    /// Forgets which file was open, after all connections were closed.
    pub fn close(&self) {
        *self.opened() = None;
    }

    fn opened(&self) -> MutexGuard<'_, Option<Opened>> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection and the file it was opened on.
pub struct FileConnection {
    connection: Connection,
    file: Arc<DatabaseFile>,
    replaced: u64,
}

impl FileConnection {
    /// Whether the path still led to its file at the last check.
    pub fn is_current(&self) -> bool {
        self.replaced == self.file.replaced()
    }
}

impl Deref for FileConnection {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl DerefMut for FileConnection {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.connection
    }
}
