//! The pages of a transaction, written to the write-ahead log in one call of the system.
//!
//! SQLite writes each changed page as a frame: its header, then the page, in a call each. The frames of a transaction follow
//! one another, and the header of the last tells that it is: <https://sqlite.org/fileformat.html#the_wal_file>. So the log's
//! file is given a way to write of its own, which keeps the frames of a commit until it has the last.
//!
//! Nobody reads a frame before that. SQLite tells the others of a transaction, and waits for the disk, when it has written
//! the last frame; what goes wrong with it is an answer to that write, and undoes the transaction.

use std::{
    cell::RefCell,
    ffi::{c_int, c_void},
    ptr, slice,
    sync::OnceLock,
};

use rusqlite::{
    Connection,
    ffi::{
        SQLITE_FCNTL_JOURNAL_POINTER, SQLITE_IOERR_WRITE, SQLITE_OK, sqlite3_file, sqlite3_file_control,
        sqlite3_io_methods,
    },
};

/// The bytes of a frame's header.
const HEADER: usize = 24;
/// Where the header of a transaction's last frame, and of no other, is not 0.
const IS_LAST: std::ops::Range<usize> = 4..8;
/// With so many bytes, what is kept is written: SQLite writes no more than 128 KB at once, of which the last page may be half.
const MOST: usize = 48 * 1024;

/// The methods of a file that [`sqlite3_io_methods`] has.
const KNOWN_VERSION: c_int = 3;

/// SQLite's own way to use a file, and the same with [`write`].
struct Methods {
    original: &'static sqlite3_io_methods,
    replaced: sqlite3_io_methods,
}

static METHODS: OnceLock<Methods> = OnceLock::new();

/// From now on, what the connection commits within [`at_once`] is written at once. Leaves the connection as it is where its log
/// is not open, or is no common file.
pub fn prepare(connection: &Connection) {
    let mut file: *mut sqlite3_file = ptr::null_mut();
    // SAFETY: the connection is open, and used by nobody else meanwhile; SQLite writes a pointer to the file that is its log,
    // which stays open as long as the connection has a log. The methods of a file are constants, or null while it is not open.
    // Those it is given are the same, but for one that passes on to the original.
    unsafe {
        let found = sqlite3_file_control(
            connection.handle(),
            c"main".as_ptr(),
            SQLITE_FCNTL_JOURNAL_POINTER,
            (&raw mut file).cast(),
        );
        if found != SQLITE_OK || file.is_null() {
            return;
        }
        let Some(original) = (*file).pMethods.as_ref().filter(|methods| methods.iVersion <= KNOWN_VERSION) else {
            return;
        };
        let replaced = sqlite3_io_methods { xWrite: Some(write), ..*original };
        let methods = METHODS.get_or_init(|| Methods { original, replaced });
        if ptr::eq(methods.original, original) {
            (*file).pMethods = &methods.replaced;
        }
    }
}

/// Commits, with all frames in one write.
pub fn at_once<T>(commit: impl FnOnce() -> T) -> T {
    COMMIT.with_borrow_mut(Commit::begin);
    let committed = commit();
    COMMIT.with_borrow_mut(Commit::end);
    committed
}

thread_local! {
    /// What this thread is committing.
    static COMMIT: RefCell<Commit> = RefCell::default();
}

#[derive(Default)]
struct Commit {
    /// Until the last frame.
    is_under_way: bool,
    frames: Vec<u8>,
    offset: i64,
    /// What the header said that was kept last, if its page is still to come.
    is_last: Option<bool>,
}

impl Commit {
    fn begin(&mut self) {
        *self = Self { is_under_way: true, frames: std::mem::take(&mut self.frames), ..Self::default() };
        self.frames.clear();
    }

    /// What is left is of a commit that failed.
    fn end(&mut self) {
        self.is_under_way = false;
        self.frames.clear();
    }

    /// Writes, by SQLite's own way to do so, or keeps what is to be written.
    fn write(&mut self, bytes: &[u8], offset: i64, original: impl Fn(&[u8], i64) -> c_int) -> c_int {
        let is_kept = self.keep(bytes, offset);
        if is_kept && self.is_under_way && self.frames.len() < MOST {
            return SQLITE_OK;
        }
        if !self.frames.is_empty() {
            let written = original(&self.frames, self.offset);
            self.frames.clear();
            if written != SQLITE_OK {
                self.is_under_way = false;
                return written;
            }
        }
        if is_kept { SQLITE_OK } else { original(bytes, offset) }
    }

