//! The body of a program's response, sent as it is printed.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio::sync::mpsc::Receiver;
use wasmtime_wasi_http::Error;

use super::{Failure, RequestId, output::Printed};

pub struct Body {
    id: RequestId,
    /// What was printed together with the header block.
    begun: Bytes,
    printed: Receiver<Printed>,
    /// How much is to come, if the header block tells.
    left: Option<u64>,
}

impl Body {
    pub fn new(id: RequestId, begun: Bytes, printed: Receiver<Printed>, length: Option<u64>) -> Self {
        Self { id, begun, printed, left: length }
    }

    /// No body; what the program prints is not sent, but it is let print it.
    pub fn discard(printed: Receiver<Printed>) -> Discarded {
        Discarded(Some(printed))
    }

    /// What of these bytes is to be sent: no more than the header block says, as what follows would pass for another response.
    fn within_length(&mut self, mut bytes: Bytes) -> Option<Bytes> {
        let Some(left) = &mut self.left else { return Some(bytes) };
        let length = bytes.len() as u64;
        if length > *left {
            tracing::error!(request = %self.id, "the application printed more than its Content-Length: the rest is not sent");
            bytes.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
        }
        *left -= bytes.len() as u64;
        (!bytes.is_empty()).then_some(bytes)
    }

    fn end(&self) -> Option<Result<Frame<Bytes>, Error>> {
        self.left.is_some_and(|left| left > 0).then(|| {
            tracing::error!(request = %self.id, "the application printed less than its Content-Length");
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
                // As under every web server, what is printed counts, and not the exit status.
                Some(Err(Failure::Failed(error))) if error.is::<wasmtime_wasi::I32Exit>() => {
                    tracing::warn!(request = %self.id, "the application ended: {error}");
                    return Poll::Ready(self.end());
                }
                Some(Err(failure)) => {
                    tracing::error!(request = %self.id, "the application was stopped: {failure:?}");
                    // The client has to see that the rest is missing.
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

/// The body of a response that has none. Ends with the program; if it is dropped before, the program is let end nevertheless.
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
