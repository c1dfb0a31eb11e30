//! Connections over `std::net`, one for each thread that calls: a call blocks its thread until it is answered.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use lemon_session_store::{Error, Result};
use redis::{Cmd, RedisError, RedisResult, Value};

use super::{Transport, connection::Connection, is_no_primary, tls::Tls, waited, waiting};
use crate::{
    check,
    errors::{refused, silent},
    options::Address,
};

/// The connections to one server. None of them waits for an answer.
pub struct Socket {
    address: Address,
    tls: Option<Tls>,
    idle: Mutex<Vec<Connection>>,
}

/// Connects to a single server.
pub async fn connect(address: Address) -> Result<Box<dyn Transport>> {
    let name = address.to_string();
    if address.cluster || address.primary.is_some() {
        return Err(Error::invalid(format!(
            "{name}: a cluster, or a primary that sentinels know, is reached only by the native driver, as the command lemon-session has it; \
             here the URL is that of one server, redis://USER:PASSWORD@HOST:PORT/DATABASE"
        )));
    }
    let tls = address.tls.then(|| Tls::new(&address)).transpose()?;
    let failed = |error: RedisError| match error.is_timeout() {
        true => silent(&name, address.timeout),
        false => refused(&name, &address, error),
    };
    let (connection, greeting) =
        Connection::open(&address, tls.as_ref(), Instant::now() + address.timeout).map_err(failed)?;
    check::kind(&name, greeting.is_in_cluster, greeting.is_replica)?;
    Ok(Box::new(Socket { address, tls, idle: Mutex::new(vec![connection]) }))
}

impl Socket {
    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection that the server has not closed.
    fn connection(&self, deadline: Instant) -> RedisResult<Connection> {
        loop {
            let Some(mut connection) = self.idle().pop() else { return self.open(deadline) };
            if connection.is_open() {
                return Ok(connection);
            }
        }
    }

    fn open(&self, deadline: Instant) -> RedisResult<Connection> {
        Ok(Connection::open(&self.address, self.tls.as_ref(), deadline)?.0)
    }

    /// Sends a command over a connection, which is kept if the answer arrives: after any other end, an answer to this
    /// call could still arrive over it.
    fn exchange(&self, mut connection: Connection, cmd: &Cmd, deadline: Instant) -> RedisResult<Value> {
        let answer = connection.call(&cmd.get_packed_command(), deadline)?;
        self.idle().push(connection);
        answer.extract_error()
    }
}

#[async_trait]
impl Transport for Socket {
    /// If the server refuses the command because it has become a replica, sends it once more over a new connection,
    /// which may lead to the new primary. The refused command has not taken effect.
    async fn send(&self, cmd: &Cmd, deadline: Instant) -> RedisResult<Value> {
        match self.exchange(self.connection(deadline)?, cmd, deadline) {
            Err(error) if is_no_primary(&error) => {
                self.idle().clear();
                match self.open(deadline) {
                    Ok(connection) => self.exchange(connection, cmd, deadline),
                    Err(_) => Err(error),
                }
            }
            answer => answer,
        }
    }

    async fn send_and_wait(&self, cmd: &Cmd, replicas: u32, deadline: Instant) -> RedisResult<(Value, u32)> {
        let mut connection = self.connection(deadline)?;
        let pipeline = waiting(cmd, replicas, deadline).get_packed_pipeline();
        let answers = vec![connection.call(&pipeline, deadline)?, connection.answer(deadline)?];
        let answer = waited(answers);
        if answer.as_ref().is_err_and(is_no_primary) {
            self.idle().clear();
        } else {
            self.idle().push(connection);
        }
        answer
    }

    async fn wait(&self, time: Duration) {
        std::thread::sleep(time);
    }
}
