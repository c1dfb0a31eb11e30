//! Requests and responses, as wasmtime's and as hyper's.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{
    Request, Response, header,
    uri::{Authority, Scheme},
};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Sleep, sleep_until};
use wasmtime_wasi_http::{Error, FieldMap, WasiBody, WasiHttpHooks, p3};

use super::{super::forwarded, Subject, progress::Place};

/// A request for a guest, and the result of reading its body.
pub fn request(
    hooks: &mut dyn WasiHttpHooks,
    request: Request<WasiBody>,
) -> (p3::Request, impl Future<Output = Result<(), Error>> + Send + 'static + use<>) {
    let (parts, body) = request.into_parts();
    let scheme = if forwarded::is_https(&parts.headers) { Scheme::HTTPS } else { Scheme::HTTP };
    let host = || parts.headers.get(header::HOST).and_then(|host| Authority::try_from(host.as_bytes()).ok());
    let authority = parts.uri.authority().cloned().or_else(host);
    let path = parts.uri.path_and_query().cloned();
    let headers = FieldMap::new_immutable(hooks, parts.headers);
    p3::Request::new(parts.method, Some(scheme), authority, path, headers, None, body)
}

/// A response that ends with the guest's time for its request.
pub fn response(response: Response<WasiBody>, place: Place, request_time: Duration) -> Response<WasiBody> {
    let Some((subject, since)) = place.begun() else { return response };
    let timer = Box::pin(sleep_until(since + request_time));
    response.map(|body| Answering { body, subject, place: Some(place), timer }.boxed_unsync())
}

/// The body of a response.
struct Answering {
    body: WasiBody,
    subject: Subject,
    /// `None` after the last byte.
    place: Option<Place>,
    timer: Pin<Box<Sleep>>,
}

impl Answering {
    /// Ends the body with an error, so that the client does not take it for complete.
    fn cut(&mut self) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.place = None;
        self.body = Empty::new().map_err(|never| match never {}).boxed_unsync();
        Poll::Ready(Some(Err(Error::ConnectionTerminated)))
    }
}

impl Body for Answering {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) else {
            if self.place.is_some() {
                ready!(self.timer.as_mut().poll(context));
                about!(
                    error,
                    self.subject,
                    "the response was cut short, because the application did not complete it in time"
                );
                return self.cut();
            }
            return Poll::Pending;
        };
        if frame.is_none()
            && let Some(place) = self.place.take()
            && place.has_ended()
        {
            // The entry about the failure of its guest names this request.
            about!(debug, self.subject, "the response was cut short, because the application was stopped");
            return self.cut();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream() && self.place.as_ref().is_none_or(|place| !place.has_ended())
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
