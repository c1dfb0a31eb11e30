//! The session cookie (RFC 6265bis): reading it from a request, writing it into a response.
//!
//! A browser sends a cookie back without its attributes. So that it is known whether they are still those that are asked
//! for, a [mark](Mark) of them stands behind the id in the cookie's value.

use alloc::{format, string::String, vec::Vec};
use core::fmt::Write;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::{
    Error, Result,
    bindings::{
        sessions::Cookie as Given,
        settings::CookieSettings,
        types::{SameSite, Secure},
    },
    id,
    name::shown,
};

/// The longest `Max-Age`: 400 days (RFC 6265bis, section 5.5).
pub const MAX_LIFETIME: u32 = 400 * 24 * 60 * 60;
/// The most bytes of name and value together (RFC 6265bis, section 5.7).
pub const MAX_BYTES: usize = 4096;
/// The most bytes of one attribute's value (RFC 6265bis, section 5.6).
pub const MAX_ATTRIBUTE: usize = 1024;
/// How many different ids of one name a request may bring. Of one that brings more none is used: if some of them were looked
/// up, whoever can plant cookies could have his own session believed by planting enough of them.
pub const MAX_CANDIDATES: usize = 16;

/// What tells one set of attributes from another, as it stands behind the id and a dot in the cookie's value. None stands for
/// the attributes that a cookie has when nothing is asked for, which is sent with the id alone.
pub type Mark = Option<[u8; MARK]>;

/// The length of a mark in characters.
const MARK: usize = 4;

/// What the `Cookie` fields of a request carry under one name.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Presented {
    /// The well-formed ids, each once.
    pub candidates: Vec<Candidate>,
    /// Whether there is any cookie of that name.
    pub any: bool,
}

/// An id that a request carries.
#[derive(Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The id.
    pub id: String,
    /// Whether one of its cookies has the mark that it would be sent with now.
    pub is_current: bool,
}

impl Presented {
    /// What an application presents that has the id from elsewhere. It may pass on the value of a cookie as it is.
    pub fn id(value: &str) -> Self {
        let candidate = parse(value.as_bytes()).map(|(id, _)| Candidate { id: id.into(), is_current: false });
        Self { candidates: candidate.into_iter().collect(), any: false }
    }
}

/// The id in a cookie's value, and the mark behind it.
pub fn parse(value: &[u8]) -> Option<(&str, Mark)> {
    let (id, rest) = value.split_at_checked(id::LENGTH)?;
    let mark = match rest {
        [] => None,
        [b'.', mark @ ..] => Some(mark.try_into().ok()?),
        _ => return None,
    };
    if id::is_well_formed(id) { Some((core::str::from_utf8(id).ok()?, mark)) } else { None }
}

/// Reads the cookies called `name`, of which one would be sent with `mark` now.
///
/// What is not well-formed is passed over: no client can choose an id. Fails with `too-large` when the fields together are
/// longer than `limit`.
pub fn read(fields: &[Vec<u8>], name: &str, mark: Mark, limit: u32) -> Result<Presented> {
    let length: usize = fields.iter().map(Vec::len).sum();
    if length > limit as usize {
        return Err(Error::TooLarge(format!(
            "the Cookie fields have {length} bytes; the limit header-bytes is {limit}"
        )));
    }
    let mut presented = Presented::default();
    let candidates = &mut presented.candidates;
    for pair in fields.iter().flat_map(|field| field.split(|byte| *byte == b';')) {
        let pair = pair.trim_ascii();
        let Some(value) = pair.strip_prefix(name.as_bytes()).and_then(|rest| rest.strip_prefix(b"=")) else {
            continue;
        };
        presented.any = true;
        let Some((id, presented_mark)) = parse(value) else { continue };
        let is_current = presented_mark == mark;
        if let Some(candidate) = candidates.iter_mut().find(|candidate| candidate.id == id) {
            candidate.is_current |= is_current;
        } else if candidates.len() <= MAX_CANDIDATES {
            // One more than are allowed is enough to know that there are too many.
            candidates.push(Candidate { id: id.into(), is_current });
        }
    }
    if candidates.len() > MAX_CANDIDATES {
        candidates.clear();
    }
    Ok(presented)
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

    /// The mark of its attributes.
    pub fn mark(&self) -> Mark {
        let flags = [self.secure, self.http_only, self.partitioned].map(u8::from);
        let same_site = self.same_site as u8;
        let is_plain = flags == [0, 1, 0]
            && self.same_site == SameSite::Lax
            && self.path == "/"
            && self.domain.is_empty()
            && self.comment.is_empty()
            && self.lifetime.is_none();
        if is_plain {
            return None;
        }
        let lifetime = self.lifetime.map_or([0xff; 4], u32::to_le_bytes);
        let parts: [&[u8]; 5] =
            [self.path.as_bytes(), self.domain.as_bytes(), self.comment.as_bytes(), &[same_site], &lifetime];
        let mut hash = FNV_OFFSET;
        let mut add = |byte: u8| hash = (hash ^ u32::from(byte)).wrapping_mul(FNV_PRIME);
        for part in parts {
            part.iter().for_each(|byte| add(*byte));
            // No attribute holds it, so none runs into the next one.
            add(0);
        }
        flags.into_iter().for_each(add);
        let [bits @ .., _] = hash.to_be_bytes();
        let mut mark = [0; MARK];
        URL_SAFE_NO_PAD.encode_slice(bits, &mut mark).ok()?;
        // Version 0.1.0 writes the digits from the last to the first.
        mark.reverse();
        Some(mark)
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
        header
    }
}

