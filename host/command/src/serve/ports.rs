//! The ports that the server listens on.

use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use tokio::net::TcpListener;

use crate::config::Server;

/// A port, and its address, which has the number that port 0 was replaced by.
pub type Port = (TcpListener, SocketAddr);

pub struct Ports {
    /// That of the applications.
    pub site: Port,
    /// That of the operator.
    pub admin: Option<Port>,
}

impl Ports {
    /// Binds both, and warns of what others than this machine's users may see there.
    pub async fn bind(settings: &Server, is_dev: bool) -> Result<Self> {
        let site = listen(settings.addr).await?;
        let admin = match settings.admin_addr {
            Some(addr) => Some(listen(addr).await?),
            None => None,
        };
        if let Some((_, addr)) = &admin
            && !addr.ip().is_loopback()
        {
            tracing::warn!(
                "[server] admin-addr is {addr}: everyone who can reach it can read the metrics{}; listen on 127.0.0.1 or on \
                 a private network",
                if settings.console { " and see the console's traffic, with its token" } else { "" }
            );
        }
        if is_dev && !site.1.ip().is_loopback() {
            tracing::warn!(
                "--dev on {}: everyone who can reach it sees why requests fail, with what the application prints; listen on \
                 127.0.0.1, unless a container or your own network needs this",
                site.1
            );
        }
        Ok(Self { site, admin })
    }
}

async fn listen(addr: SocketAddr) -> Result<Port> {
    let listener = TcpListener::bind(addr).await.with_context(|| format!("cannot listen on {addr}"))?;
    let addr = listener.local_addr().context("the listener has no address")?;
    Ok((listener, addr))
}
