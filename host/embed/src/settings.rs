//! The settings: defaults and limits of all sessions of a host.

use std::fmt;

use crate::{
    bindings::lemon::session::settings::{self, Notice},
    context::SessionCtxView,
};

pub use crate::bindings::lemon::session::{
    settings::{CookieSettings, Defaults as Settings, Grant, Limits, Reservation},
    types::{CacheLimiter, SameSite, Secure},
};

/// The longest lifetime of a cookie in seconds: 400 days (RFC 6265bis, section 5.5).
pub const MAX_COOKIE_LIFETIME: u32 = 400 * 24 * 60 * 60;
/// The largest session that can be allowed: a session is in the component's memory as a whole, several times over.
pub const MAX_SESSION_BYTES: u32 = 256 * 1024 * 1024;

/// An impossible setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The section of `lemon.ini`: `session.cookie`.
    pub section: &'static str,
    /// The key in it: `path`.
    pub key: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl settings::Host for SessionCtxView<'_> {
    fn get_defaults(&mut self) -> Settings {
        self.ctx.settings().clone()
    }

    fn get_caller(&mut self) -> settings::Caller {
        let caller = self.ctx.caller();
        settings::Caller { request: caller.request, manager: caller.manager }
    }

    fn notify(&mut self, notice: Notice) {
        let request = self.ctx.caller().request;
        match notice {
            Notice::Unsaved(app) => {
                tracing::warn!(request, app = %shown(&app), "a session was changed and never saved: the changes are lost");
            }
            Notice::ChangedAfterSave(app) => tracing::warn!(
                request, app = %shown(&app), "a session was changed after it was saved: these changes are lost"
            ),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {}: {}", self.section, self.key, self.message)
    }
}

/// All settings that are impossible; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidSettings {
    /// What is wrong with each.
    pub problems: Vec<Problem>,
}

impl fmt::Display for InvalidSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.problems.iter().enumerate() {
            let separator = if i == 0 { "" } else { "\n" };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for InvalidSettings {}

impl Default for Settings {
    fn default() -> Self {
        Self {
            app: "session".to_owned(),
            expires: 24 * 60,
            max_lifetime: 30 * 24 * 60 * 60,
            rolling: true,
            touch_after: None,
            renew_after: 0,
            renew_grace: 60,
            remember_ended: 24 * 60 * 60,
            lazy: false,
            strict: false,
            cleanup: 0.01,
            seed: String::new(),
            cache_limiter: CacheLimiter::Nocache,
            cache_expire: 180 * 60,
            cookie: CookieSettings::default(),
            limits: Limits::default(),
            reserved: Vec::new(),
        }
    }
}

impl Default for CookieSettings {
    fn default() -> Self {
        Self {
            name: None,
            path: "/".to_owned(),
            domain: String::new(),
            secure: Secure::Auto,
            http_only: true,
            same_site: SameSite::Lax,
            partitioned: false,
            lifetime: None,
            comment: String::new(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            key_length: 32,
            app_length: 255,
            variables: 1000,
            value_bytes: 1024 * 1024,
            session_bytes: 4 * 1024 * 1024,
            header_bytes: 16 * 1024,
        }
    }
}

impl Settings {
    /// Checks that every setting is possible, alone and beside the others.
    ///
    /// # Errors
    ///
    /// Fails with all that are not.
    pub fn validate(&self) -> Result<(), InvalidSettings> {
        let mut problems = Vec::new();
        self.check_session(&mut Checks { section: "session", problems: &mut problems });
        self.cookie.check(&self.app, &mut Checks { section: "session.cookie", problems: &mut problems });
        self.limits.check(&mut Checks { section: "session.limits", problems: &mut problems });
        self.check_reserved(&mut Checks { section: "session.reserved", problems: &mut problems });
        if problems.is_empty() { Ok(()) } else { Err(InvalidSettings { problems }) }
    }

