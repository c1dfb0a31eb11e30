//! The version of the layout.

use lemon_session_store::{Error, Result};

use super::{Redis, reply};

/// The version of the layout that this driver knows.
pub const LAYOUT: &str = "1";

impl Redis {
    pub(super) fn wrong_layout(&self, version: Option<Vec<u8>>) -> Error {
        match version {
            None => {
                Error::missing_tables(format!("{} has no table {}: create it first", self.server.name(), self.table))
            }
            Some(version) => Error::unavailable(format!(
                "table {} on {} has version {:?} of its layout, and this version of lemon-session knows {LAYOUT}",
                self.table,
                self.server.name(),
                String::from_utf8_lossy(&version),
            )),
        }
    }

    /// The version of the layout that is there, if there is one.
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

    /// Where nothing was found: a cluster's scripts do not know whether the tables are there.
    pub(super) async fn check_absence(&self) -> Result<()> {
        if self.server.is_cluster() { self.check_layout().await } else { Ok(()) }
    }
}
