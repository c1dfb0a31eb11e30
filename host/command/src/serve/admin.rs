//! Health checks and metrics for operators' tools, on a separate address.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{rt::TokioTimer, server::graceful::GracefulShutdown};
use lemon_session_host::store::{self, Digest, Store};
use prometheus::TEXT_FORMAT;
use tokio::{
    net::TcpListener,
    time::{sleep, timeout},
};

use super::{connections::Connections, conversation::Conversations, listener::Site};
use crate::{
    application::Platform,
    console::{self, Console},
};

/// The maximum number of open connections. A further one replaces the one that has been idle for longest.
const CONNECTIONS: usize = 64;
/// The time limit for a request's head, for reading the response, and for an idle connection.
const PATIENCE: Duration = Duration::from_secs(60);
/// The time limit of the store's answer to a health check.
const MOMENT: Duration = Duration::from_secs(2);

/// The header of /metrics with a random name of the server, by which a console recognises itself among its peers.
pub const SERVER: HeaderName = HeaderName::from_static("lemon-session-server");

/// The sources of the health check and the metrics.
pub struct Admin {
    pub site: Arc<Site>,
    pub platform: Arc<Platform>,
    pub store: Arc<dyn Store>,
    /// The name in [`SERVER`].
    pub name: String,
}

/// Answers requests, and never returns.
pub async fn serve(listener: TcpListener, admin: Arc<Admin>, console: Option<Arc<Console>>) {
    let connections = Connections::of_anybody(CONNECTIONS);
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
    let conversations = Conversations { http, write_time: PATIENCE, graceful: GracefulShutdown::new() };
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!("cannot accept a connection to the admin address: {error}");
                sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let Some(permit) = connections.permit(peer.ip()).await else { continue };
        let (admin, console) = (admin.clone(), console.clone());
        tokio::spawn(conversations.begin(stream, permit, move |request: Request<Incoming>| {
            let (admin, console) = (admin.clone(), console.clone());
            async move {
                match console {
                    Some(console) if console::has(request.uri().path()) => console.answer(request, peer.ip()).await,
                    _ => admin.answer(&request).await.map(|body| body.boxed_unsync()),
                }
            }
        }));
    }
}

impl Admin {
    async fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let path = request.uri().path();
        if !matches!(path, "/healthz" | "/metrics") {
            return text(StatusCode::NOT_FOUND, "not found; the paths are /healthz and /metrics\n");
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are allowed\n");
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        match path {
            "/healthz" => self.health().await,
            _ => self.metrics(),
        }
    }

    /// Answers 200 while the server accepts requests and the store responds, and otherwise 503.
    async fn health(&self) -> Response<Full<Bytes>> {
        if self.site.is_stopping() {
            return text(StatusCode::SERVICE_UNAVAILABLE, "the server is stopping\n");
        }
        match self.trouble().await {
            None => text(StatusCode::OK, "ok\n"),
            Some(why) => {
                tracing::warn!("the health check failed: {why}");
                text(StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n"))
            }
        }
    }

    /// Why the store is of no use now.
    pub async fn trouble(&self) -> Option<String> {
        match timeout(MOMENT, self.answers()).await {
            Ok(Ok(true)) => None,
            Ok(Ok(false)) => {
                Some("the tables of the sessions are missing; `lemon-session tables create` creates them".to_owned())
            }
            Ok(Err(error)) => Some(format!("the session store failed: {error}")),
            Err(_) => Some("the session store does not respond".to_owned()),
        }
    }

    /// Asks the store for something; false if its tables are missing.
    async fn answers(&self) -> Result<bool, store::Error> {
        match self.store.schema() {
            Some(schema) => schema.tables_exist().await,
            None => self.store.load(&Digest::of(""), "", 0, 0).await.map(|_| true),
        }
    }

    fn metrics(&self) -> Response<Full<Bytes>> {
        match self.text() {
            Ok(metrics) => {
                let mut response = text(StatusCode::OK, metrics);
                let headers = response.headers_mut();
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(TEXT_FORMAT));
                if let Ok(name) = HeaderValue::try_from(&self.name) {
                    headers.insert(SERVER, name);
                }
                response
            }
            Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
        }
    }

    /// The metrics as text.
    pub fn text(&self) -> Result<String> {
        Ok(self.site.metrics.text(self.platform.guests())?)
    }
}

fn text(status: StatusCode, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
