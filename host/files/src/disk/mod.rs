//! The few calls of the file system that the driver makes.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, ErrorKind, Read as _, Write as _},
    path::Path,
};

/// Makes files and directories for their owner alone, where the system has such a thing: in a component, the host's process
/// and its umask decide.
#[derive(Clone, Copy, Debug)]
pub struct Disk {
    /// Whether a change is on the disk when a call returns.
    pub fsync: bool,
}

impl Disk {
    /// Makes a directory; returns whether it was not there before.
    pub fn create_dir(self, path: &Path) -> io::Result<bool> {
        #[cfg_attr(not(unix), expect(unused_mut, reason = "there are no modes to set"))]
        let mut builder = DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        match builder.create(path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Writes a file that is not there yet.
    pub fn write(self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let written = (|| {
            let mut file = options().create_new(true).open(path)?;
            file.write_all(bytes)?;
            if self.fsync { file.sync_all() } else { Ok(()) }
        })();
        if written.is_err() {
            // A disk that is full would stay so.
            let _ = fs::remove_file(path);
        }
        written
    }

    /// Makes an empty file, unless it is there.
    pub fn touch(self, path: &Path) -> io::Result<()> {
        options().create(true).truncate(false).open(path).map(drop)
    }

    /// Has the names in a directory reach the disk.
    pub fn sync(self, directory: &Path) -> io::Result<()> {
        if self.fsync { File::open(directory)?.sync_all() } else { Ok(()) }
    }
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Reads a file of a known length; `None` if it is shorter.
pub fn read(path: &Path, bytes: usize) -> io::Result<Option<Vec<u8>>> {
    let mut read = vec![0; bytes];
    match File::open(path)?.read_exact(&mut read) {
        Ok(()) => Ok(Some(read)),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

/// `None` instead of an error if the file is not there.
pub fn found<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Removes a file; returns whether it was there.
pub fn remove(path: &Path) -> io::Result<bool> {
    found(fs::remove_file(path)).map(|removed| removed.is_some())
}

/// Renames a file or directory to a name that is not there; returns whether it was there.
pub fn rename(from: &Path, to: &Path) -> io::Result<bool> {
    found(fs::rename(from, to)).map(|renamed| renamed.is_some())
}

/// The names in a directory; `None` if it is not there. Names that are not UTF-8 are not ours.
pub fn names(directory: &Path) -> io::Result<Option<impl Iterator<Item = io::Result<String>> + use<>>> {
    // wasmtime looks at each entry: one that is removed meanwhile ends the list with an error.
    for _ in 0..100 {
        let Some(entries) = found(fs::read_dir(directory))? else { return Ok(None) };
        let entries: Vec<_> = entries.collect();
        if !entries.iter().any(|entry| entry.as_ref().is_err_and(|error| error.kind() == ErrorKind::NotFound)) {
            return Ok(Some(entries.into_iter().filter_map(|entry| match entry {
                Ok(entry) => entry.file_name().into_string().ok().map(Ok),
                Err(error) => Some(Err(error)),
            })));
        }
    }
    Err(io::Error::new(ErrorKind::ResourceBusy, "a directory changes faster than it can be read"))
}

/// Whether a rename failed because the target is a directory with files in it.
pub fn is_taken(error: &io::Error) -> bool {
    // The standard library for WASI 0.2 has no kind for ENOTEMPTY.
    const ENOTEMPTY: Option<i32> = if cfg!(target_os = "wasi") { Some(55) } else { None };
    matches!(error.kind(), ErrorKind::AlreadyExists | ErrorKind::DirectoryNotEmpty)
        || (ENOTEMPTY.is_some() && error.raw_os_error() == ENOTEMPTY)
}
