//! A server, and how to connect to it.

use std::{fmt, path::PathBuf, time::Duration};

use lemon_session_store::TableName;

use super::{password::Password, tls::SslMode};

/// A host and its port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    pub name: String,
    pub port: u16,
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name.contains(':') {
            true => write!(f, "[{}]:{}", self.name, self.port),
            false => write!(f, "{}:{}", self.name, self.port),
        }
    }
}

/// A server, and how to connect to it. It may be several that replicate.
#[derive(Clone, Debug)]
pub struct Server {
    /// The name of the product: `MySQL`.
    pub product: &'static str,
    /// The hosts, of which one is the primary or all are.
    pub hosts: Vec<Host>,
    /// Whether hosts that take no writes are passed over.
    pub writable: bool,
    /// Whether statements are prepared.
    pub prepare: bool,
    pub socket: Option<PathBuf>,
    pub user: String,
    pub password: Option<Password>,
    pub database: String,
    pub table: TableName,
    pub sslmode: SslMode,
    pub sslrootcert: Option<PathBuf>,
    pub pool_size: usize,
    pub connect_timeout: Duration,
    pub timeout: Duration,
}

impl Server {
    /// The server's hosts and ports, `db.example.com:5432`, or the path of its socket.
    pub fn address(&self) -> String {
        match &self.socket {
            Some(socket) => socket.display().to_string(),
            None => self.hosts.iter().map(Host::to_string).collect::<Vec<_>>().join(", "),
        }
    }

    /// How long connecting may take, if every host uses up its time.
    pub fn longest_connect(&self) -> Duration {
        self.connect_timeout.saturating_mul(u32::try_from(self.hosts.len()).unwrap_or(u32::MAX))
    }

    /// `PostgreSQL at db.example.com:5432, database shop, table Session`.
    pub fn summary(&self) -> String {
        format!("{} at {}, database {}, table {}", self.product, self.address(), self.database, self.table)
    }

    /// SQL with the name of the table in place of `{table}`.
    pub fn sql(&self, text: &str) -> String {
        text.replace("{table}", self.table.as_str())
    }
}
