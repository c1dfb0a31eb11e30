//! The body of a request, as a program's standard input.

use bytes::{Bytes, BytesMut};
use futures::stream;
use http::{HeaderValue, Request, header};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Body as _, Frame};
use tokio::io::{AsyncWriteExt as _, DuplexStream};
use wasmtime_wasi_http::{Error, WasiBody};

use super::Failure;
use crate::application::budget::Budget;

/// Buffered bytes of a body that the program has not read.
pub const BYTES: usize = 64 * 1024;

/// Adds the length of the body to the request's headers, from which CONTENT_LENGTH is taken. Reads a chunked body
/// completely for that.
pub async fn measured(request: Request<WasiBody>, budget: &mut Budget) -> Result<Request<WasiBody>, Failure> {
    if request.headers().contains_key(header::CONTENT_LENGTH) || request.body().is_end_stream() {
        return Ok(request);
    }
    let (mut parts, mut body) = request.into_parts();
    let mut pieces = Pieces::default();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| match error {
            Error::HttpRequestBodySize(_) => Failure::BodyTooLarge,
            _ => Failure::BadRequest("The body of the request is incomplete."),
        })?;
        if let Ok(bytes) = frame.into_data() {
            budget.reserve(bytes.len()).map_err(|_| Failure::BodyTooLarge)?;
            pieces.add(bytes);
        }
    }
    parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(pieces.length));
    Ok(Request::from_parts(parts, pieces.into_body()))
}

/// A body in memory. Storing small chunks as they arrive would take many times as much.
#[derive(Default)]
struct Pieces {
    length: usize,
    full: Vec<Bytes>,
    last: BytesMut,
}

impl Pieces {
    fn add(&mut self, mut bytes: Bytes) {
        self.length += bytes.len();
        while !bytes.is_empty() {
            if self.last.is_empty() {
                self.last = BytesMut::with_capacity(BYTES);
            }
            self.last.extend_from_slice(&bytes.split_to(bytes.len().min(BYTES - self.last.len())));
            if self.last.len() == BYTES {
                self.full.push(self.last.split().freeze());
            }
        }
    }

    fn into_body(self) -> WasiBody {
        let pieces = self.full.into_iter().chain([self.last.freeze()]).filter(|piece| !piece.is_empty());
        StreamBody::new(stream::iter(pieces.map(|piece| Ok(Frame::data(piece))))).boxed_unsync()
    }
}

/// Passes a body to a program. The rest that it does not read is discarded, because clients read the response only
/// after they have sent the whole body.
pub async fn feed(mut body: WasiBody, mut input: DuplexStream) {
    let mut is_read = true;
    while let Some(Ok(frame)) = body.frame().await {
        if let Ok(bytes) = frame.into_data() {
            is_read = is_read && input.write_all(&bytes).await.is_ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;

    use super::*;

    /// A body in chunks of the same size.
    fn chunked(length: usize, chunk: usize) -> Request<WasiBody> {
        let bytes: Vec<u8> = (0..length).map(|n| n as u8).collect();
        let chunks: Vec<_> = bytes.chunks(chunk).map(|chunk| Ok(Frame::data(Bytes::copy_from_slice(chunk)))).collect();
        Request::new(StreamBody::new(stream::iter(chunks)).boxed_unsync())
    }

    #[tokio::test]
    async fn a_body_that_comes_in_chunks_is_measured_and_comes_out_as_it_went_in() {
        for chunk in [1, 1000, BYTES, BYTES + 1, 3 * BYTES] {
            let length = 2 * BYTES + 7;
            let request = measured(chunked(length, chunk), &mut Budget::new(4 << 20)).await.unwrap();
            assert_eq!(request.headers()["content-length"], length.to_string());
            let body = request.into_body().collect().await.unwrap().to_bytes();
            assert!(body.iter().enumerate().all(|(n, byte)| *byte == n as u8) && body.len() == length, "{chunk}");
        }
    }

    #[tokio::test]
    async fn a_body_that_is_kept_whole_counts_towards_the_memory_of_its_request() {
        let mut budget = Budget::new(4 << 20);
        assert!(measured(chunked(2 << 20, BYTES), &mut budget).await.is_ok());
        let refused = measured(chunked(2 << 20, BYTES), &mut budget).await;
        assert!(matches!(refused, Err(Failure::BodyTooLarge)), "the first one has used most of it");
    }

    #[tokio::test]
    async fn a_body_whose_length_is_told_is_not_kept() {
        let body = Full::from(vec![0; 8 << 20]).map_err(|never| match never {}).boxed_unsync();
        let mut request = Request::new(body);
        request.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(8 << 20));
        assert!(measured(request, &mut Budget::new(4 << 20)).await.is_ok());
    }
}
