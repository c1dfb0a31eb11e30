//! The stores that are configured, by name and table: all that a guest can reach.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::{sync::OnceCell, task::JoinHandle};

use crate::{
    bindings::lemon::session::types::Location,
    log_limit::{LogLimit, LogLimits},
    observer::{Observer, Operation, Outcome, observe},
    settings::shown,
    store::{Error, Registry, Result, StorageOptions, Store, TableName},
};

/// How many sessions a background cleanup removes in one transaction.
const CLEANUP_BATCH: u32 = 500;
/// How long a background cleanup lets others have the store between two transactions.
const CLEANUP_PAUSE: Duration = Duration::from_millis(20);

/// One configured store: `[storage]` or `[storage.NAME]` in `lemon.ini`.
#[derive(Clone, Debug)]
pub struct Storage {
    /// How it is opened, and the table that is used unless another one is asked for.
    pub options: StorageOptions,
    /// Further tables that applications may ask for.
    pub tables: Vec<TableName>,
    /// Where this was configured, for errors.
    pub origin: Origin,
}

impl PartialEq for Storage {
    /// Wherever it was read.
    fn eq(&self, other: &Self) -> bool {
        (&self.options, &self.tables) == (&other.options, &other.tables)
    }
}

impl Eq for Storage {}

/// Where a store was configured: an error about an option that its driver refuses names the place.
#[derive(Clone, Default)]
pub struct Origin {
    /// The name of the file. If it is empty, errors name no place.
    pub file: String,
    /// The section of the file.
    pub section: String,
    /// By key, the value that was read and its line.
    pub keys: BTreeMap<String, (String, Option<usize>)>,
}

impl fmt::Debug for Origin {
    /// Without values, which can hold passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: [{}]", self.file, self.section)
    }
}

impl Origin {
    /// Adds file, line and key to what a driver says of options it cannot use.
    fn locate(&self, error: Error, options: &StorageOptions) -> Error {
        if !error.is_invalid() || self.file.is_empty() {
            return error;
        }
        let message = error.to_string();
        let is_mentioned =
            |key: &&String| message.contains(&format!("{key:?}")) || message.starts_with(&format!("{key} "));
        let mentioned = options.options.keys().find(is_mentioned);
        let (key, value) = match mentioned {
            Some(key) => (key.as_str(), options.options.get(key)),
            None => ("url", Some(&options.url)),
        };
        match self.keys.get(key) {
            // A value that was set elsewhere, by a flag, is not to be looked for in the file.
            Some((read, Some(line))) if Some(read) == value => {
                Error::invalid(format!("{}:{line}: [{}] {key}: {message}", self.file, self.section)).with_source(error)
            }
            _ => error,
        }
    }
}

impl Storage {
    /// A store at a URL, with the default table.
    pub fn new(url: impl Into<String>) -> Self {
        Self { options: StorageOptions::new(url), tables: Vec::new(), origin: Origin::default() }
    }
}

/// The stores that are configured. Nothing that is not can be reached, whatever a guest asks for.
pub struct Stores {
    default: Configured,
    named: BTreeMap<String, Configured>,
    observer: Option<Arc<dyn Observer>>,
    pub(crate) log: LogLimits,
}

/// One store with its tables: one driver for each.
struct Configured {
    default: Arc<Table>,
    tables: BTreeMap<String, Arc<Table>>,
}

/// One table of one store.
struct Table {
    /// How the driver is opened; none if it was given.
    opening: Option<Opening>,
    driver: OnceCell<Arc<dyn Store>>,
    cleanup: Mutex<Option<JoinHandle<()>>>,
    /// What is logged when it fails.
    log: LogLimit,
}

struct Opening {
    registry: Registry,
    options: StorageOptions,
    origin: Origin,
}

impl Stores {
    /// The stores of a configuration: the default one and those that have a name. Each is opened when it is used first, or
    /// by [`open`](Self::open).
    pub fn new(default: Storage, named: BTreeMap<String, Storage>, registry: &Registry) -> Self {
        let named = named.into_iter().map(|(name, storage)| (name, Configured::new(storage, registry))).collect();
        Self { default: Configured::new(default, registry), named, observer: None, log: LogLimits::default() }
    }

    /// One store that is open already, with its one table.
    pub fn single(driver: Arc<dyn Store>) -> Self {
        let table = Table {
            opening: None,
            driver: OnceCell::from(driver),
            cleanup: Mutex::default(),
            log: LogLimit::default(),
        };
        let default = Configured { default: Arc::new(table), tables: BTreeMap::new() };
        Self { default, named: BTreeMap::new(), observer: None, log: LogLimits::default() }
    }

