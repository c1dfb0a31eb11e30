//! `sqlite:PATH`: sessions in an SQLite database, the default. It needs no set-up: the first `serve` creates the file.
//!
//! Loads never wait for saves, nor saves for loads. Several processes of one machine may use the file at the same time.
//!
//! Options beside the URL:
//!
//! - `synchronous`: `NORMAL` (the default): an answered save survives the end of the process, also by `kill -9`; or `FULL`: it
//!   survives a power failure as well, because each transaction waits for the disk;
//! - `busy-timeout`: how long a save waits for other processes, and for room in the queue, as `500ms`; 5s unless given;
//! - `mmap-size`: how much of the file is mapped into memory, as `64M`; 0 unless given. Helps sites that mostly read: each
//!   save has every reading connection map the file again.
//!
//! # How a save reaches the disk
//!
//! 1. The caller puts its change into a queue (`writer`) and waits for the answer.
//! 2. The writer thread has the only connection that writes. It takes all changes that are queued, up to 256, and begins a
//!    transaction (`BEGIN IMMEDIATE`), which waits for other processes until the first deadline of these changes.
//! 3. Each change reads what it depends on (the session, its version, its size) within the transaction, and either writes
//!    rows or answers that it is refused (`changes`). After 10 ms the transaction takes no further change.
//! 4. `COMMIT` appends the changed pages to the write-ahead log, with a checksum. With `synchronous = FULL` it waits until the
//!    disk has them. From here on every connection reads the new rows.
//! 5. The callers are answered. If SQLite failed, the transaction was undone, and its changes are made again one by one, so
//!    that only the change at fault fails.
//! 6. When the log has 4,000 pages, a second thread copies it back into the database while saves go on; the writer copies
//!    what was added meanwhile, and its next commit begins the log anew.
//!
//! A load (`readers`) runs on the caller's thread, on a connection from a pool. It reads the state after the last commit that
//! was complete when it began.

#![deny(missing_docs)]

mod changes;
mod connection;
mod file;
mod options;
mod readers;
mod schema;
mod statements;
#[cfg(test)]
mod tests;
mod writer;

use std::{
    mem,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use lemon_session_store::{
    Change, CreateOutcome, DestroyCondition, Digest, Error, Inspect, Listed, LoadOutcome, Record, Result, Schema,
    Snapshot, StorageOptions, Store, Transfer, UpdateOutcome, Writes,
    registry::{Open, Opening},
};
use tokio::task::JoinHandle;

use self::{options::Options, readers::Readers, schema::Layout, statements::Statements, writer::Writer};

/// The schemes of its URLs, for [`Registry::register`](lemon_session_store::Registry::register).
pub const SCHEMES: [(&str, Open); 1] = [("sqlite", Sqlite::open)];

/// How many expired sessions one transaction removes.
const CLEANUP_BATCH: u32 = 16;

/// Work in batches rests after this much work, for as long as it has worked: a sleep is no shorter.
const WORK: Duration = Duration::from_millis(1);

/// Interval between checks whether the file was replaced.
const CHECK_FILE: Duration = Duration::from_secs(1);

/// Sessions in an SQLite database.
pub struct Sqlite {
    options: Arc<Options>,
    readers: Arc<Readers>,
    writer: Arc<Writer>,
}

impl Sqlite {
    /// Opens the store of a URL `sqlite:PATH`. The file is created together with the tables.
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
        Ok(Self {
            readers: Arc::new(Readers::new(Arc::clone(&options), Arc::clone(&sql))),
            writer: Arc::new(Writer::new(Arc::clone(&options), sql)),
            options,
        })
    }

    /// Checks regularly whether the file was replaced, as long as this store is in use.
    fn watch_file(self: &Arc<Self>) {
        let store = Arc::downgrade(self);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(CHECK_FILE).await;
                let Some(store) = store.upgrade() else { return };
                if store.options.file.check() {
                    store.readers.close();
                }
            }
        });
    }

    /// Runs a long read, or a change of the tables, off the async threads.
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

/// Limits work in batches to half of the time, so that saves and other processes find the database free.
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

    async fn rest(&mut self, writer: &Writer) {
        if self.worked >= WORK {
            writer.rest(mem::take(&mut self.worked)).await;
        }
    }
}

#[async_trait]
impl Store for Sqlite {
    fn summary(&self) -> String {
        format!("SQLite in {}", self.options.file.name())
    }

