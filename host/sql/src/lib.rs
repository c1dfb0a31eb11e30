//! What the drivers of SQL servers for `lemon:session` share.
//!
//! - [`server`]: the storage URL, its options, and the errors that name the server;
//! - [`tls`]: how connections are encrypted;
//! - [`attempts`]: the failures of a call, and whether it is attempted again;
//! - [`hosts`]: which of several hosts a connection is made to;
//! - `pool`: the pool of connections that calls run on, with their deadlines; not on WebAssembly;
//! - [`layout`]: the version of the tables;
//! - [`limits`]: what can be stored;
//! - [`tombstone`]: how long the end of a digest is remembered;
//! - [`cleanup`]: the removal of expired sessions in batches;
//! - [`owned`]: the end of an owner's sessions that have expired.
//!
//! # Features
//!
//! `testing` adds a test for every driver: how its tables are upgraded to a newer layout.

pub mod attempts;
pub mod cleanup;
mod errors;
pub mod hosts;
pub mod layout;
pub mod limits;
#[cfg(feature = "testing")]
pub mod migrating;
pub mod owned;
mod password;
mod pause;
#[cfg(not(target_family = "wasm"))]
pub mod pool;
pub mod server;
pub mod tls;
pub mod tombstone;
mod url;
