//! The page about a failure, for the browser of the application's author. It has no values of a session, no cookies and no
//! credentials.

use std::sync::LazyLock;

use http::{HeaderMap, HeaderName, HeaderValue, Response, header};
use http_body_util::{BodyExt as _, Full};
use minijinja::{Environment, UndefinedBehavior, context};
use wasmtime_wasi_http::WasiBody;

use super::{
    Visit,
    sessions::{Cookie, VARIABLES},
};
use crate::application::{Failure, Subject};

/// The page loads nothing and runs nothing.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";
/// Fields with credentials, of which only the length is shown.
const CREDENTIALS: [HeaderName; 2] = [header::AUTHORIZATION, header::PROXY_AUTHORIZATION];

/// The template. What it shows is escaped, because its name ends with `.html`.
const NAME: &str = "failure.html";

static PAGES: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut pages = Environment::new();
    // A misspelt name is an error and not an empty text.
    pages.set_undefined_behavior(UndefinedBehavior::Strict);
    pages.add_template(NAME, include_str!("failure.html")).expect("a test compiles the template");
    pages
});

/// The page about the failure of a request.
pub struct Page(String);

impl Page {
    pub fn new(failure: &Failure, subject: &Subject, visit: &Visit, cookies: &[Cookie]) -> Self {
        let fields = visit.headers.iter().map(|(name, value)| (name.as_str(), shown(name, value)));
        let values = context! {
            style => include_str!("failure.css"),
            status => failure.status().to_string(),
            application => subject.application(),
            explanation => failure.explanation(),
            cause => failure.cause(),
            remedy => failure.remedy(),
            printed => visit.printed.text(),
            frames => failure.frames(),
            method => visit.method.as_str(),
            target => visit.target.to_string(),
            fields => fields.collect::<Vec<_>>(),
            cookies,
            most => VARIABLES,
            number => subject.id.to_string(),
        };
        let page = PAGES.get_template(NAME).and_then(|template| template.render(values));
        Self(page.unwrap_or_else(|error| {
            tracing::error!("the page about a failure cannot be rendered: {error}");
            "The page about this failure cannot be rendered; see the log.".to_owned()
        }))
    }

    /// Makes this the body of a response.
    pub fn replace_body(self, response: &mut Response<WasiBody>) {
        let headers = response.headers_mut();
        headers.remove(header::CONTENT_LENGTH);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        *response.body_mut() = Full::from(self.0).map_err(|never| match never {}).boxed_unsync();
    }
}

/// The value of a field, without secrets.
fn shown(name: &HeaderName, value: &HeaderValue) -> String {
    let value = String::from_utf8_lossy(value.as_bytes());
    let left_out = |value: &str| match value.trim().chars().count() {
        1 => "(1 character)".to_owned(),
        count => format!("({count} characters)"),
    };
    if CREDENTIALS.contains(name) {
        return left_out(&value);
    }
    if name != header::COOKIE {
        return value.into_owned();
    }
    let cookies = value.split(';').map(|cookie| match cookie.split_once('=') {
        Some((name, value)) => format!("{}={}", name.trim(), left_out(value)),
        // A value without a name.
        None => left_out(cookie),
    });
    cookies.collect::<Vec<_>>().join("; ")
}

/// Whether a client says that it reads pages, as browsers do when they load one.
pub fn is_accepted(headers: &HeaderMap) -> bool {
    let fields = headers.get_all(header::ACCEPT).iter().filter_map(|field| field.to_str().ok());
    fields.flat_map(|field| field.split(',')).any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let is_html = parts.next().is_some_and(|range| range.eq_ignore_ascii_case("text/html"));
        let is_refused = |part: &str| part.strip_prefix("q=").is_some_and(|q| q.parse() == Ok(0.0));
        is_html && !parts.any(is_refused)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_clients_that_read_pages_get_them() {
        let is_accepted = |accept: &str| {
            is_accepted(&HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_str(accept).unwrap())]))
        };
        for browser in
            ["text/html", "application/json, Text/HTML;level=1;q=0.5", "text/html,application/xhtml+xml,*/*;q=0.8"]
        {
            assert!(is_accepted(browser), "{browser}");
        }
        for other in ["*/*", "application/json", "text/html;q=0", "text/html ; q=0.0", "text/plain, text/html5", ""] {
            assert!(!is_accepted(other), "{other}");
        }
        assert!(!super::is_accepted(&HeaderMap::new()));
    }

    #[test]
    fn secrets_in_fields_are_left_out() {
        let shown = |name, value| shown(&name, &HeaderValue::from_static(value));
        assert_eq!(shown(header::ACCEPT, "text/html"), "text/html");
        assert_eq!(shown(header::AUTHORIZATION, "Bearer abc"), "(10 characters)");
        assert_eq!(shown(header::PROXY_AUTHORIZATION, "Basic abc"), "(9 characters)");
        let cookies = "sid=abc; theme=dark=er;secret; empty=";
        assert_eq!(
            shown(header::COOKIE, cookies),
            "sid=(3 characters); theme=(7 characters); (6 characters); empty=(0 characters)"
        );
    }
}
