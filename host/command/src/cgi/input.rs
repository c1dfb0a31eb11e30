//! The body of the request, from stdin.

use std::{
    io::{self, Read as _},
    pin::Pin,
    task::{Context, Poll, ready},
    thread,
    time::Duration,
};

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, SizeHint};
use tokio::{
    sync::mpsc::{self, Receiver, Sender},
    time::timeout,
};
use wasmtime_wasi_http::{Error, WasiBody};

/// The size of one read, in bytes.
const PIECE: usize = 64 * 1024;

/// How long to wait for the next piece of a body that the application did not read.
const IDLE: Duration = Duration::from_secs(1);

/// Reads CONTENT_LENGTH bytes of stdin: the web server may keep it open after them (RFC 3875, section 4.2).
pub fn body(length: u64) -> (WasiBody, Rest) {
    let (sender, pieces) = mpsc::channel(1);
    let (unread, rest) = mpsc::channel(1);
    if length > 0 {
        // A thread that is blocked in a read does not keep the process from exiting.
        thread::spawn(move || read(length, &sender, &unread));
    }
    (Input { pieces, left: length }.boxed_unsync(), Rest(rest))
}

/// The part of the body that the application does not read.
pub struct Rest(Receiver<()>);

impl Rest {
    /// Reads and discards it until it ends or stalls. If the program exits earlier, web servers drop its response:
    /// fcgiwrap fails to pass on the request, and mod_cgid uses a single socket, which is reset.
    pub async fn discard(mut self) {
        while let Ok(Some(())) = timeout(IDLE, self.0.recv()).await {}
    }
}

fn read(mut left: u64, pieces: &Sender<io::Result<Bytes>>, unread: &Sender<()>) {
    let mut stdin = io::stdin().lock();
    let mut piece = vec![0; PIECE];
    while left > 0 {
        let most = usize::try_from(left).map_or(PIECE, |left| left.min(PIECE));
        let read = match stdin.read(&mut piece[..most]) {
            Ok(0) => break,
            Ok(length) => Ok(Bytes::copy_from_slice(&piece[..length])),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Err(error),
        };
        left -= read.as_ref().map_or(left, |bytes| bytes.len() as u64);
        if pieces.blocking_send(read).is_err() {
            // If the channel is full, a message with the same meaning is waiting there.
            let _ = unread.try_send(());
        }
    }
}

struct Input {
    pieces: Receiver<io::Result<Bytes>>,
    left: u64,
}

impl Body for Input {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        Poll::Ready(match ready!(self.pieces.poll_recv(cx)) {
            Some(Ok(bytes)) => {
                self.left -= bytes.len() as u64;
                Some(Ok(Frame::data(bytes)))
            }
            Some(Err(_)) => Some(Err(Error::ConnectionTerminated)),
            None if self.left > 0 => Some(Err(Error::ConnectionTerminated)),
            None => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
