//! The rules of `lemon:session`: PHP-style sessions, written once for every language and every host.
//!
//! A host is what implements [`Env`]: the clock, randomness, the settings and the store. The session component does, with its
//! imports; so do the tests, with values of their own. One rule a module: [`id`], [`cookie`], [`expiry`], [`name`],
//! [`reservation`], [`codec`], [`json`]; [`session`] puts them together.

#![cfg_attr(target_family = "wasm", no_std)]
#![deny(missing_docs)]

extern crate alloc;

mod begun;
pub mod codec;
pub mod cookie;
mod env;
pub mod expiry;
pub mod id;
pub mod json;
pub mod manager;
pub mod name;
pub mod options;
mod pending;
pub mod reservation;
pub mod session;
pub mod settings;
mod start;
pub mod storage;
#[cfg(test)]
mod testing;
pub mod types;

pub use env::Env;
pub use session::Session;
pub use settings::Settings;
pub use start::{World, start};
pub use types::{Error, Value};

/// What everything fallible here returns.
pub type Result<T, E = Error> = core::result::Result<T, E>;
