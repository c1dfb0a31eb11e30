//! What can go wrong within a call, before it becomes an [`Error`].

use std::{
    io::{self, ErrorKind},
    path::Path,
};

use lemon_session_store::Error;

use super::{entry::TooLong, schema};

/// Why a call cannot be completed.
#[derive(Debug)]
pub enum Fault {
    Io(io::Error),
    /// A file that no driver wrote so, or that is not whole.
    Damaged(String),
    Other(&'static str),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<TooLong> for Fault {
    fn from(TooLong: TooLong) -> Self {
        Self::Other("the session is too large for a file: it may have 256 MB at most")
    }
}

impl Fault {
    /// The error for the caller. `table` is the directory of the table.
    pub fn error(self, table: &Path) -> Error {
        let shown = table.display();
        match self {
            Self::Damaged(what) => Error::unavailable(what),
            Self::Other(what) => Error::unavailable(what),
            Self::Io(error) => match error.kind() {
                // Directories go together with their table.
                ErrorKind::NotFound => match schema::refuse(table) {
                    Err(refused) => refused,
                    Ok(()) => Error::unavailable(format!("a file in {shown} was removed by something else"))
                        .with_source(error),
                },
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                    Error::unavailable(format!("nothing can be written in {shown}: the disk is full"))
                        .with_source(error)
                }
                ErrorKind::PermissionDenied => {
                    Error::unavailable(format!("this process has no permission for the files in {shown}"))
                        .with_source(error)
                }
                ErrorKind::ReadOnlyFilesystem => {
                    Error::unavailable(format!("nothing can be written in {shown}: the file system is read-only"))
                        .with_source(error)
                }
                _ => Error::unavailable(format!("the files in {shown} cannot be read or written")).with_source(error),
            },
        }
    }
}

pub type Result<T, E = Fault> = std::result::Result<T, E>;
