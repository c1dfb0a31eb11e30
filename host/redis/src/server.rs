//! The connection to a server, or to all nodes of a cluster.

use std::time::Duration;

use lemon_session_store::{Error, Result};
use redis::{
    Cmd, ErrorKind, IntoConnectionInfo, ProtocolVersion, RedisConnectionInfo, RedisError, RedisResult, ServerErrorKind,
    TlsCertificates, Value,
    aio::ConnectionLike,
    cluster::ClusterClientBuilder,
    cluster_async::ClusterConnection,
    cluster_routing::{RoutingInfo, SingleNodeRoutingInfo},
};

use super::{
    options::Address,
    reply::{self, Reply, unexpected},
    script::{Args, Script},
    single::Single,
};

/// How long a call waits before it is tried again.
const PAUSE: Duration = Duration::from_millis(50);
/// How many keys one step of a scan goes over.
pub const PAGE: usize = 1000;

pub struct Server {
    connection: Connection,
    name: String,
    timeout: Duration,
}

enum Connection {
    Single(Box<Single>),
    Cluster(ClusterConnection),
}

/// Whether a call may be made again when it is not known whether it was made already.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    Safe,
    Never,
}

/// One of the servers that hold the keys; none where there is but one.
pub type Node = Option<(String, u16)>;

