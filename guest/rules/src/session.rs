//! A session: its variables, its id, and what `save` writes.

use alloc::{
    borrow::ToOwned,
    format,
    rc::Rc,
    string::{String, ToString},
    vec::Vec,
};
use core::{
    cell::{Ref, RefCell, RefMut},
    time::Duration,
};

use crate::{
    Env, Error, Result, Value, World,
    begun::Visit,
    bindings::{
        sessions,
        settings::Notice,
        storage::{
            Change, CreateOutcome, DestroyCondition, Grace, LoadOutcome, Loaded, Location, Rename, SessionRecord,
            UpdateOutcome, Write,
        },
        types::{CacheLimiter, Header},
    },
    codec,
    cookie::Cookie,
    expiry::Expiry,
    id::{self, Key},
    name,
    pending::{Application, Found},
    reservation::Token,
    start::INLINE_BYTES,
};

/// How often `save` repeats an addition that other saves overtook before it answers `conflict`.
const ADD_ATTEMPTS: u32 = 1000;

/// A handle: one application's view of a session. `lemon:session/sessions.session`.
pub struct Session<E: Env> {
    core: Rc<Core<E>>,
    app: usize,
    token: Option<Token>,
}

/// What all handles of one start share.
pub(crate) struct Core<E: Env> {
    world: Rc<World<E>>,
    parameters: Parameters,
    state: RefCell<State>,
}

/// What a start asked for.
pub(crate) struct Parameters {
    pub location: Location,
    pub strict: bool,
    pub seed: String,
    pub expiry: Expiry,
    /// Whether a cookie carries the id: not when the application named the session by its id.
    pub has_cookie: bool,
    /// Whether the request brought a cookie of that name.
    pub brought_cookie: bool,
    pub cookie: Option<sessions::Cookie>,
    pub https: bool,
    pub cache_limiter: CacheLimiter,
}

pub(crate) struct State {
    id: String,
    key: Key,
    record: SessionRecord,
    applications: Vec<Application>,
    /// Whether this start began it.
    created: bool,
    /// Whether the store has it.
    stored: bool,
    /// Whether it has ended, so that no handle is of use any more.
    ended: bool,
    /// How the last save came out, if there was one.
    saved: Option<bool>,
    new_id: Option<String>,
    new_owner: Option<Option<String>>,
    /// Whether the browser has to be given the cookie.
    cookie_due: bool,
    /// Whether this request gave the session its id, to which the request's cookies do not lead.
    has_id_of_its_own: bool,
    /// What caches were told so far.
    caching: Caching,
}

/// What the headers that were returned say to caches.
#[derive(Clone, Copy, PartialEq)]
enum Caching {
    /// Nothing was returned yet.
    Due,
    /// What the cache limiter says.
    Limited,
    /// That nothing may be kept.
    NoStore,
}

impl State {
    /// A session that the store has, found under `id` with its `key`. `is_current` tells whether the browser has its cookie as
    /// it is asked for, `has_id_of_its_own` whether this request gave it its id.
    pub fn resumed(id: String, key: Key, loaded: Loaded, app: &str, is_current: bool, has_id_of_its_own: bool) -> Self {
        let mut state = Self {
            id,
            key,
            record: loaded.record,
            applications: Vec::from([Application::new(app, loaded.variables)]),
            created: false,
            stored: true,
            ended: false,
            saved: None,
            new_id: None,
            new_owner: None,
            cookie_due: !is_current,
            has_id_of_its_own,
            caching: Caching::Due,
        };
        if let Some(nonce) = loaded.renewal {
            state.become_id(id::successor(&state.id, &nonce));
        }
        state
    }

