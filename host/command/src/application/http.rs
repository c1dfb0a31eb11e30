//! Components of wasi:http 0.2: when a guest is instantiated, how many requests it answers, and when it is stopped.
//!
//! A guest runs on the task of its request's connection, which avoids waking another task: most guests return their
//! response on the first poll. A guest that continues after its response began is polled together with the response
//! body.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, SizeHint};
use lemon_session_host::Caller;
use tokio::{
    runtime::Handle,
    sync::oneshot,
    task::yield_now,
    time::{sleep, timeout},
};
use wasmtime::Store;
use wasmtime_wasi_http::{
    Error, WasiBody, WasiHttpView as _,
    p2::bindings::{
        Proxy, ProxyPre,
        http::types::{ErrorCode, Scheme},
    },
};

use super::{Failure, Platform, Subject, failure::Reason, forwarded, guest::Guest, kind::Wasi};

/// A component of wasi:http 0.2.
pub struct Service(Arc<Guests>);

/// The guests of one application.
struct Guests {
    platform: Arc<Platform>,
    name: Arc<str>,
    pre: ProxyPre<Guest>,
    /// How many requests a guest answers, one after the other.
    reuse: u32,
    idle: Mutex<Idle>,
}

/// The guests that wait for another request, the longest idle one first.
#[derive(Default)]
struct Idle {
    guests: Vec<(Instant, Instance)>,
    is_watched: bool,
}

type Respond = oneshot::Sender<Result<Response<WasiBody>, ErrorCode>>;

/// How long a guest waits for another request.
pub const IDLE: Duration = Duration::from_secs(1);

/// A response that took less time is sent after the other ready tasks have run.
///
/// Responses to requests that arrived together are then sent together, which wakes a proxy on the same machine once
/// instead of once for each of its connections, and runs guests one after the other while their code is in the
/// processor's caches. It saves about a quarter of the processor time of a small page under load (docs/performance.md).
/// A request that arrives alone does not wait.
const BATCHED: Duration = Duration::from_millis(1);

struct Instance {
    store: Store<Guest>,
    proxy: Proxy,
    answered: u32,
}

impl Service {
    pub fn new(platform: Arc<Platform>, name: Arc<str>, pre: ProxyPre<Guest>, reuse: u32) -> Self {
        Self(Arc::new(Guests { platform, name, pre, reuse, idle: Mutex::default() }))
    }

    /// Fails when it cannot be instantiated.
    pub async fn check(&self) -> wasmtime::Result<()> {
        let request_time = self.0.platform.settings.request_time;
        timeout(request_time, self.0.instantiate()).await??;
        Ok(())
    }

    /// Passes a request to a guest. The guest runs until it ends or times out, even if the client disconnects.
    pub async fn answer(
        &self,
        subject: Subject,
        caller: Caller,
        request: Request<WasiBody>,
    ) -> Result<Response<WasiBody>, Failure> {
        let (respond, mut response) = oneshot::channel();
        let guests = Arc::clone(&self.0);
        let guest = guests.run(subject.clone(), caller, request, respond);
        let mut running = Running { subject, guest: Some(Box::pin(guest)) };
        let mut worked = Duration::ZERO;
        let answered = poll_fn(|context| {
            let begun = Instant::now();
            let ended = running.poll(context);
            worked += begun.elapsed();
            match (response.try_recv(), ended) {
                (Ok(response), ended) => Poll::Ready(Ok((response, ended))),
                (Err(_), Poll::Ready(ended)) => Poll::Ready(Err(ended.err())),
                (Err(_), Poll::Pending) => Poll::Pending,
            }
        });
        let answered = answered.await;
        if worked < BATCHED {
            yield_now().await;
        }
        match answered {
            Ok((response, ended)) => {
                let response = response.map_err(|error| Failure::Failed(error.into()))?;
                let is_cut = match ended {
                    Poll::Ready(Ok(())) => return Ok(response),
                    Poll::Ready(Err(failure)) => {
                        failure.log_stopped(&running.subject);
                        true
                    }
                    Poll::Pending => false,
                };
                Ok(response.map(|body| Answering { body, running, is_cut }.boxed_unsync()))
            }
            Err(Some(failure)) => Err(failure),
            Err(None) => Err(Failure::Failed(Reason::NoResponse.into())),
        }
    }
}

