//! The asynchronous client of one server.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use futures::{FutureExt, future::BoxFuture};
use redis::{
    Client, Cmd, ErrorKind, RedisError, RedisResult, ServerErrorKind, TlsCertificates, Value,
    aio::{ConnectionLike, ConnectionManager, ConnectionManagerConfig},
};

use super::{
    Transport,
    clients::{connections, within},
    is_no_primary,
    sentinels::Sentinels,
    waited, waiting,
};
use crate::options::Address;

/// A connection that the client restores when it is lost, and that is replaced when the server has become a replica.
pub struct Single {
    primary: Primary,
    config: ConnectionManagerConfig,
    replicas: u32,
    current: Mutex<Current>,
    renewing: tokio::sync::Mutex<()>,
}

/// Where the primary is.
enum Primary {
    At(Client),
    KnownBy(Sentinels),
}

#[derive(Clone)]
struct Current {
    /// How often the connections were replaced.
    number: u64,
    /// Whether another server may be the primary by now, so that the sentinels are asked before the next call.
    is_doubtful: bool,
    reads: ConnectionManager,
    /// Another connection if `WAIT` is called: that holds up all that is sent over its connection.
    writes: ConnectionManager,
}

impl Single {
    pub async fn connect(address: &Address) -> RedisResult<Self> {
        let primary = match address.primary {
            Some(_) => Primary::KnownBy(Sentinels::new(address)?),
            None => {
                let info = connections(address)?.pop().ok_or((ErrorKind::InvalidClientConfig, "no host"))?;
                Primary::At(match address.ca.clone() {
                    Some(ca) => {
                        Client::build_with_tls(info, TlsCertificates { client_tls: None, root_cert: Some(ca) })?
                    }
                    None => Client::open(info)?,
                })
            }
        };
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(address.timeout))
            .set_response_timeout(Some(address.timeout))
            .set_number_of_retries(2)
            .set_max_delay(Duration::from_millis(500))
            .set_pipeline_buffer_size(1000);
        let (reads, writes) = open(&primary, &config, address.replicas).await?;
        let current = Mutex::new(Current { number: 0, is_doubtful: false, reads, writes });
        Ok(Self { primary, config, replicas: address.replicas, current, renewing: tokio::sync::Mutex::default() })
    }

    /// Sends a command by `send`. If the server refuses it because it has become a replica, sends it once more over a new
    /// connection, which may lead to the new primary. The refused command has not taken effect.
    async fn call<'a, T>(
        &self,
        deadline: Instant,
        send: impl Fn(Current) -> BoxFuture<'a, RedisResult<T>>,
    ) -> RedisResult<T> {
        let number = self.current().number;
        let sent = within(deadline, async {
            let mut current = self.current().clone();
            if current.is_doubtful {
                current = self.renewed(current.number).await?;
            }
            let number = current.number;
            match send(current).await {
                Err(error) if is_no_primary(&error) => match self.renewed(number).await {
                    Ok(current) => send(current).await,
                    Err(_) => Err(error),
                },
                answer => answer,
            }
        });
        let answer = sent.await;
        if answer.as_ref().is_err_and(is_doubtful) {
            self.doubt(number);
        }
        answer
    }

    /// Has the sentinels asked before the next call, unless they were since.
    fn doubt(&self, number: u64) {
        let mut current = self.current();
        if matches!(self.primary, Primary::KnownBy(_)) && current.number == number {
            current.is_doubtful = true;
        }
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Connections newer than `number`.
    async fn renewed(&self, number: u64) -> RedisResult<Current> {
        let _one_at_a_time = self.renewing.lock().await;
        let now = self.current().clone();
        if now.number != number {
            return Ok(now);
        }
        let (reads, writes) = open(&self.primary, &self.config, self.replicas).await?;
        let new = Current { number: number + 1, is_doubtful: false, reads, writes };
        *self.current() = new.clone();
        Ok(new)
    }
}

/// Connects to the primary.
async fn open(
    primary: &Primary,
    config: &ConnectionManagerConfig,
    replicas: u32,
) -> RedisResult<(ConnectionManager, ConnectionManager)> {
    let client = match primary {
        Primary::At(client) => client.clone(),
        Primary::KnownBy(sentinels) => sentinels.primary().await?,
    };
    let reads = ConnectionManager::new_with_config(client.clone(), config.clone()).await?;
    let writes = match replicas {
        0 => reads.clone(),
        _ => ConnectionManager::new_with_config(client, config.clone()).await?,
    };
    Ok((reads, writes))
}

/// Whether the server may no longer be the primary: it does not answer, or has too few replicas.
fn is_doubtful(error: &RedisError) -> bool {
    error.is_io_error()
        || error.is_connection_dropped()
        || is_no_primary(error)
        || error.kind() == ErrorKind::Server(ServerErrorKind::MasterDown)
        || error.code() == Some("NOREPLICAS")
}

#[async_trait]
impl Transport for Single {
    async fn send(&self, cmd: &Cmd, deadline: Instant) -> RedisResult<Value> {
        let send = |mut current: Current| async move { current.reads.req_packed_command(cmd).await?.extract_error() };
        self.call(deadline, |current| send(current).boxed()).await
    }

    async fn send_and_wait(&self, cmd: &Cmd, replicas: u32, deadline: Instant) -> RedisResult<(Value, u32)> {
        let number = self.current().number;
        let pipeline = &waiting(cmd, replicas, deadline);
        let send =
            |mut current: Current| async move { waited(current.writes.req_packed_commands(pipeline, 0, 2).await?) };
        let answer = self.call(deadline, |current| send(current).boxed()).await;
        if answer.as_ref().is_ok_and(|(_, reached)| *reached < replicas) {
            self.doubt(number);
        }
        answer
    }

    async fn wait(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}
