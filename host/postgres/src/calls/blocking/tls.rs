//! Whether the connection has to be encrypted, which it cannot be here.

use lemon_session_sql::{server::Server, tls::SslMode};
use lemon_session_store::{Error, Result};

/// Refuses options that demand encryption; `prefer` means the same as `disable`.
pub fn refuse_tls(server: &Server) -> Result<()> {
    let demand = match server.sslmode {
        SslMode::Require => "sslmode is require",
        SslMode::VerifyFull => "sslmode is verify-full",
        SslMode::Disable | SslMode::Prefer if server.sslrootcert.is_some() => "sslrootcert is given",
        SslMode::Disable | SslMode::Prefer => return Ok(()),
    };
    Err(Error::invalid(format!(
        "{demand}, and this provider has no TLS: name a proxy that encrypts, such as stunnel or PgBouncer on this machine, \
         with sslmode=disable, or use the native driver of `lemon-session serve`"
    )))
}
