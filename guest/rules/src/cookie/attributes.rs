//! What browsers take, and what would end an attribute or the header.

use alloc::{format, string::String};

use super::{Cookie, mark::MARK};
use crate::{Error, Result, bindings::types::SameSite, id, name::shown};

/// The longest `Max-Age`: 400 days (RFC 6265bis, section 5.5).
pub const MAX_LIFETIME: u32 = 400 * 24 * 60 * 60;
/// The most bytes of name and value together (RFC 6265bis, section 5.7).
pub const MAX_BYTES: usize = 4096;
/// The most bytes of one attribute's value (RFC 6265bis, section 5.6).
pub const MAX_ATTRIBUTE: usize = 1024;

impl Cookie<'_> {
    /// Refuses what no browser would take, and what would end an attribute or the header.
    pub fn check(&self) -> Result<()> {
        match self.name {
            Some(name) => check_name(name)?,
            None => check_name_of_app(self.app)?,
        }
        check_path(self.path)?;
        check_domain(self.domain)?;
        check_attribute("comment", self.comment)?;
        self.check_prefix()?;
        if !self.secure && self.same_site == SameSite::None {
            return Err(needs_secure("same-site none"));
        }
        if !self.secure && self.partitioned {
            return Err(needs_secure("partitioned"));
        }
        if self.lifetime.is_some_and(|lifetime| lifetime > MAX_LIFETIME) {
            return Err(invalid(format!(
                "the cookie's lifetime is longer than {MAX_LIFETIME} seconds (400 days), after which browsers end any cookie"
            )));
        }
        Ok(())
    }

    /// What a name's prefix demands (RFC 6265bis, section 4.1.3, and the prefixes of draft-ietf-httpbis-layered-cookies),
    /// matched without regard to case as browsers do.
    fn check_prefix(&self) -> Result<()> {
        let name = self.name();
        let begins = |prefix: &str| name.get(..prefix.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(prefix));
        let demands = |is_met: bool, what: &str| {
            let text = || format!("browsers refuse the cookie '{}' unless it {what}", shown(name));
            if is_met { Ok(()) } else { Err(invalid(text())) }
        };
        let is_host = self.secure && self.path == "/" && self.domain.is_empty();
        if begins("__Host-Http-") {
            demands(is_host && self.http_only, "is Secure and HttpOnly, with the path / and no domain")
        } else if begins("__Host-") {
            demands(is_host, "is Secure, with the path / and no domain")
        } else if begins("__Http-") {
            demands(self.secure && self.http_only, "is Secure and HttpOnly")
        } else if begins("__Secure-") {
            demands(self.secure, "is Secure")
        } else {
            Ok(())
        }
    }
}

fn invalid(text: String) -> Error {
    Error::InvalidOption(text)
}

fn needs_secure(what: &str) -> Error {
    invalid(format!("a cookie with {what} has to be Secure: serve the page over HTTPS or set secure to on"))
}

fn check_name_of_app(app: &str) -> Result<()> {
    check_name(app).map_err(|_| {
        let app = shown(app);
        invalid(format!(
            "the application's name '{app}' cannot be the name of a cookie; give the cookie a name of its own"
        ))
    })
}

/// A cookie's name is a token (RFC 6265, section 4.1.1).
fn check_name(name: &str) -> Result<()> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_token) {
        let name = shown(name);
        return Err(invalid(format!(
            "'{name}' cannot be the name of a cookie, which consists of letters, digits and !#$%&'*+-.^_`|~"
        )));
    }
    if name.len() + id::LENGTH + 1 + MARK > MAX_BYTES {
        return Err(invalid(format!("the cookie's name and value have more than {MAX_BYTES} bytes together")));
    }
    Ok(())
}

/// No control character and no `;` in an attribute: nothing can end the attribute or the header.
fn check_attribute(what: &str, value: &str) -> Result<()> {
    if value.len() > MAX_ATTRIBUTE {
        return Err(invalid(format!("the cookie's {what} has more than {MAX_ATTRIBUTE} bytes")));
    }
    if !value.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b';') {
        let value = shown(value);
        return Err(invalid(format!(
            "the cookie's {what} '{value}' contains ; or what is not a printable ASCII character"
        )));
    }
    Ok(())
}

fn check_path(path: &str) -> Result<()> {
    check_attribute("path", path)?;
    if !path.starts_with('/') {
        return Err(invalid(format!("the cookie's path '{}' does not begin with /", shown(path))));
    }
    Ok(())
}

fn check_domain(domain: &str) -> Result<()> {
    check_attribute("domain", domain)?;
    let mut labels = domain.strip_prefix('.').unwrap_or(domain).split('.');
    if !domain.is_empty() && (domain.len() > 253 || !labels.all(is_label)) {
        let domain = shown(domain);
        return Err(invalid(format!("the cookie's domain '{domain}' is not the name of a host, as example.org is")));
    }
    Ok(())
}

/// A label of a host's name (RFC 1123, section 2.1).
fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}
