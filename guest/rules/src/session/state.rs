use alloc::{string::String, vec::Vec};
use core::{cell::Cell, time::Duration};

use super::caching::Caching;
use crate::{
    details::{Details, SEAL},
    expiry::Expiry,
    id::{self, Digest},
    pending::Application,
    seal::{self, Seal},
    settings::Notice,
    storage::{Loaded, SessionRecord, Stored, Variable, Write},
};

/// What a start knows of its session, and what its next save writes.
pub(crate) struct State {
    pub(super) id: String,
    pub(super) digest: Digest,
    pub(super) record: SessionRecord,
    pub(super) details: Details,
    /// The key of the session's values, if it has one.
    pub(super) seal: Option<Seal>,
    /// Whether the next save sets the lifetime anew, and after how many seconds the session then ends at the latest.
    pub(super) new_lifetime: Option<Option<u32>>,
    pub(super) applications: Vec<Application>,
    /// Whether this start created it.
    pub(super) created: bool,
    /// Whether the store has it.
    pub(super) stored: bool,
    /// Whether it has ended, so that every call fails with `gone`.
    pub(super) ended: bool,
    /// Whether the last save succeeded, if there was one.
    pub(super) saved: Option<bool>,
    pub(super) new_id: Option<String>,
    pub(super) new_owner: Option<Option<String>>,
    /// Whether the owner has logged in since the last save.
    pub(super) has_logged_in: bool,
    /// Whether a handle has read or changed anything.
    pub(super) accessed: Cell<bool>,
    /// Whether the session has to be stored although it is empty.
    pub(super) is_needed: bool,
    /// Whether the next save has to send the cookie.
    pub(super) cookie_due: bool,
    /// Whether the next save has to ask the browser to bind the session to its device.
    pub(super) offers_binding: bool,
    /// Whether this request gave the session its id, so that the request's cookies do not lead to it.
    pub(super) has_id_of_its_own: bool,
    /// What the returned headers tell caches so far.
    pub(super) caching: Caching,
}

impl State {
    /// A stored session, found under `id` with its digest. `is_current` says whether the browser has the cookie with the
    /// required attributes, `has_id_of_its_own` whether this request gave the session its id.
    pub fn resumed(
        id: String,
        digest: Digest,
        loaded: Loaded,
        app: &str,
        is_current: bool,
        has_id_of_its_own: bool,
    ) -> Self {
        let mut state = Self {
            id,
            digest,
            record: loaded.record,
            details: Details::new(loaded.details),
            seal: None,
            new_lifetime: None,
            applications: Vec::new(),
            created: false,
            stored: true,
            ended: false,
            saved: None,
            new_id: None,
            new_owner: None,
            has_logged_in: false,
            accessed: Cell::new(false),
            is_needed: false,
            cookie_due: !is_current,
            offers_binding: false,
            has_id_of_its_own,
            caching: Caching::Due,
        };
        if let Some(nonce) = loaded.renewal {
            state.become_id(id::successor(&state.id, &nonce));
        }
        state.seal = state.stored_seal();
        state.applications.push(Application::new(app, state.opened(app, loaded.variables)));
        state
    }

    /// The key of the values that the details have.
    fn stored_seal(&self) -> Option<Seal> {
        Seal::unwrap(&self.id, &self.details.bytes(SEAL)?)
    }

    /// The details as the store has them now.
    pub(super) fn reload_details(&mut self, details: Vec<Variable>) {
        self.details.0.reload(details);
        self.seal = self.seal.take().or_else(|| self.stored_seal());
    }

    /// Loaded variables, with the sealed ones opened. What cannot be opened stays as it is, and is unreadable.
    pub(super) fn opened(&self, app: &str, mut variables: Vec<Variable>) -> Vec<Variable> {
        for Variable { name, value } in &mut variables {
            if let Stored::Inline(bytes) = value
                && let Some(opened) = self.opened_value(app, name, bytes)
            {
                *bytes = opened;
            }
        }
        variables
    }

    /// The bytes of a sealed variable. `None` if it is not sealed or cannot be opened.
    pub(super) fn opened_value(&self, app: &str, name: &str, bytes: &[u8]) -> Option<Vec<u8>> {
        self.seal.as_ref().filter(|_| seal::is_sealed(bytes))?.open(app, name, bytes)
    }

    /// A new session.
    pub fn begun(id: String, expiry: Expiry, app: &str, clock: Duration) -> Self {
        let now = clock.as_secs();
        let absolute_expiry = expiry.absolute_expiry(clock);
        let record = SessionRecord {
            created: now,
            accessed: now,
            expires: expiry.first(absolute_expiry, clock),
            absolute_expiry,
            rotated: now,
            owner: None,
            version: 0,
            size: 0,
        };
        Self {
            digest: id::digest(&id),
            id,
            record,
            details: Details::new(Vec::new()),
            seal: None,
            new_lifetime: None,
            applications: Vec::from([Application::new(app, Vec::new())]),
            created: true,
            stored: false,
            ended: false,
            saved: None,
            new_id: None,
            new_owner: None,
            has_logged_in: false,
            accessed: Cell::new(false),
            is_needed: false,
            cookie_due: true,
            offers_binding: false,
            has_id_of_its_own: true,
            caching: Caching::Due,
        }
    }

    pub(super) fn become_id(&mut self, id: String) {
        self.digest = id::digest(&id);
        self.id = id;
        self.cookie_due = true;
    }

    /// A save has stored these writes.
    pub(super) fn committed(&mut self, writes: Vec<Write>) {
        for write in writes {
            let mut all = self.applications.iter_mut().chain([&mut self.details.0]);
            if let Some(application) = all.find(|application| application.name == write.app) {
                application.committed(&write.name, write.value);
            }
        }
        self.applications.iter_mut().for_each(Application::clears_committed);
    }

    /// What an application probably did not intend, if all handles are dropped now. An application that got an error from `save`,
    /// or ended the session, knows that its changes are lost.
    pub(super) fn notice(&self) -> Option<Notice> {
        let changed = match self.applications.iter().find(|application| application.is_changed()) {
            None if self.is_modified() => self.applications.first(),
            changed => changed,
        };
        let app = changed?.name.clone();
        match self.saved {
            _ if self.ended => None,
            None => Some(Notice::Unsaved(app)),
            Some(true) => Some(Notice::ChangedAfterSave(app)),
            Some(false) => None,
        }
    }

    pub(super) fn owner(&self) -> &Option<String> {
        self.new_owner.as_ref().unwrap_or(&self.record.owner)
    }

    /// All that is stored as variables.
    pub(super) fn stores(&self) -> impl Iterator<Item = &Application> {
        self.applications.iter().chain([&self.details.0])
    }

    /// Whether a save would write what an application changed.
    pub(super) fn is_modified(&self) -> bool {
        let is_changed = self.stores().any(Application::is_changed);
        let is_other = self.new_owner.is_some() || self.new_id.is_some() || self.new_lifetime.is_some();
        !self.ended && (is_changed || is_other)
    }

    pub(super) fn is_empty(&self) -> bool {
        !self.is_needed
            && self.new_owner.as_ref().is_none_or(Option::is_none)
            && self.stores().all(|application| application.all_names().next().is_none())
    }
}
