//! A pipe from a program's standard output to the response.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use tokio::{
    io::AsyncWrite,
    sync::mpsc::{self, Receiver, Sender, error::TrySendError},
};
use tokio_util::sync::PollSender;
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
        Box::new(Writer(PollSender::new(self.0.clone())))
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

/// The standard output of a guest of WASI 0.3.
struct Writer(PollSender<Printed>);

impl AsyncWrite for Writer {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        ready!(self.0.poll_reserve(context)).map_err(gone)?;
        let bytes = &bytes[..bytes.len().min(PIECE_BYTES)];
        self.0.send_item(Ok(Bytes::copy_from_slice(bytes))).map_err(gone)?;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
