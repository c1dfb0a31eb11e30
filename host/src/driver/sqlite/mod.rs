//! `sqlite:PATH`: sessions in an SQLite database, the default. Nothing has to be set up: the first `serve` creates the file.
//!
//! The database has a write-ahead log: loads never wait for saves, nor saves for loads. Several processes may use the file
//! at the same time, on one machine. A save that was answered survives the end of the process, kill -9 too; with
//! `synchronous = FULL` also a power failure.
//!
//! Options beside the URL:
//!
//! - `synchronous`: `NORMAL` (the default) or `FULL`, which waits for the disk with every group of saves;
//! - `busy_timeout`: how many milliseconds a save waits for other processes, and for room in the queue; 5000 unless given;
//! - `cache_size`: how many bytes of memory may hold sessions that were used lately, so that a load need not ask SQLite;
//!   33554432 unless given, 0 for none;
//! - `mmap_size`: how many bytes of the file are mapped into memory; 0 unless given. Helps where much is read and little
//!   is saved: every save has each connection that reads map the file anew.

mod cache;
mod changes;
mod connection;
mod frames;
mod log_index;
mod options;
mod reader;
mod schema;
mod writer;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;

use self::{
    cache::{Cache, Cached},
    options::Options,
    reader::Readers,
    schema::{Layout, Statements},
    writer::Writer,
};
use super::{
    Change, CreateOutcome, DestroyCondition, Driver, Error, Key, Listed, LoadOutcome, Record, Result, Snapshot,
    StorageOptions, UpdateOutcome, Write, registry::Opening,
};

/// How many expired sessions one transaction removes: a save waits for no more than these.
const CLEANUP_BATCH: u32 = 16;

/// After how long a cleanup rests for as long as it has worked.
const CLEANUP_WORK: Duration = Duration::from_millis(1);

/// With so many sessions, the database is watched, and those in use are kept in memory: not for the one session of a process that
/// answers one request.
const WORTH_WATCHING: u8 = 2;

/// Sessions in an SQLite database.
pub struct Sqlite {
    options: Arc<Options>,
    cache: Arc<Cache>,
    /// Sessions that were found or created, up to [`WORTH_WATCHING`].
    used: AtomicU8,
    readers: Arc<Readers>,
    writer: Arc<Writer>,
}

impl Sqlite {
    /// Opens the store of a URL `sqlite:PATH`. The file is created with the tables, not before.
    pub fn open(options: StorageOptions) -> Opening {
        Box::pin(async move { Ok(Arc::new(Self::new(&options)?) as Arc<dyn Driver>) })
    }

    fn new(options: &StorageOptions) -> Result<Self> {
        let options = Arc::new(Options::parse(options)?);
        let sql = Arc::new(Statements::new(&options.table));
        let cache = Arc::new(Cache::new(options.cache_size));
        Ok(Self {
            readers: Arc::new(Readers::new(Arc::clone(&options), Arc::clone(&sql))),
            writer: Arc::new(Writer::new(Arc::clone(&options), sql, Arc::clone(&cache))),
            options,
            cache,
            used: AtomicU8::new(0),
        })
    }

    /// Notes that a session is in use.
    fn used(&self) {
        if self.options.cache_size == 0
            || self.used.load(Ordering::Relaxed) >= WORTH_WATCHING
            || self.used.fetch_add(1, Ordering::Relaxed) + 1 != WORTH_WATCHING
        {
            return;
        }
        match self.options.connect_to_read() {
            Ok(connection) => self.cache.watch(connection),
            Err(error) => {
                tracing::debug!(%error, "sessions are not kept in memory yet");
                self.used.store(WORTH_WATCHING - 1, Ordering::Relaxed);
            }
        }
    }

    /// Runs what may take long beside the threads of the runtime.
    async fn aside<T: Send + 'static>(
        &self,
        run: impl FnOnce(&Readers, &Options) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (readers, options) = (Arc::clone(&self.readers), Arc::clone(&self.options));
        blocking(move || run(&readers, &options)).await
    }
}

async fn blocking<T: Send + 'static>(run: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(run).await;
    done.unwrap_or_else(|error| Err(Error::unavailable("a task of SQLite has ended early").with_source(error)))
}

#[async_trait]
impl Driver for Sqlite {
    fn summary(&self) -> String {
        format!("SQLite in {}", self.options.file())
    }

