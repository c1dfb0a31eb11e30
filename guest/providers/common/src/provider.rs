//! The stores of a provider, and what it answers to `storage` and `settings`.

use std::{
    collections::BTreeMap,
    env,
    error::Error as _,
    io::{self, Write as _},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use lemon_session_rules::{
    Settings,
    settings::{Caller, Grant, Notice},
    storage::{
        Change, CreateOutcome, DestroyCondition, Failure, Listed, LoadOutcome, Location, SessionRecord, UpdateOutcome,
        Write,
    },
};
use lemon_session_store::{Digest, Error, Registry, Result, StorageOptions, Store, TableName, guest, registry::Open};

use crate::{
    convert,
    environment::{Config, Mistakes, variable},
    run::run,
};

/// How many sessions and tombstones a cleanup removes for each start that there is on average between two cleanups. A start
/// leaves one session at most, and a tombstone where its id is rotated.
const REMOVED_PER_START: f64 = 2.0;

/// A store as a component, opened when it is first used.
pub struct Provider {
    registry: Registry,
    config: Result<Config, Mistakes>,
    tables: Mutex<BTreeMap<String, Table>>,
    log: fn(&str),
}

/// One table that is open.
#[derive(Clone)]
struct Table {
    store: Arc<dyn Store>,
    /// Whether its tables are created should they be missing.
    is_created: Arc<AtomicBool>,
}

impl Provider {
    /// A provider with these drivers and settings. `log` is given one line at a time.
    pub fn new(registry: Registry, config: Result<Config, Mistakes>, log: fn(&str)) -> Self {
        if let Err(Mistakes(mistakes)) = &config {
            for mistake in mistakes {
                log(mistake);
            }
        }
        Self { registry, config, tables: Mutex::default(), log }
    }

    /// The provider of a component: with the schemes of its driver, and the settings in its environment. `storage` is the URL
    /// of the store if the environment has none.
    ///
    /// # Panics
    ///
    /// Panics if two drivers have one scheme.
    pub fn from_environment(schemes: &[(&'static str, Open)], storage: Option<&str>) -> Self {
        let mut registry = Registry::new();
        registry.register(schemes).expect("the drivers have different schemes");
        // The environment of a component is always UTF-8.
        let variables =
            env::vars_os().filter_map(|(name, value)| name.into_string().ok().zip(value.into_string().ok()));
        Self::new(registry, Config::read(variables, storage), |line| {
            // A host that closed stderr wants no lines.
            let _ = writeln!(io::stderr(), "lemon-session: {line}");
        })
    }

    /// The settings; their defaults if the environment has mistakes, as every call to the store fails then.
    pub fn defaults(&self) -> Settings {
        self.config.as_ref().map_or_else(|_| Settings::default(), |config| config.settings.clone())
    }

    /// The caller: a component cannot tell requests apart.
    pub fn caller(&self) -> Caller {
        Caller { request: 0, manager: self.config.as_ref().map_or(Grant::None, |config| config.manager) }
    }

    /// Logs a probable mistake of the application.
    pub fn notify(&self, notice: &Notice) {
        let (app, what) = match notice {
            Notice::Unsaved(app) => (app, "a session was changed and never saved: the changes are lost"),
            Notice::ChangedAfterSave(app) => (app, "a session was changed after it was saved: these changes are lost"),
            Notice::StartedTwice(app) => {
                (app, "a session was started twice in one request: neither handle sees what the other changes")
            }
        };
        (self.log)(&format!("app={}: {what}", guest::shown(app)));
    }

    /// Calls the store of a location. Opens it if it is not open, and creates its tables if they are missing.
    fn call<T>(&self, location: &Location, call: impl AsyncFn(&dyn Store) -> Result<T>) -> Result<T, Failure> {
        // Its mistakes were logged when it was read.
        let config = self.config.as_ref().map_err(|mistakes| Failure::Unavailable(mistakes.to_string()))?;
        let answer = self.table(config, location).and_then(|Table { store, is_created }| match run(call(&*store)) {
            Err(error) if error.is_missing_tables() && is_created.load(Ordering::Relaxed) => {
                run(store.set_up())?;
                run(call(&*store))
            }
            answer => answer,
        });
        answer.map_err(|error| self.failure(error))
    }

    fn table(&self, config: &Config, location: &Location) -> Result<Table> {
        if let Some(name) = &location.storage {
            return Err(guest::unknown_storage(name, []));
        }
        let default = &config.storage.table;
        let name = match &location.table {
            None => default,
            Some(name) => {
                config.tables.iter().chain([default]).find(|table| table.as_str() == name).ok_or_else(|| {
                    guest::unknown_table(name, config.tables.iter().chain([default]).map(TableName::as_str))
                })?
            }
        };
        let mut tables = self.tables();
        if let Some(table) = tables.get(name.as_str()) {
            return Ok(table.clone());
        }
        let options = StorageOptions { table: name.clone(), ..config.storage.clone() };
        let store = run(self.registry.open(options)).map_err(|error| locate(error, &config.storage))?;
        let table = Table { store, is_created: Arc::new(config.create_tables.into()) };
        tables.insert(name.to_string(), table.clone());
        Ok(table)
    }

    fn tables(&self) -> MutexGuard<'_, BTreeMap<String, Table>> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Logs an error with its causes, and answers with its text.
    fn failure(&self, error: Error) -> Failure {
        let mut line = format!("the session store failed: {error}");
        let mut cause = error.source();
        while let Some(error) = cause {
            line = format!("{line}: {error}");
            cause = error.source();
        }
        (self.log)(&line);
        let text = error.to_string();
        if error.is_unknown_location() {
            Failure::UnknownLocation(text)
        } else if error.is_missing_tables() {
            Failure::MissingTables(text)
        } else {
            Failure::Unavailable(text)
        }
    }
}

/// Adds the variable to a driver's error about the URL or an option.
fn locate(error: Error, options: &StorageOptions) -> Error {
    if !error.is_invalid() {
        return error;
    }
    let message = error.to_string();
    let name = match options.mentioned(&message) {
        Some(option) => variable("storage", option),
        None => variable("session", "storage"),
    };
    Error::invalid(format!("{name}: {message}")).with_source(error)
}

/// The functions of the interface `lemon:session/storage`.
#[expect(missing_docs, reason = "the documentation is in wit/storage.wit")]
impl Provider {
    pub fn load(&self, at: &Location, key: &[u8], app: &str, now: u64, inline: u32) -> Result<LoadOutcome, Failure> {
        let key = self.digest(key)?;
        self.call(at, async |store| store.load(&key, app, now, inline).await).map(convert::load_outcome)
    }

    pub fn fetch(
        &self,
        at: &Location,
        key: &[u8],
        app: &str,
        name: &str,
        now: u64,
    ) -> Result<Option<Vec<u8>>, Failure> {
        let key = self.digest(key)?;
        self.call(at, async |store| store.fetch(&key, app, name, now).await)
    }

    pub fn create(
        &self,
        at: &Location,
        key: &[u8],
        record: SessionRecord,
        writes: Vec<Write>,
    ) -> Result<CreateOutcome, Failure> {
        let key = self.digest(key)?;
        let (record, writes) = (convert::record(record), convert::writes(writes));
        self.call(at, async |store| store.create(&key, &record, &writes).await).map(convert::create_outcome)
    }

    pub fn update(
        &self,
        at: &Location,
        key: &[u8],
        change: Change,
        expected: Option<u64>,
        now: u64,
    ) -> Result<UpdateOutcome, Failure> {
        let key = self.digest(key)?;
        let change = convert::change(change).map_err(|error| self.failure(error))?;
        self.call(at, async |store| store.update(&key, &change, expected, now).await).map(convert::update_outcome)
    }

    pub fn destroy(
        &self,
        at: &Location,
        key: &[u8],
        only: DestroyCondition,
        now: u64,
        remember: u32,
    ) -> Result<bool, Failure> {
        let (key, only) = (self.digest(key)?, convert::condition(only));
        self.call(at, async |store| store.destroy(&key, &only, now, remember).await)
    }

    pub fn destroy_owned(
        &self,
        at: &Location,
        owner: &str,
        except: Option<&[u8]>,
        now: u64,
        remember: u32,
    ) -> Result<u64, Failure> {
        let except = except.map(|key| self.digest(key)).transpose()?;
        self.call(at, async |store| store.destroy_owned(owner, except.as_ref(), now, remember).await)
    }

    pub fn cleanup(&self, at: &Location, now: u64, limit: u32) -> Result<u32, Failure> {
        self.call(at, async |store| {
            let mut removed = 0;
            while removed < limit {
                let batch = guest::CLEANUP_BATCH.min(limit - removed);
                let count = store.cleanup(now, batch).await?;
                removed = removed.saturating_add(count);
                if count < batch {
                    break;
                }
            }
            Ok(removed)
        })
    }

    /// Removes a few of what has expired, because a component has no background. Errors are logged.
    pub fn cleanup_later(&self, at: &Location, now: u64) {
        let limit = cleanup_step(self.defaults().cleanup);
        let _ = self.call(at, async |store| store.cleanup(now, limit).await);
    }

    pub fn count(&self, at: &Location, now: u64) -> Result<u64, Failure> {
        self.call(at, async |store| store.try_inspect()?.count(now).await)
    }

    pub fn list(
        &self,
        at: &Location,
        now: u64,
        owner: Option<&str>,
        after: Option<&[u8]>,
        limit: u32,
    ) -> Result<Vec<Listed>, Failure> {
        guest::list_limit(limit).map_err(|error| self.failure(error))?;
        let after = after.map(|key| self.digest(key)).transpose()?;
        let listed = self.call(at, async |store| store.try_inspect()?.list(now, owner, after.as_ref(), limit).await)?;
        Ok(listed.into_iter().map(convert::listed).collect())
    }

    pub fn create_tables(&self, at: &Location) -> Result<(), Failure> {
        self.call(at, async |store| store.set_up().await)
    }

    pub fn drop_tables(&self, at: &Location) -> Result<(), Failure> {
        self.call(at, async |store| store.try_schema()?.drop_tables().await)?;
        // What follows in this instance answers that they are missing.
        let name = at.table.as_deref().or(self.config.as_ref().ok().map(|config| config.storage.table.as_str()));
        if let Some(table) = name.and_then(|name| self.tables().get(name).cloned()) {
            table.is_created.store(false, Ordering::Relaxed);
        }
        Ok(())
    }

    pub fn tables_exist(&self, at: &Location) -> Result<bool, Failure> {
        // A driver without `Schema` needs no tables.
        self.call(at, async |store| match store.schema() {
            Some(schema) => schema.tables_exist().await,
            None => Ok(true),
        })
    }

    fn digest(&self, bytes: &[u8]) -> Result<Digest, Failure> {
        guest::digest(bytes).map_err(|error| self.failure(error))
    }
}

/// How many sessions and tombstones a cleanup removes that a start triggers with this probability: as many as the starts
/// since the last one can have left, and at most as many as one call of a driver removes.
fn cleanup_step(probability: f64) -> u32 {
    let step = (REMOVED_PER_START / probability).ceil();
    if step.is_finite() { (step as u32).clamp(1, guest::CLEANUP_BATCH) } else { guest::CLEANUP_BATCH }
}

#[cfg(test)]
mod tests;
