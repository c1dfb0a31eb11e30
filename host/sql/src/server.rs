//! A server, and how to connect to it.

use std::{path::PathBuf, time::Duration};

use lemon_session_store::TableName;

use super::{password::Password, tls::SslMode};

/// A server, and how to connect to it.
#[derive(Clone, Debug)]
pub struct Server {
    /// The name of the product: `MySQL`.
    pub product: &'static str,
    pub host: String,
    pub port: u16,
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
    /// The server's host and port, `db.example.com:5432`, or the path of its socket.
    pub fn address(&self) -> String {
        match &self.socket {
            Some(socket) => socket.display().to_string(),
            None if self.host.contains(':') => format!("[{}]:{}", self.host, self.port),
            None => format!("{}:{}", self.host, self.port),
        }
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
