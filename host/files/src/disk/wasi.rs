//! The calls through wasi:filesystem that cost too much through the standard library: it writes to a stream, for which wasmtime
//! wakes another thread, and asks for the identity of each file that it lists or looks at, which are calls of their own.

use std::{
    cmp::Reverse,
    io::{self, ErrorKind},
    path::{Component, Path, PathBuf},
    sync::OnceLock,
};

use wasip2::filesystem::{
    preopens::get_directories,
    types::{Descriptor, DescriptorFlags, ErrorCode, OpenFlags, PathFlags},
};

use super::found;

/// Writes a file that is not there yet; with `fsync`, it is on the disk when the call returns.
pub fn create(path: &Path, bytes: &[u8], fsync: bool) -> io::Result<()> {
    let file = open(path, OpenFlags::CREATE | OpenFlags::EXCLUSIVE, DescriptorFlags::WRITE)?;
    let mut written = 0;
    while written < bytes.len() {
        match file.write(&bytes[written..], written as u64).map_err(error)? {
            0 => return Err(ErrorKind::WriteZero.into()),
            more => written += more as usize,
        }
    }
    if fsync { file.sync().map_err(error) } else { Ok(()) }
}

/// Reads a file of a known length; `None` if it is shorter.
pub fn read(path: &Path, bytes: usize) -> io::Result<Option<Vec<u8>>> {
    let file = open(path, OpenFlags::empty(), DescriptorFlags::READ)?;
    let mut read = Vec::with_capacity(bytes);
    while read.len() < bytes {
        let (more, _) = file.read((bytes - read.len()) as u64, read.len() as u64).map_err(error)?;
        if more.is_empty() {
            return Ok(None);
        }
        read.extend(more);
    }
    Ok(Some(read))
}

/// Whether a file is there.
pub fn is_there(path: &Path) -> io::Result<bool> {
    let (directory, path) = opened(path)?;
    found(directory.stat_at(PathFlags::SYMLINK_FOLLOW, &path).map_err(error)).map(|stat| stat.is_some())
}

/// The names in a directory; `None` if it is not there.
pub fn names(directory: &Path) -> io::Result<Option<Vec<String>>> {
    let Some(directory) = found(open(directory, OpenFlags::DIRECTORY, DescriptorFlags::READ))? else { return Ok(None) };
    let entries = directory.read_directory().map_err(error)?;
    let mut names = Vec::new();
    while let Some(entry) = entries.read_directory_entry().map_err(error)? {
        names.push(entry.name);
    }
    Ok(Some(names))
}

fn open(path: &Path, how: OpenFlags, access: DescriptorFlags) -> io::Result<Descriptor> {
    let (directory, path) = opened(path)?;
    directory.open_at(PathFlags::SYMLINK_FOLLOW, &path, how, access).map_err(error)
}

/// The innermost directory of those that the host has opened for the component in which a path is, and the path from there.
fn opened(path: &Path) -> io::Result<(&'static Descriptor, String)> {
    static OPENED: OnceLock<Vec<(PathBuf, Descriptor)>> = OnceLock::new();
    let directories = OPENED.get_or_init(|| {
        let named = get_directories().into_iter().map(|(directory, name)| (names_of(Path::new(&name)), directory));
        let mut directories: Vec<_> = named.collect();
        directories.sort_by_key(|(name, _)| Reverse(name.components().count()));
        directories
    });
    let path = names_of(path);
    let found = directories.iter().find_map(|(name, directory)| Some((directory, path.strip_prefix(name).ok()?)));
    let (directory, rest) = found.ok_or(ErrorKind::NotFound)?;
    let rest = rest.to_str().ok_or(ErrorKind::InvalidFilename)?;
    Ok((directory, if rest.is_empty() { "." } else { rest }.to_owned()))
}

/// A path without its root: relative paths begin there, as the working directory of a component is `/`.
fn names_of(path: &Path) -> PathBuf {
    path.components().filter(|part| !matches!(part, Component::RootDir | Component::CurDir)).collect()
}

/// The error with the kind that the standard library gives it.
fn error(code: ErrorCode) -> io::Error {
    let kind = match code {
        ErrorCode::NoEntry => ErrorKind::NotFound,
        ErrorCode::Exist => ErrorKind::AlreadyExists,
        ErrorCode::Access | ErrorCode::NotPermitted => ErrorKind::PermissionDenied,
        ErrorCode::InsufficientSpace => ErrorKind::StorageFull,
        ErrorCode::Quota => ErrorKind::QuotaExceeded,
        ErrorCode::ReadOnly => ErrorKind::ReadOnlyFilesystem,
        _ => ErrorKind::Other,
    };
    io::Error::new(kind, code)
}
