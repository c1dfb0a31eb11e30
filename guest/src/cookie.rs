//! The session cookie (RFC 6265bis): reading it from a request, writing it into a response.

use alloc::{format, string::String, vec::Vec};
use core::fmt::Write;

use crate::{
    Error, Result,
    bindings::{
        sessions::Cookie as Given,
        settings::CookieSettings,
        types::{SameSite, Secure},
    },
    id,
};

/// The longest `Max-Age`: 400 days (RFC 6265bis, section 5.5).
pub const MAX_LIFETIME: u32 = 400 * 24 * 60 * 60;
/// The most bytes of name and value together (RFC 6265bis, section 5.7).
pub const MAX_BYTES: usize = 4096;
/// The most bytes of one attribute's value (RFC 6265bis, section 5.6).
pub const MAX_ATTRIBUTE: usize = 1024;
/// How many different ids of one name a request may bring; one that brings more is taken to bring none.
pub const MAX_CANDIDATES: usize = 4;

/// The well-formed session ids that the `Cookie` fields of a request carry under `name`, each once.
///
/// What is not well-formed is passed over: no client can choose an id. Fails with `too-large` when the fields together are
/// longer than `limit`.
pub fn candidates(fields: &[Vec<u8>], name: &str, limit: u32) -> Result<Vec<String>> {
    let length: usize = fields.iter().map(Vec::len).sum();
    if length > limit as usize {
        return Err(Error::TooLarge(format!(
            "the Cookie fields have {length} bytes; the limit header-bytes is {limit}"
        )));
    }
    let mut ids: Vec<String> = Vec::new();
    for pair in fields.iter().flat_map(|field| field.split(|byte| *byte == b';')) {
        let pair = pair.trim_ascii();
        let Some(value) = pair.strip_prefix(name.as_bytes()).and_then(|rest| rest.strip_prefix(b"=")) else {
            continue;
        };
        if id::is_well_formed(value)
            && let Ok(value) = core::str::from_utf8(value)
            && !ids.iter().any(|id| id == value)
        {
            ids.push(value.into());
        }
    }
    if ids.len() > MAX_CANDIDATES {
        ids.clear();
    }
    Ok(ids)
}

/// The cookie of one session, as a start's options and the settings ask for it. Text is made of it when it is sent only.
#[derive(Debug)]
pub struct Cookie<'a> {
    app: &'a str,
    /// A name of its own.
    name: Option<&'a str>,
    path: &'a str,
    domain: &'a str,
    comment: &'a str,
    same_site: SameSite,
    secure: bool,
    http_only: bool,
    partitioned: bool,
    lifetime: Option<u32>,
}

impl<'a> Cookie<'a> {
    /// What is not given is as the settings have it. Nothing is checked.
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
        }
    }

    /// Refuses what no browser would take, and what would end an attribute or the header.
    pub fn check(&self) -> Result<()> {
        match self.name {
            Some(name) => check_name(name)?,
            None => check_name_of_app(self.app)?,
        }
        check_path(self.path)?;
        check_domain(self.domain)?;
        check_attribute("comment", self.comment)?;
        check_prefix(self.name(), self.secure, self.path, self.domain)?;
        if !self.secure && self.same_site == SameSite::None {
            return Err(needs_secure("same-site none"));
        }
        if !self.secure && self.partitioned {
            return Err(needs_secure("partitioned"));
        }
        if self.lifetime.is_some_and(|lifetime| lifetime > MAX_LIFETIME) {
            return Err(invalid(format!("the cookie's lifetime is at most {MAX_LIFETIME} seconds (400 days)")));
        }
        Ok(())
    }

    /// The cookie's name.
    pub fn name(&self) -> &'a str {
        self.name.unwrap_or(self.app)
    }

    /// Whether the cookie outlives the browser's run, so that it has to be sent again before it expires.
    pub fn is_persistent(&self) -> bool {
        self.lifetime != Some(0)
    }

    /// The `Set-Cookie` value that gives the browser an id, for a session that expires in so many seconds.
    pub fn set(&self, id: &str, expires_in: u64) -> String {
        let max_age = match self.lifetime {
            None => expires_in.clamp(1, MAX_LIFETIME.into()),
            Some(lifetime) => lifetime.into(),
        };
        let mut header = self.header(id);
        if max_age != 0 {
            _ = write!(header, "; Max-Age={max_age}");
        }
        header
    }

    /// The `Set-Cookie` value that deletes the cookie: same name, path, domain and prefix rules.
    pub fn delete(&self) -> String {
        self.header("") + "; Max-Age=0"
    }

    fn header(&self, value: &str) -> String {
        let mut header = String::with_capacity(128);
        let mut append = |parts: &[&str]| parts.iter().for_each(|part| header.push_str(part));
        append(&[self.name(), "=", value, "; Path=", self.path]);
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
        header
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
        invalid(format!("the application's name '{app}' cannot name a cookie; give the cookie a name of its own"))
    })
}

