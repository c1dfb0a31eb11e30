//! Sessions that are bound to a device: Device Bound Session Credentials, a draft of the W3C.
//!
//! After a login, the browser makes a key that cannot leave the device, and signs a challenge with it. From then on the session's cookie
//! needs another one beside it, which lasts for minutes. To get the next one, the browser signs the next challenge. Hosts answer
//! these requests with the functions of this module, and verify the signatures, which takes more cryptography than sessions do.

mod binding;
#[cfg(test)]
mod tests;

use alloc::{borrow::ToOwned, format, string::String, vec::Vec};

pub(crate) use self::binding::{Binding, Challenge, TOKEN};
use self::binding::{RANDOM, is_retry};
use crate::{
    Env, Error, Result, World,
    cookie::{self, Cookie},
    details::{DEVICE, Details, bytes},
    id::{self, Digest},
    start::{Found, find_one},
    storage::{Change, DETAILS, UpdateOutcome, Variable},
    types::{Header, Location},
};

/// How long a browser has to answer a challenge; the one that is sent with a bound cookie, after that cookie has expired.
pub(crate) const ANSWER_TIME: u64 = 300;
/// A challenge is sent again to whoever asks for one, unless less than this is left of it.
const MIN_LEFT: u64 = 60;
/// How often a change is repeated that others overtook before it fails with `conflict`.
const ATTEMPTS: u32 = 100;
/// The most bytes of a public key: one of RSA with 4096 bits has 700.
const MAX_KEY: usize = 1024;

/// A request of a browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The values of its `Cookie` fields.
    pub cookies: Vec<Vec<u8>>,
    /// The name of the session's cookie.
    pub cookie: String,
    /// Where the session is stored.
    pub location: Location,
}

/// What a browser has proved with a signature that the host has verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The public key of the signature, always in the same form.
    pub key: String,
    /// The challenge that was signed.
    pub challenge: String,
}

/// A session that is bound now, and goes on being so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// What the browser calls the session.
    pub identifier: String,
    /// The name of the bound cookie.
    pub cookie: String,
    /// Its attributes without `Max-Age`, as in a `Set-Cookie` field.
    pub attributes: String,
    /// The headers to send: the bound cookie, and the next challenge.
    pub headers: Vec<Header>,
}

/// What the host answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The session is bound.
    Bound(Bound),
    /// The browser is to sign the challenge in this header.
    Challenge(Header),
    /// There is no such session: the browser is to forget it.
    Ended,
    /// The proof proves nothing here.
    Refused,
}

/// The key that the session of a request is bound to; `None` if it is not bound under this identifier.
pub async fn key<E: Env>(world: &World<E>, request: &Request, identifier: &str) -> Result<Option<String>> {
    let Some(target) = Target::find(world, request).await? else { return Ok(None) };
    let is_it = target.details.binding().is_some_and(|binding| binding.identifier() == identifier);
    Ok(target.details.device_key().filter(|_| is_it))
}

/// Binds the session of a request to the key of a proof of the challenge that its login returned.
pub async fn register<E: Env>(world: &World<E>, request: &Request, proof: &Proof) -> Result<Answer> {
    for _ in 0..ATTEMPTS {
        let Some(mut target) = Target::find(world, request).await? else { return Ok(Answer::Refused) };
        let now = world.env.now();
        let challenge = target.details.challenge();
        let is_expected = challenge.is_some_and(|challenge| challenge.is_signed(&proof.challenge, now));
        if !is_expected || target.details.binding().is_some() || proof.key.len() > MAX_KEY {
            return Ok(Answer::Refused);
        }
        let mut random = [0; RANDOM];
        world.env.random(&mut random);
        let binding = Binding::new(&random, now.saturating_add(world.settings().renew_grace.into()));
        target.details.bind(&binding, &proof.key)?;
        if let Some(answer) = target.renew(world, request, &binding, now).await? {
            return Ok(answer);
        }
    }
    Err(Error::Conflict)
}

/// Gives a browser that has signed the expected challenge another bound cookie, and one that has not the challenge to sign. A browser
/// that has signed an older challenge is sent the expected one once.
pub async fn refresh<E: Env>(
    world: &World<E>,
    request: &Request,
    identifier: &str,
    proof: Option<&Proof>,
) -> Result<Answer> {
    for _ in 0..ATTEMPTS {
        let Some(mut target) = Target::find(world, request).await? else { return Ok(Answer::Ended) };
        let binding = target.details.binding().filter(|binding| binding.identifier() == identifier);
        let Some(binding) = binding else { return Ok(Answer::Ended) };
        let now = world.env.now();
        let outstanding = target.details.challenge();
        if let Some(proof) = proof {
            if target.details.device_key().as_ref() != Some(&proof.key) {
                return Ok(Answer::Refused);
            }
            if outstanding.as_ref().is_some_and(|challenge| challenge.is_signed(&proof.challenge, now)) {
                match target.renew(world, request, &binding, now).await? {
                    Some(answer) => return Ok(answer),
                    None => continue,
                }
            }
            if is_retry(&proof.challenge) {
                return Ok(Answer::Refused);
            }
        }
        let challenge = match outstanding.filter(|challenge| challenge.lasts(now, MIN_LEFT)) {
            Some(challenge) => challenge,
            None => {
                let challenge = target.challenge(world, now)?;
                if !target.write(world, request, now).await? {
                    continue;
                }
                challenge
            }
        };
        let text = if proof.is_some() { challenge.retry() } else { challenge.text() };
        return Ok(Answer::Challenge(challenge_header(&text, &binding)));
    }
    Err(Error::Conflict)
}

/// A session as a request of the browser finds it.
struct Target {
    digest: Digest,
    version: u64,
    details: Details,
}

