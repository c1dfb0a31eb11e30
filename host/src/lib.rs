//! Sessions for WebAssembly applications: storage drivers and a wasmtime host for `lemon:session`.

#![deny(missing_docs)]

pub mod bindings;
mod component;
pub mod compose;
pub mod config;
#[cfg(feature = "conformance")]
pub mod conformance;
mod context;
pub mod driver;
pub mod engine;
pub mod sessions;
pub mod settings;
mod storage;
pub mod stores;

pub use component::COMPONENT;
pub use config::Config;
pub use context::{HasSession, SessionCtx, SessionCtxView, SessionView, add_to_linker};
pub use sessions::{Session, Sessions};
pub use settings::Settings;
pub use stores::Stores;
