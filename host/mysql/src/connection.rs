//! Connections, and the classification of their errors.

use std::{path::PathBuf, time::Duration};

use deadpool::managed::{Manager, Metrics, RecycleResult};
use lemon_session_sql::{
    attempts::Failure,
    hosts::Reached,
    pool::Backend,
    server::{Host, Server},
    tls::SslMode,
};
use lemon_session_store::{Error, Result};
use mysql_async::{
    Conn, DriverError, Error as ClientError, IoError, Opts, OptsBuilder, Params, Row, ServerError, SslOpts, Value,
    prelude::{FromValue, Queryable},
};
use rustls::crypto::ring;

use super::rows::{column, unexpected};

/// A connection that was idle for longer is checked before it is used.
const TRUSTED_IDLE: Duration = Duration::from_secs(30);

/// A connection.
pub struct Connection {
    pub client: Conn,
    /// The server's `max_allowed_packet`.
    pub largest: usize,
}

impl Connection {
    /// Calls a procedure that writes. Fails if the parameters exceed the server's largest packet: the client would
    /// split them, and the server would then close the connection.
    pub async fn save(&mut self, sql: &str, parameters: &[Value]) -> Result<Row, ClientError> {
        let bytes = parameters.iter().map(|value| if let Value::Bytes(bytes) = value { bytes.len() } else { 0 });
        if bytes.sum::<usize>() + 1024 > self.largest {
            return Err(DriverError::PacketTooLarge.into());
        }
        let rows: Vec<Row> = self.client.exec(sql, Params::Positional(parameters.to_vec())).await?;
        rows.into_iter().next().ok_or_else(unexpected)
    }

    /// The only row of a procedure's or an aggregate's result.
    pub async fn row(&mut self, sql: &str, parameters: Vec<Value>) -> Result<Row, ClientError> {
        let row = self.client.exec_first(sql, Params::Positional(parameters)).await?;
        row.ok_or_else(unexpected)
    }

    /// The only value of a result.
    pub async fn value<T: FromValue>(&mut self, sql: &str, parameters: Vec<Value>) -> Result<T, ClientError> {
        column(&mut self.row(sql, parameters).await?, 0)
    }
}

/// Makes connections.
pub struct Connections {
    server: Server,
    reached: Reached,
    hosts: Vec<Ways>,
}

/// How a host is connected to.
struct Ways {
    encrypted: Option<Opts>,
    plain: Option<Opts>,
}

impl Connections {
    pub fn new(server: &Server) -> Result<Self> {
        // The client panics unless the process has a default provider: two are compiled in, and it would not choose.
        let _ = ring::default_provider().install_default();
        server.root_certificates()?;
        if !server.prepare {
            return Err(Error::invalid("prepare is no, which this driver cannot do"));
        }
        let hosts = server.hosts.iter().map(|host| Ways::new(server, host)).collect();
        Ok(Self { server: server.clone(), reached: Reached::default(), hosts })
    }
}

impl Ways {
    fn new(server: &Server, host: &Host) -> Self {
        let seconds = server.timeout.as_secs().max(1);
        let plain = OptsBuilder::default()
            .ip_or_hostname(&host.name)
            .tcp_port(host.port)
            .socket(server.socket.as_ref().and_then(|socket| socket.to_str()))
            .prefer_socket(false)
            .user(Some(&server.user))
            .pass(server.password.as_ref().map(|password| password.reveal()))
            .db_name(Some(&server.database))
            .tcp_keepalive(Some(server.timeout))
            .init(vec![
                "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED".to_owned(),
                format!(
                    "SET SESSION autocommit = 1, innodb_lock_wait_timeout = {seconds}, \
                     sql_mode = 'STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'"
                ),
            ]);
        let roots: Vec<PathBuf> = server.sslrootcert.iter().cloned().collect();
        let verified = server.sslmode == SslMode::VerifyFull;
        let tls = SslOpts::default()
            .with_danger_accept_invalid_certs(!verified)
            .with_disable_built_in_roots(verified && !roots.is_empty())
            .with_root_certs(roots.into_iter().map(Into::into).collect());
        let encrypted = plain.clone().ssl_opts(tls);
        // A Unix socket is not encrypted.
        let socket = server.socket.is_some();
        Self {
            encrypted: (!socket && server.sslmode != SslMode::Disable).then(|| encrypted.into()),
            plain: (socket || matches!(server.sslmode, SslMode::Disable | SslMode::Prefer)).then(|| plain.into()),
        }
    }

    /// Connects, encrypted if that is possible or required.
    async fn connect(&self) -> Result<Conn, ClientError> {
        let without = DriverError::NoClientSslFlagFromServer;
        let Some(encrypted) = &self.encrypted else {
            return match &self.plain {
                Some(plain) => Conn::new(plain.clone()).await,
                None => Err(without.into()),
            };
        };
        match (Conn::new(encrypted.clone()).await, &self.plain) {
            (Err(ClientError::Driver(DriverError::NoClientSslFlagFromServer)), Some(plain)) => {
                Conn::new(plain.clone()).await
            }
            (connection, _) => connection,
        }
    }
}

