//! The pool of connections, and the calls that run on it.

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

use super::{
    attempts::{Attempts, Failure, Repeat},
    server::Server,
};

impl Server {
    /// The pool of this server's connections. Makes the first one, so that a wrong setting is an error now.
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

/// The connections of one kind of server.
pub trait Backend: Manager + 'static {
    /// Classifies an error of the client.
    fn failure(error: Self::Error, server: &Server) -> Failure;

    /// Ends a connection, which may be in the middle of a call.
    fn discard(connection: Self::Type);
}

/// A call: what to do on a connection with an input.
pub type Call<M, I, T> =
    for<'c> fn(&'c mut <M as Manager>::Type, &'c I) -> BoxFuture<'c, Result<T, <M as Manager>::Error>>;

/// Runs calls on pooled connections.
///
/// Every call is a task of its own, which runs to its end even if the caller drops the future. So a cancelled request
/// leaves no connection in the middle of a statement, and no transaction open.
pub struct Calls<M: Backend> {
    pool: Pool<M>,
    server: Arc<Server>,
    /// Connections older than this are no longer used.
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

    /// Runs `call` on a connection, with `input`, within the server's `timeout`.
    pub async fn run<I, T>(&self, repeat: Repeat, input: I, call: Call<M, I, T>) -> Result<T>
    where
        I: Send + Sync + 'static,
        T: Send + 'static,
    {
        let calls = self.clone();
        let limit = Some(self.server.timeout);
        finish(tokio::spawn(async move { calls.repeat(repeat, limit, &input, call).await })).await
    }

    /// Runs `call`, which creates, upgrades or drops tables, without a time limit.
    pub async fn set_up<I, T>(&self, input: I, call: Call<M, I, T>) -> Result<T>
    where
        I: Send + Sync + 'static,
        T: Send + 'static,
    {
        let calls = self.clone();
        finish(tokio::spawn(async move { calls.repeat(Repeat::Never, None, &input, call).await })).await
    }

    /// Closes all connections. Later calls fail.
    pub fn close(&self) {
        self.pool.close();
    }

    async fn repeat<I, T>(&self, repeat: Repeat, limit: Option<Duration>, input: &I, call: Call<M, I, T>) -> Result<T> {
        let started = Instant::now();
        let mut attempts = Attempts::new(repeat);
        loop {
            let mut lease = self.lease(started + self.server.timeout).await?;
            let answer = match limit {
                Some(limit) => {
                    match timeout_at(started + limit, call(&mut lease, input)).await {
                        Ok(answer) => answer,
                        // The host may be suspended, or cut off: another one may be the primary by now.
                        Err(_) if self.server.hosts.len() > 1 => {
                            self.renew(lease);
                            return Err(self.server.too_late());
                        }
                        Err(_) => return Err(self.server.too_late()),
                    }
                }
                None => call(&mut lease, input).await,
            };
            let failure = match answer {
                Ok(answer) => {
                    lease.keep();
                    return Ok(answer);
                }
                Err(error) => M::failure(error, &self.server),
            };
            if failure.spares_the_connection() {
                lease.keep();
            } else {
                self.renew(lease);
            }
            attempts.again(failure, &self.server)?;
        }
    }

    /// Discards this connection and those made before now: the server was probably restarted or replaced.
    fn renew(&self, lease: Lease<M>) {
        let made = lease.made();
        drop(lease);
        let mut renewed = self.renewed.lock().unwrap_or_else(PoisonError::into_inner);
        // Otherwise another call has renewed the connections since this one was made.
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
                create: Some(server.longest_connect()),
                recycle: Some(server.connect_timeout),
            };
            match self.pool.timeout_get(&timeouts).await.map(|connection| Lease(Some(connection))) {
                Ok(lease) if lease.made() < *self.renewed.lock().unwrap_or_else(PoisonError::into_inner) => drop(lease),
                lease => break lease,
            }
        };
        match lease {
            Ok(lease) => Ok(lease),
            Err(PoolError::Backend(error)) => Err(M::failure(error, server).of_connecting(server)),
            Err(PoolError::Timeout(TimeoutType::Wait)) => Err(Error::unavailable(format!(
                "all {} connections to {} at {} are in use, and none became free within {:?} (pool-size, timeout)",
                server.pool_size,
                server.product,
                server.address(),
                server.timeout
            ))),
            Err(PoolError::Timeout(_)) => Err(server.silent()),
            Err(PoolError::Closed) => Err(Error::unavailable("the store has been closed")),
            Err(PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_)) => {
                Err(server.error("the pool of connections is not configured correctly"))
            }
        }
    }
}

async fn finish<T>(call: impl Future<Output = Result<Result<T>, tokio::task::JoinError>>) -> Result<T> {
    call.await
        .unwrap_or_else(|_| Err(Error::unavailable("the call was aborted: this program is ending, or has a fault")))
}

/// A connection that returns to the pool only by [`Lease::keep`]. Dropped in the middle of a call, it is ended.
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

    /// Returns the connection to the pool.
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