    /// The same stores, with an observer of all that sessions ask of them.
    pub fn observed(self, observer: Arc<dyn Observer>) -> Self {
        Self { observer: Some(observer), ..self }
    }

    pub(crate) fn observer(&self) -> Option<&dyn Observer> {
        self.observer.as_deref()
    }

    /// Adds a store that is open already, with its one table, under a name. Replaces one of that name.
    pub fn add(&mut self, name: impl Into<String>, driver: Arc<dyn Store>) {
        let Self { default, .. } = Self::single(driver);
        self.named.insert(name.into(), default);
    }

    /// Opens all stores now, so that trouble shows when the host starts.
    ///
    /// # Errors
    ///
    /// Fails with the first store that cannot be opened.
    pub async fn open(&self) -> Result<()> {
        for table in self.all() {
            table.driver().await?;
        }
        Ok(())
    }

    /// The driver for a location.
    ///
    /// # Errors
    ///
    /// Fails for a location that is not configured, and when the store cannot be opened.
    pub async fn driver(&self, location: &Location) -> Result<&Arc<dyn Store>> {
        self.table(location)?.driver().await
    }

    /// Has expired sessions removed in the background, unless that is being done already.
    ///
    /// # Errors
    ///
    /// Fails for a location that is not configured.
    pub fn cleanup_later(&self, location: &Location, now: u64) -> Result<()> {
        self.table(location)?.cleanup_later(now, self.observer.clone());
        Ok(())
    }

    /// Waits until no cleanup runs in the background any more, but not longer than `limit`; what runs then is ended.
    pub async fn finish_cleanup(&self, limit: Duration) {
        let until = tokio::time::Instant::now() + limit;
        for table in self.all() {
            let Some(mut task) = table.cleanup().take() else { continue };
            if tokio::time::timeout_at(until, &mut task).await.is_err() {
                task.abort();
            }
        }
    }

    /// Ends cleanups that run in the background, and closes all stores that were opened.
    ///
    /// # Errors
    ///
    /// Fails when a store cannot write out what it holds in memory. The others are closed all the same.
    pub async fn close(&self) -> Result<()> {
        self.finish_cleanup(Duration::ZERO).await;
        let mut result = Ok(());
        for table in self.all() {
            if let Some(driver) = table.driver.get() {
                result = result.and(driver.close().await);
            }
        }
        result
    }

    fn all(&self) -> impl Iterator<Item = &Arc<Table>> {
        let stores = std::iter::once(&self.default).chain(self.named.values());
        stores.flat_map(|store| store.tables.values().chain(store.tables.is_empty().then_some(&store.default)))
    }

    fn table(&self, location: &Location) -> Result<&Arc<Table>> {
        let store = match &location.storage {
            None => &self.default,
            Some(name) => self.named.get(name).ok_or_else(|| {
                Error::unknown_location(format!(
                    "there is no storage {}; configured are the default one{}",
                    shown(name),
                    enumerate(self.named.keys())
                ))
            })?,
        };
        match &location.table {
            None => Ok(&store.default),
            Some(name) => store.tables.get(name).ok_or_else(|| {
                Error::unknown_location(format!(
                    "the table {} is not one of those that are configured: the default one{}",
                    shown(name),
                    enumerate(store.tables.keys())
                ))
            }),
        }
    }
}

impl fmt::Debug for Stores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stores").field("named", &self.named.keys()).finish_non_exhaustive()
    }
}

fn enumerate<'a>(names: impl Iterator<Item = &'a String>) -> String {
    names.map(|name| format!(", {name}")).collect()
}

impl Configured {
    fn new(Storage { options, tables, origin }: Storage, registry: &Registry) -> Self {
        let open = |table: TableName| {
            let name = table.to_string();
            let options = StorageOptions { table, ..options.clone() };
            let opening = Opening { registry: registry.clone(), options, origin: origin.clone() };
            let table = Table {
                opening: Some(opening),
                driver: OnceCell::new(),
                cleanup: Mutex::default(),
                log: LogLimit::default(),
            };
            (name, Arc::new(table))
        };
        let (name, default) = open(options.table.clone());
        // Asked for by its name, the default table is the same table.
        let tables = tables.into_iter().map(open).chain([(name, Arc::clone(&default))]).collect();
        Self { default, tables }
    }
}

impl Table {
    async fn driver(&self) -> Result<&Arc<dyn Store>> {
        self.driver
            .get_or_try_init(async || match &self.opening {
                Some(Opening { registry, options, origin }) => {
                    registry.open(options.clone()).await.map_err(|error| origin.locate(error, options))
                }
                None => Err(Error::unavailable("the store was closed")),
            })
            .await
    }

