//! A pipe from a program's standard output to the response.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use tokio::{
    io::AsyncWrite,
    sync::mpsc::{self, Receiver, Sender, error::TrySendError},
};
use wasmtime_wasi::{
    cli::{IsTerminal, StdoutStream},
    p2::{OutputStream, Pollable, StreamError, StreamResult},
};

use super::Failure;

/// An item of the pipe: bytes, or the failure of the program as the last item.
pub type Printed = Result<Bytes, Failure>;

/// The maximum number of buffered pieces. A program that is faster than its client waits.
const PIECES: usize = 8;
const PIECE_BYTES: usize = 64 * 1024;
/// The maximum number of buffered bytes.
pub const BYTES: usize = PIECES * PIECE_BYTES;

pub fn pipe() -> (Sender<Printed>, Receiver<Printed>) {
    mpsc::channel(PIECES)
}

/// The standard output of one guest.
#[derive(Clone)]
pub struct Output(pub Sender<Printed>);

impl Output {
    fn print(&self, bytes: Bytes) -> Result<(), TrySendError<Printed>> {
        if bytes.is_empty() { Ok(()) } else { self.0.try_send(Ok(bytes)) }
    }
}

impl IsTerminal for Output {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Output {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }
}

#[async_trait::async_trait]
impl Pollable for Output {
    async fn ready(&mut self) {
        // Also ready when the reader has gone: then the next write fails.
        let _ = self.0.reserve().await;
    }
}

impl OutputStream for Output {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.print(bytes).map_err(|error| match error {
            TrySendError::Closed(_) => StreamError::Closed,
            TrySendError::Full(_) => StreamError::trap("more was written than check-write permitted"),
        })
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        match self.0.capacity() {
            _ if self.0.is_closed() => Err(StreamError::Closed),
            0 => Ok(0),
            _ => Ok(PIECE_BYTES),
        }
    }
}

/// Only for components of WASI 0.3, which this version does not run.
impl AsyncWrite for Output {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Err(io::ErrorKind::Unsupported.into()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
