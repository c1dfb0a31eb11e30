//! HTTP/1.1 with a client: one request after the other, until the client closes the connection or another one needs its
//! place.

use std::{
    convert::Infallible,
    error::Error,
    future::poll_fn,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use hyper::{
    body::{Body, Frame, Incoming, SizeHint},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::{rt::TokioIo, server::graceful::GracefulShutdown};
use tokio::net::TcpStream;

use super::{connections::Permit, unstuck::Unstuck};

/// The settings that all connections of a listener share.
pub struct Conversations {
    pub http: http1::Builder,
    /// How long to wait for a client that does not read.
    pub write_time: Duration,
    pub graceful: GracefulShutdown,
}

/// How a conversation ended.
pub enum End {
    /// The client or the server closed it.
    Over(hyper::Result<()>),
    /// It was idle, and another connection needed its place.
    Displaced,
}

impl Conversations {
    /// Answers the requests of a connection with `answer`.
    pub fn begin<A, R, B>(
        &self,
        stream: TcpStream,
        mut permit: Permit,
        answer: A,
    ) -> impl Future<Output = End> + use<A, R, B>
    where
        A: Fn(Request<Incoming>) -> R + Send + 'static,
        R: Future<Output = Response<B>> + Send + 'static,
        B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + Unpin + 'static,
    {
        let activity = Arc::new(Activity::default());
        let stream = Unstuck::new(stream, self.write_time, activity.clone());
        let requests = activity.clone();
        let service = service_fn(move |request| {
            let request_alive = Alive::new(&requests);
            let answered = answer(request);
            async move { Ok::<_, Infallible>(answered.await.map(|body| Sent { body, _request: request_alive })) }
        });
        let connection = self.graceful.watch(self.http.serve_connection(TokioIo::new(stream), service));
        async move {
            let mut connection = pin!(connection);
            poll_fn(|context| {
                if let Poll::Ready(ended) = connection.as_mut().poll(context) {
                    return Poll::Ready(End::Over(ended));
                }
                match activity.idle_after() {
                    Some(served) => permit.idle(served),
                    None => permit.busy(),
                }
                ready!(permit.poll_needed(context));
                Poll::Ready(End::Displaced)
            })
            .await
        }
    }
}

/// The state of a connection. It is read between two polls of the connection, when it cannot change.
#[derive(Default)]
pub struct Activity {
    begun: AtomicU64,
    ended: AtomicU64,
    is_writing: AtomicBool,
}

impl Activity {
    /// Reports whether bytes wait for the client to read.
    pub fn set_writing(&self, is_writing: bool) {
        self.is_writing.store(is_writing, Relaxed);
    }

    /// The number of requests after which the connection is idle; `None` if it is not idle.
    fn idle_after(&self) -> Option<u64> {
        let (begun, ended) = (self.begun.load(Relaxed), self.ended.load(Relaxed));
        (begun == ended && !self.is_writing.load(Relaxed)).then_some(begun)
    }
}

/// A request that is being answered.
struct Alive(Arc<Activity>);

impl Alive {
    fn new(activity: &Arc<Activity>) -> Self {
        activity.begun.fetch_add(1, Relaxed);
        Self(activity.clone())
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Relaxed);
    }
}

/// The body of a response, which keeps the request alive until it is sent.
struct Sent<B> {
    body: B,
    _request: Alive,
}

impl<B: Body + Unpin> Body for Sent<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
