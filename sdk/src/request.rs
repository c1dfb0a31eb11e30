use std::env;

/// What a session needs to know of a request.
///
/// Implemented for the requests of wasi:http and of the crate `http`, for [`Cgi`], and for `()`: no request at all, as when
/// the session is one of a given [id](crate::Options::session_id).
pub trait Request {
    /// The values of its `Cookie` fields.
    fn cookies(&self) -> Vec<Vec<u8>>;

    /// Whether the visitor sent it over HTTPS, to this server or to the proxy in front of it that says so in
    /// `X-Forwarded-Proto`. Of several values, the last counts: it is the nearest proxy's, and a client can only add values
    /// before it. `lemon-session serve` and `cgi` pass on one value, and only that of a proxy they trust. On a runtime that
    /// passes on what the client sent, a client that lies gets a cookie that its browser sends less often, and nothing else.
    fn https(&self) -> bool;

    /// Both. Requests that answer them together at a lower cost have their own.
    fn cookies_and_https(&self) -> (Vec<Vec<u8>>, bool) {
        (self.cookies(), self.https())
    }
}

impl Request for () {
    fn cookies(&self) -> Vec<Vec<u8>> {
        Vec::new()
    }

    fn https(&self) -> bool {
        false
    }
}

/// The request that a CGI program runs for: `HTTP_COOKIE`, `HTTPS` and `HTTP_X_FORWARDED_PROTO` of its environment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cgi;

impl Request for Cgi {
    fn cookies(&self) -> Vec<Vec<u8>> {
        env::var_os("HTTP_COOKIE").map(|cookie| cookie.into_encoded_bytes()).into_iter().collect()
    }

    fn https(&self) -> bool {
        let https = env::var_os("HTTPS").is_some_and(|https| switched_on(https.as_encoded_bytes()));
        https || env::var_os("HTTP_X_FORWARDED_PROTO").is_some_and(|proto| is_https(proto.as_encoded_bytes()))
    }
}

/// What servers set `HTTPS` to varies; PHP's manual has it: a non-empty value, but "off" on one of them.
fn switched_on(https: &[u8]) -> bool {
    !https.is_empty() && !https.eq_ignore_ascii_case(b"off")
}

/// Whether the last value of an `X-Forwarded-Proto` says so.
fn is_https(proto: &[u8]) -> bool {
    let last = proto.rsplit(|byte| *byte == b',').next().unwrap_or_default();
    last.trim_ascii().eq_ignore_ascii_case(b"https")
}

#[cfg(feature = "wasi-http")]
mod wasi_http {
    use wasip2::http::types::{Fields, IncomingRequest, Scheme};

    use super::{Request, is_https};

    impl Request for IncomingRequest {
        fn cookies(&self) -> Vec<Vec<u8>> {
            self.headers().get("cookie")
        }

        fn https(&self) -> bool {
            https(self, &self.headers())
        }

        fn cookies_and_https(&self) -> (Vec<Vec<u8>>, bool) {
            let headers = self.headers();
            (headers.get("cookie"), https(self, &headers))
        }
    }

    fn https(request: &IncomingRequest, headers: &Fields) -> bool {
        matches!(request.scheme(), Some(Scheme::Https))
            || headers.get("x-forwarded-proto").last().is_some_and(|proto| is_https(proto))
    }
}

#[cfg(feature = "http")]
mod http {
    use http::{HeaderMap, Request as HttpRequest, Uri, header::COOKIE, request::Parts};

    use super::{Request, is_https};

    impl<B> Request for HttpRequest<B> {
        fn cookies(&self) -> Vec<Vec<u8>> {
            cookies(self.headers())
        }

        fn https(&self) -> bool {
            https(self.uri(), self.headers())
        }
    }

    impl Request for Parts {
        fn cookies(&self) -> Vec<Vec<u8>> {
            cookies(&self.headers)
        }

        fn https(&self) -> bool {
            https(&self.uri, &self.headers)
        }
    }

    fn cookies(headers: &HeaderMap) -> Vec<Vec<u8>> {
        headers.get_all(COOKIE).iter().map(|value| value.as_bytes().to_owned()).collect()
    }

    fn https(uri: &Uri, headers: &HeaderMap) -> bool {
        uri.scheme_str() == Some("https")
            || headers.get_all("x-forwarded-proto").iter().next_back().is_some_and(|proto| is_https(proto.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_is_any_value_but_none_and_off() {
        assert!(switched_on(b"on") && switched_on(b"1"));
        assert!(!switched_on(b"") && !switched_on(b"off") && !switched_on(b"OFF"));
    }

    #[test]
    fn the_nearest_proxy_tells() {
        assert!(is_https(b"https") && is_https(b"HTTPS") && is_https(b"http , https "));
        assert!(!is_https(b"") && !is_https(b"http") && !is_https(b"https, http") && !is_https(b"httpsx"));
    }

    #[cfg(feature = "http")]
    #[test]
    fn the_nearest_proxy_tells_also_in_a_field_of_its_own() {
        let https = |values: &[&str]| {
            let request = ::http::Request::builder();
            let request = values.iter().fold(request, |request, value| request.header("x-forwarded-proto", *value));
            request.body(()).unwrap().https()
        };
        assert!(https(&["https"]) && https(&["http", "https"]) && https(&["http, https"]));
        assert!(!https(&[]) && !https(&["https", "http"]) && !https(&["https,http"]));
    }

    #[cfg(feature = "http")]
    #[test]
    fn every_cookie_field_counts() {
        let request = ::http::Request::builder().header("cookie", "a=b").header("cookie", "c=d").body(()).unwrap();
        assert_eq!(request.cookies(), [b"a=b".to_vec(), b"c=d".to_vec()]);
        assert!(!request.https());
    }
}
