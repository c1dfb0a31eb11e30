//! Connections to the database file, and what their errors mean.

use std::{fs::OpenOptions, io::ErrorKind, time::Duration};

use lemon_session_store::{Error, Result, layout::Foreign};
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::{
    file::FileConnection,
    options::Options,
    schema::{self, Layout},
};

impl Options {
    /// Creates the file unless it exists. Only the user that this process runs as may read it.
    pub fn create_file(&self) -> Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        match options.open(self.file.path()) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                Err(Error::unavailable(format!("cannot create {}: {error}", self.file.name())).with_source(error))
            }
            _ => Ok(()),
        }
    }

    /// Whether the file exists.
    pub fn file_exists(&self) -> bool {
        self.file.path().exists()
    }

    /// Which layout the tables have, or whose they are; the file is left as it is.
    pub fn layout(&self) -> Result<Layout> {
        if !self.file_exists() {
            return Ok(Layout::Missing);
        }
        let layout = self.connect().and_then(|connection| schema::examine(&connection, &self.table));
        layout.map_err(|error| self.failure(error))
    }

    /// The layout, unless it is newer than this version or another program's.
    pub fn known(&self, layout: Layout) -> Result<Layout> {
        match layout {
            Layout::Newer(layout) => Err(self.newer_layout(layout)),
            Layout::Foreign(foreign) => Err(self.foreign(&foreign)),
            Layout::Missing | Layout::Older | Layout::Current => Ok(layout),
        }
    }

    /// The differences between the tables in the file and those of this version.
    pub fn differences(&self) -> Result<Vec<String>> {
        match self.layout()? {
            Layout::Missing => return Ok(vec!["the tables are not there".to_owned()]),
            Layout::Foreign(foreign) => return Err(self.foreign(&foreign)),
            Layout::Older | Layout::Current | Layout::Newer(_) => {}
        }
        let differences = self.connect().and_then(|connection| schema::differences(&connection, &self.table));
        differences.map_err(|error| self.failure(error))
    }

    /// A connection that only reads.
    pub fn connect_to_read(&self) -> Result<FileConnection> {
        self.connect_checked(|connection| connection.pragma_update(None, "query_only", true))
    }

    /// A connection that writes. The writer sets its [`Connection::busy_timeout`].
    pub fn connect_to_write(&self) -> Result<FileConnection> {
        self.connect_checked(|connection| self.prepare_to_write(connection))
    }

    /// A connection that writes, to tables of any layout.
    pub fn connect_to_upgrade(&self) -> Result<Connection> {
        let connection = self.connect().map_err(|error| self.failure(error))?;
        // Takes effect on a new file only. A save writes whole pages to the log: smaller ones make it cheaper by a sixth.
        connection.pragma_update(None, "page_size", 2048).map_err(|error| self.failure(error))?;
        self.prepare_to_write(&connection).map_err(|error| self.failure(error))?;
        Ok(connection)
    }

    fn prepare_to_write(&self, connection: &Connection) -> rusqlite::Result<()> {
        use_wal(connection, self.busy_timeout)?;
        connection.pragma_update(None, "synchronous", if self.durable { "FULL" } else { "NORMAL" })?;
        connection.pragma_update(None, "wal_autocheckpoint", 0)?;
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        // Truncates a log that a burst of saves has made long.
        connection.pragma_update(None, "journal_size_limit", 64 << 20)
    }

    fn connect_checked(&self, prepare: impl Fn(&Connection) -> rusqlite::Result<()>) -> Result<FileConnection> {
        let open = || {
            let connection = self.connect()?;
            let layout = schema::layout(&connection, &self.table)?;
            if layout == Layout::Current {
                prepare(&connection)?;
            }
            Ok((connection, layout))
        };
        match self.file.connect(open).map_err(|error| self.failure(error))? {
            (connection, Layout::Current) => Ok(connection),
            (_, Layout::Missing | Layout::Older) => Err(self.missing_tables()),
            (_, Layout::Newer(layout)) => Err(self.newer_layout(layout)),
            (_, Layout::Foreign(foreign)) => Err(self.foreign(&foreign)),
        }
    }

    fn connect(&self) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(self.file.path(), flags)?;
        connection.busy_timeout(self.busy_timeout)?;
        connection.set_prepared_statement_cache_capacity(64);
        connection.pragma_update(None, "mmap_size", self.mmap_size)?;
        Ok(connection)
    }

    /// The error when the tables do not exist.
    pub fn missing_tables(&self) -> Error {
        Error::missing_tables(format!(
            "the tables of {} are not in {}, or are older than this program: `lemon-session tables create` creates them, or \
             brings them up to date",
            self.table,
            self.file.name()
        ))
    }

    /// The error when a newer version of this program has made the tables.
    pub fn newer_layout(&self, layout: i64) -> Error {
        Error::unavailable(format!(
            "the tables of {} in {} have the layout {layout}, which this version does not know",
            self.table,
            self.file.name()
        ))
    }

    /// The error when a table is of another program.
    pub fn foreign(&self, foreign: &Foreign) -> Error {
        foreign.error(&self.file.name().to_string())
    }

    /// The error when another process writes for too long.
    pub fn busy(&self) -> Error {
        Error::unavailable(format!(
            "{} is busy: other processes wrote to it for longer than busy-timeout",
            self.file.name()
        ))
    }

    /// Translates an error of SQLite. Its text names tables and columns, never their content.
    pub fn failure(&self, error: rusqlite::Error) -> Error {
        let file = self.file.name();
        let code = error.sqlite_error_code();
        let is_missing = |text: &str| text.starts_with("no such table") || text.starts_with("no such column");
        if matches!(&error, rusqlite::Error::SqliteFailure(_, Some(text)) if is_missing(text))
            || matches!(&error, rusqlite::Error::SqlInputError { msg, .. } if is_missing(msg))
            || (code == Some(ErrorCode::CannotOpen) && !self.file_exists())
        {
            return self.missing_tables();
        }
        let message = match code {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => return self.busy(),
            Some(ErrorCode::NotADatabase) => format!("{file} is not an SQLite database"),
            Some(ErrorCode::CannotOpen) => format!("cannot open {file}"),
            Some(ErrorCode::ReadOnly) => format!("{file}, or its folder, cannot be written to"),
            Some(ErrorCode::DiskFull) => format!("there is no room for {file}: the disk is full"),
            _ => format!("SQLite failed on {file}: {error}"),
        };
        Error::unavailable(message)
    }
}

/// Turns the write-ahead log on, a lasting property of the file.
fn use_wal(connection: &Connection, patience: Duration) -> rusqlite::Result<()> {
    let started = std::time::Instant::now();
    loop {
        match connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get::<_, String>(0)) {
            // SQLite does not wait when another process turns it on at the same time.
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && started.elapsed() < patience =>
            {
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(error) => return Err(error),
            Ok(mode) if mode == "wal" => return Ok(()),
            Ok(_) => {
                return Err(rusqlite::Error::SqliteFailure(
                    rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_ERROR),
                    Some("the file system of the database does not support a write-ahead log".to_owned()),
                ));
            }
        }
    }
}
