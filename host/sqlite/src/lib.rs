//! `sqlite:PATH`: sessions in an SQLite database, the default. Nothing has to be set up: the first `serve` creates the file.
//!
//! The database has a write-ahead log: loads never wait for saves, nor saves for loads. Several processes may use the file
//! at the same time, on one machine. A save that was answered survives the end of the process, kill -9 too; with
//! `synchronous = FULL` also a power failure.
//!
//! Options beside the URL:
//!
//! - `synchronous`: `NORMAL` (the default) or `FULL`, which waits for the disk with every group of saves;
//! - `busy-timeout`: how long each save waits for other processes, and for room in the queue, as `500ms`; 5s unless given;
//! - `cache-size`: how much memory, as `64M`, may hold sessions that were used lately, so that a load need not ask SQLite;
//!   32M unless given, 0 for none;
//! - `mmap-size`: how much of the file is mapped into memory; 0 unless given. Helps where much is read and little
//!   is saved: every save has each connection that reads map the file anew.

#![deny(missing_docs)]

mod cache;
mod changes;
mod connection;
mod file;
mod log_index;
mod options;
mod reader;
mod schema;
#[cfg(test)]
mod tests;
mod writer;

use std::{
    mem,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use lemon_session_store::{
    Change, CreateOutcome, DestroyCondition, Error, Inspect, Key, Listed, LoadOutcome, Record, Result, Schema,
    Snapshot, StorageOptions, Store, Transfer, UpdateOutcome, Writes,
    registry::{Open, Opening},
};
use tokio::task::JoinHandle;

use self::{
    cache::{Cache, Cached},
    options::Options,
    reader::Readers,
    schema::{Layout, Statements},
    writer::Writer,
};

/// The schemes of its URLs, for [`Registry::register`](lemon_session_store::Registry::register).
pub const SCHEMES: [(&str, Open); 1] = [("sqlite", Sqlite::open)];

/// How many expired sessions one transaction removes: a save waits for no more than these.
const CLEANUP_BATCH: u32 = 16;

/// After how long what works in batches rests for as long as it has worked.
const WORK: Duration = Duration::from_millis(1);

/// How often is looked whether the file was replaced.
const LOOK: Duration = Duration::from_secs(1);

/// From this load of a session on, the database is watched and sessions are cached: a process that answers one request loads
/// one.
const WORTH_WATCHING: u8 = 2;

/// Sessions in an SQLite database.
pub struct Sqlite {
    options: Arc<Options>,
    cache: Arc<Cache>,
    /// Sessions that were loaded, up to [`WORTH_WATCHING`].
    loaded: AtomicU8,
    /// Which file is watched, or was tried to: [`DatabaseFile::replaced`](file::DatabaseFile::replaced), plus one.
    watched: AtomicU64,
    readers: Arc<Readers>,
    writer: Arc<Writer>,
}

impl Sqlite {
    /// Opens the store of a URL `sqlite:PATH`. The file is created with the tables, not before.
    pub fn open(options: StorageOptions) -> Opening {
        Box::pin(async move {
            let store = Arc::new(Self::new(&options)?);
            store.watch_file();
            Ok(store as Arc<dyn Store>)
        })
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
            loaded: AtomicU8::new(0),
            watched: AtomicU64::new(0),
        })
    }

    /// Looks from time to time whether the file was replaced, as long as this store is in use.
    fn watch_file(self: &Arc<Self>) {
        let store = Arc::downgrade(self);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(LOOK).await;
                let Some(store) = store.upgrade() else { return };
                if store.options.file.look() {
                    store.readers.close();
                    store.cache.close();
                }
            }
        });
    }

    /// Begins to cache sessions when that is worth it.
    fn loaded(&self) {
        let loaded = self.loaded.load(Ordering::Relaxed) + 1;
        if loaded < WORTH_WATCHING {
            return self.loaded.store(loaded, Ordering::Relaxed);
        }
        let file = self.options.file.replaced() + 1;
        if self.options.cache_size == 0 || self.watched.swap(file, Ordering::Relaxed) == file {
            return;
        }
        // One that writes turns the write-ahead log on, which a restored backup may not have.
        match self.options.connect_to_write() {
            Ok(connection) => self.cache.watch(connection),
            Err(error) => {
                tracing::debug!(%error, "sessions are not cached yet");
                self.watched.store(0, Ordering::Relaxed);
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
    done(tokio::task::spawn_blocking(run)).await
}

async fn done<T>(task: JoinHandle<Result<T>>) -> Result<T> {
    task.await.unwrap_or_else(|error| Err(Error::unavailable("a task of SQLite has ended early").with_source(error)))
}

/// How much of the time is taken by work in batches: half of it, so that other processes find the database free as well.
#[derive(Default)]
struct Pace {
    worked: Duration,
}

impl Pace {
    async fn time<T>(&mut self, batch: impl Future<Output = T>) -> T {
        let started = Instant::now();
        let done = batch.await;
        self.worked += started.elapsed();
        done
    }

    async fn rest(&mut self, writer: &Writer, patient: bool) {
        if self.worked >= WORK || writer.is_wanted() {
            writer.rest(mem::take(&mut self.worked), patient).await;
        }
    }
}

#[async_trait]
impl Store for Sqlite {
    fn summary(&self) -> String {
        format!("SQLite in {}", self.options.file.name())
    }

    async fn load(&self, key: &Key, app: &str, now: u64, inline_bytes: u32) -> Result<LoadOutcome> {
        let stamp = match self.cache.load(key, app, now, inline_bytes) {
            Cached::Found(loaded) => return Ok(LoadOutcome::Found(loaded)),
            Cached::Missing(stamp) => stamp,
        };
        let loaded = self.readers.load(key, app, now, inline_bytes)?;
        match (&loaded, stamp) {
            (LoadOutcome::Found(loaded), Some(stamp)) => self.cache.keep(stamp, key, app, inline_bytes, loaded),
            (LoadOutcome::Found(_), None) => self.loaded(),
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

    async fn create(&self, key: &Key, record: &Record, writes: &Writes) -> Result<CreateOutcome> {
        let (key, record, writes) = (*key, record.clone(), writes.clone());
        self.writer.write(move |changes| changes.create(&key, &record, &writes)).await
    }

    async fn update(&self, key: &Key, change: &Change, expected: Option<u64>, now: u64) -> Result<UpdateOutcome> {
        let (key, change) = (*key, change.clone());
        self.writer.write(move |changes| changes.update(&key, &change, expected, now)).await
    }

    async fn destroy(&self, key: &Key, only: &DestroyCondition, now: u64, remember: u32) -> Result<bool> {
        let (key, only) = (*key, only.clone());
        self.writer.write(move |changes| changes.destroy(&key, &only, now, remember)).await
    }

    async fn destroy_owned(&self, owner: &str, except: Option<&Key>, now: u64, remember: u32) -> Result<u64> {
        let (owner, except) = (Arc::<str>::from(owner), except.copied());
        let (readers, writer) = (Arc::clone(&self.readers), Arc::clone(&self.writer));
        // As a task: it goes on to its end though the caller does not wait for it any more.
        let ended = tokio::spawn(async move {
            let owned = {
                let owner = Arc::clone(&owner);
                blocking(move || readers.owned(&owner, except.as_ref(), now)).await?
            };
            let owned = Arc::<[i64]>::from(owned);
            let (mut looked, mut ended, mut pace) = (0, 0, Pace::default());
            while looked < owned.len() {
                let (owner, owned) = (Arc::clone(&owner), Arc::clone(&owned));
                let batch = writer.write(move |changes| changes.end_owned(&owner, &owned[looked..], now, remember));
                let (more, of_these) = pace.time(batch).await?;
                looked += more;
                ended += of_these;
                pace.rest(&writer, false).await;
            }
            Ok(ended)
        });
        done(ended).await
    }

    async fn cleanup(&self, now: u64, limit: u32) -> Result<u32> {
        let (mut removed, mut pace) = (0, Pace::default());
        while removed < limit {
            let batch = CLEANUP_BATCH.min(limit - removed);
            let (more, is_done) = pace.time(self.writer.write(move |changes| changes.cleanup(now, batch))).await?;
            removed += more;
            if is_done {
                break;
            }
            pace.rest(&self.writer, true).await;
        }
        Ok(removed)
    }

    async fn close(&self) -> Result<()> {
        self.readers.close();
        self.cache.close();
        self.loaded.store(0, Ordering::Relaxed);
        self.watched.store(0, Ordering::Relaxed);
        let (writer, options) = (Arc::clone(&self.writer), Arc::clone(&self.options));
        blocking(move || {
            options.file.close();
            writer.close()
        })
        .await
    }

    fn inspect(&self) -> Option<&dyn Inspect> {
        Some(self)
    }

    fn transfer(&self) -> Option<&dyn Transfer> {
        Some(self)
    }

    fn schema(&self) -> Option<&dyn Schema> {
        Some(self)
    }
}

#[async_trait]
impl Inspect for Sqlite {
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
}

#[async_trait]
impl Transfer for Sqlite {
    async fn export(&self, key: &Key, now: u64) -> Result<Option<Snapshot>> {
        let key = *key;
        self.aside(move |readers, _| readers.export(&key, now)).await
    }

    async fn import(&self, key: &Key, snapshot: &Snapshot, over: Option<u64>, now: u64) -> Result<bool> {
        let (key, snapshot) = (*key, snapshot.clone());
        self.writer.write(move |changes| changes.import(&key, &snapshot, over, now)).await
    }
}

#[async_trait]
impl Schema for Sqlite {
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
}
