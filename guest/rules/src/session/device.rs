//! The offer to a browser to bind a session to its device, with each login.

use core::mem;

use super::{Core, Session, State};
use crate::{
    Env, Result,
    device_bound::{ANSWER_TIME, next_challenge, registration_header, registration_path},
    types::Header,
};

impl<E: Env> Session<E> {
    /// Has the next save ask the browser to bind the session, unless it is bound, or cannot be.
    pub(super) fn offer_binding(&self) -> Result<()> {
        let world = &self.core.world;
        if world.settings().device_bound == 0 {
            return Ok(());
        }
        let cookie = {
            let state = self.live()?;
            self.core.cookie(&state).filter(|_| state.details.binding().is_none()).and_then(|cookie| cookie.bound())
        };
        let Some(cookie) = cookie else { return Ok(()) };
        let challenge = next_challenge(world, world.env.now().saturating_add(ANSWER_TIME));
        let mut state = self.live_mut()?;
        state.offers_binding = true;
        state.details.offer(&challenge, cookie)
    }
}

impl<E: Env> Core<E> {
    /// The header that asks the browser to bind the session, if that was not asked yet.
    pub(super) fn registration(&self, state: &mut State) -> Option<Header> {
        if !mem::take(&mut state.offers_binding) {
            return None;
        }
        let path = registration_path(&self.cookie(state)?, &self.parameters.location);
        registration_header(&path, &state.details.challenge()?)
    }
}