    async fn load(&self, digest: &Digest, app: &str, now: u64, inline_bytes: u32) -> Result<LoadOutcome> {
        let loaded = self.readers.load(digest, app, now, inline_bytes)?;
        if loaded == LoadOutcome::Ended {
            let digest = *digest;
            self.writer.write(move |changes| changes.count_reuse(&digest)).await?;
        }
        Ok(loaded)
    }

    async fn fetch(&self, digest: &Digest, app: &str, name: &str, now: u64) -> Result<Option<Vec<u8>>> {
        self.readers.fetch(digest, app, name, now)
    }

    async fn create(&self, digest: &Digest, record: &Record, writes: &Writes) -> Result<CreateOutcome> {
        let (digest, record, writes) = (*digest, record.clone(), writes.clone());
        self.writer.write(move |changes| changes.create(&digest, &record, &writes)).await
    }

    async fn update(&self, digest: &Digest, change: &Change, expected: Option<u64>, now: u64) -> Result<UpdateOutcome> {
        let (digest, change) = (*digest, change.clone());
        self.writer.write(move |changes| changes.update(&digest, &change, expected, now)).await
    }

    async fn destroy(&self, digest: &Digest, only: &DestroyCondition, now: u64, remember: u32) -> Result<bool> {
        let (digest, only) = (*digest, only.clone());
        self.writer.write(move |changes| changes.destroy(&digest, &only, now, remember)).await
    }

    async fn destroy_owned(&self, owner: &str, except: Option<&Digest>, now: u64, remember: u32) -> Result<u64> {
        let (owner, except) = (Arc::<str>::from(owner), except.copied());
        let (readers, writer) = (Arc::clone(&self.readers), Arc::clone(&self.writer));
        // A task, so that it ends all sessions even if the caller is dropped.
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
                pace.rest(&writer).await;
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
            pace.rest(&self.writer).await;
        }
        Ok(removed)
    }

    async fn close(&self) -> Result<()> {
        self.readers.close();
        self.options.file.close();
        self.writer.close().await
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

    async fn backlog(&self, now: u64) -> Result<u64> {
        self.aside(move |readers, _| readers.backlog(now)).await
    }

    async fn list(&self, now: u64, owner: Option<&str>, after: Option<&Digest>, limit: u32) -> Result<Vec<Listed>> {
        let (owner, after) = (owner.map(str::to_owned), after.copied());
        self.aside(move |readers, _| readers.list(now, owner.as_deref(), after.as_ref(), limit)).await
    }

    async fn describe(&self, digest: &Digest, now: u64) -> Result<Option<(Record, Vec<(String, String, u64)>)>> {
        let digest = *digest;
        self.aside(move |readers, _| readers.describe(&digest, now)).await
    }
}

#[async_trait]
impl Transfer for Sqlite {
    async fn export(&self, digest: &Digest, now: u64) -> Result<Option<Snapshot>> {
        let digest = *digest;
        self.aside(move |readers, _| readers.export(&digest, now)).await
    }

    async fn import(&self, digest: &Digest, snapshot: &Snapshot, over: Option<u64>, now: u64) -> Result<bool> {
        let (digest, snapshot) = (*digest, snapshot.clone());
        self.writer.write(move |changes| changes.import(&digest, &snapshot, over, now)).await
    }
}

#[async_trait]
impl Schema for Sqlite {
    async fn create_tables(&self) -> Result<()> {
        self.aside(|_, options| {
            options.create_file()?;
            // First, because a connection that writes sets the database's journal mode.
            options.known(options.layout()?)?;
            let mut connection = options.connect_to_upgrade()?;
            let layout = schema::create(&mut connection, &options.table).map_err(|error| options.failure(error))?;
            options.known(layout).map(|_| ())
        })
        .await
    }

    async fn drop_tables(&self) -> Result<()> {
        self.aside(|_, options| {
            let foreign = match options.layout()? {
                Layout::Missing => None,
                Layout::Foreign(foreign) => Some(foreign),
                Layout::Older | Layout::Current | Layout::Newer(_) => {
                    let mut connection = options.connect_to_upgrade()?;
                    schema::drop(&mut connection, &options.table).map_err(|error| options.failure(error))?
                }
            };
            foreign.map_or(Ok(()), |foreign| Err(options.foreign(&foreign)))
        })
        .await
    }

    async fn tables_exist(&self) -> Result<bool> {
        self.aside(|_, options| Ok(options.known(options.layout()?)? == Layout::Current)).await
    }

    async fn differences(&self) -> Result<Vec<String>> {
        self.aside(|_, options| options.differences()).await
    }
}
