//! The configured stores, by name and table. A guest can reach no others.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use tokio::{sync::OnceCell, task::JoinHandle};

use crate::{
    bindings::lemon::session::types::Location,
    log_limit::{LogLimit, LogLimits},
    observer::{Observer, Operation, Outcome, observe},
    outage::Outage,
    store::{Error, Registry, Result, StorageOptions, Store, TableName, guest},
};

/// The pause between two transactions of a background cleanup, in which requests can use the store.
const CLEANUP_PAUSE: Duration = Duration::from_millis(20);

/// One configured store: `[storage]` or `[storage.NAME]` in `lemon.ini`.
#[derive(Clone, Debug)]
pub struct Storage {
    /// The options to open it with, which include its default table.
    pub options: StorageOptions,
    /// Further tables that applications can select.
    pub tables: Vec<TableName>,
    /// The place of the configuration, for errors.
    pub origin: Origin,
}

impl PartialEq for Storage {
    /// Ignores the origin.
    fn eq(&self, other: &Self) -> bool {
        (&self.options, &self.tables) == (&other.options, &other.tables)
    }
}

impl Eq for Storage {}

/// The place where a store was configured, which errors about its options name.
#[derive(Clone, Default)]
pub struct Origin {
    /// The name of the file. If it is empty, errors do not name the place.
    pub file: String,
    /// The section of the file.
    pub section: String,
    /// For each key, the value that was read and its line number.
    pub keys: BTreeMap<String, (String, Option<usize>)>,
}

impl fmt::Debug for Origin {
    /// Leaves out values, which can contain passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: [{}]", self.file, self.section)
    }
}

