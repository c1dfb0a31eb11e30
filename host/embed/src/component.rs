/// The session component: a WebAssembly component of the world `lemon:session/session-component`. `make component`
/// builds it.
pub const COMPONENT: &[u8] = include_bytes!("../lemon_session.wasm");