    /// A new session.
    pub fn begun(id: String, expiry: Expiry, app: &str, clock: Duration) -> Self {
        let now = clock.as_secs();
        let record = SessionRecord {
            created: now,
            accessed: now,
            expires: expiry.first(clock),
            ends: expiry.ends(clock),
            renewed: now,
            owner: None,
            version: 0,
            size: 0,
        };
        Self {
            key: id::key(&id),
            id,
            record,
            applications: Vec::from([Application::new(app, Vec::new())]),
            created: true,
            stored: false,
            ended: false,
            saved: None,
            new_id: None,
            new_owner: None,
            cookie_due: true,
            has_id_of_its_own: true,
            caching: Caching::Due,
        }
    }

    fn become_id(&mut self, id: String) {
        self.key = id::key(&id);
        self.id = id;
        self.cookie_due = true;
    }

    /// The store has these now.
    fn committed(&mut self, writes: Vec<Write>) {
        for write in writes {
            if let Some(application) = self.applications.iter_mut().find(|application| application.name == write.app) {
                application.committed(&write.name, write.value);
            }
        }
        self.applications.iter_mut().for_each(Application::clears_committed);
    }

    /// What an application probably did not intend, if this is the end of all handles. One that was told that its changes
    /// could not be saved, or that the session has ended, knows.
    fn notice(&self) -> Option<Notice> {
        let changed = match self.applications.iter().find(|application| application.is_changed()) {
            None if self.new_owner.is_some() || self.new_id.is_some() => self.applications.first(),
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

    fn is_empty(&self) -> bool {
        self.new_owner.as_ref().is_none_or(Option::is_none)
            && self.applications.iter().all(|application| application.keys().next().is_none())
    }
}

impl<E: Env> Drop for Core<E> {
    fn drop(&mut self) {
        // Another start of this request may join what is stored.
        let id = {
            let state = self.state.get_mut();
            (state.stored && !state.ended && state.has_id_of_its_own).then(|| state.id.clone())
        };
        self.world.begun.closed(self, id);
        let state = self.state.get_mut();
        self.world.reservations().closed(&state.key);
        if let Some(notice) = state.notice() {
            self.world.env.notify(&notice);
        }
    }
}

impl<E: Env> Session<E> {
    pub(crate) fn open(
        world: &Rc<World<E>>,
        parameters: Parameters,
        state: State,
        visit: Option<Visit>,
    ) -> Result<Self> {
        world.reservations().opened(&state.key);
        let session = Self::of(Rc::new(Core { world: world.clone(), parameters, state: RefCell::new(state) }));
        drop(session.application()?);
        if let Some(visit) = visit {
            world.begun.opened(visit, &session.core);
        }
        Ok(session)
    }

    /// The handle of the first application.
    pub(crate) fn of(core: Rc<Core<E>>) -> Self {
        Self { core, app: 0, token: None }
    }

    /// The session's id; after `regenerate_id`, the new one.
    pub fn id(&self) -> String {
        let state = self.core.state.borrow();
        state.new_id.as_ref().unwrap_or(&state.id).clone()
    }

    /// The digest of the id in hexadecimal; until the session is saved, of the old one.
    pub fn digest(&self) -> String {
        id::to_hex(&self.core.state.borrow().key)
    }

    /// The application whose variables this handle reads and writes.
    pub fn app(&self) -> String {
        self.core.state.borrow().applications[self.app].name.clone()
    }

    /// Whether this start began the session.
    pub fn created(&self) -> bool {
        self.core.state.borrow().created
    }

    /// When the session expires unless it is used again.
    pub fn expires_at(&self) -> u64 {
        self.core.state.borrow().record.expires
    }

    /// The value of a variable.
    pub fn get(&self, key: &str) -> Result<Option<Value>> {
        self.check_key(key)?;
        let found = self.application()?.get(key)?;
        match found {
            Found::Nothing => Ok(None),
            Found::Value(value) => Ok(Some(value)),
            Found::InStore if self.fetch(key)? => match self.application()?.get(key)? {
                Found::Value(value) => Ok(Some(value)),
                Found::Nothing | Found::InStore => Ok(None),
            },
            Found::InStore => Ok(None),
        }
    }

    /// Sets a variable.
    pub fn set(&self, key: &str, value: &Value) -> Result<()> {
        self.check_key(key)?;
        // Before a second copy of it is made.
        self.check_value(key, codec::length(value))?;
        let bytes = codec::encode(value)?;
        self.check_value(key, bytes.len())?;
        // What is stored may be the same: to set it again is no change. Whatever goes wrong here, it is set.
        if self.application()?.unloaded(key) == Some(bytes.len() as u64) {
            _ = self.fetch(key);
        }
        let mut application = self.application_mut()?;
        self.check_room(&application, key)?;
        application.set(key, bytes);
        Ok(())
    }

    /// Adds to an integer; returns the sum.
    pub fn add(&self, key: &str, delta: i64) -> Result<i64> {
        self.check_key(key)?;
        let mut application = self.application_mut()?;
        self.check_room(&application, key)?;
        application.add(key, delta)
    }

    /// Removes a variable; tells whether it was there.
    pub fn delete(&self, key: &str) -> Result<bool> {
        self.check_key(key)?;
        Ok(self.application_mut()?.delete(key))
    }

    /// Whether there is such a variable.
    pub fn has_key(&self, key: &str) -> Result<bool> {
        self.check_key(key)?;
        Ok(self.application()?.has(key))
    }

    /// The names of all variables, sorted.
    pub fn keys(&self) -> Result<Vec<String>> {
        Ok(self.application()?.keys().cloned().collect())
    }

    /// All variables, sorted by name.
    pub fn entries(&self) -> Result<Vec<(String, Value)>> {
        let mut entries = Vec::new();
        for key in self.keys()? {
            if let Some(value) = self.get(&key)? {
                entries.push((key, value));
            }
        }
        Ok(entries)
    }

    /// Reads a variable and removes it.
    pub fn take(&self, key: &str) -> Result<Option<Value>> {
        let value = self.get(key)?;
        self.delete(key)?;
        Ok(value)
    }

    /// Removes all of the application's variables.
    pub fn clear(&self) -> Result<()> {
        self.application_mut()?.clear();
        Ok(())
    }

    /// The same session, with the variables of another application.
    pub fn application_named(&self, name: &str) -> Result<Self> {
        name::check("the application's name", name, self.core.world.settings().limits.app_length)?;
        let key = self.live()?.key;
        let reservations = self.core.world.reservations();
        let token = match reservations.check(&key, name, None) {
            Ok(()) => None,
            Err(_) => reservations.check(&key, name, self.token).map(|()| self.token)?,
        };
        self.view(name, token)
    }

    /// Reserves an application name.
    pub fn reserve(&self, name: &str, key: Option<&str>) -> Result<Self> {
        name::check("the application's name", name, self.core.world.settings().limits.app_length)?;
        let session = self.live()?.key;
        let token = self.core.world.reservations().reserve(&session, name, key)?;
        self.view(name, Some(token))
    }

    /// Ends the reservation of a name.
    pub fn release(&self, name: &str) -> Result<()> {
        let key = self.live()?.key;
        self.core.world.reservations().release(&key, name, self.token)
    }

    /// Gives the session a new id when it is saved. One that was never saved gets it at once: its old id has gone nowhere.
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

    /// Says whose session this is.
    pub fn set_owner(&self, owner: Option<String>) -> Result<()> {
        if let Some(owner) = &owner {
            name::check("the owner", owner, name::OWNER_LENGTH)?;
        }
        let mut state = self.live_mut()?;
        state.new_owner = (owner != state.record.owner).then_some(owner);
        Ok(())
    }

    /// Whose session this is.
    pub fn owner(&self) -> Result<Option<String>> {
        let state = self.live()?;
        Ok(state.new_owner.as_ref().unwrap_or(&state.record.owner).clone())
    }

    /// Ends all other live sessions of this session's owner; returns how many.
    pub fn destroy_others(&self) -> Result<u64> {
        let owner = self.owner()?.ok_or_else(|| {
            Error::InvalidOption(String::from(
                "the session has no owner, whose other sessions could be ended: set one first",
            ))
        })?;
        // The key the store knows, whatever id is to come.
        let key = self.live()?.key;
        let (env, location) = (&self.core.world.env, &self.core.parameters.location);
        Ok(env.destroy_owned(location, &owner, Some(&key), env.now(), self.core.world.settings().remember_ended)?)
    }

    /// Stores all changes in one transaction; returns the headers to send.
    pub fn save(&self) -> Result<Vec<Header>> {
        let mut state = self.live_mut()?;
        let clock = self.core.world.env.clock();
        state.saved = Some(false);
        if state.stored {
            self.core.update(&mut state, clock)?;
        } else if !(self.core.world.settings().lazy && state.is_empty()) {
            self.core.create(&mut state, clock)?;
        }
        state.saved = Some(true);
        let cookie = self.core.cookie(&state);
        let set_cookie = if !state.stored {
            // A cookie that leads nowhere would be looked up with every request.
            let is_dead = self.core.parameters.brought_cookie && state.caching == Caching::Due;
            cookie.filter(|_| is_dead).map(|cookie| cookie.delete())
        } else {
            let expires_in = state.record.expires.saturating_sub(clock.as_secs());
            cookie.filter(|_| state.cookie_due).map(|cookie| cookie.set(&state.id, expires_in))
        };
        state.cookie_due &= !state.stored;
        Ok(self.core.headers(&mut state, set_cookie))
    }

    /// Ends the session at once; returns the headers that delete the cookie.
    pub fn destroy(&self) -> Result<Vec<Header>> {
        let mut state = self.live_mut()?;
        if state.stored {
            self.core.destroy(&mut state)?;
        }
        state.ended = true;
        let has_cookie = state.stored || self.core.parameters.brought_cookie;
        let set_cookie = self.core.cookie(&state).filter(|_| has_cookie).map(|cookie| cookie.delete());
        Ok(self.core.headers(&mut state, set_cookie))
    }

    fn live(&self) -> Result<Ref<'_, State>> {
        let state = self.core.state.borrow();
        if state.ended { Err(Error::Gone) } else { Ok(state) }
    }

    fn live_mut(&self) -> Result<RefMut<'_, State>> {
        let state = self.core.state.borrow_mut();
        if state.ended { Err(Error::Gone) } else { Ok(state) }
    }