impl Connections {
    async fn open(&self, host: &Ways) -> Result<Connection, ClientError> {
        let mut client = host.connect().await?;
        let (largest, read_only): (usize, u8) =
            client.query_first("SELECT @@max_allowed_packet, @@global.read_only").await?.ok_or_else(unexpected)?;
        if self.server.writable && read_only != 0 {
            return Err(refusal(1290, "the server is read-only"));
        }
        let galera: Option<(String, String)> = client.query_first("SHOW VARIABLES LIKE 'wsrep_on'").await?;
        if galera.is_some_and(|(_, value)| value == "ON") {
            // A load, and the beginning of a save, wait until this node has applied what the others have committed.
            client.query_drop("SET SESSION wsrep_sync_wait = 1").await?;
            let ready: Option<(String, String)> = client.query_first("SHOW STATUS LIKE 'wsrep_ready'").await?;
            if ready.is_none_or(|(_, value)| value != "ON") {
                return Err(refusal(NOT_READY, "this node of the cluster is not ready"));
            }
        }
        Ok(Connection { client, largest })
    }
}

/// The error of a node of Galera that is not connected to most of the others, or has not received all data.
const NOT_READY: u16 = 1047;

fn refusal(code: u16, message: &str) -> ClientError {
    ServerError { code, message: message.to_owned(), state: "HY000".to_owned() }.into()
}

impl Manager for Connections {
    type Type = Connection;
    type Error = ClientError;

    async fn create(&self) -> Result<Connection, ClientError> {
        self.reached.connect(&self.server, |place| Box::pin(self.open(&self.hosts[place]))).await
    }

    async fn recycle(&self, connection: &mut Connection, metrics: &Metrics) -> RecycleResult<ClientError> {
        if metrics.last_used() > TRUSTED_IDLE {
            connection.client.ping().await?;
        }
        Ok(())
    }
}

/// The text of an error, without values that the server may quote.
fn describe(error: &ClientError) -> String {
    match error {
        ClientError::Server(error) => match error.code {
            // Connections, memory, disk, privileges, read-only mode, encryption: these messages quote no stored values.
            1021
            | 1037..=1042
            | 1044
            | 1045
            | 1047
            | 1049
            | 1053
            | 1114
            | 1129
            | 1130
            | 1142
            | 1143
            | 1153
            | 1158..=1161
            | 1203
            | 1205
            | 1213
            | 1226
            | 1227
            | 1290
            | 1304
            | 1317
            | 1370
            | 1419
            | 1665
            | 1698
            | 1792
            | 1820
            | 1836
            | 1862
            | 1927
            | 1969
            | 3024
            | 3159
            | 3572 => {
                format!("{} (error {}, SQLSTATE {})", error.message, error.code, error.state)
            }
            1064 => {
                "it does not know a statement of this program (error 1064): MySQL 8 or MariaDB 10.5, or newer, is needed"
                    .to_owned()
            }
            code => format!("error {code} (SQLSTATE {})", error.state),
        },
        ClientError::Driver(DriverError::PacketTooLarge) => {
            "the change is larger than the server's max_allowed_packet: raise that, or lower the limits of sessions"
                .to_owned()
        }
        ClientError::Driver(
            DriverError::UnexpectedPacket { .. } | DriverError::FromRow { .. } | DriverError::FromValue { .. },
        ) => "the server's answer has an unexpected form".to_owned(),
        ClientError::Io(IoError::Io(error)) => error.to_string(),
        other => other.to_string(),
    }
}

impl Backend for Connections {
    fn failure(error: ClientError, server: &Server) -> Failure {
        let text = describe(&error);
        let ClientError::Server(refusal) = error else {
            return match error {
                ClientError::Driver(DriverError::PacketTooLarge) => Failure::Refused(server.error(text)),
                ClientError::Driver(DriverError::NoClientSslFlagFromServer) => {
                    Failure::Refused(server.refused("it does not encrypt connections, but sslmode requires that"))
                }
                _ => Failure::Broken(text),
            };
        };
        match refusal.code {
            // An unknown table, column or procedure, or a procedure with other parameters.
            1054 | 1146 | 1305 | 1318 => Failure::Refused(server.missing_tables()),
            // A deadlock; a changed row; a statement that must be prepared again.
            1020 | 1213 | 1615 => Failure::Undone(text),
            1062 => Failure::Refused(server.error("the new digest of a session is taken")),
            1205 | 1969 | 3024 => Failure::Refused(server.too_late()),
            1045 | 1130 | 1698 | 3159 => Failure::Refused(server.refused(text)),
            1044 | 1049 => Failure::Refused(server.missing_database()),
            // The server (--read-only), InnoDB or the transaction is read-only, or a node of Galera is cut off.
            1290 | 1792 | 1836 | NOT_READY => Failure::ReadOnly(format!("it takes no writes: {text}")),
            1053 | 1153 | 1158..=1161 | 1317 | 1927 | 3169 => Failure::Broken(text),
            _ => Failure::Refused(server.error(text)),
        }
    }

    fn discard(connection: Connection) {
        // Dropped, the client would first read the rest of the answer, without a time limit.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(tokio::time::timeout(Duration::from_millis(100), connection.client.disconnect()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lemon_session_store::StorageOptions;

    #[test]
    fn read_only_server_is_told_from_a_refusal() {
        let options = StorageOptions::new("mysql://owner@127.0.0.1/sessions");
        let server = Server::parse(&options, "MySQL", 3306).expect("a server");
        let failure = |code| {
            let (message, state) = ("no".to_owned(), "HY000".to_owned());
            Connections::failure(ServerError { code, message, state }.into(), &server)
        };
        for code in [1290, 1792, 1836, NOT_READY] {
            assert!(matches!(failure(code), Failure::ReadOnly(_)), "{code}");
        }
        assert!(matches!(failure(1406), Failure::Refused(_)));
    }
}