/// The constants of FNV-1a with 32 bits: a mark tells attributes apart, and protects nothing.
const FNV_OFFSET: u32 = 0x811c_9dc5;
const FNV_PRIME: u32 = 0x0100_0193;

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

#[cfg(test)]
mod tests {
    use core::cell::Cell;

    use proptest::{
        collection::vec,
        option,
        prelude::*,
        sample::{self, select},
        test_runner::TestRunner,
    };

    use super::*;
    use crate::{
        bindings::sessions::Options,
        testing::{cookie, options, settings},
    };

    const ID: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

    fn read(fields: &[&str]) -> Vec<String> {
        let fields: Vec<_> = fields.iter().map(|field| field.as_bytes().to_vec()).collect();
        let presented = super::read(&fields, "session", None, 16384).unwrap();
        presented.candidates.into_iter().map(|candidate| candidate.id).collect()
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
    fn sixteen_different_ids_are_read_and_of_more_none() {
        let field = |ids: u8| (0..ids).map(|n| format!("session={}; ", id::new([n; 32], ""))).collect::<String>();
        assert_eq!(read(&[&field(16)]).len(), MAX_CANDIDATES);
        assert_eq!(read(&[&field(16), &field(16)]).len(), MAX_CANDIDATES, "each counts once");
        for ids in [17, 18, 200] {
            assert!(read(&[&field(ids)]).is_empty(), "{ids}");
        }
    }

    #[test]
    fn any_cookie_of_the_name_is_noticed() {
        let any = |field: &str| super::read(&[field.into()], "session", None, 16384).unwrap().any;
        assert!(any(&format!("a=b; session={ID}")) && any("session=x") && any("session="));
        assert!(!any("a=b; sessions=x; session") && !any(""));
    }

    #[test]
    fn a_mark_behind_the_id_tells_whether_a_cookie_has_the_attributes_that_are_asked_for() {
        let is_current = |field: &str, mark| {
            let presented = super::read(&[field.into()], "session", mark, 16384).unwrap();
            presented.candidates.into_iter().map(|candidate| (candidate.id, candidate.is_current)).collect::<Vec<_>>()
        };
        let mark = Some(*b"AbC_");
        let [plain, marked, other] = ["", ".AbC_", ".AbCd"].map(|mark| format!("session={ID}{mark}"));
        assert_eq!(is_current(&plain, None), [(ID.into(), true)]);
        assert_eq!(is_current(&marked, mark), [(ID.into(), true)]);
        for (field, mark) in [(&plain, mark), (&marked, None), (&other, mark)] {
            assert_eq!(is_current(field, mark), [(ID.into(), false)], "{field}");
        }
        for several in [format!("{other}; {marked}"), format!("{marked}; {plain}"), format!("{marked}; {marked}")] {
            assert_eq!(is_current(&several, mark), [(ID.into(), true)], "one of them is enough: {several}");
        }
        for malformed in [".", ".AbC", ".AbC__", "-AbC_", "AbC_"] {
            assert_eq!(is_current(&format!("session={ID}{malformed}"), mark), [], "{malformed}");
        }
    }

    #[test]
    fn every_attribute_changes_the_mark_and_the_defaults_have_none() {
        let settings = settings();
        let mark = |change: fn(&mut Given)| {
            let mut given = cookie();
            change(&mut given);
            Cookie::new(Some(&given), false, &settings.cookie, "session").mark()
        };
        assert_eq!(mark(|_| ()), None);
        assert_eq!(mark(|cookie| cookie.name = Some("other".into())), None, "a cookie of another name is another one");
        let changes: [fn(&mut Given); 13] = [
            |cookie| cookie.path = Some("/shop".into()),
            |cookie| cookie.domain = Some("example.org".into()),
            |cookie| cookie.domain = Some("/shop".into()),
            |cookie| cookie.comment = Some("example.org".into()),
            |cookie| cookie.secure = Some(Secure::On),
            |cookie| cookie.http_only = Some(false),
            |cookie| cookie.partitioned = Some(true),
            |cookie| cookie.same_site = Some(SameSite::Strict),
            |cookie| cookie.same_site = Some(SameSite::None),
            |cookie| cookie.lifetime = Some(0),
            |cookie| cookie.lifetime = Some(86400),
            |cookie| cookie.lifetime = Some(MAX_LIFETIME),
            |cookie| (cookie.path, cookie.lifetime) = (Some("/shop".into()), Some(0)),
        ];
        let mut marks: Vec<_> = changes.into_iter().map(|change| mark(change).expect("a mark")).collect();
        assert!(marks.iter().flatten().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(byte)), "{marks:?}");
        marks.sort_unstable();
        marks.dedup();
        assert_eq!(marks.len(), 13);
        let cookie = Given { lifetime: Some(0), ..cookie() };
        let cookie = Cookie::new(Some(&cookie), false, &settings.cookie, "session");
        let sent = cookie.set(ID, 1440);
        let value = sent.split(['=', ';']).nth(1).unwrap();
        assert_eq!(parse(value.as_bytes()), Some((ID, cookie.mark())), "{sent}");
        assert!(cookie.delete().starts_with("session=; "));
    }