impl Guests {
    async fn instantiate(&self) -> wasmtime::Result<Instance> {
        let mut store = self.platform.http_store(self.pre.engine(), Wasi::P2, 1, self.name.clone()).await?;
        let proxy = self.pre.instantiate_async(&mut store).await?;
        Ok(Instance { store, proxy, answered: 0 })
    }

    /// Runs a guest for a request, and keeps it for the next one if it returned.
    async fn run(
        self: Arc<Self>,
        subject: Subject,
        caller: Caller,
        request: Request<WasiBody>,
        respond: Respond,
    ) -> Result<(), Failure> {
        let answering = async {
            let mut guest = match self.take_idle() {
                Some(guest) => guest,
                None => self.instantiate().await?,
            };
            let log = guest.store.data().log.clone();
            log.begin(subject);
            guest.store.data_mut().answer_for(caller);
            let scheme = if forwarded::is_https(request.headers()) { Scheme::Https } else { Scheme::Http };
            let mut http = guest.store.data_mut().http();
            let request = http.new_incoming_request(scheme, request)?;
            let out = http.new_response_outparam(respond)?;
            let handled = guest.proxy.wasi_http_incoming_handler().call_handle(&mut guest.store, request, out).await;
            handled.map_err(|error| guest.store.data().explained(error.into()))?;
            log.end();
            Ok(guest)
        };
        let guest = timeout(self.platform.settings.request_time, answering).await.unwrap_or(Err(Failure::TimedOut))?;
        self.give_back(guest);
        Ok(())
    }

    /// Takes the most recently used guest.
    fn take_idle(&self) -> Option<Instance> {
        self.idle().guests.pop().map(|(_, guest)| guest)
    }

    fn give_back(self: &Arc<Self>, mut guest: Instance) {
        guest.answered += 1;
        if guest.answered >= self.reuse {
            return;
        }
        let mut idle = self.idle();
        idle.guests.push((Instant::now(), guest));
        if !idle.is_watched {
            idle.is_watched = true;
            tokio::spawn(watch(Arc::downgrade(self)));
        }
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes guests that have been idle for too long, until none is idle.
async fn watch(guests: Weak<Guests>) {
    loop {
        sleep(IDLE).await;
        let Some(guests) = guests.upgrade() else { return };
        let mut idle = guests.idle();
        let expired = idle.guests.partition_point(|(since, _)| since.elapsed() >= IDLE);
        let expired: Vec<_> = idle.guests.drain(..expired).collect();
        idle.is_watched = !idle.guests.is_empty();
        let is_watched = idle.is_watched;
        drop(idle);
        drop(expired);
        if !is_watched {
            return;
        }
    }
}

/// A running guest. When this is dropped, the guest continues on a separate task.
struct Running {
    subject: Subject,
    /// `None` after it has ended.
    guest: Option<BoxFuture<'static, Result<(), Failure>>>,
}

impl Running {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        let Some(guest) = &mut self.guest else { return Poll::Ready(Ok(())) };
        let ended = ready!(guest.as_mut().poll(context));
        self.guest = None;
        Poll::Ready(ended)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let (Some(guest), Ok(runtime)) = (self.guest.take(), Handle::try_current()) {
            let subject = self.subject.clone();
            runtime.spawn(async move {
                if let Err(failure) = guest.await {
                    failure.log_stopped(&subject);
                }
            });
        }
    }
}

/// The body of a response whose guest is still running or was stopped.
struct Answering {
    body: WasiBody,
    running: Running,
    /// Whether the guest was stopped: then the body ends with an error, so that the client does not take it for
    /// complete.
    is_cut: bool,
}

impl Body for Answering {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if let Poll::Ready(Err(failure)) = self.running.poll(context) {
            failure.log_stopped(&self.running.subject);
            self.is_cut = true;
        }
        match ready!(Pin::new(&mut self.body).poll_frame(context)) {
            None if std::mem::take(&mut self.is_cut) => Poll::Ready(Some(Err(Error::ConnectionTerminated))),
            frame => Poll::Ready(frame),
        }
    }

    fn is_end_stream(&self) -> bool {
        !self.is_cut && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