    fn cleanup(&self) -> std::sync::MutexGuard<'_, Option<JoinHandle<()>>> {
        self.cleanup.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cleanup_later(self: &Arc<Self>, now: u64, observer: Option<Arc<dyn Observer>>) {
        let mut cleanup = self.cleanup();
        if cleanup.as_ref().is_some_and(|task| !task.is_finished()) {
            return;
        }
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => *cleanup = Some(runtime.spawn(Arc::clone(self).clean_up(now, observer))),
            Err(_) => tracing::warn!("expired sessions stay: there is no tokio runtime to remove them in"),
        }
    }

    async fn clean_up(self: Arc<Self>, now: u64, observer: Option<Arc<dyn Observer>>) {
        let mut removed = 0_u64;
        loop {
            let count = match self.driver().await {
                Ok(driver) => {
                    let call = driver.cleanup(now, CLEANUP_BATCH);
                    let outcome = |&count: &u32| Outcome::Removed(count.into());
                    observe(observer.as_deref(), Operation::Cleanup, call, outcome).await
                }
                Err(error) => Err(error),
            };
            match count {
                Ok(count) => {
                    removed += u64::from(count);
                    if count < CLEANUP_BATCH {
                        break;
                    }
                }
                Err(error) => {
                    self.log.limit(Instant::now(), |left_out| {
                        tracing::error!(%error, left_out, "the cleanup of expired sessions stopped");
                    });
                    break;
                }
            }
            tokio::time::sleep(CLEANUP_PAUSE).await;
        }
        if removed > 0 {
            tracing::debug!(removed, "expired sessions were removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Key, Record, Writes, memory::Memory};

    fn location(storage: Option<&str>, table: Option<&str>) -> Location {
        Location { storage: storage.map(str::to_owned), table: table.map(str::to_owned) }
    }

    fn stores() -> Stores {
        let mut default = Storage::new("memory:");
        default.tables = vec![TableName::new("Forum").unwrap()];
        let archive = Storage::new("memory:");
        Stores::new(default, [("archive".to_owned(), archive)].into(), &Registry::new())
    }

    fn record(expires: u64) -> Record {
        Record { created: 1, accessed: 1, expires, ends: None, renewed: 1, owner: None, version: 1, size: 0 }
    }

    #[tokio::test]
    async fn one_table_of_one_store_has_one_driver() {
        let stores = stores();
        let default = stores.driver(&location(None, None)).await.unwrap();
        assert!(Arc::ptr_eq(default, stores.driver(&location(None, Some("Session"))).await.unwrap()));
        assert!(!Arc::ptr_eq(default, stores.driver(&location(None, Some("Forum"))).await.unwrap()));
        assert!(!Arc::ptr_eq(default, stores.driver(&location(Some("archive"), None)).await.unwrap()));
    }

    #[tokio::test]
    async fn what_is_not_configured_cannot_be_reached() {
        let stores = stores();
        for (storage, table, configured) in [
            (Some("other"), None, "archive"),
            (None, Some("Other"), "Forum, Session"),
            (Some("archive"), Some("Forum"), "Session"),
        ] {
            let error = stores.driver(&location(storage, table)).await.err().unwrap();
            assert!(error.is_unknown_location() && error.to_string().contains(configured), "{error}");
            assert!(stores.cleanup_later(&location(storage, table), 0).is_err());
        }
    }

    #[tokio::test]
    async fn a_long_name_is_cut_short_in_the_error() {
        let error = stores().driver(&location(Some(&"a\n".repeat(1_000_000)), None)).await.err().unwrap().to_string();
        assert!(error.len() < 500 && !error.contains('\n'), "{error}");
    }

    #[tokio::test]
    async fn a_cleanup_in_the_background_runs_until_none_is_left() {
        let driver: Arc<dyn Store> = Arc::new(Memory::new());
        let count = u64::from(CLEANUP_BATCH) * 2 + 1;
        for n in 0..count {
            driver.create(&Key::of(&n.to_string()), &record(2), &Writes::default()).await.unwrap();
        }
        let stores = Stores::single(Arc::clone(&driver));
        stores.cleanup_later(&Location::default(), 3).unwrap();
        let first = stores.default.default.cleanup().as_ref().map(JoinHandle::id);
        stores.cleanup_later(&Location::default(), 3).unwrap();
        assert_eq!(stores.default.default.cleanup().as_ref().map(JoinHandle::id), first, "one at a time");
        stores.finish_cleanup(Duration::from_secs(60)).await;
        assert_eq!(driver.cleanup(3, u32::MAX).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn a_store_is_closed_once() {
        let stores = stores();
        stores.open().await.unwrap();
        assert_eq!(stores.all().count(), 3);
        stores.close().await.unwrap();
    }
}
