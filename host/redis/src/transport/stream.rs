//! Reading and writing within a deadline.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

/// A connection's bytes, encrypted or not.
pub trait Stream: Read + Write + Send {
    fn socket(&self) -> &TcpStream;
}

impl Stream for TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }
}

/// A stream whose calls fail at a deadline.
pub struct Timed<'a> {
    stream: &'a mut dyn Stream,
    deadline: Instant,
}

impl<'a> Timed<'a> {
    pub fn new(stream: &'a mut dyn Stream, deadline: Instant) -> Self {
        Self { stream, deadline }
    }
}

impl Read for Timed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            self.stream.socket().set_read_timeout(Some(time_left(self.deadline)?))?;
            match self.stream.read(buffer) {
                // A read with a timeout is not resumed after a signal.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => return read,
            }
        }
    }
}

impl Write for Timed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let left = Some(time_left(self.deadline)?);
        self.stream.socket().set_write_timeout(left)?;
        // The first write of TLS also reads the server's part of the handshake.
        self.stream.socket().set_read_timeout(left)?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// The time until a deadline, which is never zero.
pub fn time_left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}
