//! Sessions that were loaded lately, so that a visitor's next request does not have to ask SQLite.
//!
//! An entry is what a load answered. It is true as long as the database has the [`Stamp`] that the cache has, which is looked at
//! before each use. When this process commits, the sessions it has touched are removed from the cache, and the cache takes the
//! stamp that this commit has made. After a commit of another process the database has another stamp, and the cache is
//! emptied. Only loads are answered from here: what a save needs to know, it reads within its transaction.

use std::{
    collections::HashMap,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use lemon_session_store::{Key, Loaded, Stored, Variable};
use tokio::runtime::Handle;

use super::{
    file::FileConnection,
    log_index::{LogIndex, Stamp},
};

/// The bytes that an entry takes beside its names and values, about.
const OVERHEAD: usize = 512;

/// More sessions than this are freed by a thread of their own.
const FEW: usize = 100;

/// What [`Cache::load`] finds.
#[derive(Debug)]
pub enum Cached {
    /// The session, live.
    Found(Loaded),
    /// It is not in the cache. What is read from now on may be [kept](Cache::keep) with this stamp.
    Missing(Option<Stamp>),
}

/// The cache of one database.
pub struct Cache {
    /// How many bytes the entries may take, about.
    bytes: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    index: Option<LogIndex>,
    /// What the database had when all entries were true.
    stamp: Option<Stamp>,
    /// Whether a commit of this process is under way whose touched sessions are still in the cache.
    is_committing: bool,
    /// The entries in use, and those that were: these are given up when the others fill their half.
    recent: Entries,
    older: Entries,
    /// To be freed.
    given_up: Vec<Entries>,
}

#[derive(Default)]
struct Entries {
    sessions: HashMap<Key, Vec<Entry>>,
    bytes: usize,
}

/// What a load of a session answered that asked for one application's variables.
struct Entry {
    app: String,
    /// Longer values are known by their size alone.
    inline_bytes: u32,
    loaded: Arc<Loaded>,
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
            let is_true = stamp.is_some() && stamp == state.stamp;
            (if is_true { state.find(key, app, inline_bytes, self.bytes) } else { None }, stamp)
        });
        match found.filter(|loaded| loaded.record.expires > now) {
            Some(loaded) => {
                let variables = loaded.variables.iter().map(|variable| within(variable, inline_bytes)).collect();
                Cached::Found(Loaded { record: loaded.record.clone(), variables, renewal: None })
            }
            None => Cached::Missing(stamp),
        }
    }

    /// Keeps what was read after `stamp` was seen, if nothing has been committed since.
    pub fn keep(&self, stamp: Stamp, key: &Key, app: &str, inline_bytes: u32, loaded: &Loaded) {
        // A former key leads elsewhere as time passes.
        if loaded.renewal.is_some() {
            return;
        }
        let entry = Entry { app: app.to_owned(), inline_bytes, loaded: Arc::new(loaded.clone()) };
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
            let mut entries = state.take(key).unwrap_or_default();
            entries.retain(|known| known.app != entry.app);
            entries.push(entry);
            state.put(*key, entries, self.bytes);
        });
    }

    /// Watches the database from now on, through a connection that nobody else uses. Nothing is kept before.
    pub fn watch(&self, connection: FileConnection) {
        let index = LogIndex::new(connection);
        self.with(|state| {
            state.clear();
            state.index = index;
        });
    }

    /// Before a commit, while nobody else can commit: what the database has until then.
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

    /// After a commit that failed.
    pub fn gave_up(&self) {
        self.state().is_committing = false;
    }

    /// After a commit that touched these sessions, which has `written` something or has not.
    pub fn after_commit(&self, before: Option<Stamp>, written: bool, touched: &[Key]) {
        self.with(|state| {
            state.is_committing = false;
            // It was not watched then, or has been closed since.
            let Some(before) = before.filter(|before| state.stamp == Some(*before)) else { return };
            let now = state.stored().filter(|now| if written { before.leads_to(now) } else { before == *now });
            match now {
                Some(now) => {
                    touched.iter().for_each(|key| drop(state.take(key)));
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

    /// Works on the state, and frees what is given up: many sessions on a thread that nobody waits for, as that takes
    /// milliseconds.
    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state();
        let answer = work(&mut state);
        let given_up = mem::take(&mut state.given_up);
        drop(state);
        let count: usize = given_up.iter().map(|entries| entries.sessions.len()).sum();
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
        self.given_up.extend([mem::take(&mut self.recent), mem::take(&mut self.older)]);
    }

    /// An entry with values of at least `inline_bytes`. Its session is in use now.
    fn find(&mut self, key: &Key, app: &str, inline_bytes: u32, bytes: usize) -> Option<Arc<Loaded>> {
        if !self.recent.sessions.contains_key(key) {
            let entries = self.older.take(key)?;
            self.put(*key, entries, bytes);
        }
        let entry = self.recent.sessions.get(key)?.iter().find(|entry| entry.app == app)?;
        (entry.inline_bytes >= inline_bytes).then(|| Arc::clone(&entry.loaded))
    }

    fn take(&mut self, key: &Key) -> Option<Vec<Entry>> {
        self.recent.take(key).or_else(|| self.older.take(key))
    }

    /// Adds the entries of a session that has none. One that would fill much of the cache is left out.
    fn put(&mut self, key: Key, entries: Vec<Entry>, bytes: usize) {
        let size = size_of(&entries);
        if size > bytes / 16 {
            return;
        }
        if self.recent.bytes + size > bytes / 2 {
            let older = mem::replace(&mut self.older, mem::take(&mut self.recent));
            self.given_up.push(older);
        }
        self.recent.bytes += size;
        self.recent.sessions.insert(key, entries);
    }
}

impl Entries {
    fn take(&mut self, key: &Key) -> Option<Vec<Entry>> {
        let entries = self.sessions.remove(key)?;
        self.bytes -= size_of(&entries);
        Some(entries)
    }
}

fn size_of(entries: &[Entry]) -> usize {
    let size = |Entry { app, loaded, .. }: &Entry| {
        let variables = loaded.variables.iter().map(|Variable { name, value }| match value {
            Stored::Inline(bytes) => 2 * mem::size_of::<Variable>() + name.len() + bytes.len(),
            Stored::Large(_) => 2 * mem::size_of::<Variable>() + name.len(),
        });
        OVERHEAD + app.len() + loaded.record.owner.as_ref().map_or(0, String::len) + variables.sum::<usize>()
    };
    entries.iter().map(size).sum()
}

/// The variable as `load` answers it: with its value up to `inline_bytes` bytes, with its size beyond.
fn within(variable: &Variable, inline_bytes: u32) -> Variable {
    let value = match &variable.value {
        Stored::Inline(bytes) if bytes.len() > inline_bytes as usize => Stored::Large(bytes.len() as u64),
        value => value.clone(),
    };
    Variable { name: variable.name.clone(), value }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use rusqlite::Connection;

    use super::{super::file::DatabaseFile, *};
    use lemon_session_store::Record;

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
            let file = folder.path().join("a.db");
            let writer = open(&file);
            writer.execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (1)").expect("a table");
            let cache = Cache::new(bytes);
            let open = || Ok::<_, rusqlite::Error>((open(&file), ()));
            cache.watch(Arc::new(DatabaseFile::new(file.clone())).connect(open).expect("the database").0);
            Self { cache, writer, _folder: folder }
        }

        /// A commit of this process.
        fn commit(&self, touched: &[Key]) {
            self.writer.execute_batch("BEGIN IMMEDIATE").expect("begin");
            let before = self.cache.before_commit();
            self.writer.execute_batch("UPDATE t SET x = x + 1; COMMIT").expect("commit");
            self.cache.after_commit(before, true, touched);
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

    fn loaded(name: &str) -> Loaded {
        let owner = Some("Ada".to_owned());
        let record =
            Record { created: 1, accessed: 2, expires: NOW + 10, ends: None, renewed: 1, owner, version: 3, size: 4 };
        let variable = Variable { name: name.to_owned(), value: Stored::Inline(vec![1]) };
        Loaded { record, variables: vec![variable], renewal: None }
    }

    #[test]
    fn what_was_read_is_found_until_another_process_commits() {
        let (site, key) = (Site::new(SIZE), Key::of("a"));
        site.read(&key, "shop", &loaded("x"));
        assert_eq!(site.find(&key, "shop"), Some(loaded("x")));
        assert_eq!(site.find(&key, "blog"), None, "another application's variables were not read");
        site.commit(&[Key::of("b")]);
        assert_eq!(site.find(&key, "shop"), Some(loaded("x")), "a commit of our own that did not touch it");
        site.commit_elsewhere();
        assert_eq!(site.find(&key, "shop"), None);
        site.read(&key, "shop", &loaded("y"));
        assert_eq!(site.find(&key, "shop"), Some(loaded("y")));
    }

    #[test]
    fn session_that_a_commit_touched_is_read_anew_for_every_application() {
        let (site, [a, b]) = (Site::new(SIZE), ["a", "b"].map(Key::of));
        for (key, app) in [(&a, "shop"), (&a, "blog"), (&b, "shop")] {
            site.read(key, app, &loaded("x"));
        }
        site.commit(&[a]);
        assert_eq!([site.find(&a, "shop"), site.find(&a, "blog")], [None, None]);
        assert_eq!(site.find(&b, "shop"), Some(loaded("x")));
        site.read(&a, "blog", &loaded("y"));
        assert_eq!(site.find(&a, "blog"), Some(loaded("y")));
        assert_eq!(site.find(&a, "shop"), None, "what was known of it before is not mixed with what was read");
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
    fn commit_of_another_right_after_ours_empties_the_cache() {
        let (site, key) = (Site::new(SIZE), Key::of("a"));
        site.read(&key, "shop", &loaded("x"));
        let before = site.cache.before_commit();
        site.commit_elsewhere();
        site.commit_elsewhere();
        site.cache.after_commit(before, true, &[]);
        assert_eq!(site.find(&key, "shop"), None);
        assert!(site.cache.state().recent.sessions.is_empty());
    }

    #[test]
    fn commit_of_another_is_not_taken_for_ours_that_wrote_nothing() {
        let (site, key) = (Site::new(SIZE), Key::of("a"));
        site.read(&key, "shop", &loaded("x"));
        let before = site.cache.before_commit();
        site.cache.after_commit(before, false, &[]);
        assert_eq!(site.find(&key, "shop"), Some(loaded("x")), "nobody wrote");
        let before = site.cache.before_commit();
        site.commit_elsewhere();
        site.cache.after_commit(before, false, &[]);
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
        site.cache.after_commit(before, true, &[]);
        assert_eq!(site.find(&a, "shop"), Some(loaded("x")));
    }

    #[test]
    fn commit_that_failed_touches_nothing() {
        let (site, key) = (Site::new(SIZE), Key::of("a"));
        site.read(&key, "shop", &loaded("x"));
        site.cache.before_commit();
        site.cache.gave_up();
        assert_eq!(site.find(&key, "shop"), Some(loaded("x")));
    }

    #[test]
    fn entry_answers_loads_that_ask_for_no_more_and_while_its_session_is_live() {
        let (site, key) = (Site::new(SIZE), Key::of("a"));
        let long = Variable { name: "y".to_owned(), value: Stored::Inline(vec![0; 80]) };
        let mut session = loaded("x");
        session.variables.push(long);
        site.read(&key, "shop", &session);
        assert!(matches!(site.cache.load(&key, "shop", NOW + 9, 100), Cached::Found(_)));
        assert!(matches!(site.cache.load(&key, "shop", NOW + 10, 100), Cached::Missing(_)), "expired");
        assert!(matches!(site.cache.load(&key, "shop", NOW, 101), Cached::Missing(_)), "longer values");
        let Cached::Found(short) = site.cache.load(&key, "shop", NOW, 79) else { panic!("it is there") };
        assert_eq!(short.variables[1].value, Stored::Large(80));
    }

    #[test]
    fn session_found_by_a_former_key_is_not_kept() {
        let (site, key) = (Site::new(SIZE), Key::of("a"));
        site.read(&key, "shop", &Loaded { renewal: Some(vec![1]), ..loaded("x") });
        assert_eq!(site.find(&key, "shop"), None);
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
        for entries in [&state.recent, &state.older] {
            assert_eq!(entries.bytes, entries.sessions.values().map(|session| size_of(session)).sum::<usize>());
        }
    }

    #[test]
    fn cache_of_no_size_is_never_anything_but_empty() {
        let (site, key) = (Site::new(0), Key::of("a"));
        site.read(&key, "shop", &loaded("x"));
        assert_eq!(site.find(&key, "shop"), None);
    }
}
