//! What the drivers of SQL servers for `lemon:session` share: the storage URL with its options, TLS, the pool that calls run on,
//! and the removal of expired sessions in batches.
//!
//! # Features
//!
//! `testing` adds a test for every driver: how its tables are brought to a newer layout.

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
mod url;
pub mod writes;
