//! The storage contract of `lemon:session`: where sessions are kept.
//!
//! [`Driver`] is the contract, the same as the interface `lemon:session/storage` states for components. A driver is a crate
//! that implements it for one kind of store; [`registry`] maps the scheme of a storage URL to it. [`memory`] is the driver
//! that needs nothing.
//!
//! # Features
//!
//! `conformance` adds the suite that every driver passes, for the tests of a driver.

#![deny(missing_docs)]

pub mod batches;
#[cfg(feature = "conformance")]
pub mod conformance;
mod error;
pub mod layout;
pub mod memory;
pub mod registry;
mod types;
pub mod units;

use async_trait::async_trait;

pub use error::{Error, Result};
pub use registry::{Registry, StorageOptions};
pub use types::{
    Change, CreateOutcome, DestroyCondition, Grace, Key, Listed, LoadOutcome, Loaded, Record, Rename, Snapshot, Stored,
    TableName, UpdateOutcome, Variable, Write,
};

/// A store of sessions.
///
/// A store is dumb about sessions and strict about atomicity. Each method is one transaction: all of it happens or
/// nothing, whatever other callers do meanwhile, on this host or another one. Lost races are answers; an [`Error`] means
/// trouble, and that nothing is known.
///
/// Values are bytes a store never looks into. Times are in seconds since 1970-01-01T00:00:00Z; `now` is the caller's, and
/// a session is live as long as `now < record.expires`.
///
/// A key means one thing at a time: a session, live or expired and not removed yet; or the end of one. A key has ended when
/// its session was destroyed, or was given another key. It is remembered for a while: [`Driver::load`] then answers
/// [`LoadOutcome::Ended`], and [`Driver::update`] [`UpdateOutcome::Gone`]. From the second on in which it is forgotten it is
/// like a key that never was, whether it was removed yet or not.
///
/// A former key is one that ends with a grace ([`Rename::grace`]). As long as `now < grace.until` it leads to its session,
/// also when that was given another key with a grace again. It ends at once, however long its grace, when the session
/// is destroyed, expires, or is given another key without a grace; and it never leads to another session, even one that is
/// created under a key its session had. After its grace it is an ended key.
///
/// A future of a driver that is dropped before it is ready leaves the store as it was or as it would be afterwards, never
/// in between; of [`Driver::destroy_owned`] and [`Driver::cleanup`], each session.
#[async_trait]
pub trait Driver: Send + Sync + 'static {
    /// What this store is, for people: `SQLite in sessions.db`. Without passwords.
    fn summary(&self) -> String;

    /// The session of a key, with the variables of one application, in one round trip.
    ///
    /// Values longer than `inline_bytes` may be answered as [`Stored::Large`], no others. A former key within its grace leads
    /// to its session; [`Loaded::renewal`] then holds the nonce of its own rename. Every [`LoadOutcome::Ended`] is counted
    /// in the store before it is answered ([`Driver::reused`]).
    async fn load(&self, key: &Key, app: &str, now: u64, inline_bytes: u32) -> Result<LoadOutcome>;

    /// The value of one variable of a live session, or none. Follows a former key within its grace, as `load` does.
    async fn fetch(&self, key: &Key, app: &str, name: &str, now: u64) -> Result<Option<Vec<u8>>>;

    /// Stores a new session; its `version` becomes 1 and its `size` that of `writes`, whatever `record` says. Of one
    /// variable the last write counts, and a removal removes nothing else.
    ///
    /// Never overwrites: answers [`CreateOutcome::Exists`] for any key that is there: of a live session, of an expired one
    /// that was not removed yet, a former key, or an ended one that is still remembered at `record.accessed`.
    async fn create(&self, key: &Key, record: &Record, writes: &[Write]) -> Result<CreateOutcome>;

    /// Applies `change` to a live session, all of it or nothing, in one round trip.
    ///
    /// Never recreates: a session that was destroyed, has expired or was given another key answers
    /// [`UpdateOutcome::Gone`]; a former key is not followed here. Writes of different variables by concurrent callers all
    /// survive; of one variable, the last. When `expected` is given and is not the session's version, the answer is
    /// [`UpdateOutcome::Conflict`].
    ///
    /// The version grows by one when `change` has clears, writes or an owner, also when they change nothing. `accessed`
    /// becomes the later of itself and `now`. If the new key of a rename is taken, by whatever [`Driver::create`] would not
    /// overwrite at `now`, that is an error and nothing was written.
    async fn update(&self, key: &Key, change: &Change, expected: Option<u64>, now: u64) -> Result<UpdateOutcome>;

    /// Ends a session that meets the condition `only`: its variables are removed at once, its key is remembered for
    /// `remember` seconds. Tells whether a live one was ended. One that has expired is removed and not remembered. A former
    /// or ended key stays as it is.
    async fn destroy(&self, key: &Key, only: &DestroyCondition, now: u64, remember: u32) -> Result<bool>;

    /// Ends all live sessions of an owner as [`Driver::destroy`] does, but the one of the key `except`; returns how many. A
    /// former key within its grace spares the session it leads to. Owners are compared byte by byte, as are applications
    /// and names.
    ///
    /// May be many transactions, so that no save waits for it. Every session that is the owner's when this is called has
    /// ended when it returns, also one that is given another key meanwhile.
    async fn destroy_owned(&self, owner: &str, except: Option<&Key>, now: u64, remember: u32) -> Result<u64>;

    /// Removes expired sessions and forgotten keys, at most `limit` of them; returns how many: fewer than `limit` when none
    /// is left. May be many transactions, so that nobody waits for it; what another call is just saving or removing is
    /// waited for, for a while. Stores that expire by themselves have nothing to do.
    async fn cleanup(&self, now: u64, limit: u32) -> Result<u32>;

    /// How many sessions are live.
    async fn count(&self, now: u64) -> Result<u64>;

    /// How often [`Driver::load`] answered [`LoadOutcome::Ended`], for all keys that are still remembered together: what
    /// `lemon-session stats` shows.
    async fn reused(&self, now: u64) -> Result<u64>;

    /// Live sessions in the order of their keys' bytes: those after the key `after`, which need not be there, those of
    /// `owner` if given, at most `limit`.
    async fn list(&self, now: u64, owner: Option<&str>, after: Option<&Key>, limit: u32) -> Result<Vec<Listed>>;

    /// The names of all variables of a live session and the sizes of their values, as `(application, name, bytes)`, sorted;
    /// none if there is no such session. Does not follow a former key. For the operator's `show`.
    async fn describe(&self, key: &Key, now: u64) -> Result<Option<(Record, Vec<(String, String, u64)>)>>;

    /// All of a live session, to be copied to another store. Does not follow a former key.
    async fn export(&self, key: &Key, now: u64) -> Result<Option<Snapshot>>;

    /// Stores a copy of another store's session, with the version that it has there; its `size` becomes that of the
    /// variables. Tells whether it was stored; all of it was, or nothing.
    ///
    /// Without `over` it never overwrites: what [`Driver::create`] would not overwrite at `now`, this does not either. With
    /// `over` it replaces the live session of the key if that has this version; `accessed` and `expires` then only move to
    /// later times, and former keys lead on.
    async fn import(&self, key: &Key, snapshot: &Snapshot, over: Option<u64>, now: u64) -> Result<bool>;

    /// Creates the tables, or brings those of an older version up to date. What is there stays.
    async fn create_tables(&self) -> Result<()>;

    /// Removes the tables and all that is in them.
    async fn drop_tables(&self) -> Result<()>;

    /// Whether the tables are there.
    async fn tables_exist(&self) -> Result<bool>;

    /// The time by the store's own clock, in seconds since 1970-01-01T00:00:00Z; none where it is this machine's. For the
    /// operator's `doctor`.
    async fn clock(&self) -> Result<Option<u64>> {
        Ok(None)
    }

    /// What differs between the tables that are there and those that [`Driver::create_tables`] makes, a line each for the
    /// operator; nothing where all is as it should be.
    async fn differences(&self) -> Result<Vec<String>> {
        Ok(if self.tables_exist().await? { Vec::new() } else { vec!["the tables are not there".to_owned()] })
    }

    /// Writes out what is still in memory and ends background work. Called once, last.
    async fn close(&self) -> Result<()> {
        Ok(())
    }
}
