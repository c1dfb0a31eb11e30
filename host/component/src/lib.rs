//! `component:FILE?…`: sessions in a store whose driver is a WebAssembly component, a *provider*: it exports
//! `lemon:session/storage` and can be written in any language. It runs in a sandbox and gets what the options grant, nothing
//! else.
//!
//! Options, in the query of the URL (`component:files.wasm?dir=/srv/sessions`) or beside it:
//!
//! - `dir`: a directory of this machine that the component reads and writes as `/sessions`. Creating the tables creates it;
//! - `connect`: the addresses that it may connect to, as `HOST:PORT`, with commas between several. It can look up these names
//!   and no others;
//! - `env.NAME`: the environment variable `NAME`. A provider of this project reads its store's URL from
//!   `env.LEMON_SESSION_STORAGE`. Nothing of this process's own environment is passed. A provider of this project also gets
//!   its table, and that it does not create tables by itself;
//! - `instances`: how many calls can be under way at the same time, each on an instance of its own; 16 unless given;
//! - `memory`: the memory of one instance, as `64M`, which is also the default; also the most that one answer can have;
//! - `timeout`: how long a call may take, as `5s`, which is also the default, and how long it waits for an instance. Calls
//!   that can concern every session, such as a cleanup or a list, may take twelve times as long.
//!
//! What the component prints is logged, at most sixty lines a minute.
//!
//! # What a component can do wrong
//!
//! An instance that traps, or that does not answer in time, is dropped, and its call fails; whether that call took effect
//! is unknown. Answers that the contract does not allow are errors too: a session that has expired, variables without order,
//! more sessions than were asked for. A component that lies about what it stores is believed.
//!
//! # What a component's store lacks
//!
//! `lemon:session/storage` has no function for the uses of ended ids, for the variables of all applications of a session, and
//! for copies: [`Inspect::reused`] and [`Inspect::describe`] fail with [`Error::is_unsupported`], and the driver does not
//! implement [`Transfer`](lemon_session_store::Transfer).

#![deny(missing_docs)]

mod bindings;
mod check;
mod convert;
mod engine;
mod grants;
mod log;
mod memory;
mod options;
mod pool;

