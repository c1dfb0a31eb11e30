//! A session: its variables, its id, and what `save` writes.

mod account;
mod applications;
mod caching;
mod core;
mod csrf;
mod device;
mod flashes;
mod owned;
mod saving;
mod sealing;
mod state;
mod variables;

use ::core::cell::{Ref, RefCell, RefMut};
use alloc::{rc::Rc, string::String, vec::Vec};

use self::caching::Caching;
pub use self::flashes::MAX_FLASHES;
pub(crate) use self::saving::too_large;
pub(crate) use self::{
    core::{Core, Parameters},
    state::State,
};
use crate::{
    Env, Error, Result, World,
    begun::Visit,
    id, name,
    reservation::Token,
    turns::{Place, Turns},
    types::Header,
};

/// A handle: one application's view of a session. `lemon:session/sessions.session`.
///
/// Calls on the handles of one start must not overlap. Where they could, each waits for its [`turn`](Session::turn).
pub struct Session<E: Env> {
    core: Rc<Core<E>>,
    app: usize,
    token: Option<Token>,
}

/// The turn of one call on a session: no other call on its handles is under way until this is dropped.
pub struct Turn<'a, E: Env> {
    session: &'a Session<E>,
    _place: Place<'a>,
}

impl<E: Env> ::core::ops::Deref for Turn<'_, E> {
    type Target = Session<E>;

    fn deref(&self) -> &Session<E> {
        self.session
    }
}

impl<E: Env> Session<E> {
    /// Waits until the calls before this one have ended, on all handles of this start, in the order in which they came.
    pub async fn turn(&self) -> Turn<'_, E> {
        Turn { session: self, _place: self.core.turns.take().await }
    }

    pub(crate) fn open(
        world: &Rc<World<E>>,
        parameters: Parameters,
        state: State,
        visit: Option<Visit>,
    ) -> Result<Self> {
        world.reservations().opened(&state.digest);
        let (world, state) = (world.clone(), RefCell::new(state));
        let session = Self::of(Rc::new(Core { world, parameters, state, turns: Turns::default() }));
        drop(session.permitted()?);
        if let Some(visit) = visit {
            session.core.world.begun.opened(visit, &session.core);
        }
        Ok(session)
    }

    /// A handle with the variables of the first application.
    pub(crate) fn of(core: Rc<Core<E>>) -> Self {
        Self { core, app: 0, token: None }
    }

    pub(crate) fn has_id_of_its_own(&self) -> bool {
        self.core.has_id_of_its_own()
    }

    /// The session's id; after `regenerate_id`, the new one.
    pub fn id(&self) -> String {
        let state = self.core.state.borrow();
        state.new_id.as_ref().unwrap_or(&state.id).clone()
    }

    /// The digest of the id in hexadecimal; until the session is saved, of the old one.
    pub fn digest(&self) -> String {
        id::to_hex(&self.core.state.borrow().digest)
    }

    /// The application whose variables this handle reads and writes.
    pub fn app(&self) -> String {
        self.core.state.borrow().applications[self.app].name.clone()
    }

    /// Whether this start created the session.
    pub fn created(&self) -> bool {
        self.core.state.borrow().created
    }

    /// Whether there are changes that a save would write, of any application, its owner or its id.
    pub fn modified(&self) -> bool {
        self.core.state.borrow().is_modified()
    }

    /// Whether a handle of this start has read or changed a variable, the owner, a message or a token.
    pub fn accessed(&self) -> bool {
        self.core.state.borrow().accessed.get()
    }

    /// When the session expires unless it is used again.
    pub fn expires_at(&self) -> u64 {
        self.core.state.borrow().record.expires
    }

    /// Gives the session a new id at its next save. A session that was never saved gets it at once: no client has the old id.
    pub fn regenerate_id(&self) -> Result<()> {
        let id = self.core.world.new_id(&self.core.parameters.seed);
        let mut state = self.live_mut()?;
        if state.stored {
            state.new_id = Some(id);
        } else {
            self.core.rename(&mut state, id);
        }
        Ok(())
    }

    /// Sets the owner of the session. Another owner has not logged in, and the session is not bound to a device for it.
    pub fn set_owner(&self, owner: Option<String>) -> Result<()> {
        if let Some(owner) = &owner {
            name::check("the owner", owner, name::OWNER_LENGTH)?;
        }
        let mut state = self.live_mut()?;
        state.accessed.set(true);
        if owner != *state.owner() {
            state.details.authenticate(None)?;
            state.has_logged_in = false;
            state.details.unbind()?;
        }
        state.new_owner = (owner != state.record.owner).then_some(owner);
        Ok(())
    }

    /// The owner of the session.
    pub fn owner(&self) -> Result<Option<String>> {
        let state = self.live()?;
        state.accessed.set(true);
        Ok(state.owner().clone())
    }

    /// Ends all other live sessions of this session's owner; returns their number.
    pub async fn destroy_others(&self) -> Result<u64> {
        let owner = self.owner()?.ok_or_else(|| {
            Error::InvalidOption(String::from("destroy-others needs the session's owner: call set-owner first"))
        })?;
        // The digest that the store knows, not that of an id to come.
        let digest = self.live()?.digest;
        let (env, location) = (&self.core.world.env, &self.core.parameters.location);
        let remember = self.core.world.settings().remember_ended;
        Ok(env.destroy_owned(location, &owner, Some(&digest), env.now(), remember).await?)
    }

    /// Stores all changes in one transaction; returns the headers to send.
    pub async fn save(&self) -> Result<Vec<Header>> {
        self.live_mut()?.saved = Some(false);
        let clock = self.core.world.env.clock();
        if self.is_stored() {
            self.core.update(clock).await?;
        } else if !(self.core.world.settings().lazy && self.core.state.borrow().is_empty()) {
            self.core.note_client()?;
            self.core.create(clock).await?;
        }
        let mut state = self.core.state.borrow_mut();
        state.saved = Some(true);
        let cookie = self.core.cookie(&state);
        let set_cookie = if !state.stored {
            // A cookie that leads to no session would be looked up in every request.
            let is_dead = self.core.parameters.brought_cookie && state.caching == Caching::Due;
            cookie.filter(|_| is_dead).map(|cookie| cookie.delete())
        } else {
            let expires_in = state.record.expires.saturating_sub(clock.as_secs());
            cookie.filter(|_| state.cookie_due).map(|cookie| cookie.set(&state.id, expires_in))
        };
        state.cookie_due &= !state.stored;
        let mut headers = self.core.headers(&mut state, set_cookie);
        headers.extend(self.core.registration(&mut state));
        Ok(headers)
    }

    /// Ends the session at once; returns the headers that delete the cookie.
    pub async fn destroy(&self) -> Result<Vec<Header>> {
        drop(self.live()?);
        if self.is_stored() {
            self.core.destroy().await?;
        }
        let mut state = self.core.state.borrow_mut();
        state.ended = true;
        let has_cookie = state.stored || self.core.parameters.brought_cookie;
        let set_cookie = self.core.cookie(&state).filter(|_| has_cookie).map(|cookie| cookie.delete());
        Ok(self.core.headers(&mut state, set_cookie))
    }

    fn is_stored(&self) -> bool {
        self.core.state.borrow().stored
    }

    fn live(&self) -> Result<Ref<'_, State>> {
        let state = self.core.state.borrow();
        if state.ended { Err(Error::Gone) } else { Ok(state) }
    }

    fn live_mut(&self) -> Result<RefMut<'_, State>> {
        let state = self.core.state.borrow_mut();
        if state.ended { Err(Error::Gone) } else { Ok(state) }
    }
}

#[cfg(test)]
mod tests;