    async fn load(&self, key: &Key, app: &str, now: u64, inline_bytes: u32) -> Result<LoadOutcome> {
        let stamp = match self.cache.load(key, app, now, inline_bytes) {
            Cached::Found(loaded) => return Ok(LoadOutcome::Found(loaded)),
            Cached::Missing(stamp) => stamp,
        };
        let loaded = self.readers.load(key, app, now, inline_bytes)?;
        match (&loaded, stamp) {
            (LoadOutcome::Found(loaded), Some(stamp)) => self.cache.keep(stamp, key, app, inline_bytes, loaded),
            (LoadOutcome::Found(_), None) => self.used(),
            (LoadOutcome::Ended, _) => {
                let key = *key;
                self.writer.write(move |changes| changes.count_reuse(&key)).await?;
            }
            _ => {}
        }
        Ok(loaded)
    }

    async fn fetch(&self, key: &Key, app: &str, name: &str, now: u64) -> Result<Option<Vec<u8>>> {
        self.readers.fetch(key, app, name, now)
    }

    async fn create(&self, key: &Key, record: &Record, writes: &[Write]) -> Result<CreateOutcome> {
        self.used();
        let (key, record, writes) = (*key, record.clone(), Arc::from(writes));
        self.writer.write(move |changes| changes.create(&key, &record, &writes)).await
    }

    async fn update(&self, key: &Key, change: &Change, expected: Option<u64>, now: u64) -> Result<UpdateOutcome> {
        let (key, change) = (*key, Arc::new(change.clone()));
        self.writer.write(move |changes| changes.update(&key, &change, expected, now)).await
    }

    async fn destroy(&self, key: &Key, only: &DestroyCondition, now: u64, remember: u32) -> Result<bool> {
        let (key, only) = (*key, only.clone());
        self.writer.write(move |changes| changes.destroy(&key, &only, now, remember)).await
    }

    async fn destroy_owned(&self, owner: &str, except: Option<&Key>, now: u64, remember: u32) -> Result<u64> {
        let (owner, except) = (owner.to_owned(), except.copied());
        self.writer.write(move |changes| changes.destroy_owned(&owner, except.as_ref(), now, remember)).await
    }

    async fn cleanup(&self, now: u64, limit: u32) -> Result<u32> {
        let (mut removed, mut worked) = (0, Duration::ZERO);
        while removed < limit {
            let started = Instant::now();
            let batch = CLEANUP_BATCH.min(limit - removed);
            let done = self.writer.write(move |changes| changes.cleanup(now, batch)).await?;
            removed += done;
            if done < batch {
                break;
            }
            worked += started.elapsed();
            if worked >= CLEANUP_WORK || self.writer.is_wanted() {
                self.writer.rest(std::mem::take(&mut worked)).await;
            }
        }
        Ok(removed)
    }

    async fn count(&self, now: u64) -> Result<u64> {
        self.aside(move |readers, _| readers.count(now)).await
    }

    async fn reused(&self, now: u64) -> Result<u64> {
        self.aside(move |readers, _| readers.reused(now)).await
    }

    async fn list(&self, now: u64, owner: Option<&str>, after: Option<&Key>, limit: u32) -> Result<Vec<Listed>> {
        let (owner, after) = (owner.map(str::to_owned), after.copied());
        self.aside(move |readers, _| readers.list(now, owner.as_deref(), after.as_ref(), limit)).await
    }

    async fn describe(&self, key: &Key, now: u64) -> Result<Option<(Record, Vec<(String, String, u64)>)>> {
        let key = *key;
        self.aside(move |readers, _| readers.describe(&key, now)).await
    }

    async fn export(&self, key: &Key, now: u64) -> Result<Option<Snapshot>> {
        let key = *key;
        self.aside(move |readers, _| readers.export(&key, now)).await
    }

    async fn import(&self, key: &Key, snapshot: &Snapshot, over: Option<u64>, now: u64) -> Result<bool> {
        let (key, snapshot) = (*key, snapshot.clone());
        self.writer.write(move |changes| changes.import(&key, &snapshot, over, now)).await
    }

    async fn create_tables(&self) -> Result<()> {
        self.aside(|_, options| {
            options.create_file()?;
            let mut connection = options.connect_to_upgrade()?;
            match schema::create(&mut connection, &options.table).map_err(|error| options.failure(error))? {
                Layout::Newer(layout) => Err(options.newer_layout(layout)),
                _ => Ok(()),
            }
        })
        .await
    }

    async fn drop_tables(&self) -> Result<()> {
        self.aside(|_, options| {
            if !options.has_tables()? {
                return Ok(());
            }
            let mut connection = options.connect_to_upgrade()?;
            schema::drop(&mut connection, &options.table).map_err(|error| options.failure(error))
        })
        .await
    }

