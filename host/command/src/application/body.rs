//! The body of a request: limits of its size and rate, and reading ahead while the request waits for its turn.

use std::{
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};
use wasmtime_wasi_http::{Error, WasiBody};

use super::Failure;
use crate::config::Server;

/// The limits of the body of a request.
#[derive(Clone, Copy)]
struct Limits {
    bytes: u64,
    /// The minimum rate in bytes per second, averaged over `time`.
    rate: u32,
    time: Duration,
}

/// The limit that a body exceeded, if any. The application only sees that reading the body failed.
#[derive(Clone, Default)]
pub struct Fault(Arc<OnceLock<Over>>);

#[derive(Clone, Copy)]
enum Over {
    Length,
    Time,
}

impl Fault {
    /// The response to the request if a limit was exceeded, which replaces the application's.
    pub fn failure(&self) -> Option<Failure> {
        self.0.get().map(|over| match over {
            Over::Length => Failure::BodyTooLarge,
            Over::Time => Failure::BodyTooSlow,
        })
    }
}

/// Applies the limits to a body.
pub fn limited(body: WasiBody, settings: &Server) -> Result<(WasiBody, Fault), Failure> {
    let fault = Fault::default();
    if body.is_end_stream() {
        return Ok((body, fault));
    }
    let limits = Limits { bytes: settings.body_bytes.into(), rate: settings.body_rate, time: settings.body_time };
    if body.size_hint().lower() > limits.bytes {
        return Err(Failure::BodyTooLarge);
    }
    let limited = Limited { body, limits, fault: fault.clone(), length: 0, pace: Pace::default(), timer: None };
    Ok((limited.boxed_unsync(), fault))
}

/// Reads the first `most` bytes of a body, and returns a body that begins with them.
pub async fn read_ahead(mut body: WasiBody, most: usize) -> Result<WasiBody, Error> {
    if body.is_end_stream() {
        return Ok(body);
    }
    let mut begun = BytesMut::new();
    let (mut trailers, mut rest) = (None, None);
    loop {
        if begun.len() >= most {
            rest = Some(body);
            break;
        }
        match body.frame().await {
            // Copies the bytes, because a frame of one byte can keep a large buffer alive.
            Some(frame) => match frame?.into_data() {
                Ok(bytes) => begun.extend_from_slice(&bytes),
                Err(frame) => trailers = frame.into_trailers().ok(),
            },
            None => break,
        }
    }
    Ok(Begun { begun: begun.freeze(), trailers, rest }.boxed_unsync())
}

struct Limited {
    body: WasiBody,
    limits: Limits,
    fault: Fault,
    length: u64,
    pace: Pace,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Limited {
    fn fail(&self, over: Over) -> Error {
        let _ = self.fault.0.set(over);
        match over {
            Over::Length => Error::HttpRequestBodySize(Some(self.limits.bytes)),
            Over::Time => Error::ConnectionReadTimeout,
        }
    }

    /// Ready when the body is slower than the minimum rate.
    fn poll_too_slow(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.limits.rate == 0 {
            return Poll::Pending;
        }
        while let Some(until) = self.pace.patience(self.limits, Instant::now()) {
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(until)));
            if timer.deadline() != until {
                timer.as_mut().reset(until);
            }
            ready!(timer.as_mut().poll(context));
        }
        Poll::Ready(())
    }
}