    /// The application's variables, if this handle may see them.
    fn application(&self) -> Result<Ref<'_, Application>> {
        let state = self.live()?;
        self.core.world.reservations().check(&state.key, &state.applications[self.app].name, self.token)?;
        Ok(Ref::map(state, |state| &state.applications[self.app]))
    }

    fn application_mut(&self) -> Result<RefMut<'_, Application>> {
        drop(self.application()?);
        Ok(RefMut::map(self.live_mut()?, |state| &mut state.applications[self.app]))
    }

    fn check_key(&self, key: &str) -> Result<()> {
        name::check("the variable's name", key, self.core.world.settings().limits.key_length)
    }

    fn check_value(&self, key: &str, length: usize) -> Result<()> {
        let limit = self.core.world.settings().limits.value_bytes;
        if length > limit as usize {
            return Err(Error::TooLarge(format!(
                "the value of '{key}' has {length} bytes; the limit value-bytes is {limit}"
            )));
        }
        Ok(())
    }

    fn check_room(&self, application: &Application, key: &str) -> Result<()> {
        let limit = self.core.world.settings().limits.variables;
        if !application.has_room(key, limit as usize) {
            return Err(Error::TooLarge(format!(
                "the application has {limit} variables already; the limit variables is {limit}"
            )));
        }
        Ok(())
    }

    /// Loads a variable that was too large to be loaded before; tells whether it is still there.
    fn fetch(&self, key: &str) -> Result<bool> {
        let mut state = self.live_mut()?;
        let (env, location) = (&self.core.world.env, &self.core.parameters.location);
        let app = &state.applications[self.app].name;
        let bytes = env.fetch(location, &state.key, app, key, env.now())?;
        let is_there = bytes.is_some();
        if let Some(bytes) = bytes {
            state.applications[self.app].loaded(key, bytes);
        }
        Ok(is_there)
    }

    /// A handle on an application's variables, which are loaded now unless they were before.
    fn view(&self, name: &str, token: Option<Token>) -> Result<Self> {
        let mut state = self.live_mut()?;
        let known = state.applications.iter().position(|application| application.name == name);
        let app = match known {
            Some(app) => app,
            None => {
                let variables = if state.stored { self.core.load(&mut state, name)?.variables } else { Vec::new() };
                state.applications.push(Application::new(name, variables));
                state.applications.len() - 1
            }
        };
        Ok(Self { core: self.core.clone(), app, token })
    }
}