    /// Keeps a header that follows what is kept, and the page after it; false for all else. The last page ends the commit.
    fn keep(&mut self, bytes: &[u8], offset: i64) -> bool {
        let follows = self.frames.is_empty() || offset == self.offset + self.frames.len() as i64;
        let page_is_last = self.is_last.take();
        if !self.is_under_way || !follows || (page_is_last.is_none() && bytes.len() != HEADER) {
            return false;
        }
        if self.frames.is_empty() {
            self.offset = offset;
        }
        self.frames.extend_from_slice(bytes);
        match page_is_last {
            None => self.is_last = Some(bytes[IS_LAST] != [0; 4]),
            Some(is_last) => self.is_under_way = !is_last,
        }
        true
    }
}

/// [`Commit::write`] as a method of a file.
///
/// # Safety
///
/// To be called by SQLite, on a file that [`prepare`] was given.
unsafe extern "C" fn write(file: *mut sqlite3_file, bytes: *const c_void, count: c_int, offset: i64) -> c_int {
    let Some(original) = METHODS.get().and_then(|methods| methods.original.xWrite) else { return SQLITE_IOERR_WRITE };
    // SAFETY: SQLite passes so many bytes.
    let bytes = unsafe { slice::from_raw_parts(bytes.cast::<u8>(), usize::try_from(count).unwrap_or(0)) };
    let original = |bytes: &[u8], offset| match c_int::try_from(bytes.len()) {
        // SAFETY: SQLite's way to write, on a file of its own and so many bytes.
        Ok(count) => unsafe { original(file, bytes.as_ptr().cast(), count, offset) },
        Err(_) => SQLITE_IOERR_WRITE,
    };
    COMMIT.with_borrow_mut(|commit| commit.write(bytes, offset, original))
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    fn open(file: &Path, page_size: u32) -> Connection {
        let connection = Connection::open(file).expect("the database");
        connection.pragma_update(None, "page_size", page_size).expect("a setting");
        connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(())).expect("a log");
        connection.execute_batch("PRAGMA wal_autocheckpoint = 0").expect("a setting");
        connection
    }

    /// A database of a hundred pages and more, and a connection to it whose commits are written at once.
    fn database() -> (tempfile::TempDir, Connection) {
        database_of(4096)
    }

    fn database_of(page_size: u32) -> (tempfile::TempDir, Connection) {
        let folder = tempfile::tempdir().expect("a folder");
        let connection = open(&folder.path().join("a.db"), page_size);
        let table = "CREATE TABLE t (id INTEGER PRIMARY KEY, x INTEGER, filling BLOB);
            WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
            INSERT INTO t SELECT i, 100, randomblob(500) FROM n";
        connection.execute_batch(table).expect("a table");
        prepare(&connection);
        (folder, connection)
    }

    fn commit(connection: &Connection) -> rusqlite::Result<()> {
        at_once(|| connection.execute_batch("COMMIT"))
    }

    /// What another process finds that has nothing but the files: SQLite reads the log as far as its checksums are right.
    fn recovered(folder: &Path) -> i64 {
        let copy = tempfile::tempdir().expect("a folder");
        for file in ["a.db", "a.db-wal"] {
            fs::copy(folder.join(file), copy.path().join(file)).expect("a copy");
        }
        let connection = Connection::open(copy.path().join("a.db")).expect("the database");
        let check: String =
            connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("it can be checked");
        assert_eq!(check, "ok");
        connection.query_row("SELECT sum(x - 100) FROM t", [], |row| row.get(0)).expect("a sum")
    }

    /// How often this thread has written to files.
    #[cfg(target_os = "linux")]
    fn writes() -> u64 {
        let counters = fs::read_to_string("/proc/thread-self/io").expect("the counters of a thread");
        let writes = counters.lines().find_map(|line| line.strip_prefix("syscw: ")).expect("a counter");
        writes.parse().expect("a number")
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn pages_of_a_transaction_are_written_by_one_call() {
        let (folder, connection) = database();
        let change_ten_pages = "BEGIN IMMEDIATE; UPDATE t SET x = x + 1 WHERE id % 100 = 0";
        for round in 1..=3 {
            connection.execute_batch(change_ten_pages).expect("a change");
            let before = writes();
            commit(&connection).expect("committed");
            assert_eq!(writes() - before, 1, "round {round}");
            assert_eq!(recovered(folder.path()), 10 * round);
        }
        connection.execute_batch(change_ten_pages).expect("a change");
        let before = writes();
        connection.execute_batch("COMMIT").expect("committed");
        assert!(writes() - before >= 20, "without it, each page takes two");
    }

    #[test]
    fn what_does_not_fit_in_memory_is_written_as_well() {
        let (folder, connection) = database();
        // Pages are written before the commit, and again by it, so that their checksums have to be written anew.
        connection.execute_batch("PRAGMA cache_size = 5; PRAGMA cache_spill = 1").expect("settings");
        for round in 1..=3 {
            let changes = "BEGIN IMMEDIATE; UPDATE t SET x = x + 1; UPDATE t SET x = x + 1";
            connection.execute_batch(changes).expect("changes");
            commit(&connection).expect("committed");
            assert_eq!(recovered(folder.path()), 2000 * round);
        }
    }

    #[test]
    fn transaction_larger_than_what_is_kept_back_is_written_in_parts() {
        for page_size in [512, 1024, 4096, 65536] {
            let (folder, connection) = database_of(page_size);
            let large = "BEGIN IMMEDIATE; UPDATE t SET x = x + 1, filling = randomblob(5000)";
            connection.execute_batch(large).expect("a change");
            commit(&connection).expect("committed");
            assert_eq!(recovered(folder.path()), 1000, "{page_size}");
        }
    }

    #[test]
    fn log_that_begins_anew_and_a_transaction_that_is_undone_are_as_ever() {
        let (folder, connection) = database();
        for round in 1..=3 {
            connection.execute_batch("BEGIN IMMEDIATE; UPDATE t SET x = 99; ROLLBACK").expect("undone");
            connection.execute_batch("BEGIN IMMEDIATE; UPDATE t SET x = x + 1").expect("a change");
            commit(&connection).expect("committed");
            assert_eq!(recovered(folder.path()), 1000 * round);
            connection.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(())).expect("a checkpoint");
        }
    }

    fn header(is_last: bool) -> [u8; HEADER] {
        let mut header = [1; HEADER];
        header[IS_LAST].copy_from_slice(&[0, 0, 0, is_last.into()]);
        header
    }

    const PAGE: [u8; 512] = [2; 512];
    const FRAME: i64 = (HEADER + PAGE.len()) as i64;

    /// What reaches the file of what SQLite writes, as offsets and lengths; with the answer of the last write.
    fn written(commit: &mut Commit, writes: &[(&[u8], i64)], answer: c_int) -> (Vec<(i64, usize)>, c_int) {
        let written = RefCell::new(Vec::new());
        let mut last = SQLITE_OK;
        for (bytes, offset) in writes {
            last = commit.write(bytes, *offset, |bytes, offset| {
                written.borrow_mut().push((offset, bytes.len()));
                answer
            });
        }
        (written.into_inner(), last)
    }

    fn begun() -> Commit {
        let mut commit = Commit::default();
        commit.begin();
        commit
    }

    #[test]
    fn frames_are_kept_until_the_last() {
        let (first, last) = (header(false), header(true));
        let frames = [(&first[..], 32), (&PAGE[..], 56), (&last[..], 32 + FRAME), (&PAGE[..], 56 + FRAME)];
        let mut commit = begun();
        assert_eq!(written(&mut commit, &frames[..3], SQLITE_OK).0, []);
        assert_eq!(written(&mut commit, &frames[3..], SQLITE_OK).0, [(32, 2 * FRAME as usize)]);
        let checksum = [(&last[..], 32 + FRAME)];
        assert_eq!(written(&mut commit, &checksum, SQLITE_OK).0, [(32 + FRAME, HEADER)], "written anew");
        assert_eq!(written(&mut Commit::default(), &frames[..1], SQLITE_OK).0, [(32, HEADER)], "nobody commits");
    }

    #[test]
    fn all_else_is_written_in_its_order() {
        let (log_header, first) = ([0; 32], header(false));
        assert_eq!(written(&mut begun(), &[(&log_header, 0)], SQLITE_OK).0, [(0, 32)]);
        let page_of_before = [(&first[..], 32 + FRAME), (&PAGE[..], 56 + FRAME), (&PAGE[..], 56)];
        let expected = [(32 + FRAME, FRAME as usize), (56, PAGE.len())];
        assert_eq!(written(&mut begun(), &page_of_before, SQLITE_OK).0, expected);
    }

    #[test]
    fn of_a_commit_that_fails_nothing_is_written_later() {
        let (first, last) = (header(false), header(true));
        let frames = [(&first[..], 32), (&PAGE[..], 56), (&last[..], 32 + FRAME), (&PAGE[..], 56 + FRAME)];
        let mut commit = begun();
        let full = rusqlite::ffi::SQLITE_FULL;
        assert_eq!(written(&mut commit, &frames, full), (vec![(32, 2 * FRAME as usize)], full));
        let mut given_up = begun();
        assert_eq!(written(&mut given_up, &frames[..3], SQLITE_OK).0, []);
        for mut commit in [commit, given_up] {
            commit.end();
            commit.begin();
            assert_eq!(written(&mut commit, &frames, SQLITE_OK).0, [(32, 2 * FRAME as usize)]);
        }
    }
}
