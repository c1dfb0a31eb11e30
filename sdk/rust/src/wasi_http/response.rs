use std::{io::Write as _, slice};

use wasip2::http::types::{ErrorCode, Fields, OutgoingBody, OutgoingResponse, ResponseOutparam};

use crate::{Error, Headers};

/// A response with a body of text. Its status is 200 unless [`status`](Self::status) sets another one.
#[derive(Clone, Debug)]
#[must_use = "the visitor gets a response only if it is sent"]
pub struct Response {
    status: u16,
    /// The application's own headers, with lower-case names.
    own: Vec<(String, Vec<u8>)>,
    session: Headers,
    body: String,
}

impl Response {
    /// A response with this `content-type`, such as `application/json`.
    pub fn new(content_type: &str, body: impl Into<String>) -> Self {
        let response = Self { status: 200, own: Vec::new(), session: Headers::default(), body: body.into() };
        response.header("content-type", content_type)
    }

    /// A response in plain text.
    pub fn text(body: impl Into<String>) -> Self {
        Self::new("text/plain; charset=utf-8", body)
    }

    /// A page in HTML.
    pub fn html(body: impl Into<String>) -> Self {
        Self::new("text/html; charset=utf-8", body)
    }

    /// Sets the status code.
    pub fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// Adds a header of the application's own.
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.own.push((name.to_ascii_lowercase(), value.into().into_bytes()));
        self
    }

    /// Adds the headers that [`save`](crate::Session::save) or [`destroy`](crate::Session::destroy) returned. They are
    /// merged with the application's own as [`Headers::append_to`] does it, whichever were added first.
    pub fn headers(mut self, headers: Headers) -> Self {
        self.session.0.extend(headers);
        self
    }

    /// Sends the response. A status code or a header that HTTP does not allow is not sent: the host gets an error
    /// instead, which says what is wrong, and responds to the visitor with an error of its own.
    pub fn send(self, out: ResponseOutparam) {
        let response = match self.head() {
            Ok(response) => response,
            Err(why) => return ResponseOutparam::set(out, Err(ErrorCode::InternalError(Some(why)))),
        };
        let content = response.body().expect("the body of a response is taken once");
        ResponseOutparam::set(out, Ok(response));

        // A visitor who has gone away does not hear the rest; nothing is left to do then.
        let mut stream = content.write().expect("a body has one stream");
        if stream.write_all(self.body.as_bytes()).is_ok() {
            drop(stream);
            let _ = OutgoingBody::finish(content, None);
        }
    }

    fn head(&self) -> Result<OutgoingResponse, String> {
        let fields = self.fields();
        let refused = |field: &&(String, Vec<u8>)| Fields::from_list(slice::from_ref(*field)).is_err();
        let headers = Fields::from_list(&fields).map_err(|error| match fields.iter().find(refused) {
            Some((name, _)) => format!("the response's header {name} is not one of HTTP: {error}"),
            None => format!("the response's headers are refused: {error}"),
        })?;
        let response = OutgoingResponse::new(headers);
        let refused = |()| format!("the response's status {} is not one of HTTP", self.status);
        response.set_status_code(self.status).map_err(refused)?;
        Ok(response)
    }

    fn fields(&self) -> Vec<(String, Vec<u8>)> {
        let mut fields = self.own.clone();
        fields.push(("content-length".to_owned(), self.body.len().to_string().into_bytes()));
        self.session.append_to_list(&mut fields);
        fields
    }
}

/// What a request gets that failed: the [status](Error::status) of the error, and its text.
impl From<Error> for Response {
    fn from(error: Error) -> Self {
        Self::text(format!("{error}\n")).status(error.status())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(response: &Response) -> Vec<String> {
        let line = |(name, value): (String, Vec<u8>)| format!("{name}: {}", String::from_utf8(value).unwrap());
        response.fields().into_iter().map(line).collect()
    }

    fn saved(set_cookie: bool) -> Headers {
        let headers = [("set-cookie", "a=b"), ("cache-control", "no-store"), ("vary", "Cookie")];
        let pair = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        headers.into_iter().skip(usize::from(!set_cookie)).map(pair).collect()
    }

    #[test]
    fn the_headers_of_the_session_are_merged_with_those_of_the_application() {
        let own = |response: Response| response.header("Cache-Control", "max-age=60").header("vary", "Accept");
        let page = || Response::html("<p>ü");
        for response in [own(page().headers(saved(false))), own(page()).headers(saved(false))] {
            let html = "content-type: text/html; charset=utf-8";
            let expected = [html, "cache-control: max-age=60", "content-length: 5", "vary: Accept, Cookie"];
            assert_eq!(fields(&response), expected);
        }
        let setting = fields(&own(page()).headers(saved(true)));
        assert!(setting.contains(&"cache-control: no-store".to_owned()), "{setting:?}");
        assert!(!setting.contains(&"cache-control: max-age=60".to_owned()), "{setting:?}");
    }

    #[test]
    fn an_error_has_its_status_and_text() {
        let response = Response::from(Error::Gone);
        assert_eq!((response.status, response.body.as_str()), (409, "gone: the session has ended\n"));
        assert_eq!(fields(&response)[0], "content-type: text/plain; charset=utf-8");
    }
}
