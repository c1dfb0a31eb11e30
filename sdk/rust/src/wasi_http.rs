//! What the examples need of wasi:http: a request's parameters, form and fields, and an answer.

use std::{
    borrow::Cow,
    io::{Read as _, Write as _},
};

use wasip2::http::types::{Fields, IncomingRequest, Method, OutgoingBody, OutgoingResponse, ResponseOutparam};

/// The bytes of a form.
const LONGEST_FORM: u64 = 64 * 1024;

/// A request that was received.
pub struct Request<'a> {
    path: String,
    query: String,
    request: &'a IncomingRequest,
}

impl<'a> Request<'a> {
    /// Takes the target of a request of wasi:http apart.
    pub fn new(request: &'a IncomingRequest) -> Self {
        let target = request.path_with_query().unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        Self { path: path.to_owned(), query: query.to_owned(), request }
    }

    /// The path, without the query.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether its method is POST.
    pub fn is_post(&self) -> bool {
        matches!(self.request.method(), Method::Post)
    }

    /// The fields of a form in its body; none of one that is too long.
    pub fn form(&self) -> Vec<(String, String)> {
        let body = self.request.consume().expect("the body is taken once");
        let mut stream = body.stream().expect("the stream is taken once");
        let mut form = Vec::new();
        if stream.by_ref().take(LONGEST_FORM + 1).read_to_end(&mut form).is_err() || form.len() as u64 > LONGEST_FORM {
            return Vec::new();
        }
        form_urlencoded::parse(&form).into_owned().collect()
    }

    /// A parameter of the query.
    pub fn parameter(&self, name: &str) -> Option<Cow<'_, str>> {
        form_urlencoded::parse(self.query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value)
    }
}

impl lemon_session::Request for Request<'_> {
    fn cookies(&self) -> Vec<Vec<u8>> {
        self.request.cookies()
    }

    fn https(&self) -> bool {
        self.request.https()
    }

    fn cookies_and_https(&self) -> (Vec<Vec<u8>>, bool) {
        self.request.cookies_and_https()
    }

    fn method(&self) -> String {
        lemon_session::Request::method(self.request)
    }

    fn host(&self) -> Option<String> {
        self.request.host()
    }

    fn header(&self, name: &str) -> Vec<Vec<u8>> {
        self.request.header(name)
    }
}

/// Answers a request.
pub fn answer<'a>(
    out: ResponseOutparam,
    status: u16,
    headers: impl IntoIterator<Item = &'a (String, String)>,
    body: &str,
) {
    let field = |(name, value): &(String, String)| (name.clone(), value.clone().into_bytes());
    let length = header("content-length", &body.len().to_string());
    let fields: Vec<_> = headers.into_iter().map(field).chain([field(&length)]).collect();
    let response = OutgoingResponse::new(Fields::from_list(&fields).expect("headers of ours are well-formed"));
    if status != 200 {
        response.set_status_code(status).expect("a status of ours is one of HTTP");
    }
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
