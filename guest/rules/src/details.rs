//! The lifetime that an application gives a session, and the other details that are kept with it.

use alloc::{string::String, vec::Vec};
use core::time::Duration;

use crate::{
    Env, Error, Result, Value, World, client, codec,
    cookie::MAX_LIFETIME,
    device_bound::{Binding, Challenge},
    expiry::{self, Expiry},
    pending::{Application, Found},
    settings::{Client, Settings},
    storage::{self, DETAILS, Loaded, SessionRecord, Stored, Variable},
    types::Lifetime,
};

/// The idle time.
const IDLE: &str = "idle";
/// The cookie's `Max-Age`; 0 until the browser closes.
const COOKIE: &str = "cookie";
/// When the owner logged in.
pub(crate) const AUTHENTICATED: &str = "authenticated";
/// How the owner logged in.
const METHOD: &str = "method";
/// What the owner calls the session.
const LABEL: &str = "label";

/// The client's address when the session began or its owner logged in.
const ADDRESS: &str = "address";
/// The client's `User-Agent` then.
const USER_AGENT: &str = "user-agent";
/// What binds the session to a device.
pub(crate) const DEVICE: &str = "device";
/// The public key of the device.
const DEVICE_KEY: &str = "device-key";
/// The name of the bound cookie, and its attributes.
const DEVICE_COOKIE: &str = "device-cookie";
/// What the device has to sign next.
const CHALLENGE: &str = "challenge";

/// The key of the session's values, wrapped for its id.
pub(crate) const SEAL: &str = "seal";
/// What recognises the tokens of the last id.
pub(crate) const CSRF: &str = "csrf";

/// What the component itself keeps of a session: the variables of the application with the empty name.
pub(crate) struct Details(pub Application);

impl Details {
    pub fn new(stored: Vec<Variable>) -> Self {
        Self(Application::new(DETAILS, stored))
    }

    fn get(&self, name: &str) -> Option<Value> {
        match self.0.get(name) {
            Ok(Found::Value(value)) => Some(value),
            _ => None,
        }
    }

