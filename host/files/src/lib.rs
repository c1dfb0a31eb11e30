//! `files:DIR`: sessions as files in a directory, for one machine and any number of processes.
//!
//! The same code runs in a host and, compiled for `wasm32-wasip2`, in a component that has the directory through
//! wasi:filesystem.
//!
//! Option in the URL or beside it:
//!
//! - `fsync`: `off` (the default): an answered save survives the end of the process, also by `kill -9`; or `on`: it survives a
//!   power failure as well, because each save waits for the disk, several times. With `off`, a power failure can lose the saves
//!   of the last half minute, and a session that was saved then can be damaged: it gives an error until it expires.
//!
//! The directory has to be in a local file system, in which a renaming is atomic: NFS repeats one whose answer was lost, and
//! then reports that it failed.
//!
//! # Files
//!
//! ```text
//! DIR/Session/layout               the number of the layout
//! DIR/Session/v1/sessions/3f/a9…   a folder for each digest
//!                            s-2a-…    the pointer: an empty file whose name tells the current version
//!                            d-2a-…    the data of that version
//! DIR/Session/v1/due/…             the index by expiry
//! DIR/Session/v1/owners/…          the index by owner
//! DIR/Session/v1/new/…             folders of sessions that are being created
//! DIR/Session/v1/logins/…          whose turn it is, of the logins of an owner whose sessions are limited
//! ```
//!
//! # Atomicity
//!
//! A renaming succeeds only if the old name is there, so the pointer's name is a cell with a compare-and-set. No name is ever
//! used twice: an update that was overtaken renames nothing, however late it comes.
//!
//! - An update writes the data of the next version, and renames the pointer from the current version to the next one. Of
//!   several updates one succeeds; the others read again, and apply their change to what is stored now.
//! - A destroy renames the pointer to that of a tombstone, or removes it. An update that is in flight then finds no pointer of
//!   its version.
//! - A create prepares a folder in `new/` and renames it to the digest's folder: that fails if there are files in the latter.
//! - An id rotation concerns two folders, and one renaming decides (`rotation`).
//!
//! - An update that counts the sessions of an owner has a turn of its own (`logins`).
//!
//! There are no locks, so a process that is killed holds nothing up, except for a second those logins of one owner that count. It
//! leaves files that no pointer names: the next save of
//! the session or its end removes them, and a cleanup what else there is.

#![deny(missing_docs)]

mod blocking;
mod changes;
mod cleanup;
mod disk;
mod entry;
mod fault;
mod index;
mod inspect;
mod logins;
mod name;
mod options;
mod patience;
mod recent;
mod rotation;
mod schema;
mod table;

use std::{path::PathBuf, sync::Arc};

use async_trait::async_trait;
use lemon_session_store::{
    Change, CreateOutcome, DestroyCondition, Digest, Inspect, Listed, LoadOutcome, Loaded, Record, Result, Schema,
    Snapshot, StorageOptions, Store, Transfer, UpdateOutcome, Writes,
    registry::{Open, Opening},
};

use self::{
    blocking::blocking,
    disk::Disk,
    entry::{Entry, Session},
    fault::Result as FileResult,
    name::Unique,
    options::Options,
    patience::Patience,
    recent::Recent,
    table::{Held, Table},
};

/// The schemes of its URLs, for [`Registry::register`](lemon_session_store::Registry::register).
pub const SCHEMES: [(&str, Open); 1] = [("files", Files::open)];

/// Sessions as files in a directory.
pub struct Files {
    directory: PathBuf,
    table: Arc<Table>,
}

impl Files {
    /// Opens the store of a URL `files:DIR`. The directory is made together with the tables.
    pub fn open(options: StorageOptions) -> Opening {
        Box::pin(async move {
            let parsed = Options::parse(&options)?;
            let path = schema::table(&parsed, &options.table);
            let table = Table {
                files: schema::files(&path),
                path,
                disk: Disk { fsync: parsed.fsync },
                unique: Unique::new()?,
                recent: Recent::default(),
            };
            Ok(Arc::new(Self { directory: parsed.directory, table: Arc::new(table) }) as Arc<dyn Store>)
        })
    }

    async fn run<T: Send + 'static>(&self, run: impl FnOnce(&Table) -> FileResult<T> + Send + 'static) -> Result<T> {
        let table = Arc::clone(&self.table);
        blocking(move || run(&table).map_err(|fault| fault.error(&table.path))).await
    }

    /// Runs a call about the tables.
    async fn tables<T: Send + 'static>(
        &self,
        run: impl FnOnce(PathBuf, &Table) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (directory, table) = (self.directory.clone(), Arc::clone(&self.table));
        blocking(move || run(directory, &table)).await
    }
}