/// A cookie's name is a token (RFC 6265, section 4.1.1).
fn check_name(name: &str) -> Result<()> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err(invalid(format!("'{name}' cannot name a cookie: letters, digits and !#$%&'*+-.^_`|~ can")));
    }
    if name.len() + id::LENGTH > MAX_BYTES {
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
        return Err(invalid(format!("the cookie's {what} '{value}' may hold ASCII characters only, without ;")));
    }
    Ok(())
}

fn check_path(path: &str) -> Result<()> {
    check_attribute("path", path)?;
    if !path.starts_with('/') {
        return Err(invalid(format!("the cookie's path '{path}' does not begin with /")));
    }
    Ok(())
}

fn check_domain(domain: &str) -> Result<()> {
    check_attribute("domain", domain)?;
    let labels = domain.strip_prefix('.').unwrap_or(domain).split('.');
    let is_label =
        |label: &str| !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if !domain.is_empty() && !labels.into_iter().all(is_label) {
        return Err(invalid(format!("the cookie's domain '{domain}' is not a host name")));
    }
    Ok(())
}

/// What a name's prefix demands (RFC 6265bis, section 4.1.3), matched without regard to case as browsers do.
fn check_prefix(name: &str, secure: bool, path: &str, domain: &str) -> Result<()> {
    let begins = |prefix: &str| name.get(..prefix.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(prefix));
    if begins("__Host-") && !(secure && path == "/" && domain.is_empty()) {
        return Err(invalid(format!("the cookie {name} has to be Secure, with the path / and no domain")));
    }
    if begins("__Secure-") && !secure {
        return Err(needs_secure("a name that begins with __Secure-"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        bindings::sessions::Options,
        testing::{cookie, options, settings},
    };

    const ID: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

    fn read(fields: &[&str]) -> Vec<String> {
        let fields: Vec<_> = fields.iter().map(|field| field.as_bytes().to_vec()).collect();
        candidates(&fields, "session", 16384).unwrap()
    }

    fn written(change: impl FnOnce(&mut Options, &mut Given)) -> Result<String> {
        let mut options = options();
        let mut given = cookie();
        change(&mut options, &mut given);
        let settings = settings();
        let cookie = Cookie::new(Some(&given), options.https, &settings.cookie, "session");
        cookie.check().map(|()| cookie.set(ID, 1440))
    }

    #[test]
    fn an_id_is_found_among_other_cookies_and_in_any_field() {
        assert_eq!(read(&[&format!("a=b; session={ID}; c=d")]), [ID]);
        assert_eq!(read(&[&format!("a=b;session={ID}")]), [ID]);
        assert_eq!(read(&["a=b", &format!("session={ID}")]), [ID]);
        assert_eq!(read(&[&format!("session={ID}"), &format!("session={ID}")]), [ID]);
    }

    #[test]
    fn names_are_compared_whole_and_with_regard_to_case() {
        for name in ["xsession", "sessionx", "Session", "session ", "\"session\""] {
            assert!(read(&[&format!("{name}={ID}")]).is_empty(), "{name}");
        }
    }

    #[test]
    fn what_is_no_id_is_passed_over() {
        for value in ["", "x", "'; DROP TABLE Session; --", &ID[1..], &format!("{ID}A"), &format!("\"{ID}\"")] {
            assert!(read(&[&format!("session={value}")]).is_empty(), "{value}");
        }
    }

    #[test]
    fn too_many_different_ids_are_none() {
        let field: String = (0..5).map(|n| format!("session={}; ", id::new([n; 32], ""))).collect();
        assert!(read(&[&field]).is_empty());
    }

    #[test]
    fn cookie_fields_past_the_limit_are_too_large() {
        let field = vec![b'a'; 101];
        assert!(
            matches!(candidates(&[field], "session", 100), Err(Error::TooLarge(text)) if text.contains("header-bytes"))
        );
    }

    #[test]
    fn the_defaults_are_http_only_lax_and_the_whole_site() {
        assert_eq!(written(|_, _| ()).unwrap(), format!("session={ID}; Path=/; HttpOnly; SameSite=Lax; Max-Age=1440"));
    }

    #[test]
    fn secure_auto_goes_by_the_request() {
        assert!(written(|options, _| options.https = true).unwrap().contains("; Secure"));
        assert!(!written(|_, _| ()).unwrap().contains("Secure"));
        assert!(written(|_, cookie| cookie.secure = Some(Secure::On)).unwrap().contains("; Secure"));
        let off = |options: &mut Options, cookie: &mut Given| {
            options.https = true;
            cookie.secure = Some(Secure::Off);
        };
        assert!(!written(off).unwrap().contains("Secure"));
    }

    #[test]
    fn lifetime_0_means_until_the_browser_closes() {
        assert!(!written(|_, cookie| cookie.lifetime = Some(0)).unwrap().contains("Max-Age"));
        assert!(written(|_, cookie| cookie.lifetime = Some(60)).unwrap().ends_with("Max-Age=60"));
        assert!(written(|_, cookie| cookie.lifetime = Some(MAX_LIFETIME + 1)).is_err());
    }

    #[test]
    fn same_site_none_and_partitioned_demand_secure() {
        let none = |cookie: &mut Given| cookie.same_site = Some(SameSite::None);
        let partitioned = |cookie: &mut Given| cookie.partitioned = Some(true);
        assert!(written(|_, cookie| none(cookie)).is_err());
        assert!(written(|_, cookie| partitioned(cookie)).is_err());
        let both = |options: &mut Options, cookie: &mut Given| {
            options.https = true;
            none(cookie);
            partitioned(cookie);
        };
        assert!(written(both).unwrap().contains("; Secure; HttpOnly; Partitioned; SameSite=None"));
    }

    #[test]
    fn prefixes_demand_their_attributes_whatever_their_case() {
        for name in ["__Host-a", "__host-a", "__Secure-a", "__SECURE-a"] {
            let named = |cookie: &mut Given| cookie.name = Some(name.into());
            assert!(written(|_, cookie| named(cookie)).is_err(), "{name} without Secure");
            let secure = |options: &mut Options, cookie: &mut Given| {
                options.https = true;
                named(cookie);
            };
            assert!(written(secure).is_ok(), "{name} with Secure");
            let below = |options: &mut Options, cookie: &mut Given| {
                secure(options, cookie);
                cookie.path = Some("/shop".into());
            };
            assert_eq!(written(below).is_ok(), name.to_ascii_lowercase().starts_with("__secure"), "{name} with a path");
        }
    }

    #[test]
    fn bad_attributes_are_refused() {
        for path in ["", "shop", "/a;b", "/a\r\nSet-Cookie: x=y", "/é"] {
            assert!(written(|_, cookie| cookie.path = Some(path.into())).is_err(), "{path:?}");
        }
        for domain in ["a b", "a;b", "..", "a..b", "exa\nmple.org", "ex_ample"] {
            assert!(written(|_, cookie| cookie.domain = Some(domain.into())).is_err(), "{domain:?}");
        }
        for name in ["", "a b", "a=b", "a;b", "a\r\nb", "é"] {
            assert!(written(|_, cookie| cookie.name = Some(name.into())).is_err(), "{name:?}");
        }
        assert!(written(|_, cookie| cookie.comment = Some("a".repeat(MAX_ATTRIBUTE + 1))).is_err());
        assert!(written(|_, cookie| cookie.name = Some("a".repeat(MAX_BYTES))).is_err());
    }

    #[test]
    fn an_application_that_cannot_name_a_cookie_is_told_what_to_do() {
        let error = Cookie::new(None, false, &settings().cookie, "my shop").check().unwrap_err();
        assert!(matches!(error, Error::InvalidOption(text) if text.contains("a name of its own")));
    }

    #[test]
    fn deletion_keeps_name_path_domain_and_attributes() {
        let given = Given { domain: Some("example.org".into()), path: Some("/a".into()), ..cookie() };
        let settings = settings();
        let cookie = Cookie::new(Some(&given), true, &settings.cookie, "session");
        assert_eq!(cookie.delete(), "session=; Path=/a; Domain=example.org; Secure; HttpOnly; SameSite=Lax; Max-Age=0");
    }

    proptest! {
        #[test]
        fn nothing_in_the_options_breaks_out_of_the_header(
            name: String, path: String, domain: String, comment: String, https: bool,
        ) {
            let header = written(|options, cookie| {
                options.https = https;
                cookie.name = Some(name);
                cookie.path = Some(format!("/{path}"));
                cookie.domain = Some(domain);
                cookie.comment = Some(comment);
            });
            if let Ok(header) = header {
                prop_assert!(header.bytes().all(|byte| matches!(byte, b' '..=b'~')));
                let parts = 4 + 1 + usize::from(header.contains("; Domain=")) + usize::from(header.contains("; Comment="))
                    + usize::from(https);
                prop_assert_eq!(header.split(';').count(), parts, "{}", header);
            }
        }

        #[test]
        fn any_cookie_field_is_read_without_trouble(fields: Vec<Vec<u8>>) {
            prop_assert!(candidates(&fields, "session", 1 << 20).unwrap().is_empty());
        }

        #[test]
        fn an_id_that_was_set_is_read_back(random: [u8; 32], before in "[a-z=; ]{0,20}", after in "[a-z=; ]{0,20}") {
            let id = id::new(random, "");
            let field = format!("{before};session={id};{after}");
            prop_assert_eq!(read(&[&field]), [id]);
        }
    }
}
