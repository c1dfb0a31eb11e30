//! The setting `same-origin`: requests that other sites make a browser send are refused before an application runs.

use std::{sync::LazyLock, time::Instant};

use http::Request;
use lemon_session::check_same_origin;
use lemon_session_host::LogLimit;
use lemon_session_rules::path::Readings;

use super::{Failure, Subject};
use crate::config::Server;

/// Other sites decide how many requests are refused.
static LOGGED: LazyLock<LogLimit> = LazyLock::new(LogLimit::default);

/// Refuses a request of another site, unless the settings allow such requests here. The headers are normalised.
pub fn check<B>(request: &Request<B>, settings: &Server, subject: &Subject) -> Result<(), Failure> {
    if !settings.same_origin || Readings::of(request.uri().path()).are_below(&settings.cross_site) {
        return Ok(());
    }
    check_same_origin(request).map_err(|why| {
        LOGGED.limit(Instant::now(), |left_out| {
            tracing::warn!(
                request = %subject.id,
                method = subject.method,
                left_out,
                "refused, because of [server] same-origin: {why}; if other sites may send this request, add its path to \
                 cross-site"
            );
        });
        Failure::CrossSite
    })
}

/// Refuses a request of another site, whatever the settings.
pub fn refuse_other<B>(request: &Request<B>, subject: &Subject) -> Result<(), Failure> {
    check_same_origin(request).map_err(|why| {
        about!(debug, subject, "refused: {why}");
        Failure::CrossSite
    })
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;
    use crate::application::RequestId;

    const FORGED: (&str, &str) = ("origin", "https://evil.example");

    fn is_refused(lines: &str, method: Method, target: &str, field: (&str, &str)) -> bool {
        let lines = format!("[server]\n{lines}\n");
        let settings = crate::config::Config::parse(&lines, "lemon.ini").unwrap().server;
        let subject = Subject::new(RequestId::next(), &method);
        let request = Request::builder().method(method).uri(target).header("host", "example.org");
        check(&request.header(field.0, field.1).body(()).unwrap(), &settings, &subject).is_err()
    }

    #[test]
    fn only_with_the_setting_a_request_of_another_site_is_refused() {
        assert!(!is_refused("", Method::POST, "/", FORGED));
        assert!(!is_refused("same-origin = off", Method::POST, "/", FORGED));
        assert!(is_refused("same-origin = on", Method::POST, "/", FORGED));
        assert!(is_refused("same-origin = on", Method::DELETE, "/", ("sec-fetch-site", "same-site")));
        assert!(!is_refused("same-origin = on", Method::POST, "/", ("origin", "http://example.org")));
        assert!(!is_refused("same-origin = on", Method::GET, "/", FORGED));
        assert!(!is_refused("same-origin = on", Method::OPTIONS, "/", FORGED), "a preflight is for the application");
    }

    #[test]
    fn over_https_the_origin_has_to_be_one_too() {
        let of_proxy = |proto| {
            let settings = Server { same_origin: true, ..Server::default() };
            let subject = Subject::new(RequestId::next(), &Method::POST);
            let request = Request::post("/").header("host", "example.org").header("x-forwarded-proto", proto);
            check(&request.header("origin", "http://example.org").body(()).unwrap(), &settings, &subject).is_err()
        };
        assert!(of_proxy("https") && !of_proxy("http"));
    }

    #[test]
    fn paths_for_other_sites_are_left_out_with_all_below_them_and_no_other_reading() {
        let lines = "same-origin = on\ncross-site = /hooks, /saml/acs";
        for target in ["/hooks", "/hooks/pay?x=1", "/saml/acs", "http://example.org/hooks"] {
            assert!(!is_refused(lines, Method::POST, target, FORGED), "{target}");
        }
        for target in ["/", "/hook", "/hooks/../account", "/hooks/%2e%2e/account", "//hooks", "/saml"] {
            assert!(is_refused(lines, Method::POST, target, FORGED), "{target}");
        }
    }
}
