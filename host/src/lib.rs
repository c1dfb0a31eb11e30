//! Sessions for WebAssembly applications: storage drivers and a wasmtime host for `lemon:session`.

#![deny(missing_docs)]

#[cfg(feature = "conformance")]
pub mod conformance;
pub mod driver;