use std::{fs::DirBuilder, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::FutureExt as _;
use lemon_session_store::{
    Change, CreateOutcome, DestroyCondition, Digest, Error, Inspect, Listed, LoadOutcome, Record, Result, Schema,
    StorageOptions, Store, UpdateOutcome, Writes,
    registry::{Open, Opening},
};

use self::{bindings::lemon::session::types::Location, options::Options, pool::Pool};

/// The schemes of its URLs, for [`Registry::register`](lemon_session_store::Registry::register).
pub const SCHEMES: [(&str, Open); 1] = [("component", Provider::open)];

/// How many times longer than others a call may take that can concern every session.
const LONGER: u32 = 12;

/// Sessions in the store of a provider.
pub struct Provider {
    name: Arc<str>,
    location: Location,
    pool: Pool,
}

/// Calls a function of the component, given the limit of its time.
macro_rules! call {
    ($self:ident, $limit:expr, |$storage:ident, $store:ident, $location:ident| $call:expr) => {{
        let $location = $self.location.clone();
        $self.pool.call($limit, move |$storage, $store| async move { $call.await }.boxed())
    }};
}

impl Provider {
    /// Opens the store of a URL `component:FILE?…`: compiles the component.
    pub fn open(options: StorageOptions) -> Opening {
        Box::pin(async move {
            let Options { file, table, grants, limits } = Options::parse(&options)?;
            // Compiling takes a second.
            let compiled = tokio::task::spawn_blocking(move || {
                let component = engine::load(&file)?;
                let name: Arc<str> = format!("component {}", convert::line(&file.to_string_lossy())).into();
                Ok(Self {
                    pool: Pool::new(Arc::clone(&name), &component, grants, limits)?,
                    location: Location { storage: None, table },
                    name,
                })
            });
            let provider = compiled.await.unwrap_or_else(|error| {
                Err(Error::unavailable("the task that compiles a component has ended early").with_source(error))
            })?;
            Ok(Arc::new(provider) as Arc<dyn Store>)
        })
    }

    /// How long a call of one session may take.
    fn short(&self) -> Duration {
        self.pool.timeout()
    }

    /// How long a call may take that can concern every session.
    fn long(&self) -> Duration {
        LONGER * self.pool.timeout()
    }

    /// The error that an answer is which the contract does not allow.
    fn broken(&self, why: String) -> Error {
        Error::unavailable(format!("{} breaks the contract of a store: {why}", self.name))
    }

    fn lacks(&self, ability: &str) -> Error {
        Error::unsupported(format!("{} cannot {ability}: lemon:session/storage has no function for it", self.name))
    }
}

#[async_trait]
impl Store for Provider {
    fn summary(&self) -> String {
        let grants = self.pool.grants();
        let mut summary = self.name.to_string();
        if let Some(directory) = &grants.directory {
            summary += &format!(" in {}", convert::line(&directory.to_string_lossy()));
        }
        let peers: Vec<_> = grants.peers.iter().map(ToString::to_string).collect();
        if !peers.is_empty() {
            summary += &format!(" at {}", peers.join(", "));
        }
        summary
    }

    async fn load(&self, digest: &Digest, app: &str, now: u64, inline_bytes: u32) -> Result<LoadOutcome> {
        let (digest, app) = (convert::digest(digest), app.to_owned());
        let outcome = call!(self, self.short(), |storage, store, location| {
            storage.call_load(store, &location, &digest, &app, now, inline_bytes)
        });
        check::load(outcome.await?.into(), inline_bytes).map_err(|why| self.broken(why))
    }

    async fn fetch(&self, digest: &Digest, app: &str, name: &str, now: u64) -> Result<Option<Vec<u8>>> {
        let (digest, app, name) = (convert::digest(digest), app.to_owned(), name.to_owned());
        call!(self, self.short(), |storage, store, location| {
            storage.call_fetch(store, &location, &digest, &app, &name, now)
        })
        .await
    }

    async fn create(&self, digest: &Digest, record: &Record, writes: &Writes) -> Result<CreateOutcome> {
        let (digest, record, writes) = (convert::digest(digest), record.into(), convert::writes(writes));
        let outcome = call!(self, self.short(), |storage, store, location| {
            storage.call_create(store, &location, &digest, &record, &writes)
        });
        outcome.await.map(CreateOutcome::from)
    }

    async fn update(&self, digest: &Digest, change: &Change, expected: Option<u64>, now: u64) -> Result<UpdateOutcome> {
        let (digest, made) = (convert::digest(digest), convert::change(change));
        let outcome = call!(self, self.short(), |storage, store, location| {
            storage.call_update(store, &location, &digest, &made, expected, now)
        });
        check::update(outcome.await?.into(), change, expected).map_err(|why| self.broken(why))
    }

    async fn destroy(&self, digest: &Digest, only: &DestroyCondition, now: u64, remember: u32) -> Result<bool> {
        let (digest, only) = (convert::digest(digest), convert::condition(only));
        call!(self, self.short(), |storage, store, location| {
            storage.call_destroy(store, &location, &digest, &only, now, remember)
        })
        .await
    }

    async fn destroy_owned(&self, owner: &str, except: Option<&Digest>, now: u64, remember: u32) -> Result<u64> {
        let (owner, except) = (owner.to_owned(), except.map(convert::digest));
        call!(self, self.long(), |storage, store, location| {
            storage.call_destroy_owned(store, &location, &owner, except.as_deref(), now, remember)
        })
        .await
    }

    async fn cleanup(&self, now: u64, limit: u32) -> Result<u32> {
        let removed =
            call!(self, self.long(), |storage, store, location| { storage.call_cleanup(store, &location, now, limit) });
        check::removed(removed.await?, limit).map_err(|why| self.broken(why))
    }

    async fn close(&self) -> Result<()> {
        self.pool.close().await;
        Ok(())
    }

    fn inspect(&self) -> Option<&dyn Inspect> {
        Some(self)
    }

    fn schema(&self) -> Option<&dyn Schema> {
        Some(self)
    }
}

#[async_trait]
impl Inspect for Provider {
    async fn count(&self, now: u64) -> Result<u64> {
        call!(self, self.long(), |storage, store, location| storage.call_count(store, &location, now)).await
    }

    async fn reused(&self, _now: u64) -> Result<u64> {
        Err(self.lacks("tell how often ended ids were used"))
    }

    async fn list(&self, now: u64, owner: Option<&str>, after: Option<&Digest>, limit: u32) -> Result<Vec<Listed>> {
        let (wanted, start) = (owner.map(str::to_owned), after.map(convert::digest));
        let listed = call!(self, self.long(), |storage, store, location| {
            storage.call_list(store, &location, now, wanted.as_deref(), start.as_deref(), limit)
        });
        let listed: std::result::Result<_, _> = listed.await?.into_iter().map(Listed::try_from).collect();
        listed.and_then(|listed| check::list(listed, owner, after, limit)).map_err(|why| self.broken(why))
    }

    async fn describe(&self, _digest: &Digest, _now: u64) -> Result<Option<(Record, Vec<(String, String, u64)>)>> {
        Err(self.lacks("list the variables of a session"))
    }
}

#[async_trait]
impl Schema for Provider {
    async fn create_tables(&self) -> Result<()> {
        if let Some(directory) = &self.pool.grants().directory {
            let mut builder = DirBuilder::new();
            builder.recursive(true);
            #[cfg(unix)]
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
            let created = builder.create(directory);
            created.map_err(|error| Error::unavailable(format!("cannot create {}: {error}", directory.display())))?;
        }
        call!(self, self.long(), |storage, store, location| storage.call_create_tables(store, &location)).await
    }

    async fn drop_tables(&self) -> Result<()> {
        if !self.has_directory() {
            return Ok(());
        }
        call!(self, self.long(), |storage, store, location| storage.call_drop_tables(store, &location)).await
    }

    async fn tables_exist(&self) -> Result<bool> {
        if !self.has_directory() {
            return Ok(false);
        }
        call!(self, self.long(), |storage, store, location| storage.call_tables_exist(store, &location)).await
    }
}

impl Provider {
    /// Whether the directory is there that the component is granted, if it is granted one.
    fn has_directory(&self) -> bool {
        let directory = self.pool.grants().directory.as_ref();
        directory.is_none_or(|directory| !matches!(directory.try_exists(), Ok(false)))
    }
}