    pub fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        match self.get(name)? {
            Value::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    fn seconds(&self, name: &str) -> Option<u32> {
        match self.get(name)? {
            Value::Integer(seconds) => seconds.try_into().ok(),
            _ => None,
        }
    }

    fn text(&self, name: &str) -> Option<String> {
        match self.get(name)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    fn set(&mut self, name: &str, value: Option<Value>) -> Result<()> {
        match value {
            Some(value) => self.0.set(name, codec::encode(&value)?),
            None => _ = self.0.delete(name),
        }
        Ok(())
    }

    /// The rules of when the session expires: by the idle time that it was given, or else by `start`'s.
    pub fn expiry(&self, start: Expiry, settings: &Settings) -> Expiry {
        self.seconds(IDLE).map_or(start, |idle| Expiry::new(capped(idle, settings), settings))
    }

    /// The cookie's `Max-Age` that the session was given, 0 until the browser closes; the inner `None` if it follows the idle
    /// time.
    pub fn cookie(&self) -> Option<Option<u32>> {
        match (self.seconds(COOKIE), self.seconds(IDLE)) {
            (Some(cookie), _) => Some(Some(cookie)),
            (None, Some(_)) => Some(None),
            (None, None) => None,
        }
    }

    /// When the owner logged in.
    pub fn authenticated_at(&self) -> Option<u64> {
        match self.get(AUTHENTICATED)? {
            Value::Integer(at) => at.try_into().ok(),
            _ => None,
        }
    }

    pub fn method(&self) -> Option<String> {
        self.text(METHOD)
    }

    pub fn label(&self) -> Option<String> {
        self.text(LABEL)
    }

    pub fn address(&self) -> Option<String> {
        self.text(ADDRESS)
    }

    pub fn user_agent(&self) -> Option<String> {
        self.text(USER_AGENT)
    }

    /// Keeps what the settings say of the client.
    pub fn note_client<E: Env>(&mut self, world: &World<E>) -> Result<()> {
        let settings = world.settings();
        let Client { address, user_agent } = client::kept(settings, || world.env.client());
        for (name, value) in [(ADDRESS, address), (USER_AGENT, user_agent)] {
            // Most sites keep neither.
            if value.is_some() || self.get(name).is_some() {
                self.set(name, value.map(Value::Text))?;
            }
        }
        Ok(())
    }

    /// What binds the session to a device.
    pub fn binding(&self) -> Option<Binding> {
        Binding::read(&self.bytes(DEVICE)?)
    }

    pub fn device_key(&self) -> Option<String> {
        self.text(DEVICE_KEY)
    }

    pub fn device_cookie(&self) -> Option<String> {
        self.text(DEVICE_COOKIE)
    }

    pub fn challenge(&self) -> Option<Challenge> {
        Challenge::read(&self.bytes(CHALLENGE)?)
    }

    pub fn set_challenge(&mut self, challenge: &Challenge) -> Result<()> {
        self.set(CHALLENGE, Some(Value::Bytes(challenge.to_bytes())))
    }

    /// A device may be bound to the session, with this cookie.
    pub fn offer(&mut self, challenge: &Challenge, cookie: String) -> Result<()> {
        self.set(DEVICE_COOKIE, Some(Value::Text(cookie)))?;
        self.set_challenge(challenge)
    }

    pub fn bind(&mut self, binding: &Binding, key: &str) -> Result<()> {
        self.set(DEVICE, Some(Value::Bytes(binding.to_bytes())))?;
        self.set(DEVICE_KEY, Some(Value::Text(key.into())))
    }

    pub fn unbind(&mut self) -> Result<()> {
        [DEVICE, DEVICE_KEY, DEVICE_COOKIE, CHALLENGE].into_iter().try_for_each(|name| self.set(name, None))
    }

    pub fn give(&mut self, lifetime: &Lifetime) -> Result<()> {
        for (name, seconds) in [("expires", lifetime.expires), ("max-lifetime", lifetime.max_lifetime)] {
            if seconds == Some(0) {
                return Err(Error::InvalidOption(alloc::format!("{name}: a session lasts at least 1 second")));
            }
        }
        let integer = |seconds: u32| Value::Integer(seconds.into());
        self.set(IDLE, lifetime.expires.map(integer))?;
        self.set(COOKIE, lifetime.cookie.map(|seconds| integer(seconds.min(MAX_LIFETIME))))
    }

    pub fn set_label(&mut self, label: Option<String>) -> Result<()> {
        self.set(LABEL, label.map(Value::Text))
    }

    pub fn authenticate(&mut self, login: Option<(u64, String)>) -> Result<()> {
        let (at, method) = login.unzip();
        self.set(AUTHENTICATED, at.map(|at| Value::Integer(i64::try_from(at).unwrap_or(i64::MAX))))?;
        self.set(METHOD, method.map(Value::Text))
    }

    /// What a save stores of a lifetime that ends after `longest` seconds, if that is given.
    pub fn lifetime(
        &self,
        longest: Option<u32>,
        start: Expiry,
        record: &SessionRecord,
        settings: &Settings,
        clock: Duration,
    ) -> storage::Lifetime {
        let latest = match (self.authenticated_at(), settings.login_lifetime, settings.max_lifetime) {
            (Some(at), login @ 1.., _) => Some(at.saturating_add(login.into())),
            (_, _, 0) => None,
            (_, _, lifetime) => Some(record.created.saturating_add(lifetime.into())),
        };
        let asked = longest.map(|longest| expiry::next_second(clock).saturating_add(longest.into()));
        let absolute_expiry = asked.into_iter().chain(latest).min();
        let expires = self.expiry(start, settings).first(absolute_expiry, clock);
        storage::Lifetime { expires, absolute_expiry }
    }
}

/// The time in a stored detail.
pub(crate) fn time(bytes: &[u8]) -> Option<u64> {
    match codec::decode(bytes) {
        Ok(Value::Integer(at)) => at.try_into().ok(),
        _ => None,
    }
}

/// An idle time, as the settings allow it.
fn capped(idle: u32, settings: &Settings) -> u32 {
    if settings.max_expires == 0 { idle } else { idle.min(settings.max_expires) }
}

/// Takes back an expiry that a request stored which did not know yet that another one had shortened the idle time. Returns whether
/// the session is live: where nothing is taken back, the store has decided that, whose clock may be a better one.
pub(crate) fn limit(Loaded { record, details, .. }: &mut Loaded, settings: &Settings, now: u64) -> bool {
    let idle = details.iter().find(|detail| detail.name == IDLE);
    if let Some(Value::Integer(idle)) = idle.and_then(value)
        && let Ok(idle) = idle.try_into()
    {
        let latest = Expiry::new(capped(idle, settings), settings).latest(record.accessed);
        if latest < record.expires {
            record.expires = latest;
            return now < latest;
        }
    }
    true
}

fn value(detail: &Variable) -> Option<Value> {
    match &detail.value {
        Stored::Inline(bytes) => codec::decode(bytes).ok(),
        Stored::Large(_) => None,
    }
}

/// The bytes of a detail as it is stored, if that is what it is.
pub(crate) fn bytes(detail: &Variable) -> Option<Vec<u8>> {
    match value(detail)? {
        Value::Bytes(bytes) => Some(bytes),
        _ => None,
    }
}
