//! The server or the cluster: how calls are sent, limited in time and repeated.

use std::time::Duration;

use lemon_session_store::{Error, Result};
use redis::{Cmd, ErrorKind, RedisError, RedisResult, ServerErrorKind, Value};

use super::{
    check::check,
    cluster::{Cluster, Node, masters},
    errors::{reason, refused, silent},
    options::Address,
    reply::{self, Reply},
    script::{Args, Script},
    single::Single,
};

/// How long to wait before a call is repeated.
const PAUSE: Duration = Duration::from_millis(50);
/// How many keys one step of a scan covers.
pub const PAGE: usize = 1000;

pub struct Server {
    connection: Connection,
    name: String,
    timeout: Duration,
}

enum Connection {
    Single(Box<Single>),
    Cluster(Cluster),
}

/// Whether a call may be repeated when it may already have taken effect.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    Safe,
    Never,
}

impl Server {
    pub async fn connect(address: &Address) -> Result<Self> {
        if address.tls && rustls::crypto::CryptoProvider::get_default().is_none() {
            // Fails if another thread has installed one since: that one is used.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        let name = address.to_string();
        let connecting = async {
            Ok(match address.cluster {
                false => Connection::Single(Box::new(Single::connect(address).await?)),
                true => Connection::Cluster(Cluster::connect(address).await?),
            })
        };
        let connection = match tokio::time::timeout(2 * address.timeout, connecting).await {
            Ok(connected) => connected.map_err(|error| refused(&name, address, error))?,
            Err(_) => return Err(silent(&name, 2 * address.timeout)),
        };
        let server = Self { connection, name, timeout: address.timeout };
        if !address.cluster
            // A user without the right to INFO can still use sessions.
            && let Ok(info) = server.send(&redis::cmd("INFO")).await
        {
            check(&server.name, info)?;
        }
        Ok(server)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn is_cluster(&self) -> bool {
        matches!(self.connection, Connection::Cluster(_))
    }

    /// Calls a script.
    pub async fn call(&self, script: &Script, keys: &[String], args: &Args, repeat: Repeat) -> Result<Reply> {
        let by_text = || script.by_text(keys, args);
        Reply::new(self.patiently(script.by_digest(keys, args), by_text, repeat).await?)
    }

    /// Sends a command that may be repeated.
    pub async fn command(&self, cmd: Cmd) -> Result<Value> {
        let same = cmd.clone();
        self.patiently(cmd, || same.clone(), Repeat::Safe).await
    }

    /// Sends a call and waits for its answer, within the timeout. Repeats a call that has certainly not taken effect,
    /// for example because its slot has moved to another node.
    async fn patiently(&self, mut cmd: Cmd, by_text: impl Fn() -> Cmd, repeat: Repeat) -> Result<Value> {
        let mut failed = None;
        let trying = async {
            let mut attempts = 0;
            loop {
                let error = match self.send(&cmd).await {
                    Ok(value) => return Ok(value),
                    Err(error) => error,
                };
                attempts += 1;
                match (error.kind(), &self.connection) {
                    (ErrorKind::Server(ServerErrorKind::NoScript), _) if attempts < 3 => {
                        cmd = by_text();
                        continue;
                    }
                    (ErrorKind::Server(ServerErrorKind::Ask), Connection::Cluster(cluster)) => {
                        match cluster.ask(&error, by_text()).await {
                            Ok(value) => return Ok(value),
                            Err(error) if self.may_repeat(&error, repeat, attempts) => failed = Some(error),
                            Err(error) => return Err(error),
                        }
                    }
                    _ if self.may_repeat(&error, repeat, attempts) => failed = Some(error),
                    _ => return Err(error),
                }
                tokio::time::sleep(PAUSE).await;
            }
        };
        match tokio::time::timeout(self.timeout, trying).await {
            Ok(answer) => answer.map_err(|error| self.error(&error)),
            Err(_) => Err(failed.map_or_else(|| silent(&self.name, self.timeout), |error| self.error(&error))),
        }
    }

    fn may_repeat(&self, error: &RedisError, repeat: Repeat, attempts: u32) -> bool {
        let cluster = self.is_cluster();
        let lost = error.is_connection_dropped() || error.is_io_error() && !error.is_timeout();
        match error.kind() {
            ErrorKind::Server(
                ServerErrorKind::Moved
                | ServerErrorKind::Ask
                | ServerErrorKind::TryAgain
                | ServerErrorKind::ClusterDown
                | ServerErrorKind::MasterDown
                | ServerErrorKind::ReadOnly,
            )
            | ErrorKind::ClusterConnectionNotFound => cluster,
            ErrorKind::Server(ServerErrorKind::BusyLoading) => true,
            _ if error.is_connection_refusal() => cluster,
            // One repeat is enough for a connection that broke. A server that is down stays down for longer than a
            // request can wait.
            _ => lost && repeat == Repeat::Safe && (cluster || attempts < 2),
        }
    }

    async fn send(&self, cmd: &Cmd) -> RedisResult<Value> {
        match &self.connection {
            Connection::Single(single) => single.send(cmd).await,
            Connection::Cluster(cluster) => cluster.send(cmd).await,
        }
    }

    /// Sends a command to a given node of a cluster, or to any. A single server gets it like any other command.
    async fn command_on(&self, node: Option<&Node>, cmd: Cmd) -> Result<Value> {
        let Connection::Cluster(cluster) = &self.connection else { return self.command(cmd).await };
        match tokio::time::timeout(self.timeout, cluster.send_to(node, &cmd)).await {
            Ok(answer) => answer.map_err(|error| self.error(&error)),
            Err(_) => Err(silent(&self.name, self.timeout)),
        }
    }

    /// The nodes that hold the keys; of a single server, `None` alone.
    pub async fn nodes(&self) -> Result<Vec<Option<Node>>> {
        if !self.is_cluster() {
            return Ok(vec![None]);
        }
        let mut slots = redis::cmd("CLUSTER");
        slots.arg("SLOTS");
        Ok(masters(self.command_on(None, slots).await?)?.into_iter().map(Some).collect())
    }

    /// One step of a scan over the keys of a node that match a pattern. Returns the cursor of the next step, 0 after
    /// the last, and the keys. A key may be returned twice.
    pub async fn scan(&self, node: Option<&Node>, cursor: u64, pattern: &str) -> Result<(u64, Vec<Vec<u8>>)> {
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(pattern).arg("COUNT").arg(PAGE);
        let mut page = reply::array(self.command_on(node, scan).await?)?.into_iter();
        let cursor = reply::number(reply::text(page.next().unwrap_or(Value::Nil))?.as_bytes())?;
        let keys = reply::list(page.next().unwrap_or(Value::Nil))?;
        Ok((cursor, keys.into_iter().flatten().collect()))
    }

    /// The time by a server's clock.
    pub async fn time(&self) -> Result<u64> {
        let time = self.command_on(None, redis::cmd("TIME")).await?;
        let seconds = reply::list(time)?.into_iter().next().flatten();
        reply::number(&seconds.unwrap_or_default())
    }

    fn error(&self, error: &RedisError) -> Error {
        Error::unavailable(format!("{}: {}", self.name, reason(error)))
    }
}
