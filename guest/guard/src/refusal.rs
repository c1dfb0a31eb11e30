//! The answers of the guard in place of the application's.

use lemon_session::{Error, Headers};

/// An answer of the guard, which the application does not see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status.
    pub status: u16,
    /// The headers, beside those of the session.
    pub headers: Vec<(&'static str, String)>,
    /// What a person reads.
    pub text: String,
    /// The headers that the session's save returned.
    pub session: Headers,
}

impl Refusal {
    fn new(status: u16, text: impl Into<String>) -> Self {
        // What a visitor may not see now, the visitor may see after a login.
        let headers =
            vec![("cache-control", "no-store".to_owned()), ("content-type", "text/plain; charset=utf-8".to_owned())];
        Self { status, headers, text: text.into(), session: Headers::default() }
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// For a path that is protected: to the page where visitors log in, if there is one and the visitor would see it.
    pub fn no_owner(method: &str, login: Option<&str>) -> Self {
        match login {
            // A form would be lost on the way.
            Some(login) if matches!(method, "GET" | "HEAD") => Self::new(303, "Please log in.").with("location", login),
            // RFC 9110, section 15.5.2, demands a scheme; browsers do not know this one, and so do not ask for a password.
            _ => Self::new(401, "Please log in.").with("www-authenticate", "Cookie"),
        }
    }

    /// For a session that has made too many requests, until the window ends.
    pub fn too_many(ends_in: u64) -> Self {
        Self::new(429, format!("Too many requests: please wait for {ends_in} seconds."))
            .with("retry-after", ends_in.to_string())
    }

    /// For a guard whose settings are wrong. What is wrong is not for visitors.
    pub fn misconfigured() -> Self {
        Self::new(500, "The settings of the guard are wrong: its log has the reason.")
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::new(error.status(), error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header<'a>(refusal: &'a Refusal, name: &str) -> Option<&'a str> {
        refusal.headers.iter().find(|(header, _)| *header == name).map(|(_, value)| value.as_str())
    }

    #[test]
    fn a_visitor_without_an_owner_is_sent_to_the_login_page_if_the_page_would_be_seen() {
        for method in ["GET", "HEAD"] {
            let refusal = Refusal::no_owner(method, Some("/login"));
            assert_eq!((refusal.status, header(&refusal, "location")), (303, Some("/login")));
        }
        for (method, login) in [("POST", Some("/login")), ("DELETE", Some("/login")), ("GET", None)] {
            let refusal = Refusal::no_owner(method, login);
            assert_eq!((refusal.status, header(&refusal, "location")), (401, None));
            assert_eq!(header(&refusal, "www-authenticate"), Some("Cookie"));
        }
    }

    #[test]
    fn no_refusal_is_kept_by_a_cache() {
        let gone = Refusal::from(Error::Gone);
        assert_eq!(gone.status, 409);
        for refusal in [gone, Refusal::misconfigured(), Refusal::too_many(7), Refusal::no_owner("GET", Some("/login"))]
        {
            assert_eq!(header(&refusal, "cache-control"), Some("no-store"));
        }
        assert_eq!(header(&Refusal::too_many(7), "retry-after"), Some("7"));
    }
}
