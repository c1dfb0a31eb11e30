//! The servers that share the store: this one, and those in `console-peers`, whose /metrics and /healthz are read.

use std::{str, sync::Arc, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use futures::future::join_all;
use http::{HeaderMap, Request, StatusCode, header, uri::Authority};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};

use super::reading::Reading;
use crate::{
    output,
    serve::admin::{Admin, SERVER},
};

/// The time limit of one answer of a peer.
const PATIENCE: Duration = Duration::from_secs(3);
/// The maximum size of an answer. Ours are a tenth of it.
const LARGEST: usize = 256 * 1024;

/// What is known of a server.
pub struct Server {
    pub name: String,
    /// What it counts; `None` if it cannot be reached.
    pub reading: Option<Reading>,
    /// Why it is not well.
    pub trouble: Option<String>,
}

/// All servers, this one first.
pub struct Servers {
    admin: Arc<Admin>,
    name: String,
    peers: Vec<Authority>,
}

impl Servers {
    /// `name` is that of this server.
    pub fn new(admin: Arc<Admin>, name: String, peers: Vec<Authority>) -> Self {
        Self { admin, name, peers }
    }

    /// Asks all servers at the same time.
    pub async fn ask(&self) -> Vec<Server> {
        let (own, peers) = tokio::join!(self.own(), join_all(self.peers.iter().map(|peer| self.peer(peer))));
        std::iter::once(own).chain(peers.into_iter().flatten()).collect()
    }

    async fn own(&self) -> Server {
        let trouble = self.admin.trouble().await;
        let reading = self.admin.text().ok().map(|text| Reading::parse(&text));
        Server { name: self.name.clone(), reading, trouble }
    }

    /// `None` if this peer is this server.
    async fn peer(&self, peer: &Authority) -> Option<Server> {
        let name = peer.to_string();
        match timeout(PATIENCE, read(peer)).await.unwrap_or_else(|_| bail!("it does not answer")) {
            Ok(Answers { server, .. }) if server.as_deref() == Some(&self.admin.name) => None,
            Ok(Answers { reading, trouble, .. }) => Some(Server { name, reading: Some(reading), trouble }),
            Err(error) => {
                let trouble = format!("cannot be reached: {}", output::causes(&error));
                Some(Server { name, reading: None, trouble: Some(trouble) })
            }
        }
    }
}

/// What a peer answers.
struct Answers {
    /// Its random name.
    server: Option<String>,
    reading: Reading,
    trouble: Option<String>,
}

async fn read(peer: &Authority) -> Result<Answers> {
    let (metrics, health) = tokio::try_join!(get(peer, "/metrics"), get(peer, "/healthz"))?;
    ensure!(metrics.status == StatusCode::OK, "/metrics answers {}", metrics.status);
    let server = metrics.headers.get(SERVER).and_then(|name| Some(name.to_str().ok()?.to_owned()));
    let is_well = health.status == StatusCode::OK;
    let trouble = (!is_well).then(|| health.text.lines().next().unwrap_or_default().to_owned());
    Ok(Answers { server, reading: Reading::parse(&metrics.text), trouble })
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

async fn get(peer: &Authority, path: &str) -> Result<Answer> {
    let stream = TcpStream::connect(peer.as_str()).await?;
    let (mut client, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::get(path).header(header::HOST, peer.as_str()).body(Empty::<Bytes>::new())?;
    let ask = async {
        let (parts, body) = client.send_request(request).await?.into_parts();
        let body = Limited::new(body, LARGEST).collect().await.map_err(anyhow::Error::from_boxed)?.to_bytes();
        let text = str::from_utf8(&body).context("its answer is not text")?.to_owned();
        Ok(Answer { status: parts.status, headers: parts.headers, text })
    };
    // The connection is driven here, so that it ends with this call.
    tokio::select! {
        answer = ask => answer,
        Err(error) = connection => Err(error.into()),
    }
}