impl<E: Env> Core<E> {
    /// Whether the session is live under an id that this request gave it.
    pub fn has_id_of_its_own(&self) -> bool {
        let state = self.state.borrow();
        !state.ended && state.has_id_of_its_own
    }

    /// The headers to return: a cookie if one is to be set, and what caches have not been told yet. No cache may keep a
    /// response that sets a cookie, whatever the limiter says (OWASP Session Management Cheat Sheet).
    fn headers(&self, state: &mut State, set_cookie: Option<String>) -> Vec<Header> {
        let Parameters { cache_limiter, has_cookie, .. } = self.parameters;
        let mut headers = Vec::new();
        let mut add = |name: &str, value: String| headers.push((name.to_string(), value));
        let is_first = state.caching == Caching::Due;
        let sets_cookie = set_cookie.is_some();
        if let Some(cookie) = set_cookie {
            add("set-cookie", cookie);
        }
        let max_age = self.world.settings().cache_expire;
        let cache_control = match cache_limiter {
            _ if sets_cookie => Some("no-store".to_string()),
            CacheLimiter::Nocache => Some("no-store".to_string()),
            CacheLimiter::Private => Some(format!("private, max-age={max_age}")),
            CacheLimiter::Public => Some(format!("public, max-age={max_age}")),
            CacheLimiter::None => None,
        };
        if let Some(cache_control) = cache_control
            && (is_first || sets_cookie && state.caching != Caching::NoStore)
        {
            add("cache-control", cache_control);
        }
        if is_first && has_cookie && cache_limiter != CacheLimiter::None {
            add("vary", "Cookie".to_string());
        }
        if sets_cookie || is_first && cache_limiter == CacheLimiter::Nocache {
            state.caching = Caching::NoStore;
        } else if is_first {
            state.caching = Caching::Limited;
        }
        headers
    }

