//! The environment of the tests: a clock that they set, reproducible randomness, and a store in memory that records its calls and
//! fails when it is told to.

mod at_once;
mod order;
mod outside;
mod waiting;

use crate::{
    Value,
    options::{Cookie, Options},
    settings::Settings,
    types::Header,
};

pub use at_once::{Session, manager, start};
pub use order::Order;
pub use outside::Outside;
pub use waiting::{Steps, Waiting};

pub const NOW: u64 = 1_000_000;

/// The default settings, without an absolute expiry and cleanups by chance.
pub fn settings() -> Settings {
    Settings { max_lifetime: 0, cleanup: 0.0, ..Settings::default() }
}

/// A start's options with nothing given.
pub fn options() -> Options {
    Options::default()
}

/// A cookie with nothing given.
pub fn cookie() -> Cookie {
    Cookie::default()
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

/// An environment with these settings.
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