impl Server {
    pub async fn connect(address: &Address) -> Result<Self> {
        if address.tls && rustls::crypto::CryptoProvider::get_default().is_none() {
            // An error means that somebody else was faster.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        let name = address.to_string();
        let connecting = async {
            Ok(match address.cluster {
                false => Connection::Single(Box::new(Single::connect(address).await?)),
                true => Connection::Cluster(cluster(address).await?),
            })
        };
        let connection = match tokio::time::timeout(2 * address.timeout, connecting).await {
            Ok(connected) => connected.map_err(|error| refused(&name, address, error))?,
            Err(_) => return Err(silent(&name, 2 * address.timeout)),
        };
        let server = Self { connection, name, timeout: address.timeout };
        if !address.cluster {
            server.check().await?;
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

    /// Sends a call and waits for the answer, for a limited time. A call that was certainly not made, because a slot is on
    /// another node by now, for example, is made again.
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
                match error.kind() {
                    ErrorKind::Server(ServerErrorKind::NoScript) if attempts < 3 => {
                        cmd = by_text();
                        continue;
                    }
                    ErrorKind::Server(ServerErrorKind::Ask) if self.is_cluster() => {
                        match self.ask(&error, by_text()).await {
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
            Ok(answer) => answer.map_err(|error| self.trouble(&error)),
            Err(_) => Err(failed.map_or_else(|| silent(&self.name, self.timeout), |error| self.trouble(&error))),
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
            // A server that is away does not come back while requests wait for it; a connection that was lost does.
            _ => lost && repeat == Repeat::Safe && (cluster || attempts < 2),
        }
    }

    async fn send(&self, cmd: &Cmd) -> RedisResult<Value> {
        match &self.connection {
            Connection::Single(connection) => connection.send(cmd).await,
            Connection::Cluster(connection) => connection.clone().req_packed_command(cmd).await?.extract_error(),
        }
    }

    /// Follows a slot that is on its way to another node.
    async fn ask(&self, redirect: &RedisError, cmd: Cmd) -> RedisResult<Value> {
        let node = redirect.redirect_node().and_then(|(node, _)| {
            let (host, port) = node.rsplit_once(':')?;
            Some(SingleNodeRoutingInfo::ByAddress { host: host.to_owned(), port: port.parse().ok()? })
        });
        let (Connection::Cluster(connection), Some(node)) = (&self.connection, node) else {
            return Err(redirect.clone());
        };
        let mut pipeline = redis::pipe();
        pipeline.cmd("ASKING").ignore().add_command(cmd);
        let mut values = connection.clone().route_pipeline(pipeline, 0, 2, node).await?;
        values.pop().unwrap_or(Value::Nil).extract_error()
    }

    /// The servers that hold the keys.
    pub async fn nodes(&self) -> Result<Vec<Node>> {
        if !self.is_cluster() {
            return Ok(vec![None]);
        }
        let mut slots = redis::cmd("CLUSTER");
        slots.arg("SLOTS");
        let mut nodes = Vec::new();
        for range in reply::array(self.command_on(&slots, SingleNodeRoutingInfo::Random).await?)? {
            let master = reply::array(range)?.into_iter().nth(2).ok_or_else(|| unexpected("a slot without a node"))?;
            let mut master = reply::array(master)?.into_iter();
            let host = reply::text(master.next().unwrap_or(Value::Nil))?;
            let Some(Value::Int(port)) = master.next() else { return Err(unexpected("a node without a port")) };
            let node = Some((host, u16::try_from(port).map_err(|_| unexpected("a port that is none"))?));
            if !nodes.contains(&node) {
                nodes.push(node);
            }
        }
        Ok(nodes)
    }

    /// One step over the keys of a node that match a pattern: where the next one begins, 0 after the last, and the keys. A
    /// key may come twice.
    pub async fn scan(&self, node: &Node, cursor: u64, pattern: &str) -> Result<(u64, Vec<Vec<u8>>)> {
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(pattern).arg("COUNT").arg(PAGE);
        let page = match node {
            None => self.command(scan).await?,
            Some((host, port)) => {
                self.command_on(&scan, SingleNodeRoutingInfo::ByAddress { host: host.clone(), port: *port }).await?
            }
        };
        let mut page = reply::array(page)?.into_iter();
        let cursor = reply::number(reply::text(page.next().unwrap_or(Value::Nil))?.as_bytes())?;
        let keys = reply::list(page.next().unwrap_or(Value::Nil))?;
        Ok((cursor, keys.into_iter().flatten().collect()))
    }

    /// The time by a server's clock.
    pub async fn time(&self) -> Result<u64> {
        let time = self.command_on(&redis::cmd("TIME"), SingleNodeRoutingInfo::Random).await?;
        let seconds = reply::list(time)?.into_iter().next().flatten();
        reply::number(&seconds.unwrap_or_default())
    }

    async fn command_on(&self, cmd: &Cmd, node: SingleNodeRoutingInfo) -> Result<Value> {
        let Connection::Cluster(connection) = &self.connection else {
            return self.command(cmd.clone()).await;
        };
        let mut connection = connection.clone();
        let routed = connection.route_command(cmd.clone(), RoutingInfo::SingleNode(node));
        match tokio::time::timeout(self.timeout, routed).await {
            Ok(answer) => answer.and_then(Value::extract_error).map_err(|error| self.trouble(&error)),
            Err(_) => Err(silent(&self.name, self.timeout)),
        }
    }

    /// Whether this is a server to keep sessions on, as far as it lets us know.
    async fn check(&self) -> Result<()> {
        let Ok(info) = self.send(&redis::cmd("INFO")).await else { return Ok(()) };
        let info = match info {
            Value::BulkString(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Value::VerbatimString { text, .. } => text.to_string(),
            _ => return Ok(()),
        };
        let says = |line: &str| info.lines().any(|said| said == line);
        if says("cluster_enabled:1") {
            return Err(Error::invalid(format!(
                "{} is a node of a Redis Cluster: the URL then begins with redis+cluster://",
                self.name
            )));
        }
        if says("role:slave") {
            return Err(Error::invalid(format!(
                "{} is a replica, which cannot be written to: give the host and port of the primary",
                self.name
            )));
        }
        let value = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let policy = value("maxmemory_policy").unwrap_or("noeviction");
        // Without a limit of memory nothing is evicted.
        let is_limited = value("maxmemory").is_some_and(|bytes| bytes != "0");
        if is_limited && policy != "noeviction" {
            tracing::warn!(
                "{} has the maxmemory-policy {policy}: short of memory it drops live sessions; noeviction refuses new ones",
                self.name
            );
        }
        Ok(())
    }

    fn trouble(&self, error: &RedisError) -> Error {
        Error::unavailable(format!("{}: {}", self.name, reason(error)))
    }
}

async fn cluster(address: &Address) -> RedisResult<ClusterConnection> {
    // The client would also repeat calls of which it is not known whether they were made: `patiently` knows better.
    let mut builder = ClusterClientBuilder::new(nodes(address)?)
        .use_protocol(ProtocolVersion::RESP3)
        .connection_timeout(address.timeout)
        .response_timeout(address.timeout)
        .retries(0);
    if let Some(ca) = address.ca.clone() {
        builder = builder.certs(TlsCertificates { client_tls: None, root_cert: Some(ca) });
    }
    builder.build()?.get_async_connection().await
}

/// How the nodes of an address are reached.
pub fn nodes(address: &Address) -> RedisResult<Vec<redis::ConnectionInfo>> {
    let mut settings = RedisConnectionInfo::default().set_db(address.database).set_protocol(ProtocolVersion::RESP3);
    if let Some(username) = &address.username {
        settings = settings.set_username(username);
    }
    if let Some(password) = &address.password {
        settings = settings.set_password(password);
    }
    let node = |(host, port): &(String, u16)| {
        let (host, port) = (host.clone(), *port);
        let addr = match address.tls {
            true => redis::ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None },
            false => redis::ConnectionAddr::Tcp(host, port),
        };
        Ok(addr.into_connection_info()?.set_redis_settings(settings.clone()))
    };
    address.nodes.iter().map(node).collect()
}

/// Why there is no connection, and what to look at.
fn refused(name: &str, address: &Address, error: RedisError) -> Error {
    let code = error.code().unwrap_or_default().to_owned();
    let check = match error.kind() {
        ErrorKind::AuthenticationFailed => "check user and password",
        _ if matches!(code.as_str(), "WRONGPASS" | "NOAUTH" | "NOPERM") => "check user and password",
        ErrorKind::RESP3NotSupported => "Redis 6 or later is needed",
        ErrorKind::Server(_) if address.cluster => "is it a Redis Cluster? For one server the URL begins with redis://",
        _ if address.tls => "check host, port, firewall and certificate, and whether the server speaks TLS there",
        _ => "check host, port and firewall, and whether the server runs (and without TLS there)",
    };
    Error::unavailable(format!("cannot connect to {name}: {}; {check}", reason(&error)))
}

fn silent(name: &str, timeout: Duration) -> Error {
    Error::unavailable(format!("{name} did not answer within {} seconds", timeout.as_secs()))
}

/// What a server's error comes to. Its text may quote a call, and with it a session's key: only its code is passed on.
fn reason(error: &RedisError) -> String {
    match error.kind() {
        ErrorKind::Io | ErrorKind::Client | ErrorKind::ClusterConnectionNotFound | ErrorKind::InvalidClientConfig => {
            error.to_string()
        }
        _ => match error.code() {
            Some("OOM") => "OOM: it is out of memory (maxmemory)".to_owned(),
            Some(code) => match code {
                "READONLY" => "READONLY: it is a replica by now".to_owned(),
                "MASTERDOWN" => "MASTERDOWN: it is a replica by now, and does not reach its primary".to_owned(),
                "NOPERM" => "NOPERM: the user may not use the commands or keys that sessions need".to_owned(),
                "MISCONF" => "MISCONF: it cannot write to its disk, and so refuses changes".to_owned(),
                "NOREPLICAS" => "NOREPLICAS: too few replicas are connected".to_owned(),
                code => format!("{code} ({})", error.category()),
            },
            None => error.category().to_owned(),
        },
    }
}
