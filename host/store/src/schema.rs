use async_trait::async_trait;

use super::Result;

/// The tables of a store that has to be set up before it can keep sessions.
///
/// Without its tables, every other call fails with an error of which
/// [`is_missing_tables`](super::Error::is_missing_tables) is true.
#[async_trait]
pub trait Schema: Send + Sync {
    /// Creates the tables, or upgrades those of an older version. Sessions that are stored stay.
    async fn create_tables(&self) -> Result<()>;

    /// Removes the tables with all sessions in them. Does nothing if there are none.
    async fn drop_tables(&self) -> Result<()>;

    /// Returns whether the tables exist.
    async fn tables_exist(&self) -> Result<bool>;

    /// Returns how the existing tables differ from those that [`create_tables`](Self::create_tables) makes, one line each for
    /// the operator; empty if they do not differ.
    async fn differences(&self) -> Result<Vec<String>> {
        Ok(if self.tables_exist().await? { Vec::new() } else { vec!["the tables are not there".to_owned()] })
    }
}
