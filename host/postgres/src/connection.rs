//! Connections, and the classification of their errors.

use deadpool::managed::{Manager, Metrics, RecycleResult};
use deadpool_postgres::{ClientWrapper, Connect, ManagerConfig};
use futures::future::BoxFuture;
use lemon_session_sql::{
    pool::{Backend, Failure},
    server::Server,
    tls::{SslMode, tls},
};
use lemon_session_store::Result;
use rustls::ClientConfig;
use tokio::task::JoinHandle;
use tokio_postgres::{
    Client, Config,
    config::SslMode as ClientSslMode,
    error::{Severity, SqlState},
};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Makes connections, for the pool.
pub struct Connections(deadpool_postgres::Manager);

impl Connections {
    /// For connections to `server`.
    pub fn new(server: &Server) -> Result<Self> {
        let mut config = Config::new();
        match &server.socket {
            Some(socket) => config.host_path(socket),
            None => config.host(&server.host),
        };
        config
            .port(server.port)
            .user(&server.user)
            .dbname(&server.database)
            .application_name("lemon-session")
            .connect_timeout(server.connect_timeout)
            // Detects a server that has disappeared without closing the connection.
            .keepalives_idle(server.timeout)
            .tcp_user_timeout(server.timeout)
            .ssl_mode(match server.sslmode {
                // A Unix socket is not encrypted.
                _ if server.socket.is_some() => ClientSslMode::Disable,
                SslMode::Disable => ClientSslMode::Disable,
                SslMode::Prefer => ClientSslMode::Prefer,
                SslMode::Require | SslMode::VerifyFull => ClientSslMode::Require,
            });
        if let Some(password) = &server.password {
            config.password(password.reveal());
        }
        let connector = Connector { tls: tls(server)?, settings: settings(server) };
        Ok(Self(deadpool_postgres::Manager::from_connect(config, connector, ManagerConfig::default())))
    }
}

impl Manager for Connections {
    type Type = ClientWrapper;
    type Error = tokio_postgres::Error;

    async fn create(&self) -> Result<ClientWrapper, tokio_postgres::Error> {
        self.0.create().await
    }

    async fn recycle(&self, connection: &mut ClientWrapper, metrics: &Metrics) -> RecycleResult<tokio_postgres::Error> {
        self.0.recycle(connection, metrics).await
    }

    fn detach(&self, connection: &mut ClientWrapper) {
        self.0.detach(connection);
    }
}

/// The settings of every connection.
fn settings(server: &Server) -> String {
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

struct Connector {
    tls: ClientConfig,
    settings: String,
}

impl Connect for Connector {
    fn connect(&self, config: &Config) -> BoxFuture<'_, Result<(Client, JoinHandle<()>), tokio_postgres::Error>> {
        let config = config.clone();
        Box::pin(async move {
            let (client, connection) = config.connect(MakeRustlsConnect::new(self.tls.clone())).await?;
            let task = tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::warn!("a connection to PostgreSQL has broken: {}", describe(&error));
                }
            });
            if let Err(error) = client.batch_execute(&self.settings).await {
                task.abort();
                return Err(error);
            }
            Ok((client, task))
        })
    }
}

/// The text of an error, without the values that the server may quote.
fn describe(error: &tokio_postgres::Error) -> String {
    let Some(error) = error.as_db_error() else {
        let why = std::iter::successors(std::error::Error::source(error), |why| why.source());
        return why.fold(error.to_string(), |text, why| format!("{text}: {why}"));
    };
    let code = error.code().code();
    // Connections, privileges, transactions, names of tables, resources, operators: these messages quote no stored
    // values.
    const TOLD: [&str; 16] =
        ["08", "0A", "25", "28", "2D", "3D", "3F", "40", "42", "53", "54", "55", "57", "58", "F0", "XX"];
    if !TOLD.iter().any(|class| code.starts_with(class)) {
        return format!("SQLSTATE {code}");
    }
    format!("{} (SQLSTATE {code})", error.message())
}

impl Backend for Connections {
    fn failure(error: tokio_postgres::Error, server: &Server) -> Failure {
        let text = describe(&error);
        let Some(db) = error.as_db_error() else {
            if text.contains("password missing") {
                return Failure::Refused(server.refused("it asks for a password, but none is given"));
            }
            return Failure::Broken(text);
        };
        match db.code() {
            &SqlState::UNDEFINED_TABLE | &SqlState::UNDEFINED_FUNCTION | &SqlState::UNDEFINED_COLUMN => {
                Failure::Refused(server.missing_tables())
            }
            &SqlState::T_R_SERIALIZATION_FAILURE | &SqlState::T_R_DEADLOCK_DETECTED => Failure::Undone(text),
            &SqlState::READ_ONLY_SQL_TRANSACTION => Failure::ReadOnly(format!("it takes no writes: {text}")),
            &SqlState::UNIQUE_VIOLATION => Failure::Refused(server.error("the new digest of a session is taken")),
            &SqlState::QUERY_CANCELED => Failure::Refused(server.too_late()),
            &SqlState::INVALID_PASSWORD | &SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
                Failure::Refused(server.refused(db.message()))
            }
            &SqlState::INVALID_CATALOG_NAME => Failure::Refused(server.missing_database()),
            _ if matches!(db.parsed_severity(), Some(Severity::Error)) => Failure::Refused(server.error(text)),
            _ => Failure::Broken(text),
        }
    }

    fn discard(connection: ClientWrapper) {
        // This ends the task that owns the socket.
        drop(connection);
    }
}