    /// The cookie that carries the id, checked by the start.
    fn cookie<'a>(&'a self, state: &'a State) -> Option<Cookie<'a>> {
        let Parameters { has_cookie, ref cookie, https, .. } = self.parameters;
        let settings = &self.world.settings().cookie;
        // The first application is the one that was started, which the cookie may be named after.
        has_cookie.then(|| Cookie::new(cookie.as_ref(), https, settings, &state.applications[0].name))
    }

    /// An application's variables as they are stored now. The session ends here when the store has it no more.
    ///
    /// The version that `strict` goes by stays that of the start: what the application read first is the oldest it knows.
    fn load(&self, state: &mut State, app: &str) -> Result<Loaded> {
        let env = &self.world.env;
        match env.load(&self.parameters.location, &state.key, app, env.now(), INLINE_BYTES)? {
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

    /// Stores a new session.
    fn create(&self, state: &mut State, clock: Duration) -> Result<()> {
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
            // Nobody has had the id before this save.
            renewed: now,
            expires: self
                .parameters
                .expiry
                .pushed(state.record.expires, state.record.ends, clock)
                .unwrap_or(state.record.expires),
            owner: state.new_owner.clone().unwrap_or_default(),
            version: 1,
            // The store counts the size itself.
            ..state.record
        };
        match self.world.env.create(&self.parameters.location, &state.key, &record, &writes)? {
            CreateOutcome::Created => {}
            // 256 random bits do not meet twice: the randomness of this host is broken.
            CreateOutcome::Exists => return Err(Error::Storage(String::from("a new session's id is in use already"))),
        }
        state.stored = true;
        state.record = record;
        state.new_owner = None;
        state.committed(writes);
        Ok(())
    }

    /// Writes what changed, if anything did.
    fn update(&self, state: &mut State, clock: Duration) -> Result<()> {
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
            match self.world.env.update(&self.parameters.location, &state.key, &change, expected, now)? {
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
                // Another request may have renewed the id in the meantime: the session is then found under its new one.
                UpdateOutcome::Gone if settings.renew_after != 0 && self.renewed_meanwhile(state)? => {}
                UpdateOutcome::Gone => {
                    state.ended = true;
                    return Err(Error::Gone);
                }
            }
        }
    }