impl Table {
    fn load(&self, digest: &Digest, app: &str, now: u64, inline_bytes: u32) -> FileResult<LoadOutcome> {
        let found = |session: &Session, renewal| match session.is_live(now) {
            false => LoadOutcome::Expired,
            true => LoadOutcome::Found(Loaded {
                record: session.record(),
                details: session.details(),
                variables: session.variables(app, inline_bytes),
                renewal,
            }),
        };
        if let Some(held) = self.recent(digest)? {
            return Ok(found(&held.entry, None));
        }
        let mut patience = Patience::default();
        loop {
            patience.next()?;
            let Some(Held { digest, pointer, entry, data }) = self.held(digest)? else {
                return Ok(LoadOutcome::Absent);
            };
            match entry {
                Entry::Session(entry) => {
                    let held = Arc::new(Held { digest, pointer, entry, data });
                    self.recent.keep(Arc::clone(&held));
                    return Ok(found(&held.entry, None));
                }
                Entry::Former(former) if former.until <= now => return Ok(LoadOutcome::Absent),
                Entry::Former(former) => {
                    let led = match former.leads(now) {
                        Some((moved, nonce)) => self.follow(moved)?.map(|held| (held.entry, nonce.to_vec())),
                        None => None,
                    };
                    if let Some((session, nonce)) = led.filter(|(session, _)| session.is_live(now)) {
                        return Ok(found(&session, Some(nonce)));
                    }
                    if self.count_reuse(&Held { digest, pointer, entry: former, data })? {
                        return Ok(LoadOutcome::Ended);
                    }
                }
            }
        }
    }

    fn fetch(&self, digest: &Digest, app: &str, name: &str, now: u64) -> FileResult<Option<Vec<u8>>> {
        let held = self.led_to(digest, now)?.filter(|held| held.entry.is_live(now));
        Ok(held.and_then(|mut held| held.entry.variables.get_mut(app)?.remove(name)))
    }
}

#[async_trait]
impl Store for Files {
    fn summary(&self) -> String {
        format!("files in {}", self.directory.display()).replace('\n', " ")
    }

    async fn load(&self, digest: &Digest, app: &str, now: u64, inline_bytes: u32) -> Result<LoadOutcome> {
        let (digest, app) = (*digest, app.to_owned());
        self.run(move |table| table.load(&digest, &app, now, inline_bytes)).await
    }

    async fn fetch(&self, digest: &Digest, app: &str, name: &str, now: u64) -> Result<Option<Vec<u8>>> {
        let (digest, app, name) = (*digest, app.to_owned(), name.to_owned());
        self.run(move |table| table.fetch(&digest, &app, &name, now)).await
    }

    async fn create(&self, digest: &Digest, record: &Record, writes: &Writes) -> Result<CreateOutcome> {
        let (digest, record, writes) = (*digest, record.clone(), writes.clone());
        self.run(move |table| table.create(&digest, &record, &writes)).await
    }

    async fn update(&self, digest: &Digest, change: &Change, expected: Option<u64>, now: u64) -> Result<UpdateOutcome> {
        let (digest, change) = (*digest, change.clone());
        self.run(move |table| table.update(&digest, &change, expected, now)).await
    }

    async fn destroy(&self, digest: &Digest, only: &DestroyCondition, now: u64, remember: u32) -> Result<bool> {
        let (digest, only) = (*digest, only.clone());
        self.run(move |table| table.destroy(&digest, &only, now, remember)).await
    }

    async fn destroy_owned(&self, owner: &str, except: Option<&Digest>, now: u64, remember: u32) -> Result<u64> {
        let (owner, except) = (owner.to_owned(), except.copied());
        self.run(move |table| table.destroy_owned(&owner, except.as_ref(), now, remember)).await
    }

    async fn cleanup(&self, now: u64, limit: u32) -> Result<u32> {
        self.run(move |table| table.cleanup(now, limit)).await
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
impl Inspect for Files {
    async fn count(&self, now: u64) -> Result<u64> {
        self.run(move |table| table.count(now)).await
    }

    async fn reused(&self, now: u64) -> Result<u64> {
        self.run(move |table| table.reused(now)).await
    }

    async fn backlog(&self, now: u64) -> Result<u64> {
        self.run(move |table| table.backlog(now)).await
    }

    async fn list(&self, now: u64, owner: Option<&str>, after: Option<&Digest>, limit: u32) -> Result<Vec<Listed>> {
        let (owner, after) = (owner.map(str::to_owned), after.copied());
        self.run(move |table| table.listed(now, owner.as_deref(), after.as_ref(), limit)).await
    }

    async fn describe(&self, digest: &Digest, now: u64) -> Result<Option<(Record, Vec<(String, String, u64)>)>> {
        let digest = *digest;
        self.run(move |table| Ok(table.live(&digest, now)?.map(|held| (held.entry.record(), held.entry.sizes())))).await
    }
}

#[async_trait]
impl Transfer for Files {
    async fn export(&self, digest: &Digest, now: u64) -> Result<Option<Snapshot>> {
        let digest = *digest;
        self.run(move |table| Ok(table.live(&digest, now)?.map(|held| held.entry.snapshot()))).await
    }

    async fn import(&self, digest: &Digest, snapshot: &Snapshot, over: Option<u64>, now: u64) -> Result<bool> {
        let (digest, snapshot) = (*digest, snapshot.clone());
        self.run(move |table| table.import(&digest, &snapshot, over, now)).await
    }
}

#[async_trait]
impl Schema for Files {
    async fn create_tables(&self) -> Result<()> {
        self.tables(|directory, table| schema::create(&directory, &table.path, table.disk, &table.unique)).await
    }

    async fn drop_tables(&self) -> Result<()> {
        self.tables(|directory, table| schema::drop(&directory, &table.path, &table.unique)).await
    }

    async fn tables_exist(&self) -> Result<bool> {
        self.tables(|_, table| schema::exists(&table.path)).await
    }
}
