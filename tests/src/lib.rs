//! The harness of the end-to-end tests: the built command and components, servers that end with their test, and clients that
//! keep cookies.

pub mod browser;
pub mod build;
pub mod cgi;
pub mod client;
pub mod command;
mod drivers;
pub mod keep_alive;
pub mod program;
pub mod proxy;
pub mod raw;
pub mod server;
pub mod storage;
pub mod web_server;

pub use client::{Client, Reply};
pub use drivers::drivers;
pub use server::{Launch, Server};
pub use storage::Storage;

/// The programs in the guides are compiled as doctests.
#[cfg(doctest)]
#[doc = include_str!("../../docs/embedding.md")]
struct Embedding;

#[cfg(doctest)]
#[doc = include_str!("../../docs/using-sessions.md")]
struct UsingSessions;
