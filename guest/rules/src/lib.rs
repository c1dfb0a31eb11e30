//! The rules of `lemon:session`: PHP-style sessions, written once for every language and every host.
//!
//! [`Env`] supplies the clock, randomness, the settings and the store. The session component implements it with its imports, the
//! tests with values of their own. Each module has one rule: [`id`], [`cookie`], [`expiry`], [`name`], [`reservation`],
//! [`codec`], [`json`], [`units`], [`path`], [`device_bound`]; [`session`] combines them. [`types`], [`settings`], [`options`] and [`storage`] define the records of the
//! WIT, with the defaults and checks of the settings.

#![cfg_attr(target_family = "wasm", no_std)]
#![deny(missing_docs)]

extern crate alloc;

mod at_once;
mod begun;
mod client;
pub mod codec;
pub mod cookie;
mod details;
pub mod device_bound;
mod env;
pub mod expiry;
pub mod id;
pub mod json;
pub mod manager;
pub mod name;
pub mod options;
pub mod path;
mod pending;
pub mod reservation;
mod seal;
pub mod session;
pub mod settings;
mod start;
pub mod storage;
#[cfg(test)]
mod testing;
mod turns;
pub mod types;
pub mod units;

pub use at_once::at_once;
pub use env::Env;
pub use session::{Session, Turn};
pub use settings::Settings;
pub use start::{World, start};
pub use types::{Error, Value};

/// The result of what can fail here.
pub type Result<T, E = Error> = core::result::Result<T, E>;