impl Target {
    async fn find<E: Env>(world: &World<E>, request: &Request) -> Result<Option<Self>> {
        let limit = world.settings().limits.header_bytes;
        let presented = cookie::read(&request.cookies, &request.cookie, None, limit)?;
        let found = find_one(world, &request.location, &presented.candidates, DETAILS, world.env.now()).await?;
        let Some(Found { id, digest, loaded, .. }) = found else { return Ok(None) };
        let digest = loaded.renewal.map_or(digest, |nonce| id::digest(&id::successor(&id, &nonce)));
        Ok(Some(Self { digest, version: loaded.record.version, details: Details::new(loaded.details) }))
    }

    /// Sets the next challenge.
    fn challenge<E: Env>(&mut self, world: &World<E>, now: u64) -> Result<Challenge> {
        let until = now.saturating_add(u64::from(world.settings().device_bound) + ANSWER_TIME);
        let challenge = next_challenge(world, until);
        self.details.set_challenge(&challenge)?;
        Ok(challenge)
    }

    /// Stores the next challenge with all other changes, and returns it with another bound cookie; `None` if the session has changed
    /// meanwhile.
    async fn renew<E: Env>(
        mut self,
        world: &World<E>,
        request: &Request,
        binding: &Binding,
        now: u64,
    ) -> Result<Option<Answer>> {
        let challenge = self.challenge(world, now)?;
        let Some(cookie) = self.details.device_cookie() else { return Ok(Some(Answer::Refused)) };
        if !self.write(world, request, now).await? {
            return Ok(None);
        }
        let (name, attributes) = cookie.split_once("; ").unwrap_or((&cookie, ""));
        let lifetime = world.settings().device_bound;
        // The browser asks for the next one a little before this one expires, so that none expires on its way.
        let max_age = (lifetime - lifetime / 10).max(1);
        let token = binding.token(now.saturating_add(lifetime.into()));
        let headers = Vec::from([
            ("set-cookie".to_owned(), format!("{name}={token}; {attributes}; Max-Age={max_age}")),
            challenge_header(&challenge.text(), binding),
        ]);
        let identifier = binding.identifier();
        Ok(Some(Answer::Bound(Bound {
            identifier,
            cookie: name.to_owned(),
            attributes: attributes.to_owned(),
            headers,
        })))
    }

    /// Stores the changed details. False if the session has changed meanwhile. It is not a use of the session: a page that is left open
    /// keeps no session alive.
    async fn write<E: Env>(&self, world: &World<E>, request: &Request, now: u64) -> Result<bool> {
        let mut writes = Vec::new();
        self.details.0.writes(&mut writes)?;
        let limit = world.settings().limits.session_bytes;
        let change = Change {
            clears: Vec::new(),
            writes,
            owner: None,
            max_owned: None,
            expires: None,
            lifetime: None,
            rotation: None,
            max_size: limit.into(),
            remember: world.settings().remember_ended,
        };
        match world.env.update(&request.location, &self.digest, &change, Some(self.version), now).await? {
            UpdateOutcome::Committed(_) => Ok(true),
            // One that is gone may have another id now. No owner is counted here.
            UpdateOutcome::Conflict(_) | UpdateOutcome::Gone | UpdateOutcome::TooManyOwned(_) => Ok(false),
            UpdateOutcome::TooLarge(size) => Err(crate::session::too_large(size, limit)),
        }
    }
}

/// A challenge that can be answered before the time `until`.
pub(crate) fn next_challenge<E: Env>(world: &World<E>, until: u64) -> Challenge {
    let mut random = [0; 32];
    world.env.random(&mut random);
    Challenge::new(random, until)
}

fn challenge_header(challenge: &str, binding: &Binding) -> Header {
    ("secure-session-challenge".to_owned(), format!("\"{challenge}\";id=\"{}\"", binding.identifier()))
}

/// Whether a request that brings the id of a session may use it: that of a bound one needs a bound cookie that is valid at `now`.
pub(crate) fn admits(stored: &[Variable], cookies: &[Vec<u8>], cookie: &Cookie, now: u64) -> bool {
    // What cannot be read admits nobody.
    stored.iter().find(|detail| detail.name == DEVICE).is_none_or(|detail| {
        let binding = bytes(detail).and_then(|bytes| Binding::read(&bytes));
        binding.is_some_and(|binding| binding.admits(cookie::values(cookies, &cookie.bound_name()), now))
    })
}

/// Where a browser registers the key of a session, for the header that asks it to.
pub(crate) fn registration_path(cookie: &Cookie, location: &Location) -> String {
    let mut path = cookie.path().trim_end_matches('/').to_owned();
    path.push_str("/.lemon-session/register");
    let parameters = [
        ("?cookie=", Some(cookie.name())),
        ("&storage=", location.storage.as_deref()),
        ("&table=", location.table.as_deref()),
    ];
    for (key, value) in parameters {
        if let Some(value) = value {
            path.push_str(key);
            encode(value, &mut path);
        }
    }
    path
}

/// Appends a text with percent-encoding of all but the unreserved characters (RFC 3986, section 2.3).
fn encode(text: &str, to: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            to.push(char::from(byte));
        } else {
            to.push_str(&format!("%{byte:02X}"));
        }
    }
}

/// The header that asks a browser to register a key.
pub(crate) fn registration_header(path: &str, challenge: &Challenge) -> Option<Header> {
    // What a string of a structured field cannot contain (RFC 9651, section 3.3.3), and a cookie's path can.
    let is_string = !path.contains(['"', '\\']);
    let value = || format!("(ES256 RS256);path=\"{path}\";challenge=\"{}\"", challenge.text());
    is_string.then(|| ("secure-session-registration".to_owned(), value()))
}
