//! The header that tells the application the owner of the session.

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

/// What is encoded in an owner's name, beside what is not ASCII. A space could be lost at the ends.
const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b'%').add(b',').add(b'"');

/// Names that have another meaning, to the host or to sessions.
const TAKEN: [&str; 16] = [
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "origin",
    "proxy-authorization",
    "sec-fetch-site",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-forwarded-proto",
];

/// The name of the header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnerHeader(String);

impl Default for OwnerHeader {
    fn default() -> Self {
        Self("x-session-owner".to_owned())
    }
}

impl OwnerHeader {
    /// Reads the name of a header.
    ///
    /// # Errors
    ///
    /// Fails for what is not a name, and for the name of a header that has another meaning.
    pub fn parse(value: &str) -> Result<Self, String> {
        let name = value.to_ascii_lowercase();
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return Err(format!(
                "{value:?} is not the name of a header, of letters, digits and hyphens, as X-Session-Owner"
            ));
        }
        if TAKEN.contains(&name.as_str()) {
            return Err(format!(
                "the header {value} has another meaning; choose one that nothing else uses, as X-Session-Owner"
            ));
        }
        Ok(Self(name))
    }

    /// The name, in lower case.
    pub fn name(&self) -> &str {
        &self.0
    }

    /// Whether an application may take a header of this name for it. Interfaces such as CGI and WSGI replace hyphens by
    /// underscores, so that names with either are one to the application.
    pub fn is(&self, name: &str) -> bool {
        name.to_ascii_lowercase().replace('_', "-") == self.0
    }

    /// The value for an owner: the name, percent-encoded where it is more than visible ASCII, or has a comma, `"` or `%`.
    pub fn value(owner: &str) -> String {
        utf8_percent_encode(owner, ENCODED).to_string()
    }
}

/// How the headers of a request change on the way to the application.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change<'a> {
    /// The names that are removed.
    pub removed: Vec<String>,
    /// The name and value that are added.
    pub added: Option<(&'a str, String)>,
}

impl Change<'_> {
    /// Whether the headers stay as they are.
    pub fn is_empty(&self) -> bool {
        self.removed.is_empty() && self.added.is_none()
    }
}

/// Removes what the client sent in place of the header, always, and adds the header if there is an owner. `names` are those of
/// the request's headers.
pub fn on_the_way<'a>(header: &'a OwnerHeader, names: impl Iterator<Item = String>, owner: Option<&str>) -> Change<'a> {
    let removed = names.filter(|name| header.is(name)).collect();
    Change { removed, added: owner.map(|owner| (header.name(), OwnerHeader::value(owner))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_sends_is_removed_with_and_without_an_owner() {
        let header = OwnerHeader::default();
        let sent = || ["host", "X-Session-Owner", "x_session_owner", "accept"].into_iter().map(str::to_owned);
        let removed = vec!["X-Session-Owner".to_owned(), "x_session_owner".to_owned()];
        assert_eq!(on_the_way(&header, sent(), None), Change { removed: removed.clone(), added: None });
        let added = Some(("x-session-owner", "ann".to_owned()));
        assert_eq!(on_the_way(&header, sent(), Some("ann")), Change { removed, added });
        assert!(on_the_way(&header, ["host".to_owned()].into_iter(), None).is_empty());
    }

    #[test]
    fn a_client_can_spell_it_in_no_way() {
        let header = OwnerHeader::parse("Remote-User").unwrap();
        for name in ["remote-user", "Remote-User", "REMOTE_USER", "remote_user"] {
            assert!(header.is(name), "{name}");
        }
        for name in ["remote-users", "x-remote-user", "remoteuser", ""] {
            assert!(!header.is(name), "{name}");
        }
        assert!(OwnerHeader::default().is("X_Session-Owner"));
    }

    #[test]
    fn an_owner_is_one_word_of_ascii() {
        for (owner, value) in [
            ("ann", "ann"),
            ("ann@example.org", "ann@example.org"),
            ("Ann Lee", "Ann%20Lee"),
            (" ", "%20"),
            ("50%", "50%25"),
            ("a,b", "a%2Cb"),
            ("Jörg", "J%C3%B6rg"),
            ("a\r\nb", "a%0D%0Ab"),
            ("", ""),
        ] {
            assert_eq!(OwnerHeader::value(owner), value);
        }
    }

    #[test]
    fn a_header_with_another_meaning_is_refused() {
        for name in ["", "a b", "remote_user", "a:b", "ä", "Cookie", "HOST", "origin"] {
            assert!(OwnerHeader::parse(name).is_err(), "{name}");
        }
    }
}