    /// Other marks would have every such cookie sent again.
    #[test]
    fn marks_stay_what_they_are() {
        let settings = settings();
        let mark = |given: Given| Cookie::new(Some(&given), true, &settings.cookie, "session").mark();
        assert_eq!(mark(cookie()), Some(*b"_due"));
        let (path, domain) = (Some("/shop".into()), Some("example.org".into()));
        let (same_site, lifetime) = (Some(SameSite::Strict), Some(86400));
        assert_eq!(mark(Given { path, domain, same_site, lifetime, ..cookie() }), Some(*b"GJKg"));
    }

    #[test]
    fn cookie_fields_past_the_limit_are_too_large_together() {
        let read = |lengths: [usize; 2]| super::read(&lengths.map(|length| vec![b'a'; length]), "session", None, 100);
        assert!(read([50, 50]).is_ok());
        assert!(matches!(read([50, 51]), Err(Error::TooLarge(text)) if text.contains("header-bytes")));
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
    }

    #[test]
    fn a_cookie_lives_400_days_at_most() {
        let lasting = |seconds| written(|_, cookie| cookie.lifetime = Some(seconds));
        assert!(lasting(34_560_000).unwrap().ends_with("Max-Age=34560000"));
        assert!(lasting(34_560_001).is_err());
        let settings = settings();
        let cookie = Cookie::new(None, false, &settings.cookie, "session");
        assert!(cookie.set(ID, u64::MAX).ends_with("Max-Age=34560000"), "however long the session lasts");
        assert!(cookie.set(ID, 0).ends_with("Max-Age=1"), "0 would delete it");
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
        for name in [
            "__Host-a",
            "__host-a",
            "__Secure-a",
            "__SECURE-a",
            "__Http-a",
            "__HTTP-a",
            "__Host-Http-a",
            "__hOST-hTTP-a",
        ] {
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
            let is_host = name.to_ascii_lowercase().starts_with("__host-");
            assert_eq!(written(below).is_err(), is_host, "{name} with a path");
            let with_domain = |options: &mut Options, cookie: &mut Given| {
                secure(options, cookie);
                cookie.domain = Some("example.org".into());
            };
            assert_eq!(written(with_domain).is_err(), is_host, "{name} with a domain");
            let scripted = |options: &mut Options, cookie: &mut Given| {
                secure(options, cookie);
                cookie.http_only = Some(false);
            };
            assert_eq!(written(scripted).is_err(), name.to_ascii_lowercase().contains("http-"), "{name} for scripts");
        }
        assert!(written(|_, cookie| cookie.name = Some("__Httpa".into())).is_ok(), "no prefix");
    }

