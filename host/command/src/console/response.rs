//! Responses of the console, and the headers that all of them have.

use std::convert::Infallible;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use lemon_session_host::sessions::Header;
use url::form_urlencoded::Serializer;

pub type Body = UnsyncBoxBody<Bytes, Infallible>;

/// The path of all pages.
pub const ROOT: &str = "/console";
pub const SIGN_IN: &str = "/console/sign-in";

/// Nothing is loaded from elsewhere, and no other site shows these pages in a frame or learns their URLs.
const HEADERS: [(HeaderName, &str); 4] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; \
         base-uri 'none'; frame-ancestors 'none'",
    ),
    (header::CACHE_CONTROL, "no-store"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
];

/// Adds the headers that all responses have.
pub fn protect(headers: &mut HeaderMap) {
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

pub fn body(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).boxed_unsync()
}

pub fn of_type(status: StatusCode, content_type: &'static str, bytes: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(body(bytes));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

pub fn text(status: StatusCode, text: impl Into<Bytes>) -> Response<Body> {
    of_type(status, "text/plain; charset=utf-8", text)
}

/// Sends the browser to another page, with GET.
pub fn redirect(to: &str) -> Response<Body> {
    let mut response = text(StatusCode::SEE_OTHER, "");
    // The paths are our own and percent-encoded.
    if let Ok(to) = HeaderValue::try_from(to) {
        response.headers_mut().insert(header::LOCATION, to);
    }
    response
}

/// Adds the headers of a session.
pub fn add(headers: &mut HeaderMap, of_session: Vec<Header>) {
    for (name, value) in of_session {
        // The session component makes none that HTTP forbids.
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            headers.append(name, value);
        }
    }
}

/// The URL of a page with a query. An empty value is left out.
pub fn link(page: &str, query: &[(&str, &str)]) -> String {
    let mut text = Serializer::new(String::new());
    text.extend_pairs(query.iter().filter(|(_, value)| !value.is_empty()));
    match text.finish() {
        query if query.is_empty() => format!("{ROOT}/{page}"),
        query => format!("{ROOT}/{page}?{query}"),
    }
}
