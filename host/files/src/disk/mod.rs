//! The few calls of the file system that the driver makes.

#[cfg_attr(not(target_family = "wasm"), path = "native.rs")]
#[cfg_attr(target_family = "wasm", path = "wasi.rs")]
mod system;

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, ErrorKind},
    path::Path,
};

pub use system::{is_there, read};

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
        let written = system::create(path, bytes, self.fsync);
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

/// The names in a directory; `None` if it is not there.
pub fn names(directory: &Path) -> io::Result<Option<Vec<String>>> {
    // wasmtime looks at each entry: one that is removed meanwhile is an error instead of a name.
    for _ in 0..100 {
        match system::names(directory) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            names => return names,
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