    fn check_session(&self, checks: &mut Checks<'_>) {
        let Self { expires, max_lifetime, renew_after, renew_grace, cleanup, .. } = *self;
        checks.that(is_name(&self.app, self.limits.app_length), "app", || {
            format!("an application's name has 1 to {} characters, none a control character", self.limits.app_length)
        });
        checks.that(expires > 0, "expires", || "a session lasts at least 1 second".to_owned());
        checks.that(max_lifetime == 0 || expires <= max_lifetime, "expires", || {
            format!("{expires} seconds are more than max-lifetime allows, {max_lifetime}; raise that or set it to 0")
        });
        if let Some(touch_after) = self.touch_after {
            checks.that(touch_after <= expires, "touch-after", || {
                format!("{touch_after} seconds are more than expires, {expires}; it is a part of that time")
            });
        }
        checks.that(renew_after == 0 || renew_grace <= renew_after, "renew-grace", || {
            format!("{renew_grace} seconds are more than renew-after, {renew_after}; a minute is enough for one page")
        });
        checks.that((0.0..=1.0).contains(&cleanup), "cleanup", || {
            format!("{cleanup} is no probability; 1 is always, 0 never, 0.01 one time in a hundred")
        });
    }

    fn check_reserved(&self, checks: &mut Checks<'_>) {
        for (i, Reservation { name, key_hash }) in self.reserved.iter().enumerate() {
            checks.that(is_name(name, self.limits.app_length), name, || {
                format!(
                    "an application's name has 1 to {} characters, none a control character",
                    self.limits.app_length
                )
            });
            checks.that(key_hash.len() == 64 && key_hash.bytes().all(|byte| byte.is_ascii_hexdigit()), name, || {
                "the SHA-256 hash of the key is to stand here, 64 hexadecimal digits: printf %s KEY | sha256sum"
                    .to_owned()
            });
            checks.that(self.reserved.iter().take(i).all(|other| other.name != *name), name, || {
                "is reserved twice; one key holds a name".to_owned()
            });
        }
    }
}

impl CookieSettings {
    fn check(&self, app: &str, checks: &mut Checks<'_>) {
        let secure = self.secure == Secure::On;
        let name = self.name.as_deref().unwrap_or(app);
        checks.that(is_token(name), "name", || match &self.name {
            Some(name) => format!("{name:?} cannot name a cookie; letters, digits and !#$%&'*+-.^_`|~ can"),
            None => format!("the application's name {app:?} cannot name a cookie; give the cookie a name of its own"),
        });
        checks.that(name.len() <= 1024, "name", || "a cookie's name has at most 1024 characters".to_owned());
        checks.that(self.path.starts_with('/') && is_attribute(&self.path), "path", || {
            format!("{:?} is no path: it begins with /, in ASCII, without ; and at most 1024 characters", self.path)
        });
        checks.that(self.domain.is_empty() || is_host_name(&self.domain), "domain", || {
            format!(
                "{:?} is not the name of a host, as example.org is; leave it empty for this host alone",
                self.domain
            )
        });
        checks.that(is_attribute(&self.comment), "comment", || {
            "a comment is ASCII, without ; and control characters, at most 1024 characters".to_owned()
        });
        checks.that(self.lifetime.is_none_or(|lifetime| lifetime <= MAX_COOKIE_LIFETIME), "lifetime", || {
            format!("at most {MAX_COOKIE_LIFETIME} seconds, 400 days, after which browsers end any cookie")
        });
        checks.that(self.same_site != SameSite::None || secure, "same-site", || {
            "browsers refuse SameSite=None without Secure; set secure = on".to_owned()
        });
        checks.that(!self.partitioned || secure, "partitioned", || {
            "browsers refuse Partitioned without Secure; set secure = on".to_owned()
        });
        let begins = |prefix: &str| name.get(..prefix.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(prefix));
        checks.that(!begins("__Host-") || (secure && self.path == "/" && self.domain.is_empty()), "name", || {
            format!("browsers refuse {name} unless secure = on, path = / and domain is empty")
        });
        checks.that(!begins("__Secure-") || secure, "name", || format!("browsers refuse {name} unless secure = on"));
        let is_http = begins("__Http-") || begins("__Host-Http-");
        checks.that(!is_http || (secure && self.http_only), "name", || {
            format!("browsers refuse {name} unless secure = on and http-only = true")
        });
    }
}

impl Limits {
    fn check(&self, checks: &mut Checks<'_>) {
        let lengths = [("key-length", self.key_length), ("app-length", self.app_length)];
        for (key, length) in lengths {
            checks.that((1..=255).contains(&length), key, || format!("{length} is not between 1 and 255 characters"));
        }
        checks.that(self.variables > 0, "variables", || "0 variables; a session holds at least 1".to_owned());
        checks.that((1..=self.session_bytes).contains(&self.value_bytes), "value-bytes", || {
            format!("{} is not between 1 and session-bytes, {}", self.value_bytes, self.session_bytes)
        });
        checks.that((1..=MAX_SESSION_BYTES).contains(&self.session_bytes), "session-bytes", || {
            format!("{} is not between 1 and {MAX_SESSION_BYTES}", self.session_bytes)
        });
        checks.that(self.header_bytes >= 256, "header-bytes", || {
            format!("{} has no room for a session's cookie beside others; at least 256", self.header_bytes)
        });
    }
}

struct Checks<'a> {
    section: &'static str,
    problems: &'a mut Vec<Problem>,
}

impl Checks<'_> {
    fn that(&mut self, is_possible: bool, key: &str, message: impl FnOnce() -> String) {
        if !is_possible {
            self.problems.push(Problem { section: self.section, key: key.to_owned(), message: message() });
        }
    }
}

