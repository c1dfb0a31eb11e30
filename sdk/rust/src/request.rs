use std::env;

/// The properties of a request that a session and [`check_same_origin`](crate::check_same_origin) depend on.
///
/// It is implemented for the requests of wasi:http and of the crate `http`, for [`Cgi`], and for `()`, which stands for
/// no request, for example when the session is given by its [id](crate::Options::session_id).
pub trait Request {
    /// The values of the `Cookie` fields.
    fn cookies(&self) -> Vec<Vec<u8>>;

    /// Whether the visitor sent the request over HTTPS, either to this server or to a proxy that states it in
    /// `X-Forwarded-Proto`. Of several values the last counts: it comes from the nearest proxy, as a client can only
    /// add values before it. `lemon-session serve` and `cgi` pass on a single value, and only from a trusted proxy. On
    /// a runtime that passes on the client's value, a false one only makes the client's cookie `Secure`.
    fn https(&self) -> bool;

    /// Both values. Override it where reading them together is cheaper.
    fn cookies_and_https(&self) -> (Vec<Vec<u8>>, bool) {
        (self.cookies(), self.https())
    }

    /// The method, such as `GET`.
    fn method(&self) -> String;

    /// The host that the request was sent to, with the port if it was given: the `Host` field.
    fn host(&self) -> Option<String>;

    /// The values of the fields with this name, which is in lower case.
    fn header(&self, name: &str) -> Vec<Vec<u8>>;
}

impl Request for () {
    fn cookies(&self) -> Vec<Vec<u8>> {
        Vec::new()
    }

    fn https(&self) -> bool {
        false
    }

    fn method(&self) -> String {
        "GET".to_owned()
    }

    fn host(&self) -> Option<String> {
        None
    }

    fn header(&self, _name: &str) -> Vec<Vec<u8>> {
        Vec::new()
    }
}

/// The request of a CGI program, read from `REQUEST_METHOD`, `HTTPS` and the `HTTP_` variables of its environment.
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

    fn method(&self) -> String {
        env::var("REQUEST_METHOD").unwrap_or_default()
    }

    fn host(&self) -> Option<String> {
        env::var("HTTP_HOST").ok()
    }

    fn header(&self, name: &str) -> Vec<Vec<u8>> {
        let variable = format!("HTTP_{}", name.to_ascii_uppercase().replace('-', "_"));
        env::var_os(variable).map(|value| value.into_encoded_bytes()).into_iter().collect()
    }
}

/// Servers set `HTTPS` to various values. As PHP's manual says, any non-empty one means HTTPS, except "off", which IIS
/// sets.
fn switched_on(https: &[u8]) -> bool {
    !https.is_empty() && !https.eq_ignore_ascii_case(b"off")
}

/// Whether the last value of an `X-Forwarded-Proto` is `https`.
fn is_https(proto: &[u8]) -> bool {
    let last = proto.rsplit(|byte| *byte == b',').next().unwrap_or_default();
    last.trim_ascii().eq_ignore_ascii_case(b"https")
}

/// The requests of wasi:http, whose versions name their functions differently.
#[cfg(any(feature = "wasi-http", feature = "async"))]
macro_rules! wasi_http {
    ($module:ident, $wasi:ident, $request:ident, $headers:ident, $method:ident, $authority:ident, $scheme:ident) => {
        mod $module {
            use $wasi::http::types::{Fields, Method, Scheme, $request as Incoming};

            use super::{Request, is_https};

            impl Request for Incoming {
                fn cookies(&self) -> Vec<Vec<u8>> {
                    self.$headers().get("cookie")
                }

                fn https(&self) -> bool {
                    https(self, &self.$headers())
                }

                fn cookies_and_https(&self) -> (Vec<Vec<u8>>, bool) {
                    let headers = self.$headers();
                    (headers.get("cookie"), https(self, &headers))
                }

                fn method(&self) -> String {
                    let method = match self.$method() {
                        Method::Get => "GET",
                        Method::Head => "HEAD",
                        Method::Post => "POST",
                        Method::Put => "PUT",
                        Method::Delete => "DELETE",
                        Method::Connect => "CONNECT",
                        Method::Options => "OPTIONS",
                        Method::Trace => "TRACE",
                        Method::Patch => "PATCH",
                        Method::Other(method) => return method,
                    };
                    method.to_owned()
                }

                fn host(&self) -> Option<String> {
                    self.$authority()
                }

                fn header(&self, name: &str) -> Vec<Vec<u8>> {
                    self.$headers().get(name)
                }
            }

            fn https(request: &Incoming, headers: &Fields) -> bool {
                matches!(request.$scheme(), Some(Scheme::Https))
                    || headers.get("x-forwarded-proto").last().is_some_and(|proto| is_https(proto))
            }
        }
    };
}

#[cfg(feature = "wasi-http")]
wasi_http!(wasi_http_0_2, wasip2, IncomingRequest, headers, method, authority, scheme);
#[cfg(feature = "async")]
wasi_http!(wasi_http_0_3, wasip3, Request, get_headers, get_method, get_authority, get_scheme);

#[cfg(feature = "http")]
mod http {
    use http::{
        HeaderMap, Request as HttpRequest, Uri,
        header::{COOKIE, HOST},
        request::Parts,
    };

    use super::{Request, is_https};

    impl<B> Request for HttpRequest<B> {
        fn cookies(&self) -> Vec<Vec<u8>> {
            values(self.headers(), COOKIE.as_str())
        }

        fn https(&self) -> bool {
            https(self.uri(), self.headers())
        }

        fn method(&self) -> String {
            self.method().to_string()
        }

        fn host(&self) -> Option<String> {
            host(self.uri(), self.headers())
        }

        fn header(&self, name: &str) -> Vec<Vec<u8>> {
            values(self.headers(), name)
        }
    }

    impl Request for Parts {
        fn cookies(&self) -> Vec<Vec<u8>> {
            values(&self.headers, COOKIE.as_str())
        }

        fn https(&self) -> bool {
            https(&self.uri, &self.headers)
        }

        fn method(&self) -> String {
            self.method.to_string()
        }

        fn host(&self) -> Option<String> {
            host(&self.uri, &self.headers)
        }

        fn header(&self, name: &str) -> Vec<Vec<u8>> {
            values(&self.headers, name)
        }
    }

    fn values(headers: &HeaderMap, name: &str) -> Vec<Vec<u8>> {
        headers.get_all(name).iter().map(|value| value.as_bytes().to_owned()).collect()
    }

    /// A target in absolute form takes precedence over the field (RFC 9112, section 3.2.2).
    fn host(uri: &Uri, headers: &HeaderMap) -> Option<String> {
        let field = || headers.get(HOST)?.to_str().ok();
        uri.authority().map(|authority| authority.as_str()).or_else(field).map(str::to_owned)
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

    #[cfg(feature = "http")]
    #[test]
    fn the_host_is_that_of_the_target_before_that_of_the_field() {
        let request = |uri: &str| ::http::Request::builder().uri(uri).header("host", "field:81").body(()).unwrap();
        assert_eq!(Request::host(&request("/")).as_deref(), Some("field:81"));
        assert_eq!(Request::host(&request("http://target:82/")).as_deref(), Some("target:82"));
        assert_eq!(Request::host(&request("/").into_parts().0).as_deref(), Some("field:81"));
    }
}
