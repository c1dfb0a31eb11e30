use alloc::{rc::Rc, string::String};
use core::cell::RefCell;

use super::State;
use crate::{
    Env, Error, Result, World,
    cookie::Cookie,
    expiry::Expiry,
    id::{self, Digest},
    options,
    start::INLINE_BYTES,
    storage::{DestroyCondition, LoadOutcome, Loaded, Location},
    types::CacheLimiter,
};

/// What all handles of one start share.
pub(crate) struct Core<E: Env> {
    pub(super) world: Rc<World<E>>,
    pub(super) parameters: Parameters,
    pub(super) state: RefCell<State>,
}

/// The parameters of a start, completed by the settings.
pub(crate) struct Parameters {
    pub location: Location,
    pub strict: bool,
    pub seed: String,
    pub expiry: Expiry,
    /// Whether a cookie carries the id; not if the application passed a `session-id`.
    pub has_cookie: bool,
    /// Whether the request has a cookie of that name.
    pub brought_cookie: bool,
    pub cookie: Option<options::Cookie>,
    pub https: bool,
    pub cache_limiter: CacheLimiter,
}

impl<E: Env> Drop for Core<E> {
    fn drop(&mut self) {
        // Another start of this request may join a stored session.
        let id = {
            let state = self.state.get_mut();
            (state.stored && !state.ended && state.has_id_of_its_own).then(|| state.id.clone())
        };
        self.world.begun.closed(self, id);
        let state = self.state.get_mut();
        self.world.reservations().closed(&state.digest);
        if let Some(notice) = state.notice() {
            self.world.env.notify(&notice);
        }
    }
}

impl<E: Env> Core<E> {
    /// Whether the session is live under an id that this request gave it.
    pub fn has_id_of_its_own(&self) -> bool {
        let state = self.state.borrow();
        !state.ended && state.has_id_of_its_own
    }

    /// The cookie that carries the id. The start has checked it.
    pub(super) fn cookie<'a>(&'a self, state: &'a State) -> Option<Cookie<'a>> {
        let Parameters { has_cookie, ref cookie, https, .. } = self.parameters;
        let settings = &self.world.settings().cookie;
        // The first application is the one that was started, which the cookie may be named after.
        has_cookie.then(|| Cookie::new(cookie.as_ref(), https, settings, &state.applications[0].name))
    }

    /// An application's variables as they are stored now. The session ends here if the store no longer has it.
    ///
    /// `strict` keeps comparing with the version of the start: what the application read first is the oldest that it knows.
    pub(super) fn load(&self, state: &mut State, app: &str) -> Result<Loaded> {
        let env = &self.world.env;
        match env.load(&self.parameters.location, &state.digest, app, env.now(), INLINE_BYTES)? {
            LoadOutcome::Found(mut loaded) => {
                self.follow(state, &mut loaded);
                Ok(loaded)
            }
            LoadOutcome::Absent | LoadOutcome::Expired | LoadOutcome::Ended => {
                state.ended = true;
                Err(Error::Gone)
            }
        }
    }

    pub(super) fn destroy(&self, state: &mut State) -> Result<()> {
        let env = &self.world.env;
        let remember = self.world.settings().remember_ended;
        let destroy = |digest: &Digest| {
            env.destroy(&self.parameters.location, digest, &DestroyCondition::Any, env.now(), remember)
        };
        if !destroy(&state.digest)? && self.world.settings().renew_after != 0 && self.renewed_meanwhile(state)? {
            destroy(&state.digest)?;
        }
        Ok(())
    }

    /// Changes to the id that another request's rotation gave the session; returns whether there was one.
    pub(super) fn renewed_meanwhile(&self, state: &mut State) -> Result<bool> {
        let env = &self.world.env;
        let app = &state.applications[0].name;
        let outcome = env.load(&self.parameters.location, &state.digest, app, env.now(), 0)?;
        let LoadOutcome::Found(mut loaded) = outcome else { return Ok(false) };
        let was_renewed = loaded.renewal.is_some();
        self.follow(state, &mut loaded);
        Ok(was_renewed)
    }

    /// Changes to the id that another request's rotation gave the session, if `loaded` says so.
    fn follow(&self, state: &mut State, loaded: &mut Loaded) {
        if let Some(nonce) = loaded.renewal.take() {
            state.record.rotated = loaded.record.rotated;
            let id = id::successor(&state.id, &nonce);
            self.rename(state, id);
        }
    }

    pub(super) fn rename(&self, state: &mut State, id: String) {
        let old = state.digest;
        state.become_id(id);
        self.world.reservations().renamed(&old, &state.digest);
    }
}