    /// The nonce of a new id, if it is time for one.
    fn renewal(&self, state: &State, now: u64) -> Option<Vec<u8>> {
        let renew_after = self.world.settings().renew_after;
        let is_off = renew_after == 0 || !self.parameters.has_cookie || state.new_id.is_some();
        if is_off || now.saturating_sub(state.record.renewed) < renew_after.into() {
            return None;
        }
        let mut nonce = [0; 32];
        self.world.env.random(&mut nonce);
        Some(nonce.into())
    }

    /// The change to be written, with the id that it gives the session; none when there is nothing to write.
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
            expires: self.parameters.expiry.pushed(state.record.expires, state.record.ends, clock),
            rename: new_id.as_ref().map(|id| Rename { to: id::key(id).to_vec(), grace }),
            max_size: settings.limits.session_bytes.into(),
            remember: settings.remember_ended,
        };
        let is_empty = change.clears.is_empty()
            && change.writes.is_empty()
            && change.owner.is_none()
            && change.expires.is_none()
            && change.rename.is_none();
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
            state.record.renewed = now;
            state.has_id_of_its_own |= state.new_id.take().is_some();
            self.rename(state, id);
        }
        state.committed(change.writes);
    }

    /// Reads again what is to be added to. The oldest version read is the one that the next update has to find.
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

    fn destroy(&self, state: &mut State) -> Result<()> {
        let env = &self.world.env;
        let remember = self.world.settings().remember_ended;
        let destroy =
            |key: &Key| env.destroy(&self.parameters.location, key, &DestroyCondition::Any, env.now(), remember);
        if !destroy(&state.key)? && self.world.settings().renew_after != 0 && self.renewed_meanwhile(state)? {
            destroy(&state.key)?;
        }
        Ok(())
    }

    /// Whether the session goes on under an id that another request gave it; goes over to it then.
    fn renewed_meanwhile(&self, state: &mut State) -> Result<bool> {
        let env = &self.world.env;
        let app = &state.applications[0].name;
        let outcome = env.load(&self.parameters.location, &state.key, app, env.now(), 0)?;
        let LoadOutcome::Found(mut loaded) = outcome else { return Ok(false) };
        let was_renewed = loaded.renewal.is_some();
        self.follow(state, &mut loaded);
        Ok(was_renewed)
    }

    /// Goes over to the id that another request's renewal gave the session, if it did.
    fn follow(&self, state: &mut State, loaded: &mut Loaded) {
        if let Some(nonce) = loaded.renewal.take() {
            state.record.renewed = loaded.record.renewed;
            let id = id::successor(&state.id, &nonce);
            self.rename(state, id);
        }
    }

    fn rename(&self, state: &mut State, id: String) {
        let old = state.key;
        state.become_id(id);
        self.world.reservations().renamed(&old, &state.key);
    }
}

fn too_large(size: u64, limit: u32) -> Error {
    Error::TooLarge(format!("the session would have {size} bytes; the limit session-bytes is {limit}"))
}

#[cfg(test)]
mod tests;
