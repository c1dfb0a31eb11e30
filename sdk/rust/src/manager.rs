//! Managing tables and the sessions of all visitors, for operators' scripts and for modules that list or end a user's
//! sessions.
//!
//! `Location::default()` is the host's default store and table.
//!
//! The host's configuration grants each application a set of these functions: by default [`list`], [`get`] and
//! [`destroy`] with an owner, and [`destroy_owned`]. Every other call fails with [`Denied`](Error::Denied).

use crate::{Error, Location, Result, bindings::lemon::session::manager};

pub use manager::{Entry, Page};

/// Creates the tables or migrates those of an older version. Existing sessions are kept.
///
/// # Errors
///
/// Every error that occurred.
pub fn create_tables(location: &Location) -> Result<(), Vec<Error>> {
    manager::create_tables(location).map_err(all)
}

/// Removes the tables with all their sessions.
///
/// # Errors
///
/// Every error that occurred.
pub fn drop_tables(location: &Location) -> Result<(), Vec<Error>> {
    manager::drop_tables(location).map_err(all)
}

/// Whether the tables exist.
///
/// # Errors
///
/// [`Storage`](Error::Storage) when the store cannot tell.
pub fn tables_exist(location: &Location) -> Result<bool> {
    Ok(manager::tables_exist(location)?)
}

/// Removes at most `limit` expired sessions and returns their number. Fewer than `limit` means that all were removed.
///
/// # Errors
///
/// [`Storage`](Error::Storage).
pub fn cleanup(location: &Location, limit: u32) -> Result<u32> {
    Ok(manager::cleanup(location, limit)?)
}

/// The number of live sessions.
///
/// # Errors
///
/// [`Storage`](Error::Storage).
pub fn count(location: &Location) -> Result<u64> {
    Ok(manager::count(location)?)
}

/// Lists at most `limit` live sessions, optionally only those of one owner: a page has at most 1000, and 100 of an owner. `after` is [`Page::next`] of the previous
/// page.
///
/// # Errors
///
/// [`InvalidName`](Error::InvalidName) for an `after` that no page returned, and [`Storage`](Error::Storage).
pub fn list(location: &Location, owner: Option<&str>, after: Option<&str>, limit: u32) -> Result<Page> {
    Ok(manager::list(location, owner, after, limit)?)
}

/// The session with this digest if it is live, provided that it belongs to `owner` if one is given.
///
/// # Errors
///
/// [`InvalidName`](Error::InvalidName) when `digest` is not a digest, and [`Storage`](Error::Storage).
pub fn get(location: &Location, digest: &str, owner: Option<&str>) -> Result<Option<Entry>> {
    Ok(manager::get(location, digest, owner)?)
}

/// Ends the session with this digest, provided that it belongs to `owner` if one is given. Returns whether a live
/// session was ended. Requests that are using it get [`Gone`](Error::Gone).
///
/// # Errors
///
/// [`InvalidName`](Error::InvalidName) when `digest` is not a digest, and [`Storage`](Error::Storage).
pub fn destroy(location: &Location, digest: &str, owner: Option<&str>) -> Result<bool> {
    Ok(manager::destroy(location, digest, owner)?)
}

/// Ends all sessions of an owner except the one with the digest `except`, if given, and returns their number: "log out
/// everywhere". Within the grace period after an id rotation, `except` may also be the session's former digest.
/// Requests that are using these sessions get [`Gone`](Error::Gone).
///
/// # Errors
///
/// [`InvalidName`](Error::InvalidName) when `except` is not a digest, and [`Storage`](Error::Storage).
pub fn destroy_owned(location: &Location, owner: &str, except: Option<&str>) -> Result<u64> {
    Ok(manager::destroy_owned(location, owner, except)?)
}

pub(crate) fn all(errors: Vec<crate::bindings::lemon::session::types::Error>) -> Vec<Error> {
    errors.into_iter().map(Error::from).collect()
}
