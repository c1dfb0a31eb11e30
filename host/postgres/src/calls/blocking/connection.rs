//! One connection over a blocking socket.

use std::{
    collections::HashMap,
    future::poll_fn,
    io,
    ops::{Deref, DerefMut},
    pin::Pin,
    sync::{Mutex, PoisonError},
    task::{Context, Poll, Waker},
    time::Instant,
};

use futures::future::BoxFuture;
use lemon_session_sql::{
    hosts::Reached,
    server::{Host, Server},
};
use lemon_session_store::Result;
use tokio_postgres::{Error, NoTls, SimpleQueryMessage, Statement};

use super::{run::run, socket::Socket};
use crate::{
    config::{config, settings},
    failure::failure,
};

pub struct Connection {
    client: Client,
    exchange: Exchange,
    socket: Socket,
}

/// What calls use of a connection.
pub struct Client {
    client: tokio_postgres::Client,
    prepared: Mutex<HashMap<String, Statement>>,
}

/// What moves messages between the client and the socket.
enum Exchange {
    Open(Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>),
    /// The connection has ended, with this error if it did not end as it should.
    Ended(Option<Error>),
}

impl Connection {
    /// Connects to the first host that lets it, and logs in. Each has the server's `connect-timeout`.
    pub fn open(server: &Server, reached: &Reached) -> Result<Self> {
        let mut failed = None;
        for (place, host) in reached.order(&server.hosts) {
            match Self::open_to(server, host) {
                Ok(connection) => {
                    reached.note(place);
                    return Ok(connection);
                }
                Err(error) => failed = Some(error),
            }
        }
        Err(failed.unwrap_or_else(|| server.silent()))
    }

    fn open_to(server: &Server, host: &Host) -> Result<Self> {
        let deadline = Instant::now() + server.connect_timeout;
        let socket = Socket::connect(host, deadline).map_err(|error| match error.kind() {
            io::ErrorKind::TimedOut => server.silent(),
            _ => server.unreachable(error),
        })?;
        let failed = |error: Error| match socket.is_late() {
            true => server.silent(),
            false => failure(&error, server).of_connecting(server),
        };
        let mut connection = Self::log_in(server, &socket).map_err(failed)?;
        if server.writable && connection.is_read_only().map_err(failed)? {
            return Err(server.unreachable("it takes no writes"));
        }
        Ok(connection)
    }

    fn is_read_only(&mut self) -> Result<bool, Error> {
        self.call(|client| {
            Box::pin(async move {
                let answer = client.simple_query("SHOW transaction_read_only").await?;
                Ok(answer
                    .iter()
                    .any(|message| matches!(message, SimpleQueryMessage::Row(row) if row.get(0) == Some("on"))))
            })
        })
    }

    fn log_in(server: &Server, socket: &Socket) -> Result<Self, Error> {
        let config = config(server);
        let (client, exchange) = run(config.connect_raw(socket.clone(), NoTls), || socket.receive())?;
        let mut connection = Self {
            client: Client { client, prepared: Mutex::default() },
            exchange: Exchange::Open(Box::pin(exchange)),
            socket: socket.clone(),
        };
        let settings = settings(server);
        connection.call(|client| Box::pin(async move { client.batch_execute(&settings).await }))?;
        Ok(connection)
    }

    /// Runs a call, which fails at the deadline. After an error that is not the server's answer, the connection cannot be
    /// used any more.
    pub fn run<'c, T>(
        &'c mut self,
        deadline: Option<Instant>,
        call: impl FnOnce(&'c mut Client) -> BoxFuture<'c, Result<T, Error>>,
    ) -> Result<T, Error> {
        self.socket.set_deadline(deadline);
        self.call(call)
    }

    fn call<'c, T>(
        &'c mut self,
        call: impl FnOnce(&'c mut Client) -> BoxFuture<'c, Result<T, Error>>,
    ) -> Result<T, Error> {
        let Self { client, exchange, socket } = self;
        let mut call = call(client);
        let both = poll_fn(|context| {
            // What the call has sent, the exchange takes on at once.
            if let Poll::Ready(answer) = call.as_mut().poll(context) {
                return Poll::Ready(answer);
            }
            if exchange.go_on(context) {
                // The call then learns that the connection has ended.
                return call.as_mut().poll(context);
            }
            Poll::Pending
        });
        match (run(both, || socket.receive()), exchange) {
            // The reason tells more.
            (Err(error), Exchange::Ended(reason)) if error.is_closed() => Err(reason.take().unwrap_or(error)),
            (answer, _) => answer,
        }
    }

    /// Whether the last call has failed because of its deadline.
    pub fn is_late(&self) -> bool {
        self.socket.is_late()
    }

    /// Whether the server has not closed it. A call over a connection that was closed would fail, and it would be unknown
    /// whether it took effect.
    pub fn is_open(&mut self) -> bool {
        while self.socket.receive_if_any() {
            // What arrives without a call is a notice, or tells why the server closes the connection.
            if self.exchange.go_on(&mut Context::from_waker(Waker::noop())) {
                return false;
            }
        }
        true
    }
}

impl Exchange {
    /// Moves what can be moved. Returns whether the connection has ended.
    fn go_on(&mut self, context: &mut Context<'_>) -> bool {
        let Self::Open(exchange) = self else { return true };
        let Poll::Ready(result) = exchange.as_mut().poll(context) else { return false };
        // Dropped with what the client waits for.
        *self = Self::Ended(result.err());
        true
    }
}

impl Client {
    /// Prepares a statement, once for this connection.
    pub async fn prepare_cached(&self, sql: &str) -> Result<Statement, Error> {
        let prepared = || self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(statement) = prepared().get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(sql).await?;
        prepared().insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }
}

impl Deref for Client {
    type Target = tokio_postgres::Client;

    fn deref(&self) -> &tokio_postgres::Client {
        &self.client
    }
}

impl DerefMut for Client {
    fn deref_mut(&mut self) -> &mut tokio_postgres::Client {
        &mut self.client
    }
}
