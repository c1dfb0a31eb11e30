//! What a connection is made with.

use lemon_session_sql::{server::Server, tls::SslMode};
use tokio_postgres::{Config, config::SslMode as ClientSslMode};

/// The database, the user, and how the connection is encrypted.
pub fn config(server: &Server) -> Config {
    let mut config = Config::new();
    config.user(&server.user).dbname(&server.database).application_name("lemon-session").ssl_mode(
        match server.sslmode {
            // A Unix socket is not encrypted.
            _ if server.socket.is_some() => ClientSslMode::Disable,
            SslMode::Disable => ClientSslMode::Disable,
            SslMode::Prefer => ClientSslMode::Prefer,
            SslMode::Require | SslMode::VerifyFull => ClientSslMode::Require,
        },
    );
    if let Some(password) = &server.password {
        config.password(password.reveal());
    }
    config
}

/// The settings of every connection.
pub fn settings(server: &Server) -> String {
    // READ COMMITTED: each statement of a function sees everything that was committed before the statement began.
    //
    // Scans and joins: every statement of a load or save finds its rows by an index. A cached plan from the time when
    // the tables were small would otherwise go on reading whole tables.
    format!(
        "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED;
        SET statement_timeout = {};
        SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off",
        server.timeout.as_millis().max(1)
    )
}
