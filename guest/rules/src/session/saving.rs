//! What `save` writes.

use alloc::{borrow::ToOwned, format, string::String, vec::Vec};
use core::time::Duration;

use super::{Core, State};
use crate::{
    Env, Error, Result, id,
    pending::Application,
    storage::{Change, CreateOutcome, Grace, Rotation, SessionRecord, UpdateOutcome},
};

/// How often `save` repeats an addition that other saves overtook before it fails with `conflict`.
const ADD_ATTEMPTS: u32 = 1000;

impl<E: Env> Core<E> {
    /// Stores a new session.
    pub(super) fn create(&self, state: &mut State, clock: Duration) -> Result<()> {
        let now = clock.as_secs();
        let mut writes = Vec::new();
        for application in &state.applications {
            application.writes(&mut writes)?;
        }
        let size =
            writes.iter().map(|write| write.name.len() + write.value.as_ref().map_or(0, Vec::len)).sum::<usize>();
        let limit = self.world.settings().limits.session_bytes;
        if size > limit as usize {
            return Err(too_large(size as u64, limit));
        }
        let record = SessionRecord {
            accessed: now,
            // No client has the id before this save.
            rotated: now,
            expires: self
                .parameters
                .expiry
                .pushed(state.record.expires, state.record.absolute_expiry, clock)
                .unwrap_or(state.record.expires),
            owner: state.new_owner.clone().unwrap_or_default(),
            version: 1,
            // The store counts the size itself.
            ..state.record
        };
        match self.world.env.create(&self.parameters.location, &state.digest, &record, &writes)? {
            CreateOutcome::Created => {}
            // 256 random bits do not repeat: the random source of this host is broken.
            CreateOutcome::Exists => return Err(Error::Storage(String::from("a new session's id is in use already"))),
        }
        state.stored = true;
        state.record = record;
        state.new_owner = None;
        state.committed(writes);
        Ok(())
    }

    /// Writes the changes, if there are any.
    pub(super) fn update(&self, state: &mut State, clock: Duration) -> Result<()> {
        let now = clock.as_secs();
        let settings = self.world.settings();
        let mut attempts = 0;
        loop {
            attempts += 1;
            let renewal = self.renewal(state, now);
            let change = self.change(state, renewal.as_deref(), clock)?;
            let Some((change, new_id)) = change else { return Ok(()) };
            let adds = state.applications.iter().any(Application::adds);
            let expected = (self.parameters.strict || adds).then_some(state.record.version);
            match self.world.env.update(&self.parameters.location, &state.digest, &change, expected, now)? {
                UpdateOutcome::Committed(version) => {
                    self.committed(state, change, new_id, version, now);
                    return Ok(());
                }
                UpdateOutcome::TooLarge(size) => return Err(too_large(size, settings.limits.session_bytes)),
                UpdateOutcome::Conflict(_) if !self.parameters.strict && attempts < ADD_ATTEMPTS => {
                    self.reload_added(state)?;
                }
                UpdateOutcome::Conflict(_) => {
                    state.ended = true;
                    return Err(Error::Conflict);
                }
                // Another request may have rotated the id meanwhile: the session is then found under its new one.
                UpdateOutcome::Gone if settings.renew_after != 0 && self.renewed_meanwhile(state)? => {}
                UpdateOutcome::Gone => {
                    state.ended = true;
                    return Err(Error::Gone);
                }
            }
        }
    }

    /// The nonce of an id rotation, if one is due.
    fn renewal(&self, state: &State, now: u64) -> Option<Vec<u8>> {
        let renew_after = self.world.settings().renew_after;
        let is_off = renew_after == 0 || !self.parameters.has_cookie || state.new_id.is_some();
        if is_off || now.saturating_sub(state.record.rotated) < renew_after.into() {
            return None;
        }
        let mut nonce = [0; 32];
        self.world.env.random(&mut nonce);
        Some(nonce.into())
    }

    /// The change to write, with the id that it gives the session; `None` when there is nothing to write.
    fn change(
        &self,
        state: &State,
        renewal: Option<&[u8]>,
        clock: Duration,
    ) -> Result<Option<(Change, Option<String>)>> {
        let settings = self.world.settings();
        let (new_id, grace) = match (&state.new_id, renewal) {
            (Some(id), _) => (Some(id.clone()), None),
            (None, Some(nonce)) => {
                let until = clock.as_secs().saturating_add(settings.renew_grace.into());
                (Some(id::successor(&state.id, nonce)), Some(Grace { until, nonce: nonce.to_owned() }))
            }
            (None, None) => (None, None),
        };
        let mut writes = Vec::new();
        for application in &state.applications {
            application.writes(&mut writes)?;
        }
        let cleared = state.applications.iter().filter(|application| application.is_cleared());
        let change = Change {
            clears: cleared.map(|application| application.name.clone()).collect(),
            writes,
            owner: state.new_owner.clone(),
            expires: self.parameters.expiry.pushed(state.record.expires, state.record.absolute_expiry, clock),
            rotation: new_id.as_ref().map(|id| Rotation { to: id::digest(id).to_vec(), grace }),
            max_size: settings.limits.session_bytes.into(),
            remember: settings.remember_ended,
        };
        let is_empty = change.clears.is_empty()
            && change.writes.is_empty()
            && change.owner.is_none()
            && change.expires.is_none()
            && change.rotation.is_none();
        Ok((!is_empty).then_some((change, new_id)))
    }

    fn committed(&self, state: &mut State, change: Change, new_id: Option<String>, version: u64, now: u64) {
        state.record.version = version;
        if let Some(owner) = change.owner {
            state.record.owner = owner;
            state.new_owner = None;
        }
        if let Some(expires) = change.expires {
            state.record.expires = expires;
            state.cookie_due |= self.cookie(state).is_some_and(|cookie| cookie.is_persistent());
        }
        if let Some(id) = new_id {
            state.record.rotated = now;
            state.has_id_of_its_own |= state.new_id.take().is_some();
            self.rename(state, id);
        }
        state.committed(change.writes);
    }

    /// Reads again the variables that are added to. The next update expects the oldest version that was read.
    fn reload_added(&self, state: &mut State) -> Result<()> {
        let mut version = u64::MAX;
        for index in 0..state.applications.len() {
            if state.applications[index].adds() {
                let name = state.applications[index].name.clone();
                let loaded = self.load(state, &name)?;
                state.applications[index].reload(loaded.variables);
                version = version.min(loaded.record.version);
            }
        }
        state.record.version = version;
        Ok(())
    }
}

fn too_large(size: u64, limit: u32) -> Error {
    Error::TooLarge(format!("the session would have {size} bytes; the limit session-bytes is {limit}"))
}
