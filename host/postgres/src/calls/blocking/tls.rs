//! TLS over a blocking socket.

use lemon_session_sql::server::Server;
use lemon_session_store::Result;
pub use tokio_postgres_rustls::MakeRustlsConnect as Tls;

/// The client's side of TLS, as `sslmode` and `sslrootcert` ask for it.
pub fn tls(server: &Server) -> Result<Tls> {
    lemon_session_sql::tls::tls(server).map(Tls::new)
}
