/// The session component, a WebAssembly component of the world `lemon:session/session-component`.
pub const COMPONENT: &[u8] = include_bytes!(env!("LEMON_SESSION_COMPONENT"));
