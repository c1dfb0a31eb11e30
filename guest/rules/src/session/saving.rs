//! What `save` writes.

use alloc::{borrow::ToOwned, format, string::String, vec::Vec};
use core::time::Duration;

use super::{Core, State, sealing::Writes};
use crate::{
    Env, Error, Result, id,
    pending::Application,
    seal::Seal,
    storage::{Change, CreateOutcome, Grace, Lifetime, Rotation, SessionRecord, UpdateOutcome, Write},
};

/// How often `save` repeats an addition that other saves overtook before it fails with `conflict`.
const ADD_ATTEMPTS: u32 = 1000;

/// What a save writes.
struct Due {
    change: Change,
    /// The writes of the change before they were sealed.
    plain: Option<Vec<Write>>,
    /// The key of the session's values after it.
    seal: Option<Seal>,
    /// The id that it gives the session.
    new_id: Option<String>,
    /// The version that the session has to have.
    expected: Option<u64>,
}

impl<E: Env> Core<E> {
    /// Stores a new session. One whose owner has logged in is stored without anything first: a store counts the sessions of an owner
    /// only in an update.
    pub(super) async fn create(&self, clock: Duration) -> Result<()> {
        let (mut record, Writes { mut stored, plain, seal, .. }) = self.creation(clock)?;
        let is_counted = self.max_owned(&self.state.borrow()).is_some();
        if is_counted {
            record = SessionRecord { version: 1, ..self.state.borrow().record.clone() };
            stored.clear();
        }
        let digest = self.digest();
        let create = self.world.env.create(&self.parameters.location, &digest, &record, &stored);
        match self.writing(create).await? {
            CreateOutcome::Created => {}
            // 256 random bits do not repeat: the random source of this host is broken.
            CreateOutcome::Exists => return Err(Error::Storage(String::from("a new session's id is in use already"))),
        }
        {
            let mut state = self.state.borrow_mut();
            state.stored = true;
            state.record = record;
        }
        if is_counted {
            return self.update(clock).await;
        }
        let mut state = self.state.borrow_mut();
        (state.new_owner, state.new_lifetime, state.has_logged_in) = (None, None, false);
        state.seal = seal;
        state.committed(plain.unwrap_or(stored));
        Ok(())
    }

    /// Keeps what the settings say of the client with which the session begins.
    pub(super) fn note_client(&self) -> Result<()> {
        self.state.borrow_mut().details.note_client(&self.world)
    }

    /// What a new session is stored as.
    fn creation(&self, clock: Duration) -> Result<(SessionRecord, Writes)> {
        let state = self.state.borrow();
        let now = clock.as_secs();
        let mut writes = Vec::new();
        for application in state.stores() {
            application.writes(&mut writes)?;
        }
        let writes = self.sealed(&state, writes, &state.id, false)?;
        let stored = writes.stored.iter();
        let size = stored.map(|write| write.name.len() + write.value.as_ref().map_or(0, Vec::len)).sum::<usize>();
        let limit = self.world.settings().limits.session_bytes;
        if size > limit as usize {
            return Err(too_large(size as u64, limit));
        }
        let lifetime = self.new_lifetime(&state, clock).unwrap_or_else(|| {
            let SessionRecord { expires, absolute_expiry, .. } = state.record;
            let pushed = self.parameters.expiry.pushed(expires, absolute_expiry, clock);
            Lifetime { expires: pushed.unwrap_or(expires), absolute_expiry }
        });
        let record = SessionRecord {
            accessed: now,
            // No client has the id before this save.
            rotated: now,
            expires: lifetime.expires,
            absolute_expiry: lifetime.absolute_expiry,
            owner: state.new_owner.clone().unwrap_or_default(),
            version: 1,
            // The store counts the size itself.
            ..state.record
        };
        Ok((record, writes))
    }

