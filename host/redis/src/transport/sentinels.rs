//! Sentinels, which watch a primary and its replicas, and know which server is the primary.

use redis::{
    Client, ErrorKind, RedisResult, TlsCertificates,
    sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType},
};
use tokio::sync::Mutex;

use super::clients::addr;
use crate::options::Address;

pub struct Sentinels(Mutex<SentinelClient>);

impl Sentinels {
    /// User, password and database are those of the primary; sentinels are asked without a password.
    pub fn new(address: &Address) -> RedisResult<Self> {
        let name = address.primary.as_ref().ok_or((ErrorKind::InvalidClientConfig, "no name of a primary"))?;
        let nodes = address.nodes.iter().map(|node| addr(address, node));
        let mut builder = SentinelClientBuilder::new(nodes, name, SentinelServerType::Master)?
            .set_client_to_redis_db(address.database)
            .set_client_to_redis_protocol(redis::ProtocolVersion::RESP3);
        if let Some(username) = &address.username {
            builder = builder.set_client_to_redis_username(username);
        }
        if let Some(password) = &address.password {
            builder = builder.set_client_to_redis_password(password);
        }
        if address.tls {
            builder = builder.set_client_to_redis_tls_mode(redis::TlsMode::Secure);
        }
        if let Some(ca) = &address.ca {
            let certificates = || TlsCertificates { client_tls: None, root_cert: Some(ca.clone()) };
            builder = builder
                .set_client_to_redis_certificates(certificates())
                .set_client_to_sentinel_certificates(certificates());
        }
        Ok(Self(Mutex::new(builder.build()?)))
    }

    /// The server that the first sentinel which answers calls the primary, and that says so itself.
    pub async fn primary(&self) -> RedisResult<Client> {
        self.0.lock().await.async_get_client().await
    }
}