/// A name that a guest chose, fit for a log.
pub(crate) fn shown(name: &str) -> String {
    format!("{:?}", name.chars().take(64).collect::<String>())
}

fn is_name(name: &str, limit: u32) -> bool {
    let length = name.chars().count();
    (1..=limit as usize).contains(&length) && !name.chars().any(char::is_control)
}

/// A token of RFC 9110, section 5.6.2, which RFC 6265 demands of a cookie's name.
fn is_token(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// What cannot end the attribute of a cookie or its header (RFC 6265bis, section 4.1.1).
fn is_attribute(value: &str) -> bool {
    value.len() <= 1024 && value.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b';')
}

/// RFC 1123, section 2.1; a leading dot is passed over, as RFC 6265bis does.
fn is_host_name(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 253 && name.strip_prefix('.').unwrap_or(name).split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{Caller, SessionCtx, Stores, store::Registry, stores::Storage};

    /// The keys of the problems that a change of the defaults makes.
    fn problems(change: impl FnOnce(&mut Settings)) -> Vec<String> {
        let mut settings = Settings::default();
        change(&mut settings);
        match settings.validate() {
            Ok(()) => Vec::new(),
            Err(InvalidSettings { problems }) => {
                problems.into_iter().map(|problem| format!("{}.{}", problem.section, problem.key)).collect()
            }
        }
    }

    fn cookie(change: impl FnOnce(&mut CookieSettings)) -> Vec<String> {
        problems(|settings| change(&mut settings.cookie))
    }

    #[test]
    fn the_component_is_given_the_settings_and_the_caller_of_its_context() {
        let stores = Stores::new(Storage::new("memory:"), BTreeMap::new(), &Registry::new());
        let ctx = SessionCtx::with(stores, Settings { app: "shop".to_owned(), ..Settings::default() }).unwrap();
        let mut ctx = ctx.for_caller(Caller { request: 7, client: None, manager: Grant::All });
        let mut view = SessionCtxView { ctx: &mut ctx };
        assert_eq!(settings::Host::get_defaults(&mut view).app, "shop");
        let caller = settings::Host::get_caller(&mut view);
        assert_eq!((caller.request, caller.manager), (7, Grant::All));
    }

    #[test]
    fn problems_are_told_a_line_each_with_section_and_key() {
        let mut settings = Settings { expires: 0, ..Settings::default() };
        settings.cookie.path = "shop".to_owned();
        let text = settings.validate().unwrap_err().to_string();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert_eq!(lines[0], "[session] expires: a session lasts at least 1 second");
        assert!(lines[1].starts_with("[session.cookie] path: \"shop\" is no path"), "{text}");
    }

    #[test]
    fn what_a_guest_chose_is_logged_without_control_characters_and_cut() {
        assert_eq!(shown("a\r\nb"), "\"a\\r\\nb\"");
        assert_eq!(shown(&"é".repeat(65)), format!("\"{}\"", "é".repeat(64)));
    }

    #[test]
    fn the_defaults_are_possible() {
        assert_eq!(Settings::default().validate(), Ok(()));
    }

    #[test]
    fn the_idle_time_is_within_the_longest_life() {
        assert_eq!(problems(|s| s.expires = 0), ["session.expires"]);
        assert_eq!(problems(|s| s.max_lifetime = 1439), ["session.expires"]);
        assert!(problems(|s| s.max_lifetime = 1440).is_empty());
        assert!(problems(|s| (s.max_lifetime, s.expires) = (0, u32::MAX)).is_empty());
    }

    #[test]
    fn a_touch_is_written_within_the_idle_time() {
        assert_eq!(problems(|s| s.touch_after = Some(1441)), ["session.touch-after"]);
        assert!(problems(|s| s.touch_after = Some(1440)).is_empty());
        assert!(problems(|s| s.touch_after = Some(0)).is_empty());
    }

    #[test]
    fn the_grace_of_a_renewal_ends_before_the_next_one() {
        assert_eq!(problems(|s| s.renew_after = 59), ["session.renew-grace"]);
        assert!(problems(|s| s.renew_after = 60).is_empty());
    }

    #[test]
    fn cleanup_is_a_probability() {
        for cleanup in [-0.01, 1.01, f64::NAN, f64::INFINITY] {
            assert_eq!(problems(|s| s.cleanup = cleanup), ["session.cleanup"], "{cleanup}");
        }
        assert!(problems(|s| s.cleanup = 0.0).is_empty() && problems(|s| s.cleanup = 1.0).is_empty());
    }

    #[test]
    fn an_application_has_a_name() {
        for app in ["", "a\nb"] {
            assert!(problems(|s| s.app = app.to_owned()).contains(&"session.app".to_owned()), "{app:?}");
        }
        assert!(problems(|s| s.app = "é".repeat(256)).contains(&"session.app".to_owned()));
        let long = |s: &mut Settings| (s.app, s.cookie.name) = ("é".repeat(255), Some("shop".to_owned()));
        assert!(problems(long).is_empty());
    }

    #[test]
    fn the_cookies_name_is_a_token_also_when_the_application_gives_it() {
        for name in ["", "a b", "a;b", "a=b", "é", "a\r\nb"] {
            assert_eq!(cookie(|c| c.name = Some(name.to_owned())), ["session.cookie.name"], "{name:?}");
        }
        assert_eq!(problems(|s| s.app = "my shop".to_owned()), ["session.cookie.name"]);
        let named = |s: &mut Settings| (s.app, s.cookie.name) = ("my shop".to_owned(), Some("shop".to_owned()));
        assert!(problems(named).is_empty());
        assert_eq!(cookie(|c| c.name = Some("a".repeat(1025))), ["session.cookie.name"]);
        assert!(cookie(|c| c.name = Some("a".repeat(1024))).is_empty());
    }

    #[test]
    fn no_attribute_of_the_cookie_can_end_it() {
        for path in ["", "shop", "/a;b", "/a\r\nb", "/é"] {
            assert_eq!(cookie(|c| c.path = path.to_owned()), ["session.cookie.path"], "{path:?}");
        }
        assert_eq!(cookie(|c| c.path = "/".repeat(1025)), ["session.cookie.path"]);
        assert!(cookie(|c| c.path = "/".repeat(1024)).is_empty());
        let host = ["a".repeat(63).as_str(); 4].join(".")[..253].to_owned();
        assert!(cookie(|c| c.domain = host.clone()).is_empty());
        for domain in [host + "a", "a".repeat(64)] {
            assert_eq!(cookie(|c| c.domain = domain.clone()), ["session.cookie.domain"], "{domain}");
        }
        for domain in ["a b", "a;b", "a..b", "-a.b", "a_b", "example.org.", "http://a"] {
            assert_eq!(cookie(|c| c.domain = domain.to_owned()), ["session.cookie.domain"], "{domain:?}");
        }
        for domain in ["example.org", ".example.org", "localhost", "a-1.b"] {
            assert!(cookie(|c| c.domain = domain.to_owned()).is_empty(), "{domain:?}");
        }
        for comment in ["a;b", "a\r\nSet-Cookie: b=c", "é"] {
            assert_eq!(cookie(|c| c.comment = comment.to_owned()), ["session.cookie.comment"], "{comment:?}");
        }
    }

    #[test]
    fn the_prefixes_for_http_demand_that_scripts_cannot_reach_the_cookie() {
        for name in ["__Http-a", "__host-http-a"] {
            let named = |c: &mut CookieSettings| (c.name, c.secure) = (Some(name.to_owned()), Secure::On);
            assert!(cookie(named).is_empty(), "{name}");
            let reached = |c: &mut CookieSettings| {
                named(c);
                c.http_only = false;
            };
            assert_eq!(cookie(reached), ["session.cookie.name"], "{name} for scripts");
            assert!(cookie(|c| c.name = Some(name.to_owned())).contains(&"session.cookie.name".to_owned()), "{name}");
        }
    }

    #[test]
    fn a_cookie_lives_400_days_at_most() {
        assert_eq!(cookie(|c| c.lifetime = Some(34_560_001)), ["session.cookie.lifetime"]);
        assert!(cookie(|c| c.lifetime = Some(34_560_000)).is_empty());
    }

    #[test]
    fn what_browsers_refuse_without_secure_demands_it() {
        for secure in [Secure::Auto, Secure::Off] {
            assert_eq!(cookie(|c| (c.secure, c.same_site) = (secure, SameSite::None)), ["session.cookie.same-site"]);
            assert_eq!(cookie(|c| (c.secure, c.partitioned) = (secure, true)), ["session.cookie.partitioned"]);
            for name in ["__Host-a", "__HOST-a", "__Secure-a", "__secure-a"] {
                let named = |c: &mut CookieSettings| (c.secure, c.name) = (secure, Some(name.to_owned()));
                assert_eq!(cookie(named), ["session.cookie.name"], "{name}");
            }
        }
        let all = |c: &mut CookieSettings| {
            (c.secure, c.same_site, c.partitioned) = (Secure::On, SameSite::None, true);
            c.name = Some("__Host-a".to_owned());
        };
        assert!(cookie(all).is_empty());
        assert_eq!(cookie(|c| (all(c), c.path = "/shop".to_owned()).1), ["session.cookie.name"]);
        assert_eq!(cookie(|c| (all(c), c.domain = "a.b".to_owned()).1), ["session.cookie.name"]);
    }

    #[test]
    fn limits_leave_room_for_a_session() {
        assert_eq!(problems(|s| s.limits.key_length = 0), ["session.limits.key-length"]);
        assert_eq!(problems(|s| s.limits.key_length = 256), ["session.limits.key-length"]);
        assert_eq!(problems(|s| s.limits.app_length = 256), ["session.limits.app-length"]);
        assert_eq!(problems(|s| s.limits.variables = 0), ["session.limits.variables"]);
        assert_eq!(problems(|s| s.limits.value_bytes = s.limits.session_bytes + 1), ["session.limits.value-bytes"]);
        assert_eq!(problems(|s| s.limits.session_bytes = (256 << 20) + 1), ["session.limits.session-bytes"]);
        assert_eq!(problems(|s| s.limits.header_bytes = 255), ["session.limits.header-bytes"]);
        let least = |s: &mut Settings| {
            (s.limits.key_length, s.limits.variables, s.limits.value_bytes) = (1, 1, 1);
            (s.limits.session_bytes, s.limits.header_bytes) = (1, 256);
        };
        assert!(problems(least).is_empty());
        let most = |s: &mut Settings| {
            (s.limits.key_length, s.limits.app_length) = (255, 255);
            (s.limits.value_bytes, s.limits.session_bytes) = (256 << 20, 256 << 20);
        };
        assert!(problems(most).is_empty());
    }

    #[test]
    fn a_reserved_name_has_the_hash_of_its_key() {
        let reserve = |names: &[(&str, &str)]| {
            let reserved =
                names.iter().map(|(name, hash)| Reservation { name: (*name).into(), key_hash: (*hash).into() });
            let reserved = reserved.collect();
            problems(|s| s.reserved = reserved)
        };
        let hash = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
        assert!(reserve(&[("auth", hash)]).is_empty());
        assert_eq!(reserve(&[("auth", "secret")]), ["session.reserved.auth"]);
        assert_eq!(reserve(&[("auth", &hash.replace('9', "g"))]), ["session.reserved.auth"]);
        assert_eq!(reserve(&[("auth", &hash[1..])]), ["session.reserved.auth"]);
        assert_eq!(reserve(&[("a\nb", hash)]), ["session.reserved.a\nb"]);
        assert_eq!(reserve(&[("auth", hash), ("auth", hash)]), ["session.reserved.auth"]);
    }

    #[test]
    fn all_problems_are_told_at_once() {
        assert_eq!(problems(|s| (s.expires, s.cleanup) = (0, 2.0)).len(), 2);
    }
}