    #[test]
    fn bad_attributes_are_refused() {
        for path in ["", "shop", "/a;b", "/a\r\nSet-Cookie: x=y", "/é"] {
            assert!(written(|_, cookie| cookie.path = Some(path.into())).is_err(), "{path:?}");
        }
        let long = format!("{}.org", "a".repeat(64));
        let longer = ["a".repeat(63).as_str(); 4].join(".");
        for domain in
            ["a b", "a;b", "..", "a..b", "exa\nmple.org", "ex_ample", "-a.b", "a-.b", "a.-b", "a.b-", &long, &longer]
        {
            assert!(written(|_, cookie| cookie.domain = Some(domain.into())).is_err(), "{domain:?}");
        }
        for name in ["", "a b", "a=b", "a;b", "a\r\nb", "é"] {
            assert!(written(|_, cookie| cookie.name = Some(name.into())).is_err(), "{name:?}");
        }
    }

    #[test]
    fn lengths_are_those_that_browsers_take() {
        let taken = |change: &dyn Fn(&mut Given)| written(|_, cookie| change(cookie)).is_ok();
        let label = "a".repeat(63);
        let host = [&label[..], &label, &label, &label[..61]].join(".");
        assert_eq!(host.len(), 253);
        let domain = |domain: &str| taken(&|cookie| cookie.domain = Some(domain.into()));
        assert!(domain(&host) && domain(&label));
        assert!(!domain(&format!("{host}a")) && !domain(&format!("{label}a")));
        let comment = |length| taken(&|cookie| cookie.comment = Some("a".repeat(length)));
        assert!(comment(1024) && !comment(1025));
        let path = |length| taken(&|cookie| cookie.path = Some("/".repeat(length)));
        assert!(path(1024) && !path(1025));
        // An id of 43 characters, a dot and a mark of 4 beside the name: 4096 bytes.
        let name = |length| taken(&|cookie| cookie.name = Some("a".repeat(length)));
        assert!(name(4096 - 48) && !name(4096 - 47));
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

    /// What ends an attribute, a header or a line, or passes for that somewhere, and what is harmless in some attributes only.
    const WILD: [&str; 18] = [
        ";",
        "; Domain=evil.example",
        "\r\nSet-Cookie: a=b",
        "\n",
        "\r",
        "\0",
        "\t",
        "\u{1b}",
        "\u{7f}",
        "\u{80}",
        "\u{85}",
        "é",
        "\u{2028}",
        "\u{10a}",
        "\"",
        "=",
        ",",
        " ",
    ];

    /// An attribute's text: a valid one, one time in six with something wild in it.
    fn attribute(valid: &'static str) -> impl Strategy<Value = String> {
        let wild = option::weighted(1.0 / 6.0, (any::<sample::Index>(), select(&WILD[..])));
        (valid, wild).prop_map(|(mut text, wild)| {
            if let Some((at, wild)) = wild {
                text.insert_str(at.index(text.len() + 1), wild);
            }
            text
        })
    }

    #[test]
    fn nothing_in_the_options_breaks_out_of_the_header() {
        let label = "[a-z0-9]([a-z0-9-]{0,6}[a-z0-9])?";
        let domain: &'static str = format!("(\\.?{label}(\\.{label}){{0,2}})?").leak();
        let all = (
            attribute("[a-zA-Z0-9!#$%&'*+.^_`|~-]{1,12}"),
            attribute("/[ -:<-~]{0,12}"),
            attribute(domain),
            attribute("[ -:<-~]{0,12}"),
            any::<bool>(),
        );
        let (accepted, refused) = (Cell::new(0), Cell::new(0));
        let kept = TestRunner::new(ProptestConfig::with_source_file(file!())).run(
            &all,
            |(name, path, domain, comment, https)| {
                let header = written(|options, cookie| {
                    options.https = https;
                    cookie.name = Some(name.clone());
                    cookie.path = Some(path.clone());
                    cookie.domain = Some(domain.clone());
                    cookie.comment = Some(comment.clone());
                });
                let Ok(header) = header else {
                    refused.set(refused.get() + 1);
                    return Ok(());
                };
                accepted.set(accepted.get() + 1);
                let (value, attributes) = header.split_once(';').unwrap();
                let value = value.strip_prefix(&format!("{name}=")).and_then(|value| parse(value.as_bytes()));
                prop_assert_eq!(value.map(|(id, _)| id), Some(ID));
                let mut parts = vec![format!(" Path={path}")];
                parts.extend((!domain.is_empty()).then(|| format!(" Domain={domain}")));
                parts.extend((!comment.is_empty()).then(|| format!(" Comment={comment}")));
                parts.extend(https.then(|| " Secure".to_owned()));
                parts.extend([" HttpOnly", " SameSite=Lax", " Max-Age=1440"].map(str::to_owned));
                prop_assert_eq!(attributes.split(';').collect::<Vec<_>>(), parts);
                prop_assert!(header.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{:?}", header);
                Ok(())
            },
        );
        kept.unwrap();
        assert!(accepted.get() > 64 && refused.get() > 64, "{} accepted, {} refused", accepted.get(), refused.get());
    }

    /// What Cookie fields are made of: ids, some of them under the name of the session, and what is nearly one.
    fn field() -> impl Strategy<Value = Vec<u8>> {
        let id = any::<[u8; 32]>().prop_map(|random| id::new(random, ""));
        let nearly = (id.clone(), 0..id::LENGTH, any::<u8>()).prop_map(|(id, at, byte)| {
            let mut id = id.into_bytes();
            id[at] = byte;
            [&b"session="[..], &id, b"; "].concat()
        });
        let part = prop_oneof![
            3 => id.prop_map(|id| format!("session={id}; ").into_bytes()),
            1 => nearly,
            1 => select(vec!["; ", ";", " ", "\t", "session=", "sessions=", "=", "\"", "\r\n", ID])
                .prop_map(|part| part.as_bytes().to_vec()),
            1 => vec(any::<u8>(), 0..4),
        ];
        vec(part, 0..6).prop_map(|parts| parts.concat())
    }

    #[test]
    fn only_ids_that_stand_alone_under_the_name_come_out_of_any_fields() {
        let (none, some) = (Cell::new(0), Cell::new(0));
        let kept = TestRunner::new(ProptestConfig::with_source_file(file!())).run(&vec(field(), 0..3), |fields| {
            let mut expected: Vec<String> = Vec::new();
            for pair in fields.iter().flat_map(|field| field.split(|byte| *byte == b';')) {
                let pair = String::from_utf8_lossy(pair.trim_ascii()).into_owned();
                if let Some(("session", id)) = pair.split_once('=')
                    && id::is_well_formed(id.as_bytes())
                    && !expected.contains(&id.to_owned())
                {
                    expected.push(id.to_owned());
                }
            }
            // What becomes of too many is a rule of its own.
            if expected.len() <= MAX_CANDIDATES {
                let outcome = if expected.is_empty() { &none } else { &some };
                outcome.set(outcome.get() + 1);
                let presented = super::read(&fields, "session", None, 1 << 20).unwrap();
                let ids: Vec<_> = presented.candidates.into_iter().map(|candidate| candidate.id).collect();
                prop_assert_eq!(ids, expected);
            }
            Ok(())
        });
        kept.unwrap();
        assert!(none.get() > 32 && some.get() > 32, "{} without an id, {} with one", none.get(), some.get());
    }

    proptest! {
        #[test]
        fn an_id_that_was_set_is_read_back(random: [u8; 32], before in "[a-z=; ]{0,20}", after in "[a-z=; ]{0,20}") {
            let id = id::new(random, "");
            let field = format!("{before};session={id};{after}");
            prop_assert_eq!(read(&[&field]), [id]);
        }
    }
}
