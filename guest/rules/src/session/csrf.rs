//! Tokens against forged requests (CSRF), for clients that tell neither `Sec-Fetch-Site` nor `Origin`.
//!
//! A session's secret is a hash of its id, so that nothing has to be stored, and no token outlives a login, which changes the
//! id. Each token is the secret under a mask of its own: what the compression of a page gives away of one token says nothing
//! about the next (BREACH). An id rotation of the setting `renew-after` keeps what it takes to recognise the secret of the id
//! before it.

use alloc::{string::String, vec::Vec};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use subtle::ConstantTimeEq as _;

use super::{Core, Session, State};
use crate::{
    Env, Result, Value, codec,
    details::CSRF,
    id::{self, Digest, sha256},
    storage::{DETAILS, Write},
};

/// What the detail that a rotation keeps adds to the size of a session, at most.
const KEPT_BYTES: u64 = 64;

const SECRET: usize = 32;
/// A mask and the masked secret, as characters.
const TOKEN: usize = (2 * SECRET * 4).div_ceil(3);

impl<E: Env> Session<E> {
    /// A token of this session; a different text with each call. After `regenerate_id`, one of the new id.
    pub fn csrf_token(&self) -> Result<String> {
        let mut token = [0; 2 * SECRET];
        self.core.world.env.random(&mut token[..SECRET]);
        let mut state = self.live_mut()?;
        state.accessed.set(true);
        // A page has the token, and the session has to be there when it comes back.
        state.is_needed = true;
        let secret = secret(state.new_id.as_ref().unwrap_or(&state.id));
        let (mask, masked) = token.split_at_mut(SECRET);
        masked.iter_mut().zip(secret).zip(mask).for_each(|((masked, secret), mask)| *masked = secret ^ *mask);
        Ok(URL_SAFE_NO_PAD.encode(token))
    }

    /// Whether a text is a token of this session.
    pub fn check_csrf(&self, token: &str) -> Result<bool> {
        let state = self.live()?;
        state.accessed.set(true);
        let Some(given) = unmasked(token) else { return Ok(false) };
        let ids = [Some(&state.id), state.new_id.as_ref()];
        let is_of_id = ids.into_iter().flatten().any(|id| secret(id).ct_eq(&given).into());
        let is_of_last_id =
            || state.details.bytes(CSRF).is_some_and(|kept| kept.ct_eq(&recognition(&given, &state.digest)).into());
        Ok(is_of_id || is_of_last_id())
    }
}

impl<E: Env> Core<E> {
    /// What a rotation to `new_id` writes so that the tokens of the old id are recognised, if the session has room for it.
    pub(super) fn keep_secret(&self, state: &State, new_id: &str, writes: &[Write]) -> Result<Option<Write>> {
        let growth =
            writes.iter().map(|write| write.name.len() + write.value.as_ref().map_or(0, Vec::len)).sum::<usize>();
        let size = state.record.size.saturating_add(growth as u64).saturating_add(KEPT_BYTES);
        if size > self.world.settings().limits.session_bytes.into() {
            return Ok(None);
        }
        let kept = recognition(&secret(&state.id), &id::digest(new_id));
        let value = Some(codec::encode(&Value::Bytes(kept.into()))?);
        Ok(Some(Write { app: DETAILS.into(), name: CSRF.into(), value }))
    }
}

fn secret(id: &str) -> [u8; SECRET] {
    sha256(&[b"lemon:session csrf\0", id.as_bytes()])
}

/// What is kept of a secret under the digest of the id that follows: enough to recognise it there, and not enough to make a
/// token.
fn recognition(secret: &[u8; SECRET], digest: &Digest) -> [u8; 32] {
    sha256(&[b"lemon:session csrf before\0", secret, digest])
}

/// The secret that a token claims to have.
fn unmasked(token: &str) -> Option<[u8; SECRET]> {
    let mut bytes = [0; 2 * SECRET];
    if token.len() != TOKEN || URL_SAFE_NO_PAD.decode_slice(token, &mut bytes).ok()? != bytes.len() {
        return None;
    }
    let (mask, masked) = bytes.split_at(SECRET);
    let mut secret = [0; SECRET];
    secret.iter_mut().zip(masked).zip(mask).for_each(|((secret, masked), mask)| *secret = masked ^ mask);
    Some(secret)
}
