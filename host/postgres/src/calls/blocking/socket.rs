//! A blocking socket as a stream that does not block to read: `receive` waits, and what was received can then be read.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpStream, ToSocketAddrs},
    ops::Range,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use lemon_session_sql::server::Host;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The most bytes that are received at once.
const BUFFER: usize = 64 * 1024;

/// A handle to a socket.
#[derive(Clone)]
pub struct Socket(Arc<Mutex<Inner>>);

struct Inner {
    stream: TcpStream,
    /// When sending and receiving fail.
    deadline: Option<Instant>,
    is_late: bool,
    buffer: Box<[u8]>,
    /// What was received and not read yet, as a range of `buffer`.
    received: Range<usize>,
    /// Whether the server has closed the connection.
    is_at_end: bool,
    /// Why nothing was received.
    failed: Option<io::Error>,
}

impl Socket {
    /// Connects to the first of the host's addresses that accepts.
    pub fn connect(host: &Host, deadline: Instant) -> io::Result<Self> {
        let mut failed = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
        for address in (host.name.as_str(), host.port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, time_left(deadline)?) {
                Ok(stream) => return Ok(Self(Arc::new(Mutex::new(Inner::new(stream, deadline))))),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    /// Sets when sending and receiving fail.
    pub fn set_deadline(&self, deadline: Option<Instant>) {
        let mut inner = self.inner();
        (inner.deadline, inner.is_late) = (deadline, false);
    }

    /// Whether sending or receiving has failed because of the deadline.
    pub fn is_late(&self) -> bool {
        self.inner().is_late
    }

    /// Waits until there is something to read: what was received, that the server has closed the connection, or an error.
    pub fn receive(&self) {
        let inner = &mut *self.inner();
        let limited = inner.time_left().and_then(|left| inner.stream.set_read_timeout(left));
        let received = limited.and_then(|()| inner.fill());
        inner.note(received);
    }

    /// Receives what is there. Returns whether there is something to read.
    pub fn receive_if_any(&self) -> bool {
        let inner = &mut *self.inner();
        let received = inner.stream.set_nonblocking(true).and_then(|()| inner.fill());
        let blocks = inner.stream.set_nonblocking(false);
        if matches!((&received, &blocks), (Err(error), Ok(())) if error.kind() == io::ErrorKind::WouldBlock) {
            return false;
        }
        inner.note(received.and(blocks));
        true
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn new(stream: TcpStream, deadline: Instant) -> Self {
        // A call is one write: nothing is gained by waiting for more. Some hosts of WebAssembly do not know it.
        let _ = stream.set_nodelay(true);
        Self {
            stream,
            deadline: Some(deadline),
            is_late: false,
            buffer: vec![0; BUFFER].into(),
            received: 0..0,
            is_at_end: false,
            failed: None,
        }
    }

    /// Receives once, unless there is something that was not read yet.
    fn fill(&mut self) -> io::Result<()> {
        if self.received.is_empty() {
            let count = self.stream.read(&mut self.buffer)?;
            self.received = 0..count;
            self.is_at_end = count == 0;
        }
        Ok(())
    }

    /// Notes an error, for the one who reads.
    fn note(&mut self, result: io::Result<()>) {
        if let Err(error) = result {
            self.is_late |= is_timeout(&error);
            self.failed = Some(error);
        }
    }

    fn time_left(&self) -> io::Result<Option<Duration>> {
        self.deadline.map(time_left).transpose()
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, target: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let inner = &mut *self.inner();
        if inner.received.is_empty() && !inner.is_at_end {
            // Whoever polls calls `receive` then.
            return inner.failed.take().map_or(Poll::Pending, |error| Poll::Ready(Err(error)));
        }
        let count = target.remaining().min(inner.received.len());
        let end = inner.received.start + count;
        target.put_slice(&inner.buffer[inner.received.start..end]);
        inner.received.start = end;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let inner = &mut *self.inner();
        let written = inner.time_left().and_then(|left| {
            inner.stream.set_write_timeout(left)?;
            inner.stream.write(bytes)
        });
        inner.is_late |= written.as_ref().is_err_and(is_timeout);
        Poll::Ready(written)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.inner().stream.flush())
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.inner().stream.shutdown(Shutdown::Write))
    }
}

/// The time until a deadline, which is never zero.
fn time_left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock)
}
