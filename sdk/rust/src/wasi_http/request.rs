use std::borrow::Cow;

use wasip2::http::types::{IncomingRequest, Method};

use super::Form;
use crate::Result;

/// A request with its target taken apart. A session [starts](crate::Options::start) with it as with the request itself.
pub struct Request<'a> {
    target: Target,
    request: &'a IncomingRequest,
}

impl<'a> Request<'a> {
    /// Takes the target of a request apart.
    pub fn new(request: &'a IncomingRequest) -> Self {
        Self { target: Target::new(&request.path_with_query().unwrap_or_default()), request }
    }

    /// The path, without the query, as the client sent it: `%2F` is not decoded.
    pub fn path(&self) -> &str {
        &self.target.path
    }

    /// The value of the first parameter of the query with this name, decoded. A parameter without a value is empty.
    pub fn parameter(&self, name: &str) -> Option<Cow<'_, str>> {
        self.target.parameter(name)
    }

    /// Whether the method is POST.
    pub fn is_post(&self) -> bool {
        matches!(self.request.method(), Method::Post)
    }

    /// Reads the form in the body, which has at most 64 KiB. The form of a request without a body has no fields.
    ///
    /// # Errors
    ///
    /// [`TooLarge`](crate::Error::TooLarge) for a longer one, [`InvalidForm`](crate::Error::InvalidForm) if the body is not
    /// `application/x-www-form-urlencoded` or the client does not send all of it.
    ///
    /// # Panics
    ///
    /// If the body was taken before: a form can be read once.
    pub fn form(&self) -> Result<Form> {
        let body = self.request.consume().expect("the body of a request is read once");
        let stream = body.stream().expect("a body has one stream");
        let content_types = crate::Request::header(self.request, "content-type");
        Form::read(content_types.first().map(Vec::as_slice), stream)
    }
}

impl crate::Request for Request<'_> {
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
        crate::Request::method(self.request)
    }

    fn host(&self) -> Option<String> {
        self.request.host()
    }

    fn header(&self, name: &str) -> Vec<Vec<u8>> {
        self.request.header(name)
    }
}

/// What a client asks for: a path and a query.
struct Target {
    path: String,
    query: String,
}

impl Target {
    fn new(target: &str) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Self { path: path.to_owned(), query: query.to_owned() }
    }

    fn parameter(&self, name: &str) -> Option<Cow<'_, str>> {
        form_urlencoded::parse(self.query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_begins_at_the_first_question_mark() {
        let target = Target::new("/a%2Fb?key=x%3Dy+z?&key=second&bare");
        assert_eq!(target.path, "/a%2Fb");
        assert_eq!(target.parameter("key").as_deref(), Some("x=y z?"));
        assert_eq!(target.parameter("bare").as_deref(), Some(""));
        assert_eq!(target.parameter("none"), None);
    }

    #[test]
    fn a_target_needs_neither_part() {
        for (target, path) in [("/shop", "/shop"), ("/shop?", "/shop"), ("?a", ""), ("", "")] {
            assert_eq!(Target::new(target).path, path, "{target}");
        }
        assert_eq!(Target::new("/?").parameter(""), None);
    }
}
