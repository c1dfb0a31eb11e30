//! The version of the layout: whether the tables exist, and whether this driver knows them.

use lemon_session_store::{Error, Result};

use super::{Redis, reply};

/// The version of the layout that this driver knows.
pub const LAYOUT: &str = "1";

impl Redis {
    pub(super) fn wrong_layout(&self, version: Option<Vec<u8>>) -> Error {
        match version {
            None => Error::missing_tables(format!(
                "{} has no table {}: `lemon-session tables create` creates it",
                self.server.name(),
                self.table
            )),
            Some(version) => Error::unavailable(format!(
                "table {} on {} has version {:?} of its layout, but this version of lemon-session knows only {LAYOUT}",
                self.table,
                self.server.name(),
                String::from_utf8_lossy(&version),
            )),
        }
    }

    /// The version that the server has, if the tables exist.
    pub(super) async fn stored_layout(&self) -> Result<Option<Vec<u8>>> {
        let mut get = redis::cmd("GET");
        get.arg(self.layout());
        reply::bytes_if(self.server.command(get).await?)
    }

    pub(super) async fn check_layout(&self) -> Result<()> {
        match self.stored_layout().await? {
            Some(version) if version == LAYOUT.as_bytes() => Ok(()),
            other => Err(self.wrong_layout(other)),
        }
    }

    /// Fails if a session was not found because there are no tables. On a single server, each script checks that
    /// itself.
    pub(super) async fn check_absence(&self) -> Result<()> {
        if self.server.is_cluster() { self.check_layout().await } else { Ok(()) }
    }
}
