//! Accepts connections, answers their requests over HTTP/1.1, and finishes them before the server stops.

use std::{
    io,
    net::IpAddr,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use http::{HeaderValue, Method, Request, Response, header, request::Parts};
use http_body_util::{BodyExt as _, Empty};
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{rt::TokioTimer, server::graceful::GracefulShutdown};
use lemon_session_host::LogLimit;
use tokio::{
    net::{TcpListener, TcpStream},
    time::{Instant, sleep, timeout_at},
};
use wasmtime_wasi_http::WasiBody;

use super::{
    connections::{Connections, Permit},
    conversation::{Conversations, End},
    dev::Dev,
    host,
    metrics::{Answer, Closed, Metrics},
    mounts::{Found, Mounts},
};
use crate::{
    application::{
        Failure, RequestId, Subject,
        cgi::{LocalRedirect, Place, Variables},
        device_bound, forwarded, same_origin,
    },
    config::Server,
};

/// The state that all connections share.
pub struct Site {
    mounts: RwLock<Arc<Mounts>>,
    pub settings: Arc<Server>,
    pub metrics: Arc<Metrics>,
    /// In development mode.
    pub dev: Option<Arc<Dev>>,
    stopping: AtomicBool,
}

impl Site {
    pub fn new(mounts: Mounts, settings: Arc<Server>, metrics: Arc<Metrics>, dev: Option<Arc<Dev>>) -> Self {
        let mounts = RwLock::new(Arc::new(mounts));
        Self { mounts, settings, metrics, dev, stopping: AtomicBool::new(false) }
    }

    /// The applications for the next request.
    fn mounts(&self) -> Arc<Mounts> {
        self.mounts.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces the applications from the next request on. Requests in flight keep theirs.
    pub fn replace(&self, mounts: Mounts) {
        *self.mounts.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(mounts);
    }

    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }
}

/// How long a connection without a request is kept when the server stops: a client that is sending a request when the
/// connection closes cannot know whether the request was processed.
const LINGER: Duration = Duration::from_secs(1);

/// Serves until `stop` is ready, then finishes the requests in flight.
///
/// No request is lost when it stops: it accepts the connections in the backlog, marks responses as the connection's
/// last, and closes connections without a request only after a while.
pub async fn serve(listener: TcpListener, site: Arc<Site>, stop: impl Future<Output = ()>) {
    let settings = &site.settings;
    let connections = Connections::new(settings);
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(settings.header_time)
        // The buffer can contain a little more than the head.
        .max_buf_size(settings.header_bytes as usize)
        .max_header_size(settings.header_bytes as usize);
    let conversations = Conversations { http, write_time: settings.write_time, graceful: GracefulShutdown::new() };
    let door = Door { site: site.clone(), connections, conversations, refused: LogLimit::default() };

    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok((stream, peer)) => (stream, peer.ip()),
            Err(error) => {
                // Usually too many open files, which is temporary.
                tracing::warn!("cannot accept a connection: {error}");
                sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        tokio::select! {
            permit = door.connections.permit(peer) => door.admit(stream, peer, permit),
            () = &mut stop => {
                // It was accepted and may have sent a request: one connection beyond the limit does no harm now.
                door.converse(stream, peer, door.connections.extra_permit(peer));
                break;
            }
        }
    }

    let until = Instant::now() + settings.shutdown_time;
    if let Err(error) = door.admit_waiting(listener) {
        tracing::warn!("cannot accept the last connections: {error}");
    }
    // Only now, because a client that is told to close its connection could not open another one.
    site.stopping.store(true, Ordering::Relaxed);
    let _ = timeout_at(until.min(Instant::now() + LINGER), door.connections.none()).await;
    if timeout_at(until, door.conversations.graceful.shutdown()).await.is_err() {
        tracing::warn!("stopped with requests in flight, after {:?}", settings.shutdown_time);
    }
}

/// Admits connections, within their limits.
struct Door {
    site: Arc<Site>,
    connections: Arc<Connections>,
    conversations: Conversations,
    /// Limits the log lines about refused connections.
    refused: LogLimit,
}

impl Door {
    fn admit(&self, stream: TcpStream, peer: IpAddr, permit: Option<Permit>) {
        match permit {
            Some(permit) => self.converse(stream, peer, permit),
            None => {
                self.site.metrics.closed(Closed::Share);
                self.refused.limit(std::time::Instant::now(), |left_out| {
                    tracing::warn!(
                        left_out,
                        "{peer} has {} connections, all with a request: further ones are closed, because of [server] \
                         connections-per-address; if it is a proxy, add it to trusted-proxies",
                        self.connections.share()
                    );
                });
            }
        }
    }

    /// Admits the connections in the backlog, and no others.
    fn admit_waiting(&self, listener: TcpListener) -> io::Result<()> {
        // Non-blocking, and without tokio's cached readiness.
        let listener = listener.into_std()?;
        loop {
            match listener.accept() {
                Ok((stream, peer)) => {
                    stream.set_nonblocking(true)?;
                    let Some(permit) = self.connections.try_permit(peer.ip()) else { continue };
                    self.converse(TcpStream::from_std(stream)?, peer.ip(), permit);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// Answers the requests of a connection.
    fn converse(&self, stream: TcpStream, peer: IpAddr, permit: Permit) {
        // Sends small responses without delay. An error means that the connection is closed already.
        let _ = stream.set_nodelay(true);
        let counted = self.site.metrics.connection();
        let site = self.site.clone();
        let conversation = self.conversations.begin(stream, permit, move |request| {
            let site = site.clone();
            async move { answer(&site, peer, request).await }
        });
        let metrics = self.site.metrics.clone();
        tokio::spawn(async move {
            match conversation.await {
                End::Over(Ok(())) => {}
                End::Over(Err(error)) => tracing::debug!("a connection ended early: {error}"),
                End::Displaced => metrics.closed(Closed::Idle),
            }
            drop(counted);
        });
    }
}

async fn answer(site: &Site, peer: IpAddr, request: Request<Incoming>) -> Response<Answer> {
    let in_flight = site.metrics.request();
    let mut subject = Subject::new(RequestId::next(), request.method());
    let visit = site.dev.as_ref().map(|dev| dev.visit(&request, &mut subject));
    let mut response = match respond(site, &mut subject, peer, request).await {
        Ok(response) => match &visit {
            Some(visit) => visit.explained(response, &subject).await,
            None => response,
        },
        Err(failure) => {
            let mut response = failure.to_response(&subject);
            if let Some(visit) = &visit
                && let Some(page) = visit.page(&failure, &subject).await
            {
                page.replace_body(&mut response);
            }
            if failure.is_last() {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            response
        }
    };
    if site.is_stopping() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    if let Some(visit) = visit {
        response = visit.answered(response);
    }
    in_flight.answered(response)
}

/// Passes a request on. `subject`, which is about it, gets the name of the application.
async fn respond(
    site: &Site,
    subject: &mut Subject,
    peer: IpAddr,
    mut request: Request<Incoming>,
) -> Result<Response<WasiBody>, Failure> {
    let id = subject.id;
    // Without query and headers, which can contain private data.
    tracing::debug!(request = %id, method = %request.method(), path = request.uri().path(), "received");
    host::check(&mut request, &site.settings)?;
    if let Some(dev) = &site.dev {
        dev.check(&request)?;
    }
    let client = forwarded::normalise(request.headers_mut(), Some(peer), &site.settings).unwrap_or(peer);
    same_origin::check(&request, &site.settings, subject)?;
    let request = request.map(|body| body.map_err(wasmtime_wasi_http::Error::Hyper).boxed_unsync());
    let response = site.answer(subject, client, request).await?;
    tracing::debug!(request = %id, status = response.status().as_u16(), "answered");
    Ok(response)
}

/// The maximum number of local redirects of one request.
const LOCAL_REDIRECTS: usize = 10;

impl Site {
    /// Passes the request to the application mounted at its path, and follows local redirects. `subject` gets the name of the
    /// application.
    async fn answer(
        &self,
        subject: &mut Subject,
        client: IpAddr,
        mut request: Request<WasiBody>,
    ) -> Result<Response<WasiBody>, Failure> {
        let mounts = self.mounts();
        // Also below a path that no application is mounted on: that of the session's cookie.
        if let (Some(head), Some(any)) = (device_bound::head(&request), mounts.any())
            && let Some(response) = any.device_bound(&head, subject).await?
        {
            return Ok(response);
        }
        for _ in 0..=LOCAL_REDIRECTS {
            let Found { application, mount, rest } = mounts.find(request.uri().path()).ok_or(Failure::NotFound)?;
            *subject = subject.of(application.name());
            let next = application.is_program().then(|| without_body(&request));
            let variables =
                |parts: &Parts| Variables::of_request(parts, Place { client, script_name: mount, path_info: rest });
            let response = application.answer(subject.clone(), Some(client), request, variables).await?;
            match (response.extensions().get(), next) {
                (Some(LocalRedirect(path)), Some(next)) => {
                    request = next;
                    *request.uri_mut() = path.clone().into();
                }
                _ => return Ok(response),
            }
        }
        Err(Failure::BadAnswer("it returned too many local redirects".into()))
    }
}

/// The request that follows a local redirect, from the same client for another path (RFC 3875, section 6.2.2).
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
