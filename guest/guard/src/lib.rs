//! A guard in front of any application of WASI 0.3: a `wasi:http/middleware`, which imports and exports `wasi:http/handler`.
//!
//! It resolves the visitor's session from the cookie, refuses requests that other sites make a browser send, lets only sessions
//! with an owner reach protected paths, limits the requests of a session, and tells the application the owner in a header that
//! no client can forge. The application need not know sessions. `docs/guard.md` of the repository is its guide.
//!
//! Each module has one rule and runs natively; the component, which is compiled for WebAssembly alone, connects them with
//! wasi:http.

#![deny(missing_docs)]

#[cfg(target_family = "wasm")]
mod component;
pub mod config;
mod environment;
pub mod owner;
pub mod rate;
pub mod refusal;
pub mod response;
pub mod visit;
