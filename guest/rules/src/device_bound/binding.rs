//! What binds a session to a device: what its details keep, and what the browser is given of that.

use alloc::{string::String, vec::Vec};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use subtle::ConstantTimeEq as _;

use crate::id::sha256;

const IDENTIFIER: usize = 16;
const SECRET: usize = 32;
const TIME: usize = 8;

/// The random bytes of a binding.
pub(crate) const RANDOM: usize = IDENTIFIER + SECRET;

/// A session's tie to the key of one browser.
pub(crate) struct Binding {
    /// What the browser calls the session.
    identifier: [u8; IDENTIFIER],
    /// What tokens are made of. It is stored with the session, where it is worth nothing without the session's id.
    secret: [u8; SECRET],
    /// From when on a request needs a token: those that the browser sends before it has the first one are answered.
    since: u64,
}

impl Binding {
    pub fn new(random: &[u8; RANDOM], since: u64) -> Self {
        let (identifier, secret) = random.split_at(IDENTIFIER);
        let mut binding = Self { identifier: [0; IDENTIFIER], secret: [0; SECRET], since };
        binding.identifier.copy_from_slice(identifier);
        binding.secret.copy_from_slice(secret);
        binding
    }

    pub fn read(bytes: &[u8]) -> Option<Self> {
        let (random, since) = bytes.split_first_chunk::<RANDOM>()?;
        Some(Self::new(random, u64::from_be_bytes(since.try_into().ok()?)))
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        [&self.identifier[..], &self.secret, &self.since.to_be_bytes()].concat()
    }

    pub fn identifier(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.identifier)
    }

    /// A token that is valid before the time `until`. It says so itself: nothing is stored for it, and what other requests are given
    /// does not end it.
    pub fn token(&self, until: u64) -> String {
        URL_SAFE_NO_PAD.encode([&until.to_be_bytes()[..], &self.seal(until)].concat())
    }

    /// Whether a request at `now` needs no token, or one of these texts is a valid one.
    pub fn admits<'a>(&self, mut tokens: impl Iterator<Item = &'a [u8]>, now: u64) -> bool {
        now < self.since || tokens.any(|token| self.is_valid(token, now).unwrap_or(false))
    }

    fn is_valid(&self, token: &[u8], now: u64) -> Option<bool> {
        let mut bytes = [0; TIME + 32];
        if token.len() != TOKEN || URL_SAFE_NO_PAD.decode_slice(token, &mut bytes).ok()? != bytes.len() {
            return None;
        }
        let (until, seal) = bytes.split_first_chunk::<TIME>()?;
        let until = u64::from_be_bytes(*until);
        Some(now < until && bool::from(seal.ct_eq(&self.seal(until))))
    }

    fn seal(&self, until: u64) -> [u8; 32] {
        sha256(&[b"lemon:session bound cookie\0", &self.secret, &until.to_be_bytes()])
    }
}

/// The length of a token in characters.
pub(crate) const TOKEN: usize = ((TIME + 32) * 4).div_ceil(3);

/// What the browser has to sign next.
pub(crate) struct Challenge {
    until: u64,
    random: [u8; 32],
}

/// Follows a challenge that is sent because a signed one was not the expected one.
const RETRY: &str = ".retry";

impl Challenge {
    pub fn new(random: [u8; 32], until: u64) -> Self {
        Self { until, random }
    }

    pub fn read(bytes: &[u8]) -> Option<Self> {
        let (until, random) = bytes.split_first_chunk()?;
        Some(Self { until: u64::from_be_bytes(*until), random: random.try_into().ok()? })
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        [&self.until.to_be_bytes()[..], &self.random].concat()
    }

    pub fn text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.random)
    }

    /// The text for a browser that has signed another challenge. What it signs tells that this was its second attempt.
    pub fn retry(&self) -> String {
        self.text() + RETRY
    }

    /// Whether it can still be signed after `seconds`.
    pub fn lasts(&self, now: u64, seconds: u64) -> bool {
        now.saturating_add(seconds) < self.until
    }

    /// Whether a signed text is that of this challenge, in time.
    pub fn is_signed(&self, text: &str, now: u64) -> bool {
        let text = text.strip_suffix(RETRY).unwrap_or(text);
        self.lasts(now, 0) && bool::from(text.as_bytes().ct_eq(self.text().as_bytes()))
    }
}

/// Whether a signed text is that of a second attempt.
pub(crate) fn is_retry(text: &str) -> bool {
    text.ends_with(RETRY)
}
