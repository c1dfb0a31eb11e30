//! Setting up what sessions are stored in, and managing all of them: for operators' scripts, and for modules that list or end
//! a user's sessions.
//!
//! `Location::default()` is the host's default store and table.
//!
//! What an application may call is its grant, which the host configures: unless it says otherwise, [`list`] and [`destroy`]
//! with an owner, and [`destroy_owned`]. Every other call fails with [`Denied`](Error::Denied).

use crate::{Error, Location, Result, bindings::lemon::session::manager};

pub use manager::{Entry, Page};

/// Creates the tables, or brings those of an older version up to date. What is there already stays.
///
/// # Errors
///
/// All that went wrong.
pub fn create_tables(location: &Location) -> Result<(), Vec<Error>> {
    manager::create_tables(location).map_err(all)
}

/// Removes the tables with all sessions in them.
///
/// # Errors
///
/// All that went wrong.
pub fn drop_tables(location: &Location) -> Result<(), Vec<Error>> {
    manager::drop_tables(location).map_err(all)
}

/// Whether the tables are there.
///
/// # Errors
///
/// [`Storage`](Error::Storage) when the store cannot tell.
pub fn tables_exist(location: &Location) -> Result<bool> {
    Ok(manager::tables_exist(location)?)
}

/// Removes expired sessions, at most `limit` of them, and returns how many: fewer than `limit` when none is left.
///
/// # Errors
///
/// [`Storage`](Error::Storage).
pub fn cleanup(location: &Location, limit: u32) -> Result<u32> {
    Ok(manager::cleanup(location, limit)?)
}

/// How many sessions are live.
///
/// # Errors
///
/// [`Storage`](Error::Storage).
pub fn count(location: &Location) -> Result<u64> {
    Ok(manager::count(location)?)
}

/// Lists live sessions, those of one owner if one is given, a page at a time.
///
/// # Errors
///
/// [`InvalidName`](Error::InvalidName) for an `after` that no page returned, and [`Storage`](Error::Storage).
pub fn list(location: &Location, owner: Option<&str>, after: Option<&str>, limit: u32) -> Result<Page> {
    Ok(manager::list(location, owner, after, limit)?)
}

/// Ends one session by the digest of its id, if `owner` is given only one of this owner; tells whether a live session was ended.
/// Requests in flight get [`Gone`](Error::Gone).
///
/// # Errors
///
/// [`InvalidName`](Error::InvalidName) for what is no digest, and [`Storage`](Error::Storage).
pub fn destroy(location: &Location, digest: &str, owner: Option<&str>) -> Result<bool> {
    Ok(manager::destroy(location, digest, owner)?)
}

/// Ends all sessions of an owner, all but the one of the digest `except` if given, and returns how many: "log out
/// everywhere". A session that was renewed lately is also spared by the digest of its former id. Requests in flight get
/// [`Gone`](Error::Gone).
///
/// # Errors
///
/// [`InvalidName`](Error::InvalidName) for an `except` that is no digest, and [`Storage`](Error::Storage).
pub fn destroy_owned(location: &Location, owner: &str, except: Option<&str>) -> Result<u64> {
    Ok(manager::destroy_owned(location, owner, except)?)
}

fn all(errors: Vec<crate::bindings::lemon::session::types::Error>) -> Vec<Error> {
    errors.into_iter().map(Error::from).collect()
}
