//! One connection over `std::net`. The crate `redis` encodes calls and parses answers.

use std::{
    io::{self, Read, Write},
    net::{TcpStream, ToSocketAddrs},
    time::Instant,
};

use redis::{ErrorKind, Parser, RedisError, RedisResult, ServerErrorKind, Value};

use super::{
    stream::{Stream, Timed, time_left},
    tls::Tls,
};
use crate::options::Address;

pub struct Connection {
    stream: Box<dyn Stream>,
    parser: Parser,
}

/// What the server says of itself when it is greeted.
pub struct Greeting {
    pub is_in_cluster: bool,
    pub is_replica: bool,
}

impl Connection {
    /// Connects, logs in and selects the database.
    pub fn open(address: &Address, tls: Option<&Tls>, deadline: Instant) -> RedisResult<(Self, Greeting)> {
        let stream = connect(address, deadline)?;
        let stream = match tls {
            Some(tls) => tls.wrap(stream)?,
            None => Box::new(stream),
        };
        let mut connection = Self { stream, parser: Parser::new() };

        let mut hello = redis::cmd("HELLO");
        hello.arg(3);
        if let Some(password) = &address.password {
            hello.arg("AUTH").arg(address.username.as_deref().unwrap_or("default")).arg(password);
        }
        let mut calls = hello.get_packed_command();
        if address.database != 0 {
            redis::cmd("SELECT").arg(address.database).write_packed_command(&mut calls);
        }
        let greeting = connection.call(&calls, deadline)?.extract_error().map_err(refused_hello)?;
        if address.database != 0 {
            connection.answer(deadline)?.extract_error()?;
        }
        Ok((connection, Greeting::new(&greeting)))
    }

    /// Sends a call and waits for its answer, which may be an error of the server. After an error of this function the
    /// connection cannot be used any more.
    pub fn call(&mut self, call: &[u8], deadline: Instant) -> RedisResult<Value> {
        let mut stream = Timed::new(&mut *self.stream, deadline);
        stream.write_all(call)?;
        stream.flush()?;
        self.answer(deadline)
    }

    /// Waits for the next answer.
    pub fn answer(&mut self, deadline: Instant) -> RedisResult<Value> {
        self.parser.parse_value(Timed::new(&mut *self.stream, deadline))
    }

    /// Whether the server has neither closed it nor sent something that no call asked for. A call over a connection
    /// that was closed would fail, and it would be unknown whether it took effect.
    pub fn is_open(&mut self) -> bool {
        self.stream.socket().set_nonblocking(true).is_ok()
            && matches!(self.stream.read(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
            && self.stream.socket().set_nonblocking(false).is_ok()
    }
}

impl Greeting {
    fn new(answer: &Value) -> Self {
        let fields = answer.as_map_iter().into_iter().flatten();
        let text = |value: &Value| match value {
            Value::BulkString(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
            Value::SimpleString(text) => Some(text.clone()),
            _ => None,
        };
        let mut greeting = Self { is_in_cluster: false, is_replica: false };
        for (name, value) in fields {
            match (text(name).as_deref(), text(value).as_deref()) {
                (Some("mode"), Some("cluster")) => greeting.is_in_cluster = true,
                (Some("role"), Some("replica" | "slave")) => greeting.is_replica = true,
                _ => {}
            }
        }
        greeting
    }
}

/// Connects to the first of the host's addresses that accepts.
fn connect(address: &Address, deadline: Instant) -> io::Result<TcpStream> {
    let (host, port) = address.nodes.first().ok_or(io::ErrorKind::InvalidInput)?;
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for server in (host.as_str(), *port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&server, time_left(deadline)?) {
            Ok(stream) => {
                // A call is one write: nothing is gained by waiting for more. Some hosts of WebAssembly do not know it.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// Redis before version 6 does not know `HELLO`.
fn refused_hello(error: RedisError) -> RedisError {
    let is_unknown = error.kind() == ErrorKind::Server(ServerErrorKind::ResponseError)
        && error.detail().is_some_and(|detail| detail.starts_with("unknown command"));
    if is_unknown { (ErrorKind::RESP3NotSupported, "the server does not know HELLO").into() } else { error }
}
