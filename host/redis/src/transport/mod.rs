//! How calls reach the server or the cluster: through the asynchronous clients of the crate `redis`, or, on WebAssembly
//! and for programs without tokio, over a plain socket.

#[cfg(any(feature = "tls", not(target_family = "wasm")))]
mod authorities;
#[cfg(not(target_family = "wasm"))]
mod clients;
#[cfg(not(target_family = "wasm"))]
mod cluster;
mod connection;
#[cfg(not(target_family = "wasm"))]
mod sentinels;
#[cfg(not(target_family = "wasm"))]
mod single;
pub mod socket;
mod stream;
#[cfg_attr(not(feature = "tls"), path = "no_tls.rs")]
mod tls;

use std::time::{Duration, Instant};

use async_trait::async_trait;
use redis::{Cmd, ErrorKind, Pipeline, RedisError, RedisResult, ServerErrorKind, Value};

#[cfg(not(target_family = "wasm"))]
pub use self::clients::connect;
#[cfg(target_family = "wasm")]
pub use self::socket::connect;

/// The host and port of a node of a cluster.
pub type Node = (String, u16);

/// Sends commands. A call that is not answered by its deadline fails, and its error is a timeout.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Sends a command to the server, or to the node that has its key.
    async fn send(&self, cmd: &Cmd, deadline: Instant) -> RedisResult<Value>;

    /// Sends a command and then `WAIT` over the same connection, which returns when this many replicas have what was written over
    /// that connection, or when half of the time is over. Returns the answer, and how many replicas have it.
    async fn send_and_wait(&self, cmd: &Cmd, replicas: u32, deadline: Instant) -> RedisResult<(Value, u32)>;

    /// Waits, before a call is repeated.
    async fn wait(&self, time: Duration);

    /// Whether it leads to a cluster.
    fn is_cluster(&self) -> bool {
        false
    }

    /// In a cluster, sends a command to a given node, or to a random one.
    async fn send_to(&self, _node: Option<&Node>, cmd: &Cmd, deadline: Instant) -> RedisResult<Value> {
        self.send(cmd, deadline).await
    }

    /// In a cluster, sends a command to the node that `redirect` names, which is taking over the key's slot.
    async fn ask(&self, redirect: &RedisError, _cmd: Cmd, _deadline: Instant) -> RedisResult<Value> {
        Err(redirect.clone())
    }
}

/// A command, and a `WAIT` that ends in time for its answer to arrive before the deadline.
fn waiting(cmd: &Cmd, replicas: u32, deadline: Instant) -> Pipeline {
    let patience = deadline.saturating_duration_since(Instant::now()) / 2;
    let mut pipeline = redis::pipe();
    // Without a time limit it would wait for ever.
    pipeline.add_command(cmd.clone()).cmd("WAIT").arg(replicas).arg(patience.as_millis().max(1) as u64);
    pipeline
}

/// The answers to the command and to `WAIT`.
fn waited(answers: Vec<Value>) -> RedisResult<(Value, u32)> {
    let mut answers = answers.into_iter();
    let answer = answers.next().unwrap_or(Value::Nil).extract_error()?;
    match answers.next().unwrap_or(Value::Nil).extract_error()? {
        Value::Int(replicas) => Ok((answer, u32::try_from(replicas).unwrap_or_default())),
        _ => Err((ErrorKind::Parse, "WAIT has not answered with a number").into()),
    }
}

/// Whether the server has refused a call because it is a replica.
fn is_no_primary(error: &RedisError) -> bool {
    // Redis 6 quotes the error of a script's command in an error of its own.
    matches!(error.kind(), ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown))
        || error.detail().is_some_and(|detail| detail.contains("-READONLY "))
}
