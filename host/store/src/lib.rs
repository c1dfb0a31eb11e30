//! The storage contract of `lemon:session`: where sessions are kept.
//!
//! [`Store`] is the contract for requests, the same as the interface `lemon:session/storage` states for components. Three
//! further traits are for the operator: [`Inspect`] for looking at sessions, [`Transfer`] for moving them to another store, and
//! [`Schema`] for tables. A driver is a crate that implements `Store`, and of the others what its kind of store can do;
//! [`registry`] maps the scheme of a storage URL to it. [`memory`] is the driver that needs no set-up.
//!
//! # Features
//!
//! `conformance` adds the suite that every driver passes, for the tests of a driver.

#![deny(missing_docs)]

pub mod batches;
mod clock;
#[cfg(feature = "conformance")]
pub mod conformance;
mod error;
pub mod guest;
mod inspect;
pub mod layout;
pub mod memory;
pub mod registry;
mod schema;
mod store;
pub mod suggest;
mod transfer;
mod types;
mod writes;

pub use clock::CLOCK_TOLERANCE;
pub use error::{Error, Result};
pub use inspect::Inspect;
pub use lemon_session_rules::units;
pub use registry::{Registry, StorageOptions};
pub use schema::Schema;
pub use store::Store;
pub use transfer::Transfer;
pub use types::{
    Change, CreateOutcome, DETAILS, DestroyCondition, Digest, Grace, Lifetime, Listed, LoadOutcome, Loaded, Record,
    Rotation, Snapshot, Stored, TableName, UpdateOutcome, Variable, Write,
};
pub use writes::Writes;
