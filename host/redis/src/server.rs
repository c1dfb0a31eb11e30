//! The server or the cluster: how calls are sent, limited in time and repeated.

use std::time::{Duration, Instant};

use lemon_session_store::{Error, Result};
use redis::{Cmd, ErrorKind, RedisError, ServerErrorKind, Value};

use super::{
    errors::{reason, silent},
    reply::{self, Reply, unexpected},
    script::{Args, Script},
    transport::{Node, Transport},
};

/// How long to wait before a call is repeated.
const PAUSE: Duration = Duration::from_millis(50);
/// How many keys one step of a scan covers.
pub const PAGE: usize = 1000;

pub struct Server {
    transport: Box<dyn Transport>,
    name: String,
    timeout: Duration,
    replicas: u32,
}

/// Whether a call may be repeated when it may already have taken effect.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// It changes nothing.
    Safe,
    /// It changes something, and nothing more if it is repeated.
    Harmless,
    Never,
}

impl Server {
    pub fn new(transport: Box<dyn Transport>, name: String, timeout: Duration, replicas: u32) -> Self {
        Self { transport, name, timeout, replicas }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn is_cluster(&self) -> bool {
        self.transport.is_cluster()
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
        let deadline = Instant::now() + self.timeout;
        let (mut attempts, mut failed) = (0, None);
        loop {
            let mut answer = if repeat == Repeat::Safe || self.replicas == 0 {
                self.transport.send(&cmd, deadline).await
            } else {
                match self.transport.send_and_wait(&cmd, self.replicas, deadline).await {
                    Ok((_, replicas)) if replicas < self.replicas => return Err(self.unreplicated(replicas)),
                    answer => answer.map(|(value, _)| value),
                }
            };
            attempts += 1;
            match answer.as_ref().map_err(RedisError::kind) {
                Err(ErrorKind::Server(ServerErrorKind::NoScript)) if attempts < 3 => {
                    cmd = by_text();
                    continue;
                }
                Err(ErrorKind::Server(ServerErrorKind::Ask)) => {
                    if let Err(redirect) = &answer {
                        answer = self.transport.ask(redirect, by_text(), deadline).await;
                    }
                }
                _ => {}
            }
            match answer {
                Ok(value) => return Ok(value),
                // What went wrong before says more than that a repeat was not answered.
                Err(error) if error.is_timeout() => return Err(self.error(failed.as_ref().unwrap_or(&error))),
                Err(error) if !self.may_repeat(&error, repeat, attempts) => return Err(self.error(&error)),
                Err(error) if Instant::now() + PAUSE >= deadline => return Err(self.error(&error)),
                Err(error) => failed = Some(error),
            }
            self.transport.wait(PAUSE).await;
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
            _ => lost && repeat != Repeat::Never && (cluster || attempts < 2),
        }
    }

    /// Sends a command to a given node of a cluster, or to any. A single server gets it like any other command.
    async fn command_on(&self, node: Option<&Node>, cmd: Cmd) -> Result<Value> {
        if !self.is_cluster() {
            return self.command(cmd).await;
        }
        let answer = self.transport.send_to(node, &cmd, Instant::now() + self.timeout).await;
        answer.map_err(|error| self.error(&error))
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

    /// The primary has made the change, but a failover may undo it.
    fn unreplicated(&self, replicas: u32) -> Error {
        Error::unavailable(format!(
            "{}: a change has reached {replicas} replicas in time, and has to reach {} (replicas)",
            self.name, self.replicas
        ))
    }

    fn error(&self, error: &RedisError) -> Error {
        if error.is_timeout() {
            return silent(&self.name, self.timeout);
        }
        Error::unavailable(format!("{}: {}", self.name, reason(error)))
    }
}

/// The masters in an answer to `CLUSTER SLOTS`.
fn masters(slots: Value) -> Result<Vec<Node>> {
    let mut masters = Vec::new();
    for range in reply::array(slots)? {
        let master = reply::array(range)?.into_iter().nth(2).ok_or_else(|| unexpected("a slot without a node"))?;
        let mut master = reply::array(master)?.into_iter();
        let host = reply::text(master.next().unwrap_or(Value::Nil))?;
        let Some(Value::Int(port)) = master.next() else { return Err(unexpected("a node without a port")) };
        let node = (host, u16::try_from(port).map_err(|_| unexpected("a port that is out of range"))?);
        if !masters.contains(&node) {
            masters.push(node);
        }
    }
    Ok(masters)
}
