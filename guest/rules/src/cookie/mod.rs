//! The session cookie (RFC 6265bis): reading it from a request, writing it into a response.
//!
//! A browser returns a cookie without its attributes. The cookie's value therefore has a [mark](Mark) of them behind the id, which
//! shows whether the cookie has to be sent again with other attributes.

mod attributes;
mod mark;
mod presented;
#[cfg(test)]
mod tests;

use alloc::{borrow::ToOwned, string::String};
use core::fmt::Write;

use crate::{
    device_bound::TOKEN,
    options::Cookie as Given,
    settings::CookieSettings,
    types::{SameSite, Secure},
};

pub use attributes::{MAX_ATTRIBUTE, MAX_BYTES, MAX_LIFETIME};
pub use mark::Mark;
pub(crate) use presented::values;
pub use presented::{Candidate, MAX_CANDIDATES, Presented, parse, read};

/// Follows the name of a session's cookie in that of its bound cookie.
const BOUND: &str = "-bound";

/// The cookie of one session, with the attributes from the options of its start and from the settings.
#[derive(Debug)]
pub struct Cookie<'a> {
    app: &'a str,
    /// The name, if it is not the application's.
    name: Option<&'a str>,
    path: &'a str,
    domain: &'a str,
    comment: &'a str,
    same_site: SameSite,
    secure: bool,
    http_only: bool,
    partitioned: bool,
    lifetime: Option<u32>,
    /// What the session was given in place of `lifetime`. The mark does not tell it: it changes with a save, which sends the cookie.
    max_age: Option<Option<u32>>,
}

impl<'a> Cookie<'a> {
    /// Takes from the settings what `given` leaves open. Checks nothing.
    pub fn new(given: Option<&'a Given>, https: bool, settings: &'a CookieSettings, app: &'a str) -> Self {
        Self {
            app,
            name: given.and_then(|cookie| cookie.name.as_deref()).or(settings.name.as_deref()),
            path: given.and_then(|cookie| cookie.path.as_deref()).unwrap_or(&settings.path),
            domain: given.and_then(|cookie| cookie.domain.as_deref()).unwrap_or(&settings.domain),
            comment: given.and_then(|cookie| cookie.comment.as_deref()).unwrap_or(&settings.comment),
            same_site: given.and_then(|cookie| cookie.same_site).unwrap_or(settings.same_site),
            secure: match given.and_then(|cookie| cookie.secure).unwrap_or(settings.secure) {
                Secure::Auto => https,
                Secure::On => true,
                Secure::Off => false,
            },
            http_only: given.and_then(|cookie| cookie.http_only).unwrap_or(settings.http_only),
            partitioned: given.and_then(|cookie| cookie.partitioned).unwrap_or(settings.partitioned),
            lifetime: given.and_then(|cookie| cookie.lifetime).or(settings.lifetime),
            max_age: None,
        }
    }

    /// The cookie with the `Max-Age` that the session was given, if it was; the inner `None` follows the session's expiry.
    pub fn lasting(self, max_age: Option<Option<u32>>) -> Self {
        Self { max_age, ..self }
    }

    fn max_age(&self) -> Option<u32> {
        self.max_age.unwrap_or(self.lifetime)
    }

    /// The cookie's name.
    pub fn name(&self) -> &'a str {
        self.name.unwrap_or(self.app)
    }

    pub(crate) fn path(&self) -> &'a str {
        self.path
    }

    /// The name of the bound cookie that a session needs beside this one when it is bound to a device.
    pub(crate) fn bound_name(&self) -> String {
        self.name().to_owned() + BOUND
    }

    /// The bound cookie, without its value: its name and attributes. `None` if a browser would not bind a session to it: only to a
    /// cookie of this host that goes over HTTPS.
    pub(crate) fn bound(&self) -> Option<String> {
        let is_small = self.name().len() + BOUND.len() + TOKEN <= MAX_BYTES;
        (self.secure && !self.partitioned && self.domain.is_empty() && is_small).then(|| {
            let mut bound = self.bound_name();
            self.append_attributes(&mut bound);
            bound
        })
    }

    /// Whether the cookie has a `Max-Age`, so that it has to be sent again before it expires.
    pub fn is_persistent(&self) -> bool {
        self.max_age() != Some(0)
    }

    /// The `Set-Cookie` value that gives the browser an id. `expires_in` is the remaining life of the session in seconds.
    pub fn set(&self, id: &str, expires_in: u64) -> String {
        let max_age = match self.max_age() {
            None => expires_in.clamp(1, MAX_LIFETIME.into()),
            Some(lifetime) => lifetime.into(),
        };
        let mut header = self.header(id, self.mark());
        if max_age != 0 {
            _ = write!(header, "; Max-Age={max_age}");
        }
        header
    }

    /// The `Set-Cookie` value that deletes the cookie: same name, path, domain and prefix rules.
    pub fn delete(&self) -> String {
        self.header("", None) + "; Max-Age=0"
    }

    fn header(&self, id: &str, mark: Mark) -> String {
        let mut header = String::with_capacity(128);
        let mark = mark.as_ref().and_then(|mark| core::str::from_utf8(mark).ok());
        let mut append = |parts: &[&str]| parts.iter().for_each(|part| header.push_str(part));
        append(&[self.name(), "=", id]);
        if let Some(mark) = mark {
            append(&[".", mark]);
        }
        self.append_attributes(&mut header);
        header
    }

    fn append_attributes(&self, header: &mut String) {
        let mut append = |parts: &[&str]| parts.iter().for_each(|part| header.push_str(part));
        append(&["; Path=", self.path]);
        if !self.domain.is_empty() {
            append(&["; Domain=", self.domain]);
        }
        if !self.comment.is_empty() {
            append(&["; Comment=", self.comment]);
        }
        for (set, attribute) in
            [(self.secure, "; Secure"), (self.http_only, "; HttpOnly"), (self.partitioned, "; Partitioned")]
        {
            if set {
                append(&[attribute]);
            }
        }
        append(&[match self.same_site {
            SameSite::Strict => "; SameSite=Strict",
            SameSite::Lax => "; SameSite=Lax",
            SameSite::None => "; SameSite=None",
        }]);
    }
}