impl Body for Limited {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) else {
            ready!(self.poll_too_slow(context));
            return Poll::Ready(Some(Err(self.fail(Over::Time))));
        };
        let length = match &frame {
            Some(Ok(frame)) => frame.data_ref().map_or(0, Bytes::len),
            _ => 0,
        };
        self.pace.came(length, Instant::now());
        self.length += length as u64;
        if self.length > self.limits.bytes {
            return Poll::Ready(Some(Err(self.fail(Over::Length))));
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The rate of a body, measured only while the server waits for it.
#[derive(Default)]
struct Pace {
    /// The start of the current wait.
    since: Option<Instant>,
    /// The total of the waits before it.
    waited: Duration,
    /// The bytes that arrived in these waits.
    bytes: u64,
}

impl Pace {
    fn came(&mut self, length: usize, now: Instant) {
        self.waited += self.since.take().map_or(Duration::ZERO, |since| now - since);
        self.bytes += length as u64;
    }

    /// Called while no data is available. Returns how long to wait for it, or `None` if the body is too slow.
    fn patience(&mut self, limits: Limits, now: Instant) -> Option<Instant> {
        let since = *self.since.get_or_insert(now);
        let waited = self.waited + (now - since);
        if waited < limits.time {
            return Some(now + (limits.time - waited));
        }
        if (self.bytes as f64) < f64::from(limits.rate) * waited.as_secs_f64() {
            return None;
        }
        // It was fast enough. Starts a new period, so that early bytes do not count later.
        *self = Self { since: Some(now), ..Self::default() };
        Some(now + limits.time)
    }
}

/// A body whose first bytes were already read.
struct Begun {
    begun: Bytes,
    trailers: Option<HeaderMap>,
    /// `None` if the whole body was read.
    rest: Option<WasiBody>,
}

impl Body for Begun {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if !self.begun.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.begun)))));
        }
        match &mut self.rest {
            Some(rest) => Pin::new(rest).poll_frame(context),
            None => Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        let rest_is_over = self.rest.as_ref().is_none_or(|rest| rest.is_end_stream());
        self.begun.is_empty() && self.trailers.is_none() && rest_is_over
    }

    fn size_hint(&self) -> SizeHint {
        let begun = self.begun.len() as u64;
        let Some(rest) = &self.rest else { return SizeHint::with_exact(begun) };
        let rest = rest.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(begun + rest.lower());
        if let Some(upper) = rest.upper() {
            hint.set_upper(begun + upper);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt as _, StreamExt as _, stream};
    use http_body_util::StreamBody;

    use super::*;

    const LIMITS: Limits = Limits { bytes: 5000, rate: 100, time: Duration::from_secs(10) };

    /// The second at which a body is refused whose pieces arrive at these intervals in seconds.
    fn given_up<const N: usize>(pieces: [(u64, usize); N]) -> Option<u64> {
        let begun = Instant::now();
        let (mut pace, mut now) = (Pace::default(), begun);
        for (after, length) in pieces.into_iter().chain([(u64::MAX, 0)]) {
            let next = now.checked_add(Duration::from_secs(after));
            // Timers can be late, and after the last piece nothing arrives.
            loop {
                match pace.patience(LIMITS, now) {
                    None => return Some((now - begun).as_secs()),
                    Some(until) if next.is_none_or(|next| until < next) => now = until,
                    Some(_) => break,
                }
            }
            now = next?;
            pace.came(length, now);
        }
        None
    }

    #[test]
    fn a_body_that_does_not_come_is_given_up() {
        assert_eq!(given_up([]), Some(10));
        assert_eq!(given_up([(0, 1)]), Some(10));
        assert_eq!(given_up([(9, 1), (9, 1), (9, 1)]), Some(10));
    }

    #[test]
    fn what_came_early_does_not_count_for_later() {
        assert_eq!(given_up([(0, 4000)]), Some(20), "ten seconds were fast enough, the next ten were not");
        assert_eq!(given_up([(0, 999)]), Some(10));
        assert_eq!(given_up([(0, 1000)]), Some(20));
    }

    #[test]
    fn a_body_that_keeps_the_pace_takes_as_long_as_it_takes() {
        assert_eq!(given_up([(9, 1000); 50]), Some(9 * 50 + 10), "only after its last piece");
        assert_eq!(given_up([(1, 100); 500]), Some(510));
        assert_eq!(given_up([(1, 99); 500]), Some(10));
    }

    #[test]
    fn time_in_which_a_body_is_not_waited_for_does_not_count() {
        let mut pace = Pace::default();
        let begun = Instant::now();
        assert!(pace.patience(LIMITS, begun).is_some());
        pace.came(100, begun + Duration::from_secs(1));
        let later = begun + Duration::from_secs(1000);
        assert_eq!(pace.patience(LIMITS, later), Some(later + Duration::from_secs(9)));
    }

    /// A body of pieces with these lengths. If it is not whole, it never ends.
    fn pieces<const N: usize>(lengths: [usize; N], is_whole: bool) -> WasiBody {
        let pieces = stream::iter(lengths).map(|length| Ok(Frame::data(Bytes::from(vec![b'x'; length]))));
        let end = if is_whole { stream::empty().boxed() } else { stream::pending().boxed() };
        StreamBody::new(pieces.chain(end).boxed()).boxed_unsync()
    }

    #[tokio::test]
    async fn a_body_that_is_too_slow_or_too_long_is_a_fault_of_the_request() {
        let mut settings = Server::default();
        (settings.body_bytes, settings.body_time) = (5000, Duration::from_millis(1));
        for (body, status) in [
            (pieces([1], false), Some(408)),
            (pieces([5000], true), None),
            (pieces([5000, 1], true), Some(413)),
            (pieces([5001], false), Some(413)),
        ] {
            let (body, fault) = limited(body, &settings).unwrap();
            assert_eq!(body.collect().await.is_err(), status.is_some());
            assert_eq!(fault.failure().map(|failure| failure.status().as_u16()), status);
        }
        settings.body_rate = 0;
        let (body, _) = limited(pieces([1], false), &settings).unwrap();
        assert!(tokio::time::timeout(Duration::from_millis(50), body.collect()).await.is_err(), "there is no minimum");
    }

    #[tokio::test]
    async fn a_body_is_read_ahead_as_far_as_it_may_be_and_arrives_whole() {
        let mut body = read_ahead(pieces([10, 10, 10], false), 15).await.unwrap();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap().len(), 20);
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap().len(), 10);
        assert!(body.frame().now_or_never().is_none());

        let body = read_ahead(pieces([10, 10], true), 100).await.unwrap();
        assert_eq!(body.size_hint().exact(), Some(20));
        assert_eq!(body.collect().await.unwrap().to_bytes().len(), 20);
    }
}
