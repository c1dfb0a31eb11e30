//! Sessions as they are stored now, so that a visitor's next request does not have to ask SQLite.
//!
//! All that is in the cache is what a load would answer, as long as the database has the [`Stamp`] that the cache has. What
//! this process commits, the writer tells: the sessions that it changed are changed here too, and the cache takes the stamp of
//! that commit. After a commit of another process the cache has a stamp that the database has no longer, and nothing in
//! it is used any more.

use std::{
    collections::HashMap,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rusqlite::Connection;
use tokio::runtime::Handle;

use super::{
    changes::{Found, Old, latest, seconds},
    log_index::{LogIndex, Stamp},
    schema::INLINE,
};
use crate::driver::{Change, Key, Loaded, Record, Stored, Variable, Write};

/// What a session takes beside its names and values, about.
const OVERHEAD: usize = 512;

/// So many sessions are freed at once.
const FEW: usize = 100;

/// What a committed change did to a session.
pub enum Effect {
    /// Nothing that a load would show.
    None,
    /// It was created.
    Created(Box<Created>),
    /// It was updated.
    Updated(Box<Updated>),
    /// These have ended, or have another key, or are no longer what they were.
    Ended(Vec<Key>),
    /// Those that had expired at this time may be gone.
    Expired(u64),
}

impl Effect {
    /// Whether a session is not what it was before.
    pub fn may_concern(&self, session: &Key) -> bool {
        match self {
            Self::None => false,
            Self::Created(created) => created.key == *session,
            Self::Updated(updated) => {
                updated.key == *session || updated.change.rename.as_ref().is_some_and(|rename| rename.to == *session)
            }
            Self::Ended(keys) => keys.contains(session),
            Self::Expired(_) => true,
        }
    }
}

/// A session that was stored.
pub struct Created {
    pub key: Key,
    pub session: i64,
    pub record: Record,
    pub writes: Arc<[Write]>,
}

/// An update that was committed.
pub struct Updated {
    pub key: Key,
    pub session: i64,
    pub change: Arc<Change>,
    pub accessed: u64,
    pub expires: u64,
    pub version: u64,
    pub size: u64,
}

/// What [`Cache::load`] finds.
pub enum Cached {
    /// The session, live.
    Found(Loaded),
    /// It is not in the cache. What is read from now on may be [kept](Cache::keep) with this stamp.
    Missing(Option<Stamp>),
}

/// The cache of one database.
pub struct Cache {
    /// How many bytes the sessions may take, about.
    bytes: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    index: Option<LogIndex>,
    /// What the database had when all this was true.
    stamp: Option<Stamp>,
    /// Whether a commit is under way whose effects are still to come.
    is_committing: bool,
    /// The sessions in use, and those that were: they are given up when the others fill their half.
    recent: Sessions,
    older: Sessions,
    /// To be freed.
    given_up: Vec<Sessions>,
    /// Sessions that had expired by then may have been removed.
    removed: u64,
}

#[derive(Default)]
struct Sessions {
    sessions: HashMap<Key, Session>,
    bytes: usize,
}

struct Session {
    /// Its number, once it has been written.
    session: Option<i64>,
    record: Record,
    applications: Vec<Application>,
    /// Whether other applications have no variables; else nobody knows.
    is_whole: bool,
}

struct Application {
    name: String,
    /// Longer values are known by their size alone.
    inline_bytes: u32,
    variables: Arc<Vec<Variable>>,
}

impl Cache {
    /// An empty cache for so many bytes; 0: never anything but empty.
    pub fn new(bytes: usize) -> Self {
        Self { bytes, state: Mutex::default() }
    }

    /// A session with the variables of one application, if it is live and in the cache.
    pub fn load(&self, key: &Key, app: &str, now: u64, inline_bytes: u32) -> Cached {
        let (found, stamp) = self.with(|state| {
            let stamp = state.stored();
            if stamp.is_none() || stamp != state.stamp {
                return (None, stamp);
            }
            let removed = state.removed;
            let found = state.session(key, self.bytes).and_then(|session| {
                let is_live = session.record.expires > now.max(removed);
                let variables = session.variables(app, inline_bytes)?;
                is_live.then(|| (session.record.clone(), variables))
            });
            (found, stamp)
        });
        match found {
            Some((record, variables)) => {
                let variables = variables.iter().map(|variable| variable.within(inline_bytes)).collect();
                Cached::Found(Loaded { record, variables, renewal: None })
            }
            None => Cached::Missing(stamp),
        }
    }

    /// Keeps what was read after `stamp` was seen, if nothing has been committed since.
    pub fn keep(&self, stamp: Stamp, key: &Key, app: &str, inline_bytes: u32, loaded: &Loaded) {
        if loaded.renewal.is_some() {
            return;
        }
        self.with(|state| {
            if state.stored() != Some(stamp) {
                return;
            }
            if state.stamp != Some(stamp) {
                if state.is_committing {
                    return;
                }
                state.clear();
                state.stamp = Some(stamp);
            }
            let application =
                Application { name: app.to_owned(), inline_bytes, variables: Arc::new(loaded.variables.clone()) };
            let record = loaded.record.clone();
            let mut session = match state.take(key) {
                Some(session) => Session { record, ..session },
                None => Session { session: None, record, applications: Vec::new(), is_whole: false },
            };
            session.applications.retain(|application| application.name != app);
            session.applications.push(application);
            state.put(*key, session, self.bytes);
        });
    }

    /// Watches the database from now on, through a connection that nobody else uses. Nothing is kept before.
    pub fn watch(&self, connection: Connection) {
        let index = LogIndex::new(connection);
        self.state().index = index;
    }

    /// Before a commit, while nobody else can commit: what the database holds until then.
    pub fn before_commit(&self) -> Option<Stamp> {
        self.with(|state| {
            state.is_committing = true;
            let stored = state.stored();
            if stored.is_some() && state.stamp != stored {
                // With nothing in it, all of it is true.
                state.clear();
                state.stamp = stored;
            }
            stored
        })
    }

    /// A session as it is stored [before the commit](Self::before_commit) that is under way, and what it has of some
    /// variables; none where SQLite has to be asked.
    pub fn find<'a>(
        &self,
        key: &Key,
        variables: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Option<(Found, Vec<Option<Old>>)> {
        self.with(|state| {
            let removed = state.removed;
            let session = state.session(key, self.bytes).filter(|session| session.record.expires > removed)?;
            let olds = variables.map(|(app, name)| session.old(app, name)).collect::<Option<_>>()?;
            let Record { accessed, expires, ends, version, size, .. } = session.record;
            let found = Found {
                session: session.session?,
                accessed: seconds(accessed),
                expires: seconds(expires),
                ends: ends.map(seconds),
                version: seconds(version),
                size: seconds(size),
            };
            Some((found, olds))
        })
    }

    /// After a commit that failed.
    pub fn gave_up(&self) {
        self.state().is_committing = false;
    }

    /// After a commit, which has `written` something or has not.
    pub fn after_commit(&self, before: Option<Stamp>, written: bool, effects: impl IntoIterator<Item = Effect>) {
        self.with(|state| {
            state.is_committing = false;
            // It was not watched then, or has been closed since.
            let Some(before) = before.filter(|before| state.stamp == Some(*before)) else { return };
            let now = state.stored().filter(|now| if written { before.leads_to(now) } else { before == *now });
            match now {
                Some(now) => {
                    effects.into_iter().for_each(|effect| state.apply(effect, self.bytes));
                    state.stamp = Some(now);
                }
                // Another process has committed as well.
                None => state.clear(),
            }
        });
    }

    /// Forgets everything, and watches no longer.
    pub fn close(&self) {
        *self.state() = State::default();
    }

    /// Works on the state, and frees what is given up: many sessions where nobody waits for it, as that takes milliseconds.
    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state();
        let answer = work(&mut state);
        let given_up = mem::take(&mut state.given_up);
        drop(state);
        let count: usize = given_up.iter().map(|sessions| sessions.sessions.len()).sum();
        if let (true, Ok(runtime)) = (count > FEW, Handle::try_current()) {
            runtime.spawn_blocking(move || drop(given_up));
        }
        answer
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What the database has now; none while that changes, and as long as it is not watched.
    fn stored(&self) -> Option<Stamp> {
        self.index.as_ref().and_then(LogIndex::stamp)
    }

    fn clear(&mut self) {
        self.stamp = None;
        self.removed = 0;
        self.given_up.extend([mem::take(&mut self.recent), mem::take(&mut self.older)]);
    }

    fn take(&mut self, key: &Key) -> Option<Session> {
        self.recent.take(key).or_else(|| self.older.take(key))
    }

    fn put(&mut self, key: Key, session: Session, bytes: usize) {
        let size = session.size();
        if size > bytes / 16 {
            return;
        }
        if self.recent.bytes + size > bytes / 2 {
            let older = mem::replace(&mut self.older, mem::take(&mut self.recent));
            self.given_up.push(older);
        }
        self.recent.bytes += size;
        self.recent.sessions.insert(key, session);
    }

    /// A session, which is in use now.
    fn session(&mut self, key: &Key, bytes: usize) -> Option<&Session> {
        if !self.recent.sessions.contains_key(key) {
            let session = self.older.take(key)?;
            self.put(*key, session, bytes);
        }
        self.recent.sessions.get(key)
    }

    fn apply(&mut self, effect: Effect, bytes: usize) {
        match effect {
            Effect::None => {}
            Effect::Expired(time) => self.removed = self.removed.max(time),
            Effect::Ended(keys) => keys.iter().for_each(|key| drop(self.take(key))),
            Effect::Created(created) => {
                drop(self.take(&created.key));
                self.put(created.key, Session::new(*created), bytes);
            }
            Effect::Updated(updated) => {
                let Some(mut session) = self.take(&updated.key) else { return };
                if updated.change.rename.is_none() {
                    let key = updated.key;
                    session.update(*updated);
                    self.put(key, session, bytes);
                }
            }
        }
    }
}

impl Sessions {
    fn take(&mut self, key: &Key) -> Option<Session> {
        let session = self.sessions.remove(key)?;
        self.bytes -= session.size();
        Some(session)
    }
}

impl Session {
    fn new(Created { session, record, writes, .. }: Created) -> Self {
        let mut applications: Vec<Application> = Vec::new();
        for ((app, name), value) in latest(&writes) {
            let Some(value) = value else { continue };
            let variable = Variable { name: name.to_owned(), value: Stored::Inline(value.to_owned()) };
            match applications.last_mut() {
                Some(application) if application.name == app => {
                    Arc::make_mut(&mut application.variables).push(variable);
                }
                _ => applications.push(Application::new(app.to_owned(), vec![variable])),
            }
        }
        Self { session: Some(session), record, applications, is_whole: true }
    }

    /// An application's variables, with values of at least `inline_bytes`, if they are known.
    fn variables(&self, app: &str, inline_bytes: u32) -> Option<Arc<Vec<Variable>>> {
        match self.applications.iter().find(|application| application.name == app) {
            Some(application) => (application.inline_bytes >= inline_bytes).then(|| Arc::clone(&application.variables)),
            None => self.is_whole.then(Arc::default),
        }
    }

    /// What it has of a variable, if that is known: of a long value nobody knows the row.
    fn old(&self, app: &str, name: &str) -> Option<Option<Old>> {
        let Some(application) = self.applications.iter().find(|application| application.name == app) else {
            return self.is_whole.then_some(None);
        };
        let Ok(place) = application.variables.binary_search_by(|variable| (*variable.name).cmp(name)) else {
            return Some(None);
        };
        match &application.variables[place].value {
            Stored::Inline(bytes) if bytes.len() <= INLINE => {
                Some(Some(Old { bytes: bytes.len() as i64, large: None }))
            }
            _ => None,
        }
    }

    fn size(&self) -> usize {
        let names = self.record.owner.as_ref().map_or(0, String::len);
        let variables = self.applications.iter().flat_map(|application| application.variables.iter());
        let variables = variables.map(|Variable { name, value }| match value {
            Stored::Inline(bytes) => 2 * size_of::<Variable>() + name.len() + bytes.len(),
            Stored::Large(_) => 2 * size_of::<Variable>() + name.len(),
        });
        OVERHEAD + names + variables.sum::<usize>()
    }

    fn update(&mut self, Updated { session, change, accessed, expires, version, size, .. }: Updated) {
        self.session = Some(session);
        let Change { clears, writes, owner, .. } = &*change;
        let owner = owner.clone().unwrap_or_else(|| self.record.owner.take());
        self.record = Record { accessed, expires, version, size, owner, ..self.record };
        for application in &mut self.applications {
            if clears.contains(&application.name) {
                application.variables = Arc::default();
            }
        }
        for write in writes {
            let known = self.applications.iter().position(|application| application.name == write.app);
            let application = match known {
                Some(place) => &mut self.applications[place],
                None if self.is_whole => {
                    self.applications.push(Application::new(write.app.clone(), Vec::new()));
                    let last = self.applications.len() - 1;
                    &mut self.applications[last]
                }
                None => continue,
            };
            let variables = Arc::make_mut(&mut application.variables);
            let place = variables.binary_search_by(|variable| variable.name.cmp(&write.name));
            let value = write.value.as_ref().map(|bytes| match bytes.len() > application.inline_bytes as usize {
                true => Stored::Large(bytes.len() as u64),
                false => Stored::Inline(bytes.clone()),
            });
            match (place, value) {
                (Ok(place), Some(value)) => variables[place].value = value,
                (Err(place), Some(value)) => variables.insert(place, Variable { name: write.name.clone(), value }),
                (Ok(place), None) => drop(variables.remove(place)),
                (Err(_), None) => {}
            }
        }
    }
}

impl Application {
    /// All of an application's variables, whatever their size.
    fn new(name: String, variables: Vec<Variable>) -> Self {
        Self { name, inline_bytes: u32::MAX, variables: Arc::new(variables) }
    }
}

impl Variable {
    /// What a load answers that asks for values up to so many bytes.
    fn within(&self, inline_bytes: u32) -> Self {
        let value = match &self.value {
            Stored::Inline(bytes) if bytes.len() > inline_bytes as usize => Stored::Large(bytes.len() as u64),
            value => value.clone(),
        };
        Self { name: self.name.clone(), value }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const NOW: u64 = 1000;
    const SIZE: usize = 1 << 20;

    struct Site {
        cache: Cache,
        writer: Connection,
        _folder: tempfile::TempDir,
    }

    fn open(file: &Path) -> Connection {
        let connection = Connection::open(file).expect("the database");
        connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(())).expect("a log");
        connection
    }

    impl Site {
        fn new(bytes: usize) -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            let writer = open(&folder.path().join("a.db"));
            writer.execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (1)").expect("a table");
            let cache = Cache::new(bytes);
            cache.watch(open(&folder.path().join("a.db")));
            Self { cache, writer, _folder: folder }
        }

        /// A commit of this process.
        fn commit(&self, effect: Effect) {
            self.writer.execute_batch("BEGIN IMMEDIATE").expect("begin");
            let before = self.cache.before_commit();
            self.writer.execute_batch("UPDATE t SET x = x + 1; COMMIT").expect("commit");
            self.cache.after_commit(before, true, [effect]);
        }

        /// A commit of another one.
        fn commit_elsewhere(&self) {
            self.writer.execute_batch("UPDATE t SET x = x + 1").expect("commit");
        }

        fn read(&self, key: &Key, app: &str, loaded: &Loaded) {
            let Cached::Missing(Some(stamp)) = self.cache.load(key, app, NOW, 100) else { panic!("it is there") };
            self.cache.keep(stamp, key, app, 100, loaded);
        }

        fn find(&self, key: &Key, app: &str) -> Option<Loaded> {
            match self.cache.load(key, app, NOW, 100) {
                Cached::Found(loaded) => Some(loaded),
                Cached::Missing(_) => None,
            }
        }
    }

    fn record() -> Record {
        let owner = Some("Ada".to_owned());
        Record { created: 1, accessed: 2, expires: NOW + 10, ends: None, renewed: 1, owner, version: 3, size: 4 }
    }

    fn loaded(name: &str) -> Loaded {
        let variable = Variable { name: name.to_owned(), value: Stored::Inline(vec![1]) };
        Loaded { record: record(), variables: vec![variable], renewal: None }
    }

    fn write(app: &str, name: &str, value: Option<Vec<u8>>) -> Write {
        Write { app: app.to_owned(), name: name.to_owned(), value }
    }

    fn created(key: Key, writes: &[Write]) -> Effect {
        Effect::Created(Box::new(Created { key, session: 1, record: record(), writes: writes.into() }))
    }

    fn updated(key: Key, change: Change) -> Effect {
        let (session, accessed, expires, version, size) = (1, 5, NOW + 20, 6, 7);
        Effect::Updated(Box::new(Updated { key, session, change: Arc::new(change), accessed, expires, version, size }))
    }

    #[test]
    fn what_was_read_is_found_until_somebody_else_commits() {
        let (site, key) = (Site::new(SIZE), Key::of("a"));
        site.read(&key, "shop", &loaded("x"));
        assert_eq!(site.find(&key, "shop"), Some(loaded("x")));
        assert_eq!(site.find(&key, "blog"), None, "another application's variables were not read");
        site.commit(Effect::None);
        assert_eq!(site.find(&key, "shop"), Some(loaded("x")), "a commit of our own without effect on it");
        site.commit_elsewhere();
        assert_eq!(site.find(&key, "shop"), None);
        site.read(&key, "shop", &loaded("y"));
        assert_eq!(site.find(&key, "shop"), Some(loaded("y")));
    }

    #[test]
    fn what_was_read_before_a_commit_is_not_kept_after_it() {
        let (site, key) = (Site::new(SIZE), Key::of("a"));
        let Cached::Missing(Some(stamp)) = site.cache.load(&key, "shop", NOW, 100) else { panic!() };
        site.commit_elsewhere();
        site.cache.keep(stamp, &key, "shop", 100, &loaded("x"));
        assert_eq!(site.find(&key, "shop"), None);
    }

    #[test]
    fn commit_of_another_between_ours_and_its_effects_empties_the_cache() {
        let (site, key) = (Site::new(SIZE), Key::of("a"));
        site.read(&key, "shop", &loaded("x"));
        let before = site.cache.before_commit();
        site.commit_elsewhere();
        site.commit_elsewhere();
        site.cache.after_commit(before, true, [Effect::None]);
        assert_eq!(site.find(&key, "shop"), None);
        assert!(site.cache.state().recent.sessions.is_empty());
    }

    #[test]
    fn commit_of_another_is_not_taken_for_ours_that_wrote_nothing() {
        let (site, key) = (Site::new(SIZE), Key::of("a"));
        site.read(&key, "shop", &loaded("x"));
        let before = site.cache.before_commit();
        site.cache.after_commit(before, false, [Effect::None]);
        assert_eq!(site.find(&key, "shop"), Some(loaded("x")), "nobody wrote");
        let before = site.cache.before_commit();
        site.commit_elsewhere();
        site.cache.after_commit(before, false, [Effect::None]);
        assert_eq!(site.find(&key, "shop"), None);
    }

    #[test]
    fn what_is_read_during_a_commit_does_not_cost_the_others_their_place() {
        let (site, a, b) = (Site::new(SIZE), Key::of("a"), Key::of("b"));
        site.read(&a, "shop", &loaded("x"));
        let before = site.cache.before_commit();
        site.commit_elsewhere();
        site.read(&b, "shop", &loaded("y"));
        assert_eq!(site.find(&b, "shop"), None);
        site.cache.after_commit(before, true, [Effect::None]);
        assert_eq!(site.find(&a, "shop"), Some(loaded("x")));
    }

    #[test]
    fn commit_that_failed_has_no_effect() {
        let (site, key) = (Site::new(SIZE), Key::of("a"));
        site.read(&key, "shop", &loaded("x"));
        site.cache.before_commit();
        site.cache.gave_up();
        assert_eq!(site.find(&key, "shop"), Some(loaded("x")));
    }

    #[test]
    fn new_session_is_known_whole() {
        let (site, key) = (Site::new(SIZE), Key::of("a"));
        site.read(&Key::of("other"), "shop", &loaded("x"));
        let writes = [
            write("shop", "y", Some(vec![2; 101])),
            write("shop", "x", Some(vec![0])),
            write("shop", "x", Some(vec![1])),
            write("shop", "z", None),
        ];
        site.commit(created(key, &writes));
        let mut expected = loaded("x");
        expected.variables.push(Variable { name: "y".to_owned(), value: Stored::Large(101) });
        assert_eq!(site.find(&key, "shop"), Some(expected));
        assert_eq!(site.find(&key, "blog"), Some(Loaded { variables: Vec::new(), ..loaded("x") }));
    }

    #[test]
    fn update_shows_in_all_applications() {
        let (site, key) = (Site::new(SIZE), Key::of("a"));
        site.read(&key, "shop", &loaded("x"));
        site.read(&key, "blog", &loaded("x"));
        let writes = vec![
            write("shop", "a", Some(vec![9])),
            write("shop", "x", None),
            write("shop", "z", Some(vec![0; 101])),
            write("unknown", "x", Some(vec![1])),
        ];
        let change = Change { clears: vec!["blog".to_owned()], writes, owner: Some(None), ..Change::default() };
        site.commit(updated(key, change));
        let record = Record { accessed: 5, expires: NOW + 20, owner: None, version: 6, size: 7, ..record() };
        let variables = vec![
            Variable { name: "a".to_owned(), value: Stored::Inline(vec![9]) },
            Variable { name: "z".to_owned(), value: Stored::Large(101) },
        ];
        assert_eq!(site.find(&key, "shop"), Some(Loaded { record: record.clone(), variables, renewal: None }));
        assert_eq!(site.find(&key, "blog"), Some(Loaded { record, variables: Vec::new(), renewal: None }));
        assert_eq!(site.find(&key, "unknown"), None);
    }

    /// What an update finds, whose commit is then given up.
    fn find_to_update(site: &Site, key: &Key, variables: &[(&str, &str)]) -> Option<(Found, Vec<Option<Old>>)> {
        site.cache.before_commit();
        let found = site.cache.find(key, variables.iter().copied());
        site.cache.gave_up();
        found
    }

    #[test]
    fn update_finds_what_is_stored_and_nothing_that_it_would_have_to_guess() {
        let (site, key) = (Site::new(SIZE), Key::of("a"));
        site.read(&key, "shop", &loaded("x"));
        assert_eq!(find_to_update(&site, &key, &[]), None, "nobody knows its number");
        let writes = vec![write("shop", "y", Some(vec![0; 7])), write("shop", "long", Some(vec![0; INLINE + 1]))];
        site.commit(updated(key, Change { writes, ..Change::default() }));
        let found = Found { session: 1, accessed: 5, expires: NOW as i64 + 20, ends: None, version: 6, size: 7 };
        let old = |bytes| Some(Old { bytes, large: None });
        for (variables, olds) in [
            (&[("shop", "x"), ("shop", "y"), ("shop", "z")][..], Some(vec![old(1), old(7), None])),
            (&[], Some(vec![])),
            (&[("shop", "x"), ("shop", "long")], None),
            (&[("blog", "x")], None),
        ] {
            assert_eq!(find_to_update(&site, &key, variables), olds.map(|olds| (found, olds)), "{variables:?}");
        }
        site.commit(created(Key::of("new"), &[write("shop", "x", Some(vec![1]))]));
        let olds = find_to_update(&site, &Key::of("new"), &[("shop", "x"), ("blog", "x")]).map(|(_, olds)| olds);
        assert_eq!(olds, Some(vec![old(1), None]), "all of it is known");
        site.commit_elsewhere();
        assert_eq!(find_to_update(&site, &key, &[]), None);
    }

    #[test]
    fn update_of_what_may_be_gone_finds_nothing() {
        let (site, key) = (Site::new(SIZE), Key::of("a"));
        site.commit(Effect::None);
        site.commit(created(key, &[]));
        assert!(find_to_update(&site, &key, &[]).is_some());
        site.commit(Effect::Expired(NOW + 10));
        assert_eq!(find_to_update(&site, &key, &[]), None);
    }

    #[test]
    fn effects_tell_whom_they_may_concern() {
        let (a, b) = (Key::of("a"), Key::of("b"));
        let renamed = Change { rename: Some(crate::driver::Rename { to: b, grace: None }), ..Change::default() };
        for (effect, concerns) in [
            (Effect::None, [false, false]),
            (created(a, &[]), [true, false]),
            (updated(a, Change::default()), [true, false]),
            (updated(a, renamed), [true, true]),
            (Effect::Ended(vec![b]), [false, true]),
            (Effect::Expired(1), [true, true]),
        ] {
            assert_eq!([a, b].map(|key| effect.may_concern(&key)), concerns);
        }
    }

    #[test]
    fn sessions_that_ended_moved_or_expired_are_found_no_more() {
        let keys = ["ended", "renamed", "cleaned"].map(Key::of);
        let rename = crate::driver::Rename { to: Key::of("new"), grace: None };
        let effects = [
            Effect::Ended(vec![keys[0]]),
            updated(keys[1], Change { rename: Some(rename), ..Change::default() }),
            Effect::Expired(NOW + 10),
        ];
        for (key, effect) in keys.into_iter().zip(effects) {
            let site = Site::new(SIZE);
            site.read(&key, "shop", &loaded("x"));
            site.commit(effect);
            assert_eq!(site.find(&key, "shop"), None, "{key:?}");
        }
        let site = Site::new(SIZE);
        site.read(&keys[0], "shop", &loaded("x"));
        assert!(matches!(site.cache.load(&keys[0], "shop", NOW + 10, 100), Cached::Missing(_)), "expired");
        assert!(
            matches!(site.cache.load(&keys[0], "shop", NOW, 101), Cached::Missing(_)),
            "larger values were asked for"
        );
    }

    #[test]
    fn cache_stays_within_its_size_and_keeps_what_is_in_use() {
        let site = Site::new(64 * 1024);
        let in_use = Key::of("in use");
        site.read(&in_use, "shop", &loaded("x"));
        for number in 0..1000 {
            site.read(&Key::of(&number.to_string()), "shop", &loaded("x"));
            assert!(site.find(&in_use, "shop").is_some(), "{number}");
            let state = site.cache.state();
            assert!(state.recent.bytes + state.older.bytes <= 64 * 1024, "{number}");
        }
        let state = site.cache.state();
        for sessions in [&state.recent, &state.older] {
            assert_eq!(sessions.bytes, sessions.sessions.values().map(Session::size).sum::<usize>());
        }
    }

    #[test]
    fn cache_of_no_size_is_never_anything_but_empty() {
        let (site, key) = (Site::new(0), Key::of("a"));
        site.read(&key, "shop", &loaded("x"));
        assert_eq!(site.find(&key, "shop"), None);
    }
}
