//! The body of a program's response, sent while it is printed.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio::sync::mpsc::Receiver;
use wasmtime_wasi_http::Error;

use super::{super::failure::cause, Failure, Subject, output::Printed};

pub struct Body {
    subject: Subject,
    /// The bytes that were printed together with the header block.
    begun: Bytes,
    printed: Receiver<Printed>,
    /// The bytes still expected, if the header block has a length.
    left: Option<u64>,
}

impl Body {
    pub fn new(subject: Subject, begun: Bytes, printed: Receiver<Printed>, length: Option<u64>) -> Self {
        Self { subject, begun, printed, left: length }
    }

    /// A response without a body. The program can print one, but it is discarded.
    pub fn discard(printed: Receiver<Printed>) -> Discarded {
        Discarded(Some(printed))
    }

    /// The bytes to send. Those beyond the length in the header block are dropped, as clients would take them for
    /// another response.
    fn within_length(&mut self, mut bytes: Bytes) -> Option<Bytes> {
        let Some(left) = &mut self.left else { return Some(bytes) };
        let length = bytes.len() as u64;
        if length > *left {
            about!(error, self.subject, "the application printed more than its Content-Length: the rest is not sent");
            bytes.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
        }
        *left -= bytes.len() as u64;
        (!bytes.is_empty()).then_some(bytes)
    }

    fn end(&self) -> Option<Result<Frame<Bytes>, Error>> {
        self.left.is_some_and(|left| left > 0).then(|| {
            about!(error, self.subject, "the application printed less than its Content-Length");
            Err(Error::HttpResponseIncomplete)
        })
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let bytes = match std::mem::take(&mut self.begun) {
            begun if begun.is_empty() => match ready!(self.printed.poll_recv(cx)) {
                Some(Ok(bytes)) => bytes,
                // Like web servers, ignores the exit status: only the output matters.
                Some(Err(Failure::Failed(error))) if error.is::<wasmtime_wasi::I32Exit>() => {
                    about!(warn, self.subject, "the application ended: {}", cause(&error));
                    return Poll::Ready(self.end());
                }
                Some(Err(failure)) => {
                    failure.log_stopped(&self.subject);
                    // The client must notice that the rest is missing.
                    return Poll::Ready(Some(Err(Error::HttpResponseIncomplete)));
                }
                None => return Poll::Ready(self.end()),
            },
            begun => begun,
        };
        Poll::Ready(self.within_length(bytes).map(|bytes| Ok(Frame::data(bytes))))
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// An empty body, which ends when the program ends. If it is dropped earlier, the program still runs to its end.
pub struct Discarded(Option<Receiver<Printed>>);

impl hyper::body::Body for Discarded {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        while let Some(printed) = &mut self.0 {
            if ready!(printed.poll_recv(cx)).is_none() {
                self.0 = None;
            }
        }
        Poll::Ready(None)
    }
}

impl Drop for Discarded {
    fn drop(&mut self) {
        if let (Some(mut printed), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(async move { while printed.recv().await.is_some() {} });
        }
    }
}
