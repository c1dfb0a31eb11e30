//! What the routes need of wasi:http 0.3.

use std::borrow::Cow;

use wasip3::{
    http::types::{self, Fields, Response},
    wit_future, wit_stream,
};

/// The parts of a request that the routes read.
pub struct Request {
    pub path: String,
    pub cookies: Vec<Vec<u8>>,
    query: String,
}

impl Request {
    pub fn new(request: &types::Request) -> Self {
        let target = request.get_path_with_query().unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        Self { path: path.to_owned(), cookies: request.get_headers().get("cookie"), query: query.to_owned() }
    }

    /// A parameter of the query.
    pub fn parameter(&self, name: &str) -> Option<Cow<'_, str>> {
        form_urlencoded::parse(self.query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value)
    }
}

/// What a route answers.
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

/// The response, whose body is written in the background.
pub fn response(Answer { status, headers, body }: Answer) -> Response {
    let mut fields = vec![("content-type".to_owned(), b"text/html; charset=utf-8".to_vec())];
    fields.extend(headers.into_iter().map(|(name, value)| (name, value.into_bytes())));
    let fields = Fields::from_list(&fields).expect("headers of ours are well-formed");
    let (mut content, reader) = wit_stream::new();
    let (_, trailers) = wit_future::new(|| Ok(None));
    let (response, _sent) = Response::new(fields, Some(reader), trailers);
    response.set_status_code(status).expect("a status of ours is one of HTTP");
    wasip3::spawn_local(async move {
        // A visitor who has gone away does not hear the rest.
        content.write_all(format!("{body}\n").into_bytes()).await;
    });
    response
}
