//! What the examples need of wasi:http: a request's parameters and cookies, and an answer.

use std::{borrow::Cow, io::Write as _};

use wasip2::http::types::{Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam};

/// A request that was received.
pub struct Request {
    path: String,
    query: String,
    headers: Fields,
}

impl Request {
    /// Takes what is needed from a request of wasi:http.
    pub fn new(request: &IncomingRequest) -> Self {
        let target = request.path_with_query().unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        Self { path: path.to_owned(), query: query.to_owned(), headers: request.headers() }
    }

    /// The path, without the query.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// A parameter of the query.
    pub fn parameter(&self, name: &str) -> Option<Cow<'_, str>> {
        form_urlencoded::parse(self.query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// The values of the `Cookie` fields.
    pub fn cookies(&self) -> Vec<Vec<u8>> {
        self.headers.get("cookie")
    }

    /// Whether the visitor came over HTTPS, as the server in front of us says.
    pub fn https(&self) -> bool {
        self.headers.get("x-forwarded-proto").iter().any(|proto| proto.eq_ignore_ascii_case(b"https"))
    }
}

/// Answers a request.
pub fn answer(out: ResponseOutparam, status: u16, headers: &[(String, String)], body: &str) {
    let fields = Fields::new();
    for (name, value) in headers {
        fields.append(name, value.as_bytes()).expect("a header of ours is well-formed");
    }
    let response = OutgoingResponse::new(fields);
    response.set_status_code(status).expect("a status of ours is one of HTTP");
    let content = response.body().expect("the body is taken once");
    ResponseOutparam::set(out, Ok(response));

    // A visitor who has gone away does not hear the rest; nothing is left to do then.
    let mut stream = content.write().expect("the stream is taken once");
    if stream.write_all(body.as_bytes()).is_ok() {
        drop(stream);
        let _ = OutgoingBody::finish(content, None);
    }
}

/// A header of an answer.
pub fn header(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}
