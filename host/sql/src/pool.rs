//! The pool that calls run on.

use std::{
    future::Future,
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use deadpool::managed::{Manager, Object, Pool, PoolError, QueueMode, TimeoutType, Timeouts};
use futures::future::BoxFuture;
use lemon_session_store::{Error, Result};
use tokio::time::{Instant, timeout_at};

use super::server::Server;

impl Server {
    /// The pool of this server's connections. Makes the first one, so that what is wrong shows at once.
    pub async fn pool<M: Backend>(self: &Arc<Self>, manager: M) -> Result<Calls<M>> {
        let pool = Pool::builder(manager)
            .max_size(self.pool_size)
            .queue_mode(QueueMode::Lifo)
            .runtime(deadpool::Runtime::Tokio1)
            .build()
            .map_err(|error| Error::unavailable(error.to_string()))?;
        let renewed = Arc::new(Mutex::new(std::time::Instant::now()));
        let calls = Calls { pool, server: Arc::clone(self), renewed };
        calls.lease(Instant::now() + self.timeout).await?.keep();
        Ok(calls)
    }
}

/// What went wrong with a call, and what that means for its connection.
pub enum Trouble {
    /// The server has refused the call, or the connection. A connection that stood is as good as before.
    Refused(Error),
    /// The server takes no writes and has refused this one: another one is the primary by now, to which a new connection may
    /// lead.
    ReadOnly(String),
    /// The server has undone the call because of others that it met, and it can be repeated.
    Undone(String),
    /// The connection is broken, and nothing is known of the call.
    Broken(String),
}

/// The connections of one kind of server.
pub trait Backend: Manager + 'static {
    fn trouble(error: Self::Error, server: &Server) -> Trouble;

    /// Ends a connection in whatever state it is.
    fn discard(connection: Self::Type);
}

/// Whether a call may be repeated when its connection broke.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// It only reads.
    Safe,
    /// It may have written.
    Never,
}

/// What is done on a connection with an input.
pub type Call<M, I, T> =
    for<'c> fn(&'c mut <M as Manager>::Type, &'c I) -> BoxFuture<'c, Result<T, <M as Manager>::Error>>;

/// How often a call is repeated that the server has undone.
const ATTEMPTS: u32 = 8;

/// Runs calls on pooled connections.
///
/// Every call is a task of its own and runs to its end even when nobody waits for its answer any more: a request that is
/// cancelled leaves no connection in the middle of a statement, and no transaction open.
pub struct Calls<M: Backend> {
    pool: Pool<M>,
    server: Arc<Server>,
    /// Connections that were made before this are used no more.
    renewed: Arc<Mutex<std::time::Instant>>,
}

impl<M: Backend> Clone for Calls<M> {
    fn clone(&self) -> Self {
        Self { pool: self.pool.clone(), server: Arc::clone(&self.server), renewed: Arc::clone(&self.renewed) }
    }
}

impl<M: Backend> Calls<M> {
    pub fn server(&self) -> &Arc<Server> {
        &self.server
    }

    /// Runs `call` on a connection, with `input`.
    pub async fn run<I, T>(&self, repeat: Repeat, input: I, call: Call<M, I, T>) -> Result<T>
    where
        I: Send + Sync + 'static,
        T: Send + 'static,
    {
        let calls = self.clone();
        let limit = Some(self.server.timeout);
        finish(tokio::spawn(async move { calls.repeat(repeat, limit, &input, call).await })).await
    }

    /// Runs `call`, which sets up the tables, without a limit of time.
    pub async fn set_up<I, T>(&self, input: I, call: Call<M, I, T>) -> Result<T>
    where
        I: Send + Sync + 'static,
        T: Send + 'static,
    {
        let calls = self.clone();
        finish(tokio::spawn(async move { calls.repeat(Repeat::Never, None, &input, call).await })).await
    }

    pub fn close(&self) {
        self.pool.close();
    }

