//! A component that misbehaves, a route for each way.

use std::{
    hint::black_box,
    io::{Read as _, Write as _},
};

use lemon_session::wasi_http::{Request, Response};
use wasip2::{
    clocks::monotonic_clock,
    http::types::{Fields, IncomingRequest, OutgoingResponse, ResponseOutparam},
};

mod hoards;
mod managing;

struct Rogue;

wasip2::http::proxy::export!(Rogue);

impl wasip2::exports::http::incoming_handler::Guest for Rogue {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let request_of = Request::new(&request);
        let path = request_of.path();
        if let Some(hoard) = path.strip_prefix("/hoard/") {
            return Response::text(format!("{} are held\n", hoards::hoard(hoard))).send(out);
        }
        // Wherever it is mounted.
        if let Some((_, function)) = path.split_once("/manager/") {
            return Response::text(managing::call(function, &request_of)).send(out);
        }
        match path {
            "/trap" => panic!("trapped on purpose"),
            "/spin" => loop {
                black_box(());
            },
            "/sleep" => monotonic_clock::subscribe_duration(3_600_000_000_000).block(),
            "/grow" => {
                let mut hoard: Vec<Vec<u8>> = Vec::new();
                loop {
                    hoard.push(black_box(vec![1; 1 << 20]));
                }
            }
            "/silent" => {}
            "/read" => Response::text(format!("{} bytes\n", length_of_body(&request))).send(out),
            "/fields" => Response::text(fields_of(&request)).send(out),
            "/flood" => flood(out),
            "/half" => half(out),
            "/no-content" => no_content(out),
            "/redirect" => redirect(&request_of).send(out),
            "/injection" => Response::text(format!("{} got through\n", injected())).send(out),
            _ => Response::text("well\n").send(out),
        }
    }
}

/// The header fields and the host, one a line, in the order of the alphabet.
fn fields_of(request: &IncomingRequest) -> String {
    let entries = request.headers().entries();
    let mut lines: Vec<_> =
        entries.iter().map(|(name, value)| format!("{name}: {}\n", String::from_utf8_lossy(value))).collect();
    lines.push(format!("authority: {}\n", request.authority().unwrap_or_default()));
    lines.sort();
    lines.concat()
}

fn length_of_body(request: &IncomingRequest) -> usize {
    let body = request.consume().expect("the body is taken once");
    let mut bytes = Vec::new();
    let _ = body.stream().expect("the stream is taken once").read_to_end(&mut bytes);
    bytes.len()
}

/// An endless response, until the client stops reading.
fn flood(out: ResponseOutparam) {
    let response = OutgoingResponse::new(Fields::new());
    let body = response.body().expect("the body is taken once");
    ResponseOutparam::set(out, Ok(response));
    let mut stream = body.write().expect("the stream is taken once");
    while stream.write_all(&[b'x'; 1 << 16]).is_ok() {}
}

/// Half of an answer.
fn half(out: ResponseOutparam) {
    let response = OutgoingResponse::new(Fields::new());
    let body = response.body().expect("the body is taken once");
    ResponseOutparam::set(out, Ok(response));
    let mut stream = body.write().expect("the stream is taken once");
    stream.write_all(b"the first half, and").expect("the client reads");
    panic!("stopped on purpose");
}

/// An answer without a body that tells its length.
fn no_content(out: ResponseOutparam) {
    let headers = Fields::new();
    headers.set("content-length", &[b"5".to_vec()]).expect("it is a length");
    let response = OutgoingResponse::new(headers);
    response.set_status_code(204).expect("it is a status");
    ResponseOutparam::set(out, Ok(response));
}

/// A redirect to where the client says, with the status that it says, neither of which is checked.
fn redirect(request: &Request) -> Response {
    let status = request.parameter("status").and_then(|status| status.parse().ok()).unwrap_or_default();
    Response::text("moved\n").status(status).header("location", request.parameter("to").unwrap_or_default())
}

/// Tries to have a line break, or what some read as one, in every place of an answer's head; returns how many were
/// taken.
fn injected() -> usize {
    let mut taken = 0;
    for evil in ["\r\nevil: 1", "\nevil: 1", "\revil: 1", "\0", "a\r\n\r\nevil"] {
        let fields = Fields::new();
        taken += usize::from(fields.append(&format!("name{evil}"), b"value").is_ok());
        for name in ["set-cookie", "location", "content-type", "x-any"] {
            let value = format!("value{evil}");
            taken += usize::from(fields.append(name, value.as_bytes()).is_ok());
            taken += usize::from(fields.set(name, &[value.into_bytes()]).is_ok());
        }
    }
    for status in [0, 1, 99, 1000, u16::MAX] {
        taken += usize::from(OutgoingResponse::new(Fields::new()).set_status_code(status).is_ok());
    }
    taken
}
