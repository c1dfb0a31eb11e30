//! The calls that have a twin for components.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Read as _, Write as _},
    path::Path,
};

use super::{found, options};

/// Writes a file that is not there yet; with `fsync`, it is on the disk when the call returns.
pub fn create(path: &Path, bytes: &[u8], fsync: bool) -> io::Result<()> {
    let mut file = options().create_new(true).open(path)?;
    file.write_all(bytes)?;
    if fsync { file.sync_all() } else { Ok(()) }
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

/// Whether a file is there.
pub fn is_there(path: &Path) -> io::Result<bool> {
    found(fs::metadata(path)).map(|metadata| metadata.is_some())
}

/// The names in a directory; `None` if it is not there. Names that are not UTF-8 are not ours.
pub fn names(directory: &Path) -> io::Result<Option<Vec<String>>> {
    let Some(entries) = found(fs::read_dir(directory))? else { return Ok(None) };
    let names = entries.map(|entry| Ok(entry?.file_name().into_string().ok()));
    names.filter_map(Result::transpose).collect::<io::Result<_>>().map(Some)
}
