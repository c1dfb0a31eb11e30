use std::sync::Arc;

use super::{
    Error, Location, Result,
    pool::{Pool, call},
};
use crate::{Caller, bindings::lemon::session::types};

pub use crate::bindings::exports::lemon::session::manager::{Entry, Page};

/// Creates and removes the tables of a store, and lists, counts and ends sessions.
pub struct Manager<'a> {
    pool: &'a Arc<Pool>,
    caller: Caller,
}

macro_rules! manager_call {
    ($self:ident, $function:ident $(, $argument:expr)*) => {{
        let lease = Pool::lease($self.pool, $self.caller.clone()).await?;
        call!(lease, |store, exports| exports.lemon_session_manager().$function(store $(, $argument)*).await)
    }};
}

impl<'a> Manager<'a> {
    pub(super) fn new(pool: &'a Arc<Pool>, caller: Caller) -> Self {
        Self { pool, caller }
    }

    /// Creates the tables or migrates those of an older version. Existing sessions are kept.
    ///
    /// # Errors
    ///
    /// Returns every error that occurred.
    pub async fn create_tables(&self, location: &Location) -> Result<(), Vec<Error>> {
        errors(async { Ok(manager_call!(self, call_create_tables, location)?) }.await)
    }

    /// Removes the tables with all their sessions.
    ///
    /// # Errors
    ///
    /// Returns every error that occurred.
    pub async fn drop_tables(&self, location: &Location) -> Result<(), Vec<Error>> {
        errors(async { Ok(manager_call!(self, call_drop_tables, location)?) }.await)
    }

    /// Whether the tables exist.
    ///
    /// # Errors
    ///
    /// Fails with [`Error::Storage`].
    pub async fn tables_exist(&self, location: &Location) -> Result<bool> {
        Ok(manager_call!(self, call_tables_exist, location)??)
    }

    /// Removes at most `limit` expired sessions and returns their number. Fewer than `limit` means that all were
    /// removed.
    ///
    /// # Errors
    ///
    /// Fails with [`Error::Storage`].
    pub async fn cleanup(&self, location: &Location, limit: u32) -> Result<u32> {
        Ok(manager_call!(self, call_cleanup, location, limit)??)
    }

    /// The number of live sessions.
    ///
    /// # Errors
    ///
    /// Fails with [`Error::Storage`].
    pub async fn count(&self, location: &Location) -> Result<u64> {
        Ok(manager_call!(self, call_count, location)??)
    }

    /// Lists live sessions, optionally only those of one owner, a page of at most 1000 at a time, or 100 of an owner: `after` is [`Page::next`] of the
    /// previous page.
    ///
    /// # Errors
    ///
    /// Fails with [`Error::InvalidName`] when `after` is not a digest, and with [`Error::Storage`].
    pub async fn list(
        &self,
        location: &Location,
        owner: Option<&str>,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Page> {
        Ok(manager_call!(self, call_list, location, owner, after, limit)??)
    }

    /// The session with this digest if it is live, provided that it belongs to `owner` if one is given.
    ///
    /// # Errors
    ///
    /// Fails with [`Error::InvalidName`] for what is not a digest, and with [`Error::Storage`].
    pub async fn get(&self, location: &Location, digest: &str, owner: Option<&str>) -> Result<Option<Entry>> {
        Ok(manager_call!(self, call_get, location, digest, owner)??)
    }

    /// Ends the session with this digest, provided that it belongs to `owner` if one is given. Returns whether a live
    /// session was ended. Requests that are using it get [`Error::Gone`].
    ///
    /// # Errors
    ///
    /// Fails with [`Error::InvalidName`] for what is not a digest, and with [`Error::Storage`].
    pub async fn destroy(&self, location: &Location, digest: &str, owner: Option<&str>) -> Result<bool> {
        Ok(manager_call!(self, call_destroy, location, digest, owner)??)
    }

    /// Ends all sessions of an owner except the one with the digest `except`, if given, and returns their number.
    /// Within the grace period after an id rotation, `except` may also be the session's former digest.
    ///
    /// # Errors
    ///
    /// Fails with [`Error::InvalidName`] for what is not a digest, and with [`Error::Storage`].
    pub async fn destroy_owned(&self, location: &Location, owner: &str, except: Option<&str>) -> Result<u64> {
        Ok(manager_call!(self, call_destroy_owned, location, owner, except)??)
    }
}

fn errors(result: Result<Result<(), Vec<types::Error>>>) -> Result<(), Vec<Error>> {
    match result {
        Ok(answer) => answer.map_err(|errors| errors.into_iter().map(Error::from).collect()),
        Err(error) => Err(vec![error]),
    }
}
