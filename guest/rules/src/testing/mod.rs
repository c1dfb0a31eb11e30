//! What the rules are tested with: a clock that is set, randomness that counts, and a store in memory that can be made to
//! fail and records what it was asked.

mod outside;

use crate::{
    Session, Value,
    bindings::{
        sessions::{Cookie, Options},
        settings::{CookieSettings, Defaults, Limits},
        storage::Location,
        types::{CacheLimiter, Header, SameSite, Secure},
    },
};

pub use outside::Outside;

pub const NOW: u64 = 1_000_000;

/// The settings as they are without a configuration.
pub fn settings() -> Defaults {
    Defaults {
        app: "session".into(),
        expires: 1440,
        max_lifetime: 0,
        rolling: true,
        touch_after: None,
        renew_after: 0,
        renew_grace: 60,
        remember_ended: 86400,
        lazy: false,
        strict: false,
        cleanup: 0.0,
        seed: String::new(),
        cache_limiter: CacheLimiter::Nocache,
        cache_expire: 10800,
        cookie: CookieSettings {
            name: None,
            path: "/".into(),
            domain: String::new(),
            secure: Secure::Auto,
            http_only: true,
            same_site: SameSite::Lax,
            partitioned: false,
            lifetime: None,
            comment: String::new(),
        },
        limits: Limits {
            key_length: 32,
            app_length: 255,
            variables: 1000,
            value_bytes: 1 << 20,
            session_bytes: 4 << 20,
            header_bytes: 16384,
        },
        reserved: Vec::new(),
    }
}

/// A start's options with nothing given.
pub fn options() -> Options {
    Options {
        app: None,
        cookies: Vec::new(),
        https: false,
        session_id: None,
        location: Location { storage: None, table: None },
        expires: None,
        cookie: None,
        seed: None,
        cleanup: None,
        strict: None,
        cache_limiter: None,
    }
}

/// A cookie with nothing given.
pub fn cookie() -> Cookie {
    Cookie {
        name: None,
        path: None,
        domain: None,
        secure: None,
        http_only: None,
        same_site: None,
        partitioned: None,
        lifetime: None,
        comment: None,
    }
}

/// Options with the cookie of a value: an id, with its mark if it has one.
pub fn carrying(id: &str) -> Options {
    Options { cookies: vec![format!("session={id}").into_bytes()], ..options() }
}

/// The value of the cookie in a response's `Set-Cookie`.
pub fn sent_value(headers: &[Header]) -> Option<String> {
    let (_, cookie) = headers.iter().find(|(name, _)| name == "set-cookie")?;
    Some(cookie.split(['=', ';']).nth(1).unwrap().into())
}

/// The id in it.
pub fn sent_id(headers: &[Header]) -> Option<String> {
    sent_value(headers).map(|value| value.split('.').next().unwrap().into())
}

/// What a response says to caches: its `Cache-Control` and its `Vary`.
pub fn caching(headers: &[Header]) -> [Option<&str>; 2] {
    ["cache-control", "vary"].map(|wanted| {
        let mut values = headers.iter().filter(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
        let value = values.next();
        assert_eq!(values.next(), None, "{wanted} is returned once");
        value
    })
}

/// Of default settings.
pub fn plain() -> Outside {
    Outside::new(|_| ())
}

pub fn one() -> Value {
    Value::Integer(1)
}

/// A session of an owner.
pub fn owned(outside: &Outside, owner: &str) -> Session<Outside> {
    let session = outside.start(options()).unwrap();
    session.set_owner(Some(owner.into())).unwrap();
    session.save().unwrap();
    session
}
