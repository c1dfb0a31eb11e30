//! A pool of connections.

use std::sync::Arc;

use deadpool::managed::{Manager, Metrics, RecycleResult};
use deadpool_postgres::{Connect, ManagerConfig};
use futures::{FutureExt, future::BoxFuture};
use lemon_session_sql::{
    attempts::Failure,
    hosts::Reached,
    pool,
    pool::Backend,
    server::{Host, Server},
    tls::tls,
};
use lemon_session_store::Result;
use rustls::ClientConfig;
use tokio::task::JoinHandle;
use tokio_postgres::{Config, config::TargetSessionAttrs};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::client::{Client, Types};
use crate::{
    config::{config, settings},
    failure::{describe, failure},
};

/// Runs calls on pooled connections.
pub type Calls = pool::Calls<Connections>;

/// Connects to the server.
pub async fn open(server: Arc<Server>) -> Result<Calls> {
    server.pool(Connections::new(&server)?).await
}

/// Makes connections, for the pool.
pub struct Connections {
    manager: deadpool_postgres::Manager,
    /// None if statements are prepared.
    types: Option<Types>,
}

impl Connections {
    fn new(server: &Server) -> Result<Self> {
        let mut config = config(server);
        config
            .connect_timeout(server.connect_timeout)
            // Detects a server that has disappeared without closing the connection.
            .keepalives_idle(server.timeout)
            .tcp_user_timeout(server.timeout);
        if server.writable {
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        // Settings would stay with the connection of the server, which others use next.
        let settings = if server.prepare { settings(server) } else { String::new() };
        let tls = tls(server)?;
        let connector = Connector { server: server.clone(), reached: Reached::default(), tls, settings };
        let manager = deadpool_postgres::Manager::from_connect(config, connector, ManagerConfig::default());
        Ok(Self { manager, types: (!server.prepare).then(Types::default) })
    }
}

impl Manager for Connections {
    type Type = Client;
    type Error = tokio_postgres::Error;

    async fn create(&self) -> Result<Client, tokio_postgres::Error> {
        Ok(Client { connection: self.manager.create().await?, types: self.types.clone() })
    }

    async fn recycle(&self, client: &mut Client, metrics: &Metrics) -> RecycleResult<tokio_postgres::Error> {
        self.manager.recycle(&mut client.connection, metrics).await
    }

    fn detach(&self, client: &mut Client) {
        self.manager.detach(&mut client.connection);
    }
}

struct Connector {
    server: Server,
    reached: Reached,
    tls: ClientConfig,
    settings: String,
}

impl Connector {
    async fn connect_to(
        &self,
        host: &Host,
        mut config: Config,
    ) -> Result<(tokio_postgres::Client, JoinHandle<()>), tokio_postgres::Error> {
        match &self.server.socket {
            Some(socket) => config.host_path(socket),
            None => config.host(&host.name),
        };
        let (client, connection) = config.port(host.port).connect(MakeRustlsConnect::new(self.tls.clone())).await?;
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
    }
}

impl Connect for Connector {
    fn connect(
        &self,
        config: &Config,
    ) -> BoxFuture<'_, Result<(tokio_postgres::Client, JoinHandle<()>), tokio_postgres::Error>> {
        let config = config.clone();
        Box::pin(async move {
            let connect = |place: usize| self.connect_to(&self.server.hosts[place], config.clone()).boxed();
            self.reached.connect(&self.server, connect).await
        })
    }
}

impl Backend for Connections {
    fn failure(error: tokio_postgres::Error, server: &Server) -> Failure {
        failure(&error, server)
    }

    fn discard(connection: Client) {
        // This ends the task that owns the socket.
        drop(connection);
    }
}