    async fn tables_exist(&self) -> Result<bool> {
        self.aside(|_, options| match options.layout()? {
            Layout::Newer(layout) => Err(options.newer_layout(layout)),
            layout => Ok(layout == Layout::Current),
        })
        .await
    }

    async fn differences(&self) -> Result<Vec<String>> {
        self.aside(|_, options| options.differences()).await
    }

    async fn close(&self) -> Result<()> {
        self.readers.close();
        self.cache.close();
        self.used.store(0, Ordering::Relaxed);
        let writer = Arc::clone(&self.writer);
        blocking(move || writer.close()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::Rename;

    fn is_in_memory(store: &Sqlite, key: &Key) -> bool {
        matches!(store.cache.load(key, "shop", 1, 100), Cached::Found(_))
    }

    async fn store(folder: &tempfile::TempDir) -> Sqlite {
        let url = format!("sqlite:{}", folder.path().join("sessions.db").display());
        let store = Sqlite::new(&StorageOptions { url, ..StorageOptions::default() }).expect("a store");
        store.create_tables().await.expect("tables");
        store
    }

    fn record() -> Record {
        Record { created: 1, accessed: 1, expires: 10, ends: None, renewed: 1, owner: None, version: 1, size: 0 }
    }

    #[tokio::test]
    async fn sessions_are_in_memory_from_the_second_on() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = store(&folder).await;
        let keys = ["first", "second"].map(Key::of);
        for key in &keys {
            store.create(key, &record(), &[]).await.expect("it is new");
        }
        assert!(!is_in_memory(&store, &keys[0]), "it may be the only one");
        assert!(is_in_memory(&store, &keys[1]));
        store.load(&keys[0], "shop", 1, 100).await.expect("it is there");
        assert!(is_in_memory(&store, &keys[0]));
        store.close().await.expect("closed");
        assert!(!is_in_memory(&store, &keys[1]));
    }

    /// Sets a variable to so many bytes, in a session of at most 100.
    fn setting(name: &str, bytes: usize) -> Change {
        let write = Write { app: "shop".to_owned(), name: name.to_owned(), value: Some(vec![0; bytes]) };
        Change { writes: vec![write], max_size: 100, ..Change::default() }
    }

    #[tokio::test]
    async fn changes_of_one_session_in_one_transaction_see_each_other() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = store(&folder).await;
        let [other, key, new] = ["other", "a", "new"].map(Key::of);
        for key in [&other, &key] {
            store.create(key, &record(), &[]).await.expect("it is new");
        }
        let update = async |key, change, expected| store.update(key, &change, expected, 1).await.expect("an answer");
        let rename = Change { rename: Some(Rename { to: new, grace: None }), ..Change::default() };
        let outcomes = futures::join!(
            update(&key, setting("x", 50), Some(1)),
            update(&key, setting("x", 98), None),
            update(&key, setting("y", 1), None),
            update(&key, setting("x", 9), Some(2)),
            update(&key, setting("x", 10), None),
            update(&key, rename, Some(4)),
            update(&key, setting("x", 1), None),
            update(&new, setting("z", 20), None),
        );
        let expected = (
            UpdateOutcome::Committed(2),
            UpdateOutcome::Committed(3),
            UpdateOutcome::TooLarge(101),
            UpdateOutcome::Conflict(3),
            UpdateOutcome::Committed(4),
            UpdateOutcome::Committed(4),
            UpdateOutcome::Gone,
            UpdateOutcome::Committed(5),
        );
        assert_eq!(outcomes, expected);
        for bytes in [30, 2] {
            update(&new, setting("z", bytes), None).await;
            let snapshot = store.export(&new, 1).await.expect("an answer").expect("it is there");
            assert_eq!(snapshot.record.size, 11 + 1 + bytes as u64);
            let LoadOutcome::Found(loaded) = store.load(&new, "shop", 1, 100).await.expect("an answer") else {
                panic!("it is there")
            };
            assert_eq!(loaded.record, snapshot.record);
            assert!(is_in_memory(&store, &new));
        }
        let destroy = async || store.destroy(&new, &DestroyCondition::Any, 1, 0).await.expect("an answer");
        let outcomes =
            futures::join!(update(&new, setting("x", 1), None), destroy(), update(&new, setting("x", 2), None));
        assert_eq!(outcomes, (UpdateOutcome::Committed(8), true, UpdateOutcome::Gone));
    }
}
