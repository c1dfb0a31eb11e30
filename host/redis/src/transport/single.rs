//! The asynchronous client of one server.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use redis::{
    Client, Cmd, ErrorKind, RedisResult, TlsCertificates, Value,
    aio::{ConnectionLike, ConnectionManager, ConnectionManagerConfig},
};

use super::{
    Transport,
    clients::{connections, within},
    is_no_primary,
};
use crate::options::Address;

/// A connection that the client restores when it is lost, and that is replaced when the server has become a replica.
pub struct Single {
    client: Client,
    config: ConnectionManagerConfig,
    current: Mutex<Current>,
    renewing: tokio::sync::Mutex<()>,
}

/// How often the connection was replaced, and the connection.
type Current = (u64, ConnectionManager);

impl Single {
    pub async fn connect(address: &Address) -> RedisResult<Self> {
        let info = connections(address)?.pop().ok_or((ErrorKind::InvalidClientConfig, "no host"))?;
        let client = match address.ca.clone() {
            Some(ca) => Client::build_with_tls(info, TlsCertificates { client_tls: None, root_cert: Some(ca) })?,
            None => Client::open(info)?,
        };
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(address.timeout))
            .set_response_timeout(Some(address.timeout))
            .set_number_of_retries(2)
            .set_max_delay(Duration::from_millis(500))
            .set_pipeline_buffer_size(1000);
        let first = ConnectionManager::new_with_config(client.clone(), config.clone()).await?;
        Ok(Self { client, config, current: Mutex::new((0, first)), renewing: tokio::sync::Mutex::default() })
    }

    /// Sends a command. If the server refuses it because it has become a replica, sends it once more over a new
    /// connection, which may lead to the new primary. The refused command has not taken effect.
    async fn call(&self, cmd: &Cmd) -> RedisResult<Value> {
        let (number, connection) = self.current();
        match send(connection, cmd).await {
            Err(error) if is_no_primary(&error) => match self.renewed(number).await {
                Ok(connection) => send(connection, cmd).await,
                Err(_) => Err(error),
            },
            answer => answer,
        }
    }

    fn current(&self) -> Current {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A connection newer than `number`.
    async fn renewed(&self, number: u64) -> RedisResult<ConnectionManager> {
        let _one_at_a_time = self.renewing.lock().await;
        let (now, connection) = self.current();
        if now != number {
            return Ok(connection);
        }
        let new = ConnectionManager::new_with_config(self.client.clone(), self.config.clone()).await?;
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = (number + 1, new.clone());
        Ok(new)
    }
}

#[async_trait]
impl Transport for Single {
    async fn send(&self, cmd: &Cmd, deadline: Instant) -> RedisResult<Value> {
        within(deadline, self.call(cmd)).await
    }

    async fn wait(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

async fn send(mut connection: ConnectionManager, cmd: &Cmd) -> RedisResult<Value> {
    connection.req_packed_command(cmd).await?.extract_error()
}
