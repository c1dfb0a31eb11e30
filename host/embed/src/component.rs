/// The session component: a WebAssembly component of the world `lemon:session/session-component`. `make component`
/// builds it.
pub const COMPONENT: &[u8] = include_bytes!("../lemon_session.wasm");

/// The session component of WASI 0.3: of the world `lemon:session/session-component-async`.
pub const ASYNC_COMPONENT: &[u8] = include_bytes!("../lemon_session_async.wasm");

/// What joins it with a store whose functions block: of the world `lemon:session/blocking-store`.
#[cfg(feature = "compose")]
pub(crate) const BLOCKING: &[u8] = include_bytes!("../blocking.wasm");
