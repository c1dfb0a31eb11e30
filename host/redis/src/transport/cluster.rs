//! The asynchronous client of the nodes of a cluster.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use redis::{
    Arg, Cmd, ErrorKind, ProtocolVersion, RedisError, RedisResult, ServerErrorKind, TlsCertificates, Value,
    aio::ConnectionLike,
    cluster::ClusterClientBuilder,
    cluster_async::ClusterConnection,
    cluster_routing::{RoutingInfo, SingleNodeRoutingInfo},
};

use super::{
    Node, Transport,
    clients::{connections, within},
    waited, waiting,
};
use crate::options::Address;

/// The place of the key in a call of a script: `EVALSHA DIGEST 1 KEY`.
const KEY: usize = 3;

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

    async fn send_and_wait(&self, cmd: &Cmd, replicas: u32, deadline: Instant) -> RedisResult<(Value, u32)> {
        let mut connection = self.0.clone();
        let pipeline = waiting(cmd, replicas, deadline);
        let answer = within(deadline, connection.req_packed_commands(&pipeline, 0, 2)).await.and_then(waited);
        if answer.as_ref().is_err_and(|error| error.kind() == ErrorKind::Server(ServerErrorKind::Moved))
            && let Some(Arg::Simple(key)) = cmd.args_iter().nth(KEY)
        {
            // The client learns where a slot is from the answer to a single command alone.
            let _ = self.send(redis::cmd("EXISTS").arg(key), deadline).await;
        }
        answer
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
