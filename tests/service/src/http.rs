//! A request, its parameters, and answers.

use wasip3::{
    http::types::{ErrorCode, Fields, Request, Response},
    spawn_local, wit_future, wit_stream,
};

pub type Answer = Result<Response, ErrorCode>;
pub type Headers = Vec<(String, String)>;

/// The path of a request and its parameters.
pub struct Target {
    pub path: String,
    query: String,
}

impl Target {
    pub fn of(request: &Request) -> Self {
        let target = request.get_path_with_query().unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        Self { path: path.to_owned(), query: query.to_owned() }
    }

    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
    }

    /// A parameter that is a number, or 0.
    pub fn number(&self, name: &str) -> u64 {
        self.parameter(name).and_then(|value| value.parse().ok()).unwrap_or(0)
    }
}

/// The values of the request's `Cookie` fields.
pub fn cookies(request: &Request) -> Vec<Vec<u8>> {
    request.get_headers().get("cookie")
}

pub fn text(status: u16, headers: &Headers, body: &str) -> Answer {
    let body = body.as_bytes().to_vec();
    let length = ("content-length".to_owned(), body.len().to_string());
    let headers: Headers = headers.iter().cloned().chain([length]).collect();
    let response = respond(&headers, async move |mut stream| {
        stream.write_all(body).await;
    });
    response.set_status_code(status).expect("a status of ours is one of HTTP");
    Ok(response)
}

pub type Body = wasip3::wit_bindgen::StreamWriter<u8>;

/// A response whose body `write` writes after it has begun.
pub fn respond(headers: &Headers, write: impl AsyncFnOnce(Body) + 'static) -> Response {
    let fields: Vec<_> = headers.iter().map(|(name, value)| (name.clone(), value.clone().into_bytes())).collect();
    let fields = Fields::from_list(&fields).expect("headers of ours are well-formed");
    let (writer, reader) = wit_stream::new();
    let (trailers, end) = wit_future::new(|| Ok(None));
    drop(trailers);
    let (response, _sent) = Response::new(fields, Some(reader), end);
    spawn_local(async move { write(writer).await });
    response
}
