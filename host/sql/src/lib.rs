//! What the drivers of SQL servers for `lemon:session` share.
//!
//! - [`server`]: the storage URL, its options, and the errors that name the server;
//! - [`tls`]: how connections are encrypted;
//! - [`pool`]: the pool of connections that calls run on, with their deadlines and repeats;
//! - [`layout`]: the version of the tables;
//! - [`limits`]: what can be stored;
//! - [`tombstone`]: how long the end of a digest is remembered;
//! - [`cleanup`]: the removal of expired sessions in batches.
//!
//! # Features
//!
//! `testing` adds a test for every driver: how its tables are upgraded to a newer layout.

pub mod cleanup;
mod errors;
pub mod layout;
pub mod limits;
#[cfg(feature = "testing")]
pub mod migrating;
mod password;
pub mod pool;
pub mod server;
pub mod tls;
pub mod tombstone;
mod url;
