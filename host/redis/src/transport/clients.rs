//! The asynchronous clients of the crate `redis`.

use std::{io, time::Instant};

use lemon_session_store::Result;
use redis::{
    ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, RedisConnectionInfo, RedisError, RedisResult,
};

use super::{Node, Transport, authorities::authorities, cluster::Cluster, single::Single};
use crate::{
    check,
    errors::{refused, silent},
    options::Address,
};

/// Connects to the server or the cluster.
pub async fn connect(address: Address) -> Result<Box<dyn Transport>> {
    if address.tls && rustls::crypto::CryptoProvider::get_default().is_none() {
        // Fails if another thread has installed one since: that one is used.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
    // The clients read them too, with errors that do not name the option.
    authorities(&address)?;
    let name = address.to_string();
    let failed = |error: RedisError| match error.is_timeout() {
        true => silent(&name, 2 * address.timeout),
        false => refused(&name, &address, error),
    };
    let deadline = Instant::now() + 2 * address.timeout;
    if address.cluster {
        return Ok(Box::new(within(deadline, Cluster::connect(&address)).await.map_err(failed)?));
    }
    let single = within(deadline, Single::connect(&address)).await.map_err(failed)?;
    // A user without the right to INFO can still use sessions.
    if let Ok(info) = single.send(&redis::cmd("INFO"), Instant::now() + address.timeout).await {
        check::info(&name, info)?;
    }
    Ok(Box::new(single))
}

/// How a client connects to each of the nodes.
pub fn connections(address: &Address) -> RedisResult<Vec<ConnectionInfo>> {
    let node = |node| Ok(addr(address, node).into_connection_info()?.set_redis_settings(settings(address)));
    address.nodes.iter().map(node).collect()
}

/// The user and the database.
pub fn settings(address: &Address) -> RedisConnectionInfo {
    let mut settings = RedisConnectionInfo::default().set_db(address.database).set_protocol(ProtocolVersion::RESP3);
    if let Some(username) = &address.username {
        settings = settings.set_username(username);
    }
    if let Some(password) = &address.password {
        settings = settings.set_password(password);
    }
    settings
}

/// Where a node is.
pub fn addr(address: &Address, (host, port): &Node) -> ConnectionAddr {
    let (host, port) = (host.clone(), *port);
    match address.tls {
        true => ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None },
        false => ConnectionAddr::Tcp(host, port),
    }
}

/// The answer, if it comes before the deadline.
pub async fn within<T>(deadline: Instant, answer: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
    let timed_out = |_| Err(io::Error::from(io::ErrorKind::TimedOut).into());
    tokio::time::timeout_at(deadline.into(), answer).await.unwrap_or_else(timed_out)
}
