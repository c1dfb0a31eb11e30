//! One connection, on which calls run one at a time. A call blocks until it is answered.

mod connection;
mod run;
mod socket;
mod tls;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use futures::future::BoxFuture;
use lemon_session_sql::{
    attempts::{Attempts, Repeat},
    hosts::Reached,
    server::Server,
};
use lemon_session_store::{Error, Result};

use self::{
    connection::{Client, Connection},
    tls::refuse_tls,
};
use crate::failure::failure;

/// A call: what to do on a connection with an input.
pub type Call<I, T> = for<'c> fn(&'c mut Client, &'c I) -> BoxFuture<'c, Result<T, tokio_postgres::Error>>;

/// Runs calls on a connection that is kept from one to the next.
pub struct Calls {
    server: Arc<Server>,
    kept: Mutex<Kept>,
    reached: Reached,
}

/// The connection that no call is using.
enum Kept {
    None,
    Idle(Box<Connection>),
    Closed,
}

/// Connects to the server.
pub async fn open(server: Arc<Server>) -> Result<Calls> {
    if server.socket.is_some() {
        return Err(Error::invalid(
            "socket is given, and a component reaches no Unix socket: name the host of the server in the storage URL",
        ));
    }
    if !server.prepare {
        return Err(Error::invalid(
            "prepare is no, which a component cannot do: name the server itself in place of a pooler",
        ));
    }
    refuse_tls(&server)?;
    let calls = Calls { server, kept: Mutex::new(Kept::None), reached: Reached::default() };
    calls.keep(Connection::open(&calls.server, &calls.reached)?);
    Ok(calls)
}

impl Calls {
    pub fn server(&self) -> &Arc<Server> {
        &self.server
    }

    /// Runs `call` on a connection, with `input`, within the server's `timeout`.
    pub async fn run<I, T>(&self, repeat: Repeat, input: I, call: Call<I, T>) -> Result<T> {
        self.repeat(repeat, Some(self.server.timeout), &input, call)
    }

    /// Runs `call`, which creates, upgrades or drops tables, without a time limit.
    pub async fn set_up<I, T>(&self, input: I, call: Call<I, T>) -> Result<T> {
        self.repeat(Repeat::Never, None, &input, call)
    }

    /// Closes the connection. Later calls fail.
    pub fn close(&self) {
        *self.kept() = Kept::Closed;
    }

    fn repeat<I, T>(&self, repeat: Repeat, limit: Option<Duration>, input: &I, call: Call<I, T>) -> Result<T> {
        let deadline = limit.map(|limit| Instant::now() + limit);
        let mut attempts = Attempts::new(repeat);
        loop {
            let mut connection = self.connection()?;
            let failure = match connection.run(deadline, |client| call(client, input)) {
                Ok(answer) => {
                    self.keep(connection);
                    return Ok(answer);
                }
                Err(_) if connection.is_late() => return Err(self.server.too_late()),
                Err(error) => failure(&error, &self.server),
            };
            if failure.spares_the_connection() {
                self.keep(connection);
            }
            attempts.again(failure, &self.server)?;
        }
    }

    /// The connection of the last call, or another one if the server has closed that.
    fn connection(&self) -> Result<Connection> {
        match std::mem::replace(&mut *self.kept(), Kept::None) {
            Kept::Idle(mut connection) => {
                if connection.is_open() {
                    return Ok(*connection);
                }
            }
            Kept::None => {}
            Kept::Closed => {
                self.close();
                return Err(Error::unavailable("the store has been closed"));
            }
        }
        Connection::open(&self.server, &self.reached)
    }

    fn keep(&self, connection: Connection) {
        let mut kept = self.kept();
        if !matches!(*kept, Kept::Closed) {
            *kept = Kept::Idle(Box::new(connection));
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
