use alloc::{borrow::ToOwned, format, string::String, vec::Vec};
use core::fmt;

use super::{Limits, Reservation, Secure, Settings};
use crate::{
    client::MAX_USER_AGENT,
    cookie::{Cookie, MAX_LIFETIME},
    id, name,
};

/// The largest value of `session-bytes`: the component has a whole session in memory, several times over.
pub const MAX_SESSION_BYTES: u32 = 256 * 1024 * 1024;

/// The largest value of `max-sessions`: a login beyond it reads all sessions of its owner to find the oldest.
pub const MAX_SESSIONS: u32 = 1000;

/// A setting that is impossible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The section of `lemon.ini`: `session.cookie`.
    pub section: &'static str,
    /// The key in that section: `path`.
    pub key: String,
    /// What is wrong, and what would be right.
    pub message: String,
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

impl core::error::Error for InvalidSettings {}

/// Collects the problems of one section.
pub(crate) struct Checks {
    section: &'static str,
    problems: Vec<Problem>,
}

impl Checks {
    pub fn of(section: &'static str) -> Self {
        Self { section, problems: Vec::new() }
    }

    /// Notes a problem of `key` unless a condition is met.
    pub fn that(&mut self, is_met: bool, key: &str, message: impl FnOnce() -> String) {
        if !is_met {
            self.problems.push(Problem { section: self.section, key: key.to_owned(), message: message() });
        }
    }

    /// Notes what is wrong with `key`, if anything is.
    pub fn outcome(&mut self, key: &str, outcome: Result<(), String>) {
        if let Err(message) = outcome {
            self.that(false, key, || message);
        }
    }

    pub fn into_problems(self) -> Vec<Problem> {
        self.problems
    }
}

impl Settings {
    /// Checks that every setting is possible, alone and beside the others.
    ///
    /// # Errors
    ///
    /// Fails with all settings that are not.
    pub fn validate(&self) -> Result<(), InvalidSettings> {
        let [mut session, mut cookie, mut limits, mut reserved] =
            ["session", "session.cookie", "session.limits", "session.reserved"].map(Checks::of);
        self.check_session(&mut session);
        // `Secure` by the request's scheme cannot be relied on here.
        Cookie::new(None, false, &self.cookie, &self.app).check_attributes(&mut cookie);
        self.limits.check(&mut limits);
        self.check_reserved(&mut reserved);
        let problems: Vec<_> =
            [session, cookie, limits, reserved].into_iter().flat_map(Checks::into_problems).collect();
        if problems.is_empty() { Ok(()) } else { Err(InvalidSettings { problems }) }
    }

    fn check_session(&self, checks: &mut Checks) {
        checks.outcome("app", name::verdict("the application's name", &self.app, self.limits.app_length));
        checks.outcome("expires", expires(self.expires, self.max_lifetime, self.max_expires));
        if let Some(touch_after) = self.touch_after {
            checks.that(touch_after <= self.expires, "touch-after", || {
                format!("{touch_after} seconds are more than expires, {}, of which it is a part", self.expires)
            });
        }
        checks.that(self.max_sessions <= MAX_SESSIONS, "max-sessions", || {
            format!("{} is more than {MAX_SESSIONS}; 0 means no limit", self.max_sessions)
        });
        let Self { renew_after, renew_grace, .. } = *self;
        checks.that(renew_after == 0 || renew_grace <= renew_after, "renew-grace", || {
            format!("{renew_grace} seconds are more than renew-after, {renew_after}; a minute is enough for one page")
        });
        checks.that(self.client_user_agent <= MAX_USER_AGENT, "client-user-agent", || {
            format!("{} characters; at most {MAX_USER_AGENT} are kept", self.client_user_agent)
        });
        checks.outcome("cleanup", cleanup(self.cleanup));
        self.check_device_bound(checks);
    }

    /// What a browser requires of a cookie that it binds a session to.
    fn check_device_bound(&self, checks: &mut Checks) {
        let cookie = &self.cookie;
        let hindrances = [
            (cookie.secure == Secure::Off, "[session.cookie] secure is off"),
            (cookie.partitioned, "[session.cookie] partitioned is true"),
            (!cookie.domain.is_empty(), "[session.cookie] domain is set, and a session is bound to one host"),
        ];
        for (_, why) in hindrances.into_iter().filter(|(is_one, _)| *is_one && self.device_bound != 0) {
            checks.that(false, "device-bound", || format!("no browser binds a session to its device while {why}"));
        }
        checks.that(self.device_bound <= MAX_LIFETIME, "device-bound", || {
            format!(
                "at most {MAX_LIFETIME} seconds (400 days), after which browsers end any cookie; 10 minutes are enough"
            )
        });
    }

    fn check_reserved(&self, checks: &mut Checks) {
        for (i, Reservation { name, secret_hash }) in self.reserved.iter().enumerate() {
            checks.outcome(name, name::verdict("the application's name", name, self.limits.app_length));
            checks.that(id::from_hex(secret_hash).is_some(), name, || {
                "not the SHA-256 hash of a secret, 64 hexadecimal digits, as `printf %s SECRET | sha256sum` prints it"
                    .to_owned()
            });
            checks.that(self.reserved.iter().take(i).all(|other| other.name != *name), name, || {
                "the name is reserved twice; it has one secret".to_owned()
            });
        }
    }
}

impl Limits {
    fn check(&self, checks: &mut Checks) {
        for (key, length) in [("key-length", self.key_length), ("app-length", self.app_length)] {
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
            format!("{} is too small for a session's cookie beside others; at least 256", self.header_bytes)
        });
    }
}

/// Whether an idle time is possible under `max-lifetime` and `max-expires`; if not, why.
pub(crate) fn expires(expires: u32, max_lifetime: u32, max_expires: u32) -> Result<(), String> {
    if expires == 0 {
        return Err("a session lasts at least 1 second".to_owned());
    }
    for (name, most) in [("max-lifetime", max_lifetime), ("max-expires", max_expires)] {
        if most != 0 && expires > most {
            return Err(format!("{expires} seconds are more than {name} allows, {most}; raise that or set it to 0"));
        }
    }
    Ok(())
}

/// Whether a number is a probability; if not, why.
pub(crate) fn cleanup(probability: f64) -> Result<(), String> {
    if (0.0..=1.0).contains(&probability) {
        return Ok(());
    }
    Err(format!("{probability} is not a probability: 1 means always, 0 never, 0.01 one start in a hundred"))
}
