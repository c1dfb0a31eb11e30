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
//! - `mmap_size`: how many bytes of the file are mapped into memory; 0 unless given. Helps where much is read and little
//!   is saved: every save has each connection that reads map the file anew.

mod changes;
mod connection;
mod options;
mod reader;
mod schema;
mod writer;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;

use self::{
    changes::Changes,
    options::Options,
    reader::Readers,
    schema::{Layout, Statements},
    writer::Writer,
};
use super::{
    Change, CreateOutcome, Driver, Error, Key, Listed, LoadOutcome, Record, Result, Snapshot, StorageOptions,
    UpdateOutcome, Write, registry::Opening,
};

/// How many expired sessions one transaction removes: a save waits for no more than these.
const CLEANUP_BATCH: u32 = 16;

/// After how long a cleanup rests for as long as it has worked.
const CLEANUP_WORK: Duration = Duration::from_millis(1);

/// Sessions in an SQLite database.
pub struct Sqlite {
    options: Arc<Options>,
    sql: Arc<Statements>,
    readers: Arc<Readers>,
    writer: Arc<Writer>,
}

impl Sqlite {
    /// Opens the store of a URL `sqlite:PATH`. The file is created with the tables, not before.
    pub fn open(options: StorageOptions) -> Opening {
        Box::pin(async move {
            let options = Arc::new(Options::parse(&options)?);
            let sql = Arc::new(Statements::new(&options.table));
            Ok(Arc::new(Self {
                readers: Arc::new(Readers::new(Arc::clone(&options), Arc::clone(&sql))),
                writer: Arc::new(Writer::new(Arc::clone(&options))),
                options,
                sql,
            }) as Arc<dyn Driver>)
        })
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
        let loaded = self.readers.load(key, app, now, inline_bytes)?;
        if loaded == LoadOutcome::Ended {
            let count = |key: Key, sql: Arc<Statements>| {
                move |connection: &rusqlite::Connection| Changes::new(connection, &sql).count_reuse(&key)
            };
            let sql = || Arc::clone(&self.sql);
            self.writer.write(count(*key, sql()), || count(*key, sql())).await?;
        }
        Ok(loaded)
    }

    async fn fetch(&self, key: &Key, app: &str, name: &str, now: u64) -> Result<Option<Vec<u8>>> {
        self.readers.fetch(key, app, name, now)
    }

    async fn create(&self, key: &Key, record: &Record, writes: &[Write]) -> Result<CreateOutcome> {
        let copy = || {
            let (key, record, writes, sql) = (*key, record.clone(), writes.to_vec(), Arc::clone(&self.sql));
            move |connection: &rusqlite::Connection| Changes::new(connection, &sql).create(&key, &record, &writes)
        };
        self.writer.write(|connection| Changes::new(connection, &self.sql).create(key, record, writes), copy).await
    }

    async fn update(&self, key: &Key, change: &Change, expected: Option<u64>, now: u64) -> Result<UpdateOutcome> {
        let copy = || {
            let (key, change, sql) = (*key, change.clone(), Arc::clone(&self.sql));
            move |connection: &rusqlite::Connection| Changes::new(connection, &sql).update(&key, &change, expected, now)
        };
        self.writer
            .write(|connection| Changes::new(connection, &self.sql).update(key, change, expected, now), copy)
            .await
    }

    async fn destroy(&self, key: &Key, now: u64, remember: u32) -> Result<bool> {
        let copy = || {
            let (key, sql) = (*key, Arc::clone(&self.sql));
            move |connection: &rusqlite::Connection| Changes::new(connection, &sql).destroy(&key, now, remember)
        };
        self.writer.write(|connection| Changes::new(connection, &self.sql).destroy(key, now, remember), copy).await
    }

    async fn destroy_owned(&self, owner: &str, except: Option<&Key>, now: u64, remember: u32) -> Result<u64> {
        let copy = || {
            let (owner, except, sql) = (owner.to_owned(), except.copied(), Arc::clone(&self.sql));
            move |connection: &rusqlite::Connection| {
                Changes::new(connection, &sql).destroy_owned(&owner, except.as_ref(), now, remember)
            }
        };
        let work = |connection: &_| Changes::new(connection, &self.sql).destroy_owned(owner, except, now, remember);
        self.writer.write(work, copy).await
    }

    async fn cleanup(&self, now: u64, limit: u32) -> Result<u32> {
        let (mut removed, mut worked) = (0, Duration::ZERO);
        while removed < limit {
            let started = Instant::now();
            let batch = CLEANUP_BATCH.min(limit - removed);
            let copy = || {
                let sql = Arc::clone(&self.sql);
                move |connection: &rusqlite::Connection| Changes::new(connection, &sql).cleanup(now, batch)
            };
            let work = |connection: &_| Changes::new(connection, &self.sql).cleanup(now, batch);
            let done = self.writer.write(work, copy).await?;
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
        let copy = || {
            let (key, snapshot, sql) = (*key, snapshot.clone(), Arc::clone(&self.sql));
            move |connection: &rusqlite::Connection| Changes::new(connection, &sql).import(&key, &snapshot, over, now)
        };
        self.writer.write(|connection| Changes::new(connection, &self.sql).import(key, snapshot, over, now), copy).await
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
        let writer = Arc::clone(&self.writer);
        blocking(move || writer.close()).await
    }
}
