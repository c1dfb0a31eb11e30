//! What browsers accept, and what would end an attribute or the header.

use alloc::{format, string::String};

use super::{Cookie, mark::MARK};
use crate::{Error, Result, id, name::shown, settings::Checks, types::SameSite};

/// The longest `Max-Age`: 400 days (RFC 6265bis, section 5.5).
pub const MAX_LIFETIME: u32 = 400 * 24 * 60 * 60;
/// The most bytes of name and value together (RFC 6265bis, section 5.7).
pub const MAX_BYTES: usize = 4096;
/// The most bytes of one attribute's value (RFC 6265bis, section 5.6).
pub const MAX_ATTRIBUTE: usize = 1024;
/// The most bytes of a name: the value is an id, a dot and a mark.
const MAX_NAME: usize = MAX_BYTES - id::LENGTH - 1 - MARK;

impl Cookie<'_> {
    /// Refuses what no browser would accept, and what would end an attribute or the header.
    ///
    /// # Errors
    ///
    /// Fails with `invalid-option` for the first attribute that is impossible.
    pub fn check(&self) -> Result<()> {
        let mut checks = Checks::of("cookie");
        self.check_attributes(&mut checks);
        match checks.into_problems().first() {
            None => Ok(()),
            Some(problem) => Err(Error::InvalidOption(format!("the cookie's {}: {}", problem.key, problem.message))),
        }
    }

    /// Notes every attribute that is impossible under its name in the options and settings.
    pub(crate) fn check_attributes(&self, checks: &mut Checks) {
        let name = self.name();
        checks.that(is_token(name), "name", || {
            let name = shown(name);
            match self.name {
                Some(_) => format!("'{name}' cannot name a cookie; use letters, digits and !#$%&'*+-.^_`|~"),
                None => {
                    format!("the application's name '{name}' cannot name a cookie; give the cookie a name of its own")
                }
            }
        });
        checks.that(name.len() <= MAX_NAME, "name", || {
            format!("{} bytes; a cookie's name has at most {MAX_NAME}", name.len())
        });
        self.check_prefix(checks);
        checks.that(self.path.starts_with('/') && is_attribute(self.path), "path", || {
            format!(
                "'{}' is not a path: it begins with / and has at most {MAX_ATTRIBUTE} printable ASCII characters \
                 without ;",
                shown(self.path)
            )
        });
        checks.that(self.domain.is_empty() || is_host_name(self.domain), "domain", || {
            format!(
                "'{}' is not the name of a host, as example.org is; leave it empty for this host alone",
                shown(self.domain)
            )
        });
        checks.that(is_attribute(self.comment), "comment", || {
            format!(
                "'{}' is not a comment: at most {MAX_ATTRIBUTE} printable ASCII characters without ;",
                shown(self.comment)
            )
        });
        checks.that(self.lifetime.is_none_or(|lifetime| lifetime <= MAX_LIFETIME), "lifetime", || {
            format!("at most {MAX_LIFETIME} seconds (400 days), after which browsers end any cookie")
        });
        checks.that(self.secure || self.same_site != SameSite::None, "same-site", || needs_secure("SameSite=None"));
        checks.that(self.secure || !self.partitioned, "partitioned", || needs_secure("Partitioned"));
    }

    /// What the name's prefix requires (RFC 6265bis, section 4.1.3, and the prefixes of draft-ietf-httpbis-layered-cookies),
    /// whatever its case, as in browsers.
    fn check_prefix(&self, checks: &mut Checks) {
        let name = self.name();
        let begins = |prefix: &str| name.get(..prefix.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(prefix));
        let is_host = self.secure && self.path == "/" && self.domain.is_empty();
        let is_http = self.secure && self.http_only;
        let (is_met, demand) = if begins("__Host-Http-") {
            (is_host && is_http, "secure is on, http-only is true, path is / and domain is empty")
        } else if begins("__Host-") {
            (is_host, "secure is on, path is / and domain is empty")
        } else if begins("__Http-") {
            (is_http, "secure is on and http-only is true")
        } else if begins("__Secure-") {
            (self.secure, "secure is on")
        } else {
            return;
        };
        checks.that(is_met, "name", || format!("browsers refuse '{}' unless {demand}", shown(name)));
    }
}

fn needs_secure(what: &str) -> String {
    format!("browsers refuse {what} without Secure: serve the page over HTTPS and set secure to on")
}

/// A token of RFC 9110, section 5.6.2, which RFC 6265 requires as a cookie's name.
fn is_token(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// Text that cannot end the attribute or the header (RFC 6265bis, section 4.1.1).
fn is_attribute(value: &str) -> bool {
    value.len() <= MAX_ATTRIBUTE && value.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b';')
}

/// RFC 1123, section 2.1. A leading dot is ignored, as RFC 6265bis does.
fn is_host_name(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 253 && name.strip_prefix('.').unwrap_or(name).split('.').all(is_label)
}
