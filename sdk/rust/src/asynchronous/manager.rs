//! Managing tables and the sessions of all visitors, as [`crate::manager`] does in the synchronous API. The documentation
//! of each function there applies here.

use super::bindings::lemon::session::manager_async as manager;
use crate::{Error, Location, Result, manager::all};

pub use crate::manager::{Entry, Page};

/// [Creates](crate::manager::create_tables) the tables or migrates those of an older version.
///
/// # Errors
///
/// Every error that occurred.
pub async fn create_tables(location: &Location) -> Result<(), Vec<Error>> {
    manager::create_tables(location.clone()).await.map_err(all)
}

/// [Removes](crate::manager::drop_tables) the tables with all their sessions.
///
/// # Errors
///
/// Every error that occurred.
pub async fn drop_tables(location: &Location) -> Result<(), Vec<Error>> {
    manager::drop_tables(location.clone()).await.map_err(all)
}

/// Whether the tables [exist](crate::manager::tables_exist).
///
/// # Errors
///
/// Those of [`tables_exist`](crate::manager::tables_exist).
pub async fn tables_exist(location: &Location) -> Result<bool> {
    Ok(manager::tables_exist(location.clone()).await?)
}

/// Removes at most `limit` [expired sessions](crate::manager::cleanup) and returns their number.
///
/// # Errors
///
/// Those of [`cleanup`](crate::manager::cleanup).
pub async fn cleanup(location: &Location, limit: u32) -> Result<u32> {
    Ok(manager::cleanup(location.clone(), limit).await?)
}

/// The number of live sessions.
///
/// # Errors
///
/// Those of [`count`](crate::manager::count).
pub async fn count(location: &Location) -> Result<u64> {
    Ok(manager::count(location.clone()).await?)
}

/// [Lists](crate::manager::list) at most `limit` live sessions.
///
/// # Errors
///
/// Those of [`list`](crate::manager::list).
pub async fn list(location: &Location, owner: Option<&str>, after: Option<&str>, limit: u32) -> Result<Page> {
    Ok(manager::list(location.clone(), owner.map(str::to_owned), after.map(str::to_owned), limit).await?)
}

/// The session with this [digest](crate::manager::get), if it is live.
///
/// # Errors
///
/// Those of [`get`](crate::manager::get).
pub async fn get(location: &Location, digest: &str, owner: Option<&str>) -> Result<Option<Entry>> {
    Ok(manager::get(location.clone(), digest.to_owned(), owner.map(str::to_owned)).await?)
}

/// Ends the session with this [digest](crate::manager::destroy), and returns whether a live session was ended.
///
/// # Errors
///
/// Those of [`destroy`](crate::manager::destroy).
pub async fn destroy(location: &Location, digest: &str, owner: Option<&str>) -> Result<bool> {
    Ok(manager::destroy(location.clone(), digest.to_owned(), owner.map(str::to_owned)).await?)
}

/// Ends all sessions of an [owner](crate::manager::destroy_owned) except one, and returns their number.
///
/// # Errors
///
/// Those of [`destroy_owned`](crate::manager::destroy_owned).
pub async fn destroy_owned(location: &Location, owner: &str, except: Option<&str>) -> Result<u64> {
    Ok(manager::destroy_owned(location.clone(), owner.to_owned(), except.map(str::to_owned)).await?)
}
