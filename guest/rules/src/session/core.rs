use alloc::{rc::Rc, string::String};
use core::{cell::RefCell, mem, time::Duration};

use super::State;
use crate::{
    Env, Error, Result, World,
    cookie::Cookie,
    expiry::Expiry,
    id::{self, Digest},
    options,
    start::INLINE_BYTES,
    storage::{DestroyCondition, Lifetime, LoadOutcome, Loaded, Location},
    turns::Turns,
    types::CacheLimiter,
};

/// What all handles of one start share.
pub(crate) struct Core<E: Env> {
    pub(super) world: Rc<World<E>>,
    pub(super) parameters: Parameters,
    /// Never borrowed while a call waits: a handle can tell of itself at any time.
    pub(super) state: RefCell<State>,
    pub(super) turns: Turns,
}

/// A write whose outcome is unknown until this is forgotten. Dropping it ends the session.
struct Unknown<'a>(&'a RefCell<State>);

impl Drop for Unknown<'_> {
    fn drop(&mut self) {
        self.0.borrow_mut().ended = true;
    }
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

    /// Whether the session is live and was started for this application.
    pub fn is_of(&self, app: &str) -> bool {
        let state = self.state.borrow();
        !state.ended && state.applications[0].name == app
    }

    /// The digest that the store knows the session by.
    pub(super) fn digest(&self) -> Digest {
        self.state.borrow().digest
    }

    /// The cookie that carries the id. The start has checked it.
    pub(super) fn cookie<'a>(&'a self, state: &'a State) -> Option<Cookie<'a>> {
        let Parameters { has_cookie, ref cookie, https, .. } = self.parameters;
        let settings = &self.world.settings().cookie;
        // The first application is the one that was started, which the cookie may be named after.
        has_cookie.then(|| {
            let cookie = Cookie::new(cookie.as_ref(), https, settings, &state.applications[0].name);
            cookie.lasting(state.details.cookie())
        })
    }

    /// The rules of when the session expires.
    pub(super) fn expiry(&self, state: &State) -> Expiry {
        state.details.expiry(self.parameters.expiry, self.world.settings())
    }

    /// What the next save stores as the lifetime, if that changes.
    pub(super) fn new_lifetime(&self, state: &State, clock: Duration) -> Option<Lifetime> {
        let (start, settings) = (self.parameters.expiry, self.world.settings());
        state.new_lifetime.map(|longest| state.details.lifetime(longest, start, &state.record, settings, clock))
    }

    /// An application's variables as they are stored now. The session ends here if the store no longer has it.
    ///
    /// `strict` keeps comparing with the version of the start: what the application read first is the oldest that it knows.
    pub(super) async fn load(&self, app: &str) -> Result<Loaded> {
        let env = &self.world.env;
        match env.load(&self.parameters.location, &self.digest(), app, env.now(), INLINE_BYTES).await? {
            LoadOutcome::Found(mut loaded) => {
                self.follow(&mut loaded);
                let mut state = self.state.borrow_mut();
                state.reload_details(mem::take(&mut loaded.details));
                loaded.variables = state.opened(app, loaded.variables);
                Ok(loaded)
            }
            LoadOutcome::Absent | LoadOutcome::Expired | LoadOutcome::Ended => {
                self.state.borrow_mut().ended = true;
                Err(Error::Gone)
            }
        }
    }

    pub(super) async fn destroy(&self) -> Result<()> {
        if !self.destroy_stored().await? && self.world.settings().renew_after != 0 && self.renewed_meanwhile().await? {
            self.destroy_stored().await?;
        }
        Ok(())
    }

    async fn destroy_stored(&self) -> Result<bool> {
        let (env, location) = (&self.world.env, &self.parameters.location);
        let remember = self.world.settings().remember_ended;
        let digest = self.digest();
        let destroy = env.destroy(location, &digest, &DestroyCondition::Any, env.now(), remember);
        Ok(self.writing(destroy).await?)
    }

    /// Waits for a call that changes what is stored of this session. If it is cancelled, its outcome
    /// stays unknown, and the session ends here: its changes cannot be saved a second time.
    pub(super) async fn writing<T>(&self, call: impl Future<Output = T>) -> T {
        let unknown = Unknown(&self.state);
        let answer = call.await;
        mem::forget(unknown);
        answer
    }

    /// Changes to the id that another request's rotation gave the session; returns whether there was one.
    pub(super) async fn renewed_meanwhile(&self) -> Result<bool> {
        let env = &self.world.env;
        let app = self.state.borrow().applications[0].name.clone();
        let outcome = env.load(&self.parameters.location, &self.digest(), &app, env.now(), 0).await?;
        let LoadOutcome::Found(mut loaded) = outcome else { return Ok(false) };
        let was_renewed = loaded.renewal.is_some();
        self.follow(&mut loaded);
        Ok(was_renewed)
    }

    /// Changes to the id that another request's rotation gave the session, if `loaded` says so.
    fn follow(&self, loaded: &mut Loaded) {
        if let Some(nonce) = loaded.renewal.take() {
            let state = &mut *self.state.borrow_mut();
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