    /// Writes the changes, if there are any.
    pub(super) async fn update(&self, clock: Duration) -> Result<()> {
        let now = clock.as_secs();
        let settings = self.world.settings();
        let mut attempts = 0;
        loop {
            attempts += 1;
            let Some(Due { change, plain, seal, new_id, expected }) = self.due(clock)? else { return Ok(()) };
            let digest = self.digest();
            let update = self.world.env.update(&self.parameters.location, &digest, &change, expected, now);
            match self.writing(update).await? {
                UpdateOutcome::Committed(version) => {
                    self.state.borrow_mut().seal = seal;
                    self.committed(Change { writes: plain.unwrap_or(change.writes), ..change }, new_id, version, now);
                    return Ok(());
                }
                UpdateOutcome::TooLarge(size) => return Err(too_large(size, settings.limits.session_bytes)),
                UpdateOutcome::TooManyOwned(sessions) => self.make_room(&change, sessions, attempts).await?,
                UpdateOutcome::Conflict(_) if !self.parameters.strict && attempts < ADD_ATTEMPTS => {
                    self.reload().await?;
                }
                UpdateOutcome::Conflict(_) => {
                    self.state.borrow_mut().ended = true;
                    return Err(Error::Conflict);
                }
                // Another request may have rotated the id meanwhile: the session is then found under its new one.
                UpdateOutcome::Gone if settings.renew_after != 0 && self.renewed_meanwhile().await? => {}
                UpdateOutcome::Gone => {
                    self.state.borrow_mut().ended = true;
                    return Err(Error::Gone);
                }
            }
        }
    }

    /// What is to be written, if anything is.
    fn due(&self, clock: Duration) -> Result<Option<Due>> {
        let state = &*self.state.borrow();
        let renewal = self.renewal(state, clock.as_secs());
        let Some((mut change, new_id)) = self.change(state, renewal.as_deref(), clock)? else { return Ok(None) };
        let id = new_id.as_ref().unwrap_or(&state.id);
        let writes = self.sealed(state, change.writes, id, new_id.is_some())?;
        change.writes = writes.stored;
        let adds = state.applications.iter().any(Application::adds);
        // Only one save may give the session its key, and none may leave it wrapped for an id that it replaces.
        let is_without_key = writes.is_first || (new_id.is_some() && state.seal.is_none());
        let expected = (self.parameters.strict || adds || is_without_key).then_some(state.record.version);
        Ok(Some(Due { change, plain: writes.plain, seal: writes.seal, new_id, expected }))
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
        for application in state.stores() {
            application.writes(&mut writes)?;
        }
        if let (Some(id), Some(_)) = (&new_id, &grace) {
            writes.extend(self.keep_secret(state, id, &writes)?);
        }
        let cleared = state.applications.iter().filter(|application| application.is_cleared());
        let lifetime = self.new_lifetime(state, clock);
        let SessionRecord { expires, absolute_expiry, .. } = state.record;
        let expires = match lifetime {
            Some(_) => None,
            None => self.expiry(state).pushed(expires, absolute_expiry, clock),
        };
        let change = Change {
            clears: cleared.map(|application| application.name.clone()).collect(),
            writes,
            owner: state.new_owner.clone(),
            max_owned: self.max_owned(state),
            expires,
            lifetime,
            rotation: new_id.as_ref().map(|id| Rotation { to: id::digest(id).to_vec(), grace }),
            max_size: settings.limits.session_bytes.into(),
            remember: settings.remember_ended,
        };
        let is_empty = change.clears.is_empty()
            && change.writes.is_empty()
            && change.owner.is_none()
            && change.expires.is_none()
            && change.lifetime.is_none()
            && change.rotation.is_none();
        Ok((!is_empty).then_some((change, new_id)))
    }

    fn committed(&self, change: Change, new_id: Option<String>, version: u64, now: u64) {
        let state = &mut *self.state.borrow_mut();
        state.record.version = version;
        state.has_logged_in = false;
        if let Some(owner) = change.owner {
            state.record.owner = owner;
            state.new_owner = None;
        }
        if let Some(Lifetime { expires, absolute_expiry }) = change.lifetime {
            (state.record.expires, state.record.absolute_expiry) = (expires, absolute_expiry);
            state.new_lifetime = None;
            state.cookie_due = true;
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

    /// Reads again the variables that are added to, and the session's key. The next update expects the oldest version that was read.
    async fn reload(&self) -> Result<()> {
        let applications: Vec<(usize, String)> = {
            let state = self.state.borrow();
            let adds = state.applications.iter().any(Application::adds);
            let applications = state.applications.iter().enumerate();
            let due = applications.filter(|(index, app)| app.adds() || (!adds && *index == 0));
            due.map(|(index, app)| (index, app.name.clone())).collect()
        };
        let mut version = u64::MAX;
        for (index, name) in applications {
            let loaded = self.load(&name).await?;
            self.state.borrow_mut().applications[index].reload(loaded.variables);
            version = version.min(loaded.record.version);
        }
        self.state.borrow_mut().record.version = version;
        Ok(())
    }
}

pub(crate) fn too_large(size: u64, limit: u32) -> Error {
    Error::TooLarge(format!("the session would have {size} bytes; the limit session-bytes is {limit}"))
}
