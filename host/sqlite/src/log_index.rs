//! Whether anybody has committed anything, asked without a call of the system.
//!
//! All processes that have the database open share the index of its write-ahead log in memory, and every commit changes its
//! header: <https://sqlite.org/walformat.html#the_wal_index_header>. SQLite itself looks there at the begin of each
//! transaction.

use std::{
    ptr::{self, NonNull},
    sync::atomic::{AtomicU32, Ordering, fence},
};

use rusqlite::ffi::{SQLITE_FCNTL_FILE_POINTER, SQLITE_OK, sqlite3_file, sqlite3_file_control};

use super::file::FileConnection;

/// The header stands there twice. One that is being written differs from the other.
const HEADER: usize = 12;
/// Where it counts commits.
const COMMITS: usize = 2;
/// How much of the index is mapped at once.
const REGION: i32 = 32 * 1024;

/// What the header held. As long as it holds that, what was read is what is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp([u32; HEADER]);

impl Stamp {
    /// Whether one commit lies between this and `next`.
    pub fn leads_to(&self, next: &Self) -> bool {
        next.0[COMMITS] == self.0[COMMITS].wrapping_add(1)
    }
}

/// The index of the log of a database.
pub struct LogIndex {
    header: NonNull<[AtomicU32; 2 * HEADER]>,
    /// Keeps the index mapped.
    connection: FileConnection,
}

// SAFETY: what `header` points to is shared by all threads of all processes, and only read here, atomically.
unsafe impl Send for LogIndex {}

impl LogIndex {
    /// None where the database has no log, or its index is not shared in memory.
    pub fn new(connection: FileConnection) -> Option<Self> {
        // SQLite opens the log with the first transaction.
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(())).ok()?;
        let mut file: *mut sqlite3_file = ptr::null_mut();
        let mut region = ptr::null_mut();
        // SAFETY: the connection is open; SQLite writes a pointer to the file that is its main database, which stays open for
        // as long. The methods of a file are there, each of them or null. The region was mapped by the transaction, stays
        // where it is until the connection is closed, and is larger than two headers.
        unsafe {
            let found = sqlite3_file_control(
                connection.handle(),
                c"main".as_ptr(),
                SQLITE_FCNTL_FILE_POINTER,
                (&raw mut file).cast(),
            );
            if found != SQLITE_OK || file.is_null() {
                return None;
            }
            let methods = (*file).pMethods.as_ref()?;
            if methods.iVersion < 2 || methods.xShmMap?(file, 0, REGION, 0, &raw mut region) != SQLITE_OK {
                return None;
            }
        }
        let header = NonNull::new(region)?.cast();
        header.is_aligned().then_some(Self { header, connection })
    }

    /// None while the header is being written, and after the file was replaced.
    pub fn stamp(&self) -> Option<Stamp> {
        if !self.connection.is_current() {
            return None;
        }
        // SAFETY: the region is mapped as long as the connection is there.
        let headers = unsafe { self.header.as_ref() };
        let (first, second) = headers.split_at(HEADER);
        // The second is written first.
        let first: [u32; HEADER] = std::array::from_fn(|word| first[word].load(Ordering::Relaxed));
        fence(Ordering::Acquire);
        let is_whole = second.iter().zip(first).all(|(second, first)| second.load(Ordering::Relaxed) == first);
        fence(Ordering::Acquire);
        is_whole.then_some(Stamp(first))
    }
}

#[cfg(test)]
mod tests {
    use std::{path::Path, sync::Arc};

    use rusqlite::Connection;

    use super::{super::file::DatabaseFile, *};

    fn open(file: &Path) -> Connection {
        let connection = Connection::open(file).expect("the database");
        connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(())).expect("a log");
        connection
    }

    fn index(file: &Path) -> Option<LogIndex> {
        let open = || Connection::open(file).map(|connection| (connection, ()));
        let (connection, ()) = Arc::new(DatabaseFile::new(file.to_owned())).connect(open).expect("the database");
        LogIndex::new(connection)
    }

    fn database() -> (tempfile::TempDir, Connection, LogIndex) {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("a.db");
        let writer = open(&file);
        writer.execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (1)").expect("a table");
        let index = index(&file).expect("an index");
        (folder, writer, index)
    }

    fn stamp(index: &LogIndex) -> Stamp {
        index.stamp().expect("nobody writes")
    }

    #[test]
    fn every_commit_shows_and_nothing_else_does() {
        let (_folder, writer, index) = database();
        let mut before = stamp(&index);
        for _ in 0..3 {
            writer.execute_batch("SELECT * FROM t; BEGIN IMMEDIATE; ROLLBACK").expect("nothing");
            assert_eq!(stamp(&index), before);
            writer.execute_batch("BEGIN IMMEDIATE; UPDATE t SET x = x + 1").expect("a change");
            assert_eq!(stamp(&index), before, "not before the commit");
            writer.execute_batch("COMMIT").expect("a commit");
            let after = stamp(&index);
            assert!(after != before && before.leads_to(&after), "{before:?} {after:?}");
            before = after;
        }
    }

    #[test]
    fn two_commits_are_not_taken_for_one_even_where_the_log_begins_anew() {
        let (_folder, writer, index) = database();
        for checkpoint in ["", "PRAGMA wal_checkpoint(RESTART);", "PRAGMA wal_checkpoint(TRUNCATE);"] {
            let before = stamp(&index);
            writer.execute_batch(checkpoint).expect("a checkpoint");
            writer.execute_batch("UPDATE t SET x = x + 1").expect("a commit");
            assert!(before.leads_to(&stamp(&index)), "{checkpoint}");
            writer.execute_batch("UPDATE t SET x = x + 1").expect("a commit");
            assert!(!before.leads_to(&stamp(&index)), "{checkpoint}");
        }
    }

    #[test]
    fn the_commits_of_another_process_show() {
        let (folder, _writer, index) = database();
        let before = stamp(&index);
        let sql = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('UPDATE t SET x = 9'); c.commit()";
        let other = std::process::Command::new("python3").arg("-c").arg(sql).arg(folder.path().join("a.db")).status();
        assert!(other.expect("python3 runs").success());
        assert!(stamp(&index) != before);
    }

    #[test]
    fn a_database_without_a_log_has_no_index() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("a.db");
        let connection = Connection::open(&file).expect("the database");
        connection.execute_batch("CREATE TABLE t (x)").expect("a table");
        assert!(index(&file).is_none());
    }
}
