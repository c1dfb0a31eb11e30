//! The connection to the nodes of a cluster.

use lemon_session_store::Result;
use redis::{
    Cmd, ProtocolVersion, RedisError, RedisResult, TlsCertificates, Value,
    aio::ConnectionLike,
    cluster::ClusterClientBuilder,
    cluster_async::ClusterConnection,
    cluster_routing::{RoutingInfo, SingleNodeRoutingInfo},
};

use super::{
    options::Address,
    reply::{self, unexpected},
};

pub struct Cluster(ClusterConnection);

/// The host and port of a node.
pub type Node = (String, u16);

impl Cluster {
    pub async fn connect(address: &Address) -> RedisResult<Self> {
        // The client would also repeat calls that may have taken effect, so `Server::patiently` decides what is
        // repeated.
        let mut builder = ClusterClientBuilder::new(address.connections()?)
            .use_protocol(ProtocolVersion::RESP3)
            .connection_timeout(address.timeout)
            .response_timeout(address.timeout)
            .retries(0);
        if let Some(ca) = address.ca.clone() {
            builder = builder.certs(TlsCertificates { client_tls: None, root_cert: Some(ca) });
        }
        Ok(Self(builder.build()?.get_async_connection().await?))
    }

    /// Sends a command to the node that has its key.
    pub async fn send(&self, cmd: &Cmd) -> RedisResult<Value> {
        self.0.clone().req_packed_command(cmd).await?.extract_error()
    }

    /// Sends a command to a given node, or to a random one.
    pub async fn send_to(&self, node: Option<&Node>, cmd: &Cmd) -> RedisResult<Value> {
        let node = node.map_or(SingleNodeRoutingInfo::Random, |(host, port)| SingleNodeRoutingInfo::ByAddress {
            host: host.clone(),
            port: *port,
        });
        self.0.clone().route_command(cmd.clone(), RoutingInfo::SingleNode(node)).await?.extract_error()
    }

    /// Sends a command to the node that `redirect` names, which is taking over the key's slot.
    pub async fn ask(&self, redirect: &RedisError, cmd: Cmd) -> RedisResult<Value> {
        let node = redirect.redirect_node().and_then(|(node, _)| {
            let (host, port) = node.rsplit_once(':')?;
            Some(SingleNodeRoutingInfo::ByAddress { host: host.to_owned(), port: port.parse().ok()? })
        });
        let Some(node) = node else { return Err(redirect.clone()) };
        let mut pipeline = redis::pipe();
        pipeline.cmd("ASKING").ignore().add_command(cmd);
        let mut values = self.0.clone().route_pipeline(pipeline, 0, 2, node).await?;
        values.pop().unwrap_or(Value::Nil).extract_error()
    }
}

/// The masters in an answer to `CLUSTER SLOTS`.
pub fn masters(slots: Value) -> Result<Vec<Node>> {
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
