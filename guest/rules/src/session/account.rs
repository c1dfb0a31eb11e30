//! What a site with accounts needs: logins, how long a session lasts, and what its user is told of it.

use alloc::string::String;

use super::Session;
use crate::{
    Env, Result, name,
    types::{Lifetime, Metadata},
};

impl<E: Env> Session<E> {
    /// The owner has logged in: sets the owner, notes when and how, and gives the session a new id at its next save.
    pub fn authenticate(&self, owner: &str, method: &str) -> Result<()> {
        name::check("the authentication method", method, name::METHOD_LENGTH)?;
        self.set_owner(Some(owner.into()))?;
        self.regenerate_id()?;
        let settings = self.core.world.settings();
        let now = self.core.world.env.now();
        let mut state = self.live_mut()?;
        state.details.authenticate(Some((now, method.into())))?;
        state.details.note_client(&self.core.world)?;
        state.has_logged_in = true;
        // Its deadline counts from now.
        if settings.login_lifetime != 0 {
            state.new_lifetime.get_or_insert(None);
        }
        drop(state);
        self.offer_binding()
    }

    /// Whether the owner's last login was at most `seconds` ago.
    pub fn fresh_within(&self, seconds: u32) -> Result<bool> {
        let authenticated_at = self.live()?.details.authenticated_at();
        let now = self.core.world.env.now();
        Ok(authenticated_at.is_some_and(|at| now.saturating_sub(at) <= seconds.into()))
    }

    /// Gives the session another lifetime, which is stored with it.
    pub fn set_lifetime(&self, lifetime: &Lifetime) -> Result<()> {
        let mut state = self.live_mut()?;
        state.details.give(lifetime)?;
        state.new_lifetime = Some(lifetime.max_lifetime);
        Ok(())
    }

    /// Makes the session and its cookie last this many seconds after each use.
    pub fn remember(&self, seconds: u32) -> Result<()> {
        self.set_lifetime(&Lifetime { expires: Some(seconds), ..Lifetime::default() })
    }

    /// What the user calls the session, the device for example.
    pub fn set_label(&self, label: Option<String>) -> Result<()> {
        if let Some(label) = &label {
            name::check("the label", label, name::LABEL_LENGTH)?;
        }
        self.live_mut()?.details.set_label(label)
    }

    /// What is known of the session, with what is not saved yet.
    pub fn metadata(&self) -> Result<Metadata> {
        let state = self.live()?;
        Ok(Metadata {
            created: state.record.created,
            accessed: state.record.accessed,
            absolute_expiry: state.record.absolute_expiry,
            authenticated_at: state.details.authenticated_at(),
            method: state.details.method(),
            label: state.details.label(),
            address: state.details.address(),
            user_agent: state.details.user_agent(),
        })
    }
}
