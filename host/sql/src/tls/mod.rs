//! How connections are encrypted.

#[cfg(not(target_family = "wasm"))]
mod client;
#[cfg(not(target_family = "wasm"))]
mod unverified;

use lemon_session_store::{Error, Result};

#[cfg(not(target_family = "wasm"))]
pub use self::client::tls;

/// When the connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SslMode {
    Disable,
    Prefer,
    Require,
    VerifyFull,
}

pub(crate) fn ssl_mode(mode: &str) -> Result<SslMode> {
    Ok(match mode {
        "disable" => SslMode::Disable,
        "prefer" => SslMode::Prefer,
        "require" => SslMode::Require,
        "verify-full" => SslMode::VerifyFull,
        _ => {
            return Err(Error::invalid(format!(
                "sslmode is {mode:?}: it has to be one of disable, prefer, require, verify-full"
            )));
        }
    })
}
