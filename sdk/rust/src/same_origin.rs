//! A check against forged requests, which forms and scripts of other sites make the visitor's browser send.

use crate::{Error, Request, Result};

/// Refuses a request that another site made the visitor's browser send, for example a forged form that logs the visitor
/// in or changes the visitor's data (CSRF). Call it before a request with a method such as POST changes anything.
///
/// - GET, HEAD, OPTIONS and TRACE pass, so the application must not change anything in response to them.
/// - `Sec-Fetch-Site`, which browsers send over HTTPS and to `localhost`, must be `same-origin` or `none`. Requests from a
///   sibling domain, which are `same-site`, are refused.
/// - Without it, `Origin` must match the host and port that the request was sent to; a proxy in front of the server must pass
///   `Host` on.
/// - A request with neither header passes, as it does not come from a browser.
///
/// Go's `net/http.CrossOriginProtection` has the same rules.
///
/// # Errors
///
/// [`CrossSite`](Error::CrossSite), whose status is 403.
pub fn check_same_origin(request: &impl Request) -> Result<()> {
    is_known(request).map(drop)
}

/// As [`check_same_origin`]; returns whether the request is known to be harmless. If not, it has neither header.
pub(crate) fn is_known(request: &impl Request) -> Result<bool> {
    if matches!(request.method().as_str(), "GET" | "HEAD" | "OPTIONS" | "TRACE") {
        return Ok(true);
    }
    let sites = request.header("sec-fetch-site");
    if !sites.is_empty() {
        let is_own = |site: &Vec<u8>| matches!(site.as_slice(), b"same-origin" | b"none");
        return if sites.iter().all(is_own) { Ok(true) } else { Err(refused("Sec-Fetch-Site says so")) };
    }
    match &request.header("origin")[..] {
        [] => Ok(false),
        [origin] if is_own(origin, request) => Ok(true),
        _ => Err(refused("its Origin does not match its Host, which a proxy must pass on")),
    }
}

/// Why a request with neither header is refused.
pub(crate) fn without_token() -> Error {
    Error::CrossSite("the request has neither Sec-Fetch-Site nor Origin, and no valid token of this session".to_owned())
}

fn refused(why: &str) -> Error {
    Error::CrossSite(format!("the request comes from another origin: {why}"))
}

/// Whether an origin, such as `https://example.org`, is that of the request. The scheme's default port is optional in
/// both.
fn is_own(origin: &[u8], request: &impl Request) -> bool {
    let Some((scheme, origin)) = str::from_utf8(origin).ok().and_then(|origin| origin.split_once("://")) else {
        return false;
    };
    let port = match scheme {
        "http" if !request.https() => ":80",
        "https" => ":443",
        _ => return false,
    };
    let named = |host: &str| host.strip_suffix(port).unwrap_or(host).to_ascii_lowercase();
    !origin.is_empty() && request.host().is_some_and(|host| named(&host) == named(origin))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A request with these fields.
    struct Sent {
        method: &'static str,
        https: bool,
        host: Option<&'static str>,
        fields: Vec<(&'static str, &'static str)>,
    }

    impl Request for Sent {
        fn cookies(&self) -> Vec<Vec<u8>> {
            Vec::new()
        }

        fn https(&self) -> bool {
            self.https
        }

        fn method(&self) -> String {
            self.method.to_owned()
        }

        fn host(&self) -> Option<String> {
            self.host.map(str::to_owned)
        }

        fn header(&self, name: &str) -> Vec<Vec<u8>> {
            let fields = self.fields.iter().filter(|(field, _)| *field == name);
            fields.map(|(_, value)| value.as_bytes().to_vec()).collect()
        }
    }

    fn post(fields: &[(&'static str, &'static str)]) -> Sent {
        Sent { method: "POST", https: false, host: Some("example.org"), fields: fields.to_vec() }
    }

    #[track_caller]
    fn passes(request: &Sent) {
        assert_eq!(check_same_origin(request), Ok(()), "{:?}", request.fields);
    }

    #[track_caller]
    fn is_refused(request: &Sent) {
        let error = check_same_origin(request).unwrap_err();
        assert!(matches!(error, Error::CrossSite(_)) && error.status() == 403, "{error:?}");
    }

    #[test]
    fn a_request_is_known_by_its_method_or_by_one_of_the_headers() {
        assert_eq!(is_known(&Sent { method: "GET", ..post(&[]) }), Ok(true));
        assert_eq!(is_known(&post(&[("sec-fetch-site", "none")])), Ok(true));
        assert_eq!(is_known(&post(&[("origin", "http://example.org")])), Ok(true));
        assert_eq!(is_known(&post(&[])), Ok(false));
        assert!(is_known(&post(&[("origin", "null")])).is_err());
    }

    #[test]
    fn safe_methods_pass_and_all_others_are_looked_at() {
        let from =
            |method| Sent { method, ..post(&[("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")]) };
        for method in ["GET", "HEAD", "OPTIONS", "TRACE"] {
            passes(&from(method));
        }
        for method in ["POST", "PUT", "PATCH", "DELETE", "CONNECT", "get", "PURGE", ""] {
            is_refused(&from(method));
        }
    }

    #[test]
    fn sec_fetch_site_decides_alone() {
        for site in ["same-origin", "none"] {
            passes(&post(&[("sec-fetch-site", site), ("origin", "https://evil.example")]));
        }
        for site in ["cross-site", "same-site", "", "SAME-ORIGIN", "same-origin, cross-site"] {
            is_refused(&post(&[("sec-fetch-site", site), ("origin", "http://example.org")]));
        }
        is_refused(&post(&[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")]));
    }

    #[test]
    fn without_it_the_origin_has_to_be_the_host() {
        let sent = |origin, host| Sent { host: Some(host), ..post(&[("origin", origin)]) };
        for (origin, host) in [
            ("http://example.org", "example.org"),
            ("http://example.org", "EXAMPLE.org:80"),
            ("https://example.org", "example.org"),
            ("https://example.org", "example.org:443"),
            ("http://example.org:8080", "example.org:8080"),
            ("http://[::1]:8080", "[::1]:8080"),
        ] {
            passes(&sent(origin, host));
        }
        for (origin, host) in [
            ("http://evil.example", "example.org"),
            ("http://example.org.evil.example", "example.org"),
            ("http://shop.example.org", "example.org"),
            ("http://example.org:8080", "example.org"),
            ("http://example.org", "example.org:8080"),
            ("http://example.org", "example.org:443"),
            ("https://example.org", "example.org:80"),
            ("file://example.org", "example.org"),
            ("example.org", "example.org"),
            ("null", "example.org"),
            ("null", "null"),
            ("", "example.org"),
            ("http://", ""),
        ] {
            is_refused(&sent(origin, host));
        }
        is_refused(&Sent { host: None, ..post(&[("origin", "http://example.org")]) });
        is_refused(&post(&[("origin", "http://example.org"), ("origin", "http://example.org")]));
    }

    #[test]
    fn over_https_an_origin_without_it_is_another_one() {
        let sent = |origin| Sent { https: true, ..post(&[("origin", origin)]) };
        passes(&sent("https://example.org"));
        is_refused(&sent("http://example.org"));
    }

    #[test]
    fn what_no_browser_sent_passes() {
        passes(&post(&[]));
        passes(&Sent { host: None, ..post(&[("referer", "https://evil.example/")]) });
    }
}
