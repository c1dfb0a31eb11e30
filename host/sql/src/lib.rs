//! What the drivers of SQL servers for `lemon:session` share: [`server`] has the storage URL with its options, TLS, and the
//! pool that calls run on; [`cleanup`] removes expired sessions in batches.
//!
//! # Features
//!
//! `testing` adds a test for every driver: how its tables are brought to a newer layout.

pub mod cleanup;
#[cfg(feature = "testing")]
pub mod migrating;
pub mod server;