impl Origin {
    /// Adds file, line and key to a driver's error about an invalid option.
    fn locate(&self, error: Error, options: &StorageOptions) -> Error {
        if !error.is_invalid() || self.file.is_empty() {
            return error;
        }
        let message = error.to_string();
        let (key, value) = match options.mentioned(&message) {
            Some(key) => (key, options.options.get(key)),
            None => ("url", Some(&options.url)),
        };
        match self.keys.get(key) {
            // A flag can have replaced the value in the file: then the line is not at fault.
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

/// The configured stores. A guest can reach no others.
pub struct Stores {
    default: Configured,
    named: BTreeMap<String, Configured>,
    observer: Option<Arc<dyn Observer>>,
    pub(crate) log: LogLimits,
}

/// One store with its tables. Each table has its own driver.
struct Configured {
    default: Arc<Table>,
    tables: BTreeMap<String, Arc<Table>>,
}

/// One table of one store.
struct Table {
    /// How to open the driver; `None` if the host passed an open one.
    opening: Option<Opening>,
    driver: OnceCell<Arc<dyn Store>>,
    cleanup: Mutex<Option<JoinHandle<()>>>,
    /// Limits the log lines about failed cleanups.
    log: LogLimit,
    /// Limits the log lines about a clock that is off.
    clock_log: LogLimit,
    outage: Outage,
}

struct Opening {
    registry: Registry,
    options: StorageOptions,
    origin: Origin,
}

impl Stores {
    /// The default store and the named stores of a configuration. Each is opened by [`open`](Self::open) or when it is
    /// first used.
    pub fn new(default: Storage, named: BTreeMap<String, Storage>, registry: &Registry) -> Self {
        let named = named.into_iter().map(|(name, storage)| (name, Configured::new(storage, registry))).collect();
        Self { default: Configured::new(default, registry), named, observer: None, log: LogLimits::default() }
    }

    /// A single store with one table, already open.
    pub fn single(driver: Arc<dyn Store>) -> Self {
        let table = Table {
            opening: None,
            driver: OnceCell::from(driver),
            cleanup: Mutex::default(),
            log: LogLimit::default(),
            clock_log: LogLimit::default(),
            outage: Outage::default(),
        };
        let default = Configured { default: Arc::new(table), tables: BTreeMap::new() };
        Self { default, named: BTreeMap::new(), observer: None, log: LogLimits::default() }
    }

    /// The same stores, with an observer of every storage operation.
    pub(crate) fn observed(self, observer: Arc<dyn Observer>) -> Self {
        Self { observer: Some(observer), ..self }
    }

    pub(crate) fn observer(&self) -> Option<&dyn Observer> {
        self.observer.as_deref()
    }

    /// Adds a named store with one table, already open. Replaces a store of that name.
    pub fn add(&mut self, name: impl Into<String>, driver: Arc<dyn Store>) {
        let Self { default, .. } = Self::single(driver);
        self.named.insert(name.into(), default);
    }

    /// Opens all stores now, so that errors show when the host starts. Logs a warning for each whose clock differs from the
    /// host's by more than [`CLOCK_TOLERANCE`](crate::store::CLOCK_TOLERANCE).
    ///
    /// # Errors
    ///
    /// Fails with the first store that cannot be opened.
    pub async fn open(&self) -> Result<()> {
        for table in self.all() {
            let driver = table.driver().await?;
            let now = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs());
            if let Err(error) = driver.check_clock(now).await {
                table.warn_of_clock(&error);
            }
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

    /// A call of a store failed, and the log says so or has said so less than a minute ago.
    pub(crate) fn failed(&self, location: &Location, now: Instant, is_logged: bool) {
        if let Ok(table) = self.table(location) {
            table.outage.failed(now, is_logged);
        }
    }

    /// A store has answered a call. Logs it if the store had failed before.
    pub(crate) fn answered(&self, location: &Location) {
        let Ok(table) = self.table(location) else { return };
        if let Some(time) = table.outage.answered(Instant::now) {
            let store = table.driver.get().map(|driver| driver.summary());
            tracing::info!(store, "the session store answers again, {time:.1?} after it began to fail");
        }
    }

    /// Logs that a store's clock is off, unless the log has said so less than a minute ago.
    pub(crate) fn warn_of_clock(&self, location: &Location, error: &Error) {
        if let Ok(table) = self.table(location) {
            table.warn_of_clock(error);
        }
    }

    /// Starts a background cleanup of expired sessions, unless one is running.
    ///
    /// # Errors
    ///
    /// Fails for a location that is not configured.
    pub fn cleanup_later(&self, location: &Location, now: u64) -> Result<()> {
        self.table(location)?.cleanup_later(now, self.observer.clone());
        Ok(())
    }

    /// Waits up to `limit` for background cleanups to finish, then ends them.
    pub async fn finish_cleanup(&self, limit: Duration) {
        let until = tokio::time::Instant::now() + limit;
        for table in self.all() {
            let Some(mut task) = table.cleanup().take() else { continue };
            if tokio::time::timeout_at(until, &mut task).await.is_err() {
                task.abort();
            }
        }
    }

    /// Ends background cleanups and closes all open stores.
    ///
    /// # Errors
    ///
    /// Returns the first error of a store that cannot flush its pending writes. The others are closed nevertheless.
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
            Some(name) => self
                .named
                .get(name)
                .ok_or_else(|| guest::unknown_storage(name, self.named.keys().map(String::as_str)))?,
        };
        match &location.table {
            None => Ok(&store.default),
            Some(name) => store
                .tables
                .get(name)
                .ok_or_else(|| guest::unknown_table(name, store.tables.keys().map(String::as_str))),
        }
    }
}

impl fmt::Debug for Stores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stores").field("named", &self.named.keys()).finish_non_exhaustive()
    }
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
                clock_log: LogLimit::default(),
                outage: Outage::default(),
            };
            (name, Arc::new(table))
        };
        let (name, default) = open(options.table.clone());
        // The default table can also be selected by its name.
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
            Err(_) => tracing::warn!("expired sessions were not removed: the cleanup needs a tokio runtime"),
        }
    }

    fn warn_of_clock(&self, error: &Error) {
        self.clock_log.limit(Instant::now(), |left_out| tracing::warn!(%error, left_out, "the store's clock"));
    }

    async fn clean_up(self: Arc<Self>, now: u64, observer: Option<Arc<dyn Observer>>) {
        if let Ok(driver) = self.driver().await
            && let Err(error) = driver.check_clock(now).await
        {
            return self.warn_of_clock(&error);
        }
        let mut removed = 0_u64;
        loop {
            let count = match self.driver().await {
                Ok(driver) => {
                    let call = driver.cleanup(now, guest::CLEANUP_BATCH);
                    let outcome = |&count: &u32| Outcome::Removed(count.into());
                    observe(observer.as_deref(), 0, Operation::Cleanup, call, outcome).await
                }
                Err(error) => Err(error),
            };
            match count {
                Ok(count) => {
                    removed += u64::from(count);
                    if count < guest::CLEANUP_BATCH {
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
pub(crate) mod tests {
    use super::*;
    use crate::store::{
        CLOCK_TOLERANCE, Change, CreateOutcome, DestroyCondition, Digest, Inspect, Listed, LoadOutcome, Record,
        UpdateOutcome, Writes, memory::Memory,
    };

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
        Record { created: 1, accessed: 1, expires, absolute_expiry: None, rotated: 1, owner: None, version: 1, size: 0 }
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
        let count = u64::from(guest::CLEANUP_BATCH) * 2 + 1;
        for n in 0..count {
            driver.create(&Digest::of(&n.to_string()), &record(2), &Writes::default()).await.unwrap();
        }
        let stores = Stores::single(Arc::clone(&driver));
        stores.cleanup_later(&Location::default(), 3).unwrap();
        let first = stores.default.default.cleanup().as_ref().map(JoinHandle::id);
        stores.cleanup_later(&Location::default(), 3).unwrap();
        assert_eq!(stores.default.default.cleanup().as_ref().map(JoinHandle::id), first, "one at a time");
        stores.finish_cleanup(Duration::from_secs(60)).await;
        assert_eq!(driver.cleanup(3, u32::MAX).await.unwrap(), 0);
    }

    /// A store whose own clock shows this.
    pub(crate) struct Clocked {
        pub memory: Memory,
        pub clock: u64,
    }

    #[async_trait::async_trait]
    impl Store for Clocked {
        fn summary(&self) -> String {
            self.memory.summary()
        }

        async fn load(&self, digest: &Digest, app: &str, now: u64, inline_bytes: u32) -> Result<LoadOutcome> {
            self.memory.load(digest, app, now, inline_bytes).await
        }

        async fn fetch(&self, digest: &Digest, app: &str, name: &str, now: u64) -> Result<Option<Vec<u8>>> {
            self.memory.fetch(digest, app, name, now).await
        }

        async fn create(&self, digest: &Digest, record: &Record, writes: &Writes) -> Result<CreateOutcome> {
            self.memory.create(digest, record, writes).await
        }

        async fn update(
            &self,
            digest: &Digest,
            change: &Change,
            expected: Option<u64>,
            now: u64,
        ) -> Result<UpdateOutcome> {
            self.memory.update(digest, change, expected, now).await
        }

        async fn destroy(&self, digest: &Digest, only: &DestroyCondition, now: u64, remember: u32) -> Result<bool> {
            self.memory.destroy(digest, only, now, remember).await
        }

        async fn destroy_owned(&self, owner: &str, except: Option<&Digest>, now: u64, remember: u32) -> Result<u64> {
            self.memory.destroy_owned(owner, except, now, remember).await
        }

        async fn cleanup(&self, now: u64, limit: u32) -> Result<u32> {
            self.memory.cleanup(now, limit).await
        }

        fn inspect(&self) -> Option<&dyn Inspect> {
            Some(self)
        }
    }

    #[async_trait::async_trait]
    impl Inspect for Clocked {
        async fn count(&self, now: u64) -> Result<u64> {
            self.memory.count(now).await
        }

        async fn reused(&self, now: u64) -> Result<u64> {
            self.memory.reused(now).await
        }

        async fn list(&self, now: u64, owner: Option<&str>, after: Option<&Digest>, limit: u32) -> Result<Vec<Listed>> {
            self.memory.list(now, owner, after, limit).await
        }

        async fn describe(&self, digest: &Digest, now: u64) -> Result<Option<(Record, Vec<(String, String, u64)>)>> {
            self.memory.describe(digest, now).await
        }

        async fn clock(&self) -> Result<Option<u64>> {
            Ok(Some(self.clock))
        }
    }

    #[tokio::test]
    async fn a_host_whose_clock_is_off_removes_no_expired_sessions() {
        let now = 1_000_000;
        for (clock, left) in [(now - CLOCK_TOLERANCE - 1, 1), (now + CLOCK_TOLERANCE + 1, 1), (now, 0)] {
            let driver: Arc<dyn Store> = Arc::new(Clocked { memory: Memory::new(), clock });
            driver.create(&Digest::of("a"), &record(2), &Writes::default()).await.unwrap();
            let stores = Stores::single(Arc::clone(&driver));
            stores.cleanup_later(&Location::default(), now).unwrap();
            stores.finish_cleanup(Duration::from_secs(60)).await;
            assert_eq!(driver.cleanup(now, 9).await.unwrap(), left, "the store's clock shows {clock}");
        }
    }

    #[tokio::test]
    async fn a_store_is_closed_once() {
        let stores = stores();
        stores.open().await.unwrap();
        assert_eq!(stores.all().count(), 3);
        stores.close().await.unwrap();
    }
}
