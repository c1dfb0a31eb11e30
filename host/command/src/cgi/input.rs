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

/// Bytes that are read at a time.
const PIECE: usize = 64 * 1024;

/// How long the rest of a body that nobody reads is waited for while nothing of it comes.
const IDLE: Duration = Duration::from_secs(1);

/// As many bytes of stdin as CONTENT_LENGTH tells: the web server need not close it behind them (RFC 3875, section 4.2).
pub fn body(length: u64) -> (WasiBody, Rest) {
    let (sender, pieces) = mpsc::channel(1);
    let (unread, rest) = mpsc::channel(1);
    if length > 0 {
        // This thread may be waiting for input when the process ends. It keeps nothing from ending.
        thread::spawn(move || read(length, &sender, &unread));
    }
    (Input { pieces, left: length }.boxed_unsync(), Rest(rest))
}

/// What nobody reads of the body.
pub struct Rest(Receiver<()>);

impl Rest {
    /// Takes it in, as long as it comes. Web servers do not care for the response of a program that ends before: fcgiwrap
    /// answers that it could not pass the request on, and mod_cgid's one socket for both is reset.
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
            // One that was not heard yet says the same.
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