    async fn repeat<I, T>(&self, repeat: Repeat, limit: Option<Duration>, input: &I, call: Call<M, I, T>) -> Result<T> {
        let started = Instant::now();
        let (mut undone, mut renewed) = (0, false);
        loop {
            let mut lease = self.lease(started + self.server.timeout).await?;
            let answer = match limit {
                Some(limit) => timeout_at(started + limit, call(&mut lease, input)).await,
                None => Ok(call(&mut lease, input).await),
            };
            match answer.map(|answer| answer.map_err(|error| M::trouble(error, &self.server))) {
                Ok(Ok(answer)) => {
                    lease.keep();
                    return Ok(answer);
                }
                Ok(Err(Trouble::Refused(error))) => {
                    lease.keep();
                    return Err(error);
                }
                Ok(Err(Trouble::Undone(what))) => {
                    lease.keep();
                    undone += 1;
                    if undone == ATTEMPTS {
                        return Err(self.server.trouble(what));
                    }
                }
                Ok(Err(Trouble::ReadOnly(what))) => {
                    self.renew(lease);
                    // Nothing was done, so that any call may be repeated.
                    if renewed {
                        return Err(self.server.trouble(what));
                    }
                    renewed = true;
                }
                Ok(Err(Trouble::Broken(what))) => {
                    self.renew(lease);
                    if repeat == Repeat::Never || renewed {
                        return Err(self.server.trouble(what));
                    }
                    renewed = true;
                }
                Err(_) => {
                    return Err(self.server.too_late());
                }
            }
        }
    }

    /// Has new connections made in place of this one and those as old: the server was restarted, perhaps, or another one has
    /// taken its place.
    fn renew(&self, lease: Lease<M>) {
        let made = lease.made();
        drop(lease);
        let mut renewed = self.renewed.lock().unwrap_or_else(PoisonError::into_inner);
        // Unless somebody else has had them made since.
        if made >= *renewed {
            *renewed = std::time::Instant::now();
            self.pool.retain(|_, _| false);
        }
    }

    async fn lease(&self, until: Instant) -> Result<Lease<M>> {
        let server = &self.server;
        let lease = loop {
            let timeouts = Timeouts {
                wait: Some(until.saturating_duration_since(Instant::now())),
                create: Some(server.connect_timeout),
                recycle: Some(server.connect_timeout),
            };
            match self.pool.timeout_get(&timeouts).await.map(|connection| Lease(Some(connection))) {
                Ok(lease) if lease.made() < *self.renewed.lock().unwrap_or_else(PoisonError::into_inner) => drop(lease),
                lease => break lease,
            }
        };
        match lease {
            Ok(lease) => Ok(lease),
            Err(PoolError::Backend(error)) => Err(match M::trouble(error, server) {
                Trouble::Refused(error) => error,
                Trouble::ReadOnly(why) | Trouble::Undone(why) | Trouble::Broken(why) => server.unreachable(why),
            }),
            Err(PoolError::Timeout(TimeoutType::Wait)) => Err(Error::unavailable(format!(
                "all {} connections to {} at {} are in use, and none became free within {:?} (pool-size, timeout)",
                server.pool_size,
                server.product,
                server.address(),
                server.timeout
            ))),
            Err(PoolError::Timeout(_)) => {
                Err(server.unreachable(format_args!("no answer within {:?} (connect-timeout)", server.connect_timeout)))
            }
            Err(PoolError::Closed) => Err(Error::unavailable("the store has been closed")),
            Err(PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_)) => {
                Err(server.trouble("the pool of connections is not set up as it should be"))
            }
        }
    }
}

async fn finish<T>(call: impl Future<Output = Result<Result<T>, tokio::task::JoinError>>) -> Result<T> {
    call.await
        .unwrap_or_else(|_| Err(Error::unavailable("the call was broken off: this program is ending, or has a fault")))
}

/// A connection that goes back to the pool only by [`Lease::keep`]: one that is dropped in the middle of a call is ended.
struct Lease<M: Backend>(Option<Object<M>>);

impl<M: Backend> Deref for Lease<M> {
    type Target = M::Type;

    fn deref(&self) -> &M::Type {
        self.0.as_ref().expect("a lease holds its connection until it ends")
    }
}

impl<M: Backend> DerefMut for Lease<M> {
    fn deref_mut(&mut self) -> &mut M::Type {
        self.0.as_mut().expect("a lease holds its connection until it ends")
    }
}

impl<M: Backend> Lease<M> {
    /// When the connection was made.
    fn made(&self) -> std::time::Instant {
        Object::metrics(self.0.as_ref().expect("a lease holds its connection until it ends")).created
    }

    fn keep(mut self) {
        self.0.take();
    }
}

impl<M: Backend> Drop for Lease<M> {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            M::discard(Object::take(connection));
        }
    }
}
