//! The keys of the settings, in `lemon.ini` and in the environment of a provider.

use alloc::string::String;

use super::{
    CacheLimiter, ClientAddress, CookieSettings, Grant, Limits, MaxSessionsReached, SameSite, Secure, Settings,
    parse::{boolean, bytes, choice, number, optional, probability, seconds, text},
};

/// One section of settings as text: its keys and their values.
pub trait Keys {
    /// Reads a key into `target`, which keeps its value if the section does not have the key. Notes what `parse` says is wrong
    /// with the value.
    fn read<T>(&mut self, key: &'static str, target: &mut T, parse: impl FnOnce(&str) -> Result<T, String>);
}

impl Settings {
    /// Reads the section `[session]`.
    pub fn read(&mut self, keys: &mut impl Keys) {
        keys.read("app", &mut self.app, text);
        keys.read("expires", &mut self.expires, seconds);
        keys.read("max-lifetime", &mut self.max_lifetime, seconds);
        keys.read("max-expires", &mut self.max_expires, seconds);
        keys.read("login-lifetime", &mut self.login_lifetime, seconds);
        keys.read("max-sessions", &mut self.max_sessions, number);
        let reached = [("end-oldest", MaxSessionsReached::EndOldest), ("refuse", MaxSessionsReached::Refuse)];
        keys.read("max-sessions-reached", &mut self.max_sessions_reached, choice(reached));
        keys.read("rolling", &mut self.rolling, boolean);
        keys.read("touch-after", &mut self.touch_after, optional(seconds));
        keys.read("renew-after", &mut self.renew_after, seconds);
        keys.read("renew-grace", &mut self.renew_grace, seconds);
        keys.read("remember-ended", &mut self.remember_ended, seconds);
        keys.read("lazy", &mut self.lazy, boolean);
        keys.read("strict", &mut self.strict, boolean);
        keys.read("seal", &mut self.seal, boolean);
        let addresses =
            [("none", ClientAddress::None), ("network", ClientAddress::Network), ("full", ClientAddress::Full)];
        keys.read("client-address", &mut self.client_address, choice(addresses));
        keys.read("client-user-agent", &mut self.client_user_agent, number);
        keys.read("device-bound", &mut self.device_bound, seconds);
        keys.read("cleanup", &mut self.cleanup, probability);
        keys.read("seed", &mut self.seed, text);
        let limiters = [
            ("nocache", CacheLimiter::Nocache),
            ("private", CacheLimiter::Private),
            ("public", CacheLimiter::Public),
            ("none", CacheLimiter::None),
        ];
        keys.read("cache-limiter", &mut self.cache_limiter, choice(limiters));
        keys.read("cache-expire", &mut self.cache_expire, seconds);
    }
}

impl CookieSettings {
    /// Reads the section `[session.cookie]`.
    pub fn read(&mut self, keys: &mut impl Keys) {
        let secure = [("auto", Secure::Auto), ("on", Secure::On), ("off", Secure::Off)];
        let same_site = [("strict", SameSite::Strict), ("lax", SameSite::Lax), ("none", SameSite::None)];
        keys.read("name", &mut self.name, optional(text));
        keys.read("path", &mut self.path, text);
        keys.read("domain", &mut self.domain, text);
        keys.read("secure", &mut self.secure, choice(secure));
        keys.read("http-only", &mut self.http_only, boolean);
        keys.read("same-site", &mut self.same_site, choice(same_site));
        keys.read("partitioned", &mut self.partitioned, boolean);
        keys.read("lifetime", &mut self.lifetime, optional(seconds));
        keys.read("comment", &mut self.comment, text);
    }
}

impl Limits {
    /// Reads the section `[session.limits]`.
    pub fn read(&mut self, keys: &mut impl Keys) {
        keys.read("key-length", &mut self.key_length, number);
        keys.read("app-length", &mut self.app_length, number);
        keys.read("variables", &mut self.variables, number);
        keys.read("value-bytes", &mut self.value_bytes, bytes);
        keys.read("session-bytes", &mut self.session_bytes, bytes);
        keys.read("header-bytes", &mut self.header_bytes, bytes);
    }
}

impl Grant {
    /// Reads the value of `[session] manager`.
    ///
    /// # Errors
    ///
    /// Fails with the words that are possible.
    pub fn parse(value: &str) -> Result<Self, String> {
        choice([("none", Self::None), ("owners", Self::Owners), ("all", Self::All)])(value)
    }
}
