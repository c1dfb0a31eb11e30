//! Connections: accepted, spoken HTTP/1.1 with, and finished before the server stops.

use std::{
    convert::Infallible,
    io,
    net::IpAddr,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

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
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep, timeout_at},
};
use wasmtime_wasi_http::WasiBody;

use super::{
    metrics::{Answer, Metrics},
    mounts::{Found, Mounts},
    unstuck::Unstuck,
};
use crate::application::{
    Failure, RequestId,
    cgi::{LocalRedirect, Place, Variables},
    forwarded,
};

/// What all connections share.
pub struct Site {
    mounts: RwLock<Arc<Mounts>>,
    pub settings: Arc<Server>,
    pub metrics: Arc<Metrics>,
    stopping: AtomicBool,
}

impl Site {
    pub fn new(mounts: Mounts, settings: Arc<Server>, metrics: Arc<Metrics>) -> Self {
        let mounts = RwLock::new(Arc::new(mounts));
        Self { mounts, settings, metrics, stopping: AtomicBool::new(false) }
    }

    /// The applications that answer the next request.
    fn mounts(&self) -> Arc<Mounts> {
        self.mounts.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Has other applications answer from the next request on; those in flight go on with theirs.
    pub fn replace(&self, mounts: Mounts) {
        *self.mounts.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(mounts);
    }

    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }
}

/// For how long a connection without a request is kept once the server stops: a request may be on its way, and its client
/// would not learn whether it was answered.
const LINGER: Duration = Duration::from_secs(1);

/// Serves until `stop` is ready, then finishes what is in flight.
///
/// No request is lost then: connections that wait to be accepted are, answers say that they are the connection's last, and a
/// connection without a request is closed only after a while.
pub async fn serve(listener: TcpListener, site: Arc<Site>, stop: impl Future<Output = ()>) {
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
        match accepted {
            Ok(accepted) => converse(accepted, &site, &http, &graceful),
            Err(error) => {
                // Mostly too many open files, which passes.
                tracing::warn!("cannot accept a connection: {error}");
                sleep(Duration::from_millis(50)).await;
            }
        }
    }

    let until = Instant::now() + site.settings.shutdown_time;
    if let Err(error) = accept_waiting(listener, &connections, |accepted| converse(accepted, &site, &http, &graceful)) {
        tracing::warn!("cannot accept the last connections: {error}");
    }
    // Only now, as clients that are told to open another connection find no server any more.
    site.stopping.store(true, Ordering::Relaxed);
    let all = connections.acquire_many(site.settings.connections);
    let _ = timeout_at(until.min(Instant::now() + LINGER), all).await;
    if timeout_at(until, graceful.shutdown()).await.is_err() {
        tracing::warn!("stopped with requests in flight, after {:?}", site.settings.shutdown_time);
    }
}

/// A connection, and the right to have it open.
type Accepted = (TcpStream, IpAddr, OwnedSemaphorePermit);

async fn accept(listener: &TcpListener, connections: &Arc<Semaphore>) -> io::Result<Accepted> {
    let permit = connections.clone().acquire_owned().await.map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    // Small answers are not held back for larger ones.
    stream.set_nodelay(true)?;
    Ok((stream, peer.ip(), permit))
}

/// Accepts the connections that wait for it already, and no others.
fn accept_waiting(
    listener: TcpListener,
    connections: &Arc<Semaphore>,
    mut accepted: impl FnMut(Accepted),
) -> io::Result<()> {
    // Not blocking, and without what tokio remembers of whether any wait.
    let listener = listener.into_std()?;
    while let Ok(permit) = connections.clone().try_acquire_owned() {
        match listener.accept() {
            Ok((stream, peer)) => {
                stream.set_nonblocking(true)?;
                stream.set_nodelay(true)?;
                accepted((TcpStream::from_std(stream)?, peer.ip(), permit));
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Answers the requests of a connection.
fn converse((stream, peer, permit): Accepted, site: &Arc<Site>, http: &http1::Builder, graceful: &GracefulShutdown) {
    let counted = site.metrics.connection();
    let stream = Unstuck::new(stream, site.settings.write_time);
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
        drop((counted, permit));
    });
}

async fn answer(site: &Site, peer: IpAddr, request: Request<Incoming>) -> Response<Answer> {
    let in_flight = site.metrics.request();
    let mut response = respond(site, peer, request).await;
    if site.is_stopping() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    in_flight.answered(response)
}

async fn respond(site: &Site, peer: IpAddr, mut request: Request<Incoming>) -> Response<WasiBody> {
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
        let mounts = self.mounts();
        for _ in 0..=LOCAL_REDIRECTS {
            let Found { application, mount, rest } = mounts.find(request.uri().path()).ok_or(Failure::NotFound)?;
            let next = application.is_program().then(|| without_body(&request));
            let variables =
                |parts: &Parts| Variables::of_request(parts, Place { peer, script_name: mount, path_info: rest });
            let response = application.answer(id, Some(peer), request, variables).await?;
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
