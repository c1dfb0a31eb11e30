//! The asynchronous client of the nodes of a cluster.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use redis::{
    Cmd, ProtocolVersion, RedisError, RedisResult, TlsCertificates, Value,
    aio::ConnectionLike,
    cluster::ClusterClientBuilder,
    cluster_async::ClusterConnection,
    cluster_routing::{RoutingInfo, SingleNodeRoutingInfo},
};

use super::{
    Node, Transport,
    clients::{connections, within},
};
use crate::options::Address;

pub struct Cluster(ClusterConnection);

impl Cluster {
    pub async fn connect(address: &Address) -> RedisResult<Self> {
        // The client would also repeat calls that may have taken effect, so `Server::patiently` decides what is
        // repeated.
        let mut builder = ClusterClientBuilder::new(connections(address)?)
            .use_protocol(ProtocolVersion::RESP3)
            .connection_timeout(address.timeout)
            .response_timeout(address.timeout)
            .retries(0);
        if let Some(ca) = address.ca.clone() {
            builder = builder.certs(TlsCertificates { client_tls: None, root_cert: Some(ca) });
        }
        Ok(Self(builder.build()?.get_async_connection().await?))
    }
}

#[async_trait]
impl Transport for Cluster {
    async fn send(&self, cmd: &Cmd, deadline: Instant) -> RedisResult<Value> {
        let mut connection = self.0.clone();
        within(deadline, connection.req_packed_command(cmd)).await?.extract_error()
    }

    async fn wait(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    fn is_cluster(&self) -> bool {
        true
    }

    async fn send_to(&self, node: Option<&Node>, cmd: &Cmd, deadline: Instant) -> RedisResult<Value> {
        let node = node.map_or(SingleNodeRoutingInfo::Random, |(host, port)| SingleNodeRoutingInfo::ByAddress {
            host: host.clone(),
            port: *port,
        });
        let mut connection = self.0.clone();
        within(deadline, connection.route_command(cmd.clone(), RoutingInfo::SingleNode(node))).await?.extract_error()
    }

    async fn ask(&self, redirect: &RedisError, cmd: Cmd, deadline: Instant) -> RedisResult<Value> {
        let node = redirect.redirect_node().and_then(|(node, _)| {
            let (host, port) = node.rsplit_once(':')?;
            Some(SingleNodeRoutingInfo::ByAddress { host: host.to_owned(), port: port.parse().ok()? })
        });
        let Some(node) = node else { return Err(redirect.clone()) };
        let mut pipeline = redis::pipe();
        pipeline.cmd("ASKING").ignore().add_command(cmd);
        let mut connection = self.0.clone();
        let mut values = within(deadline, connection.route_pipeline(pipeline, 0, 2, node)).await?;
        values.pop().unwrap_or(Value::Nil).extract_error()
    }
}
