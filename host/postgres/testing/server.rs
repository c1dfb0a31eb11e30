//! What the tests of the driver and of its component do with a PostgreSQL of their own.

use std::time::Duration;

use lemon_session_store::{Digest, TableName};
use tokio_postgres::{Client, NoTls};

use super::sql::{Locking, servers::OwnServer, skip};

/// Locks rows of the server at this URL, over connections of its own.
pub struct Other(pub String);

impl Locking for Other {
    type Lock = Client;

    async fn lock(&self, table: &TableName, name: &str) -> Self::Lock {
        let client = connect(&self.0).await;
        client.batch_execute("BEGIN").await.expect("begin");
        let lock = format!("SELECT 1 FROM \"{table}\" WHERE digest = $1 FOR UPDATE");
        client.query_one(&lock, &[&&Digest::of(name).as_bytes()[..]]).await.expect("the row is locked");
        client
    }

    async fn unlock(lock: Self::Lock) {
        lock.batch_execute("ROLLBACK").await.expect("rollback");
    }
}

/// A connection of the test's own.
pub async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("a connection");
    tokio::spawn(connection);
    client
}

/// A server whose user `owner` logs in with a password, by SCRAM.
pub async fn own_server() -> Option<(OwnServer, String)> {
    let Some(server) = OwnServer::postgres() else {
        skip("PostgreSQL is not installed on this machine");
        return None;
    };
    let url = server.url("postgres");
    // It listens before it is ready.
    while tokio_postgres::connect(&url, NoTls).await.is_err() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Some((server, url))
}
