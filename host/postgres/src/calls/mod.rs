//! How calls reach the server: over a pool of connections, or, on WebAssembly, over one whose calls block.

#[cfg(target_family = "wasm")]
mod blocking;
#[cfg(not(target_family = "wasm"))]
mod client;
#[cfg(not(target_family = "wasm"))]
mod pooled;

#[cfg(target_family = "wasm")]
pub use self::blocking::{Calls, open};
#[cfg(not(target_family = "wasm"))]
pub use self::pooled::{Calls, open};
