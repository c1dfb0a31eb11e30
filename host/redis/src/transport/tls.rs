//! TLS over a blocking socket.

use std::{io, net::TcpStream, sync::Arc};

use lemon_session_store::{Error, Result};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, crypto::ring, pki_types::ServerName};

use super::{authorities::authorities, stream::Stream};
use crate::options::Address;

/// How the server is recognised.
pub struct Tls {
    config: Arc<ClientConfig>,
    host: ServerName<'static>,
}

impl Tls {
    /// Trusts the certificates of `ca-file`, or else those of Mozilla's list: WebAssembly has no system with a list of
    /// its own.
    pub fn new(address: &Address) -> Result<Self> {
        let listed = || RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let roots = authorities(address)?.unwrap_or_else(listed);
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::unavailable(format!("TLS cannot be used: {error}")))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let host = address.nodes.first().and_then(|(host, _)| ServerName::try_from(host.clone()).ok());
        let host = host.ok_or_else(|| Error::invalid(format!("{address}: no certificate can be for this host")))?;
        Ok(Self { config: Arc::new(config), host })
    }

    /// Encrypts a connection. The handshake is part of the first call.
    pub fn wrap(&self, stream: TcpStream) -> io::Result<Box<dyn Stream>> {
        let connection = ClientConnection::new(Arc::clone(&self.config), self.host.clone());
        Ok(Box::new(StreamOwned::new(connection.map_err(io::Error::other)?, stream)))
    }
}

impl Stream for StreamOwned<ClientConnection, TcpStream> {
    fn socket(&self) -> &TcpStream {
        &self.sock
    }
}
