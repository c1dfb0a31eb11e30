//! Stands in for `tls` where the crate is built without it.

use lemon_session_sql::{server::Server, tls::SslMode};
use lemon_session_store::{Error, Result};
pub use tokio_postgres::NoTls as Tls;

/// No encryption: `prefer` then means the same as `disable`.
///
/// # Errors
///
/// Fails if an option demands encryption.
pub fn tls(server: &Server) -> Result<Tls> {
    let demand = match server.sslmode {
        SslMode::Require => "sslmode is require",
        SslMode::VerifyFull => "sslmode is verify-full",
        SslMode::Disable | SslMode::Prefer if server.sslrootcert.is_some() => "sslrootcert is given",
        SslMode::Disable | SslMode::Prefer => return Ok(Tls),
    };
    Err(Error::invalid(format!(
        "{demand}, and this provider is built without TLS; in a checkout of lemon:session, `make dist/postgres_tls.wasm` \
         builds one with TLS, and `lemon-session compose APP.wasm --provider dist/postgres_tls.wasm` joins with it"
    )))
}
