//! Checks the host that a request is for.

use http::{HeaderValue, Method, Request, Version, header};

use crate::{
    application::Failure,
    config::{Server, host_of},
};

/// Refuses requests for hosts that are not configured, and sets the Host header to the target's host, if it has one.
pub fn check<B>(request: &mut Request<B>, settings: &Server) -> Result<(), Failure> {
    if request.method() == Method::CONNECT {
        return Err(Failure::NotImplemented);
    }
    if request.headers().get_all(header::HOST).iter().count() > 1 {
        return Err(Failure::BadRequest("The request has several Host headers."));
    }
    if !request.headers().contains_key(header::HOST) {
        // HTTP/1.1 requires the header (RFC 9112, section 3.2), HTTP/1.0 does not.
        if request.version() >= Version::HTTP_11 {
            return Err(Failure::BadRequest("The request has no Host header."));
        }
        request.headers_mut().insert(header::HOST, HeaderValue::from_static("localhost"));
    }
    let header = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let mut host = header.and_then(host_of).ok_or(Failure::BadRequest("The request's Host header names no host."))?;
    if let Some(target) = request.uri().authority() {
        // It has precedence over the header (section 3.2.2).
        host = host_of(target.as_str()).ok_or(Failure::BadRequest("The request's target names no host."))?;
    }
    if !settings.answers_for(host) {
        return Err(Failure::Misdirected);
    }
    if let Some(target) = request.uri().authority().and_then(|target| HeaderValue::try_from(target.as_str()).ok()) {
        request.headers_mut().insert(header::HOST, target);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    fn host_of_request(target: &str, host: Option<&str>, hosts: &str) -> Result<String, StatusCode> {
        let hosts = hosts.split(',').filter(|name| !name.is_empty()).map(|name| name.parse().unwrap()).collect();
        let settings = Server { hosts, ..Server::default() };
        let mut request = Request::get(target);
        if let Some(host) = host {
            request = request.header(header::HOST, host);
        }
        let mut request = request.body(()).unwrap();
        check(&mut request, &settings).map_err(|failure| failure.status())?;
        Ok(request.headers()[header::HOST].to_str().unwrap().to_owned())
    }

    #[test]
    fn a_request_names_one_host() {
        assert_eq!(host_of_request("/", Some("example.org:8080"), "").as_deref(), Ok("example.org:8080"));
        for host in [None, Some(""), Some("a,b"), Some("user@a"), Some("a:99999"), Some("a b"), Some("a/b")] {
            assert_eq!(host_of_request("/", host, ""), Err(StatusCode::BAD_REQUEST), "{host:?}");
        }
    }

    #[test]
    fn a_target_that_names_the_host_has_precedence() {
        assert_eq!(host_of_request("http://a:80/", Some("b"), "").as_deref(), Ok("a:80"));
        assert_eq!(host_of_request("http://a/", Some("b,c"), ""), Err(StatusCode::BAD_REQUEST));
        assert_eq!(host_of_request("http://user@a/", Some("b"), ""), Err(StatusCode::BAD_REQUEST));
        assert_eq!(host_of_request("http://a,b/", Some("b"), ""), Err(StatusCode::BAD_REQUEST));
        assert_eq!(host_of_request("http://evil/", Some("a"), "a"), Err(StatusCode::MISDIRECTED_REQUEST));
        assert_eq!(host_of_request("http://a/", Some("evil"), "a").as_deref(), Ok("a"));
    }

    #[test]
    fn only_hosts_of_the_site_are_answered_for() {
        let hosts = "example.org,*.example.org,[2001:db8::1]";
        for host in ["example.org", "EXAMPLE.org.:8080", "www.example.org", "[2001:db8::1]:80"] {
            assert_eq!(host_of_request("/", Some(host), hosts).as_deref(), Ok(host));
        }
        for host in ["example.com", "example.org.evil", "127.0.0.1"] {
            assert_eq!(host_of_request("/", Some(host), hosts), Err(StatusCode::MISDIRECTED_REQUEST), "{host}");
        }
    }

    #[test]
    fn connect_asks_for_no_page() {
        let mut request = Request::connect("example.org:443").header(header::HOST, "example.org:443").body(()).unwrap();
        let failure = check(&mut request, &Server::default()).unwrap_err();
        assert_eq!((failure.status(), failure.is_last()), (StatusCode::NOT_IMPLEMENTED, true));
    }
}
