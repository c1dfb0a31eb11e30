//! The session component of `lemon:session`: PHP-style sessions, written once for every language.
//!
//! Compiled to WebAssembly this crate is the component; compiled natively it is the same rules with [`Env`] in the place of
//! the component's imports, which is how they are tested. One rule a module: [`id`], [`cookie`], [`expiry`], [`name`],
//! [`reservation`], [`codec`], [`json`]; [`session`] puts them together.

#![cfg_attr(target_family = "wasm", no_std)]
#![deny(missing_docs)]

extern crate alloc;

mod begun;
pub mod bindings;
pub mod codec;
pub mod cookie;
mod env;
pub mod expiry;
pub mod id;
pub mod json;
pub mod manager;
pub mod name;
mod pending;
pub mod reservation;
pub mod session;
mod start;
#[cfg(test)]
mod testing;
#[cfg(target_family = "wasm")]
mod wasm;

pub use bindings::types::{Error, Value};
pub use env::Env;
pub use session::Session;
pub use start::{World, start};

/// What everything fallible here returns.
pub type Result<T, E = Error> = core::result::Result<T, E>;
