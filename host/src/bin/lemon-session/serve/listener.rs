//! Connections: accepted, spoken HTTP/1.1 with, and finished before the server stops.

use std::{convert::Infallible, net::IpAddr, sync::Arc, time::Duration};

use http::{HeaderValue, Method, Request, Response, Version, header, request::Parts, uri::Authority};
use http_body_util::{BodyExt as _, Empty};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use lemon_session_host::config::Server;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{sleep, timeout},
};
use wasmtime_wasi_http::WasiBody;

use super::mounts::{Found, Mounts};
use crate::application::{
    Failure, RequestId,
    cgi::{LocalRedirect, Place, Variables},
    forwarded,
};

/// What all connections share.
pub struct Site {
    pub mounts: Mounts,
    pub settings: Arc<Server>,
}

/// Serves until `stop` is ready, then finishes what is in flight.
pub async fn serve(listener: TcpListener, site: Site, stop: impl Future<Output = ()>) {
    let site = Arc::new(site);
    let connections = Arc::new(Semaphore::new(site.settings.connections as usize));
    let graceful = GracefulShutdown::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(site.settings.header_time)
        .max_buf_size(site.settings.header_bytes as usize);

    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = accept(&listener, &connections) => accepted,
        };
        let (stream, peer, permit) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Mostly too many open files, which passes.
                tracing::warn!("cannot accept a connection: {error}");
                sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let site = site.clone();
        let service = service_fn(move |request| {
            let site = site.clone();
            async move { Ok::<_, Infallible>(answer(&site, peer, request).await) }
        });
        let connection = graceful.watch(http.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!("a connection ended early: {error}");
            }
            drop(permit);
        });
    }

    drop(listener);
    if timeout(site.settings.shutdown_time, graceful.shutdown()).await.is_err() {
        tracing::warn!("stopped with requests in flight, after {:?}", site.settings.shutdown_time);
    }
}

async fn accept(
    listener: &TcpListener,
    connections: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, IpAddr, tokio::sync::OwnedSemaphorePermit)> {
    let permit = connections.clone().acquire_owned().await.map_err(std::io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    // Small answers are not held back for larger ones.
    stream.set_nodelay(true)?;
    Ok((stream, peer.ip(), permit))
}

async fn answer(site: &Site, peer: IpAddr, mut request: Request<Incoming>) -> Response<WasiBody> {
    let id = RequestId::next();
    // Neither query nor headers: either may hold what is nobody's business.
    tracing::debug!(request = %id, method = %request.method(), path = request.uri().path(), "received");
    if let Err(failure) = check_host(&mut request) {
        return failure.into_response(id);
    }
    forwarded::normalise(request.headers_mut(), peer, &site.settings.trusted_proxies);
    let request = request.map(|body| body.map_err(wasmtime_wasi_http::Error::Hyper).boxed_unsync());
    match site.answer(id, peer, request).await {
        Ok(response) => {
            tracing::debug!(request = %id, status = response.status().as_u16(), "answered");
            response
        }
        Err(failure) => failure.into_response(id),
    }
}

/// How often one request may be led on by the applications themselves.
const LOCAL_REDIRECTS: usize = 10;

impl Site {
    /// Has the application answer that is mounted where the request leads to, and goes where it leads on to.
    async fn answer(
        &self,
        id: RequestId,
        peer: IpAddr,
        mut request: Request<WasiBody>,
    ) -> Result<Response<WasiBody>, Failure> {
        for _ in 0..=LOCAL_REDIRECTS {
            let Found { application, mount, rest } = self.mounts.find(request.uri().path()).ok_or(Failure::NotFound)?;
            let next = application.is_program().then(|| without_body(&request));
            let variables =
                |parts: &Parts| Variables::of_request(parts, Place { peer, script_name: mount, path_info: rest });
            let response = application.answer(id, request, variables).await?;
            match (response.extensions().get(), next) {
                (Some(LocalRedirect(path)), Some(next)) => {
                    request = next;
                    *request.uri_mut() = path.clone().into();
                }
                _ => return Ok(response),
            }
        }
        Err(Failure::BadAnswer("its local redirects do not come to an end".into()))
    }
}

/// The request that follows a local redirect: the same visitor's, for another path (RFC 3875, section 6.2.2).
fn without_body(request: &Request<WasiBody>) -> Request<WasiBody> {
    let mut next = Request::new(Empty::new().map_err(|never| match never {}).boxed_unsync());
    *next.method_mut() = if request.method() == Method::HEAD { Method::HEAD } else { Method::GET };
    *next.version_mut() = request.version();
    *next.headers_mut() = request.headers().clone();
    for of_body in [header::CONTENT_LENGTH, header::CONTENT_TYPE, header::CONTENT_ENCODING, header::TRANSFER_ENCODING] {
        next.headers_mut().remove(of_body);
    }
    next
}

/// A request says once which host it is for (RFC 9112, section 3.2), or is older than that rule.
fn check_host(request: &mut Request<Incoming>) -> Result<(), Failure> {
    if request.headers().get_all(header::HOST).iter().count() > 1 {
        return Err(Failure::BadRequest("The request has several Host headers."));
    }
    match request.headers().get(header::HOST) {
        Some(host) => match host.to_str().map(str::parse::<Authority>) {
            Ok(Ok(_)) => Ok(()),
            _ => Err(Failure::BadRequest("The request's Host header names no host.")),
        },
        None if request.version() >= Version::HTTP_11 => Err(Failure::BadRequest("The request has no Host header.")),
        None => {
            request.headers_mut().insert(header::HOST, HeaderValue::from_static("localhost"));
            Ok(())
        }
    }
}
