//! The component of WASI 0.3: its exports wait for the store, and calls on one session for their turn.

mod bindings {
    bindings!("session-component-async");

    pub use exports::lemon::session::{manager_async as manager, sessions_async as sessions};
    pub use lemon::session::{settings, storage_async as storage};
}

use alloc::{string::String, vec::Vec};
use core::time::Duration;

use lemon_session_rules::{
    Env, Error, Session, Settings, Value,
    manager::{self as rules, Entry, Page},
    options::Options,
    settings::{Caller, Client, Notice},
    start,
    storage::{
        Change, CreateOutcome, DestroyCondition, Failure, Listed, LoadOutcome, Location, SessionRecord, UpdateOutcome,
        Write,
    },
    types::{Header, Lifetime, Metadata},
};

use crate::world;
use bindings::{manager, sessions, settings, storage, wasi::clocks::wall_clock};

/// The component's imports.
pub struct Imports;

impl Env for Imports {
    fn clock(&self) -> Duration {
        let now = wall_clock::now();
        crate::clock(now.seconds, now.nanoseconds)
    }

    fn random(&self, bytes: &mut [u8]) {
        crate::random(bytes);
    }

    fn defaults(&self) -> Settings {
        settings::get_defaults()
    }

    fn caller(&self) -> Caller {
        settings::get_caller()
    }

    fn client(&self) -> Client {
        settings::get_client()
    }

    fn notify(&self, notice: &Notice) {
        settings::notify(notice);
    }

    async fn load(&self, at: &Location, key: &[u8], app: &str, now: u64, inline: u32) -> Result<LoadOutcome, Failure> {
        storage::load(at.clone(), key.into(), app.into(), now, inline).await
    }

    async fn fetch(
        &self,
        at: &Location,
        key: &[u8],
        app: &str,
        name: &str,
        now: u64,
    ) -> Result<Option<Vec<u8>>, Failure> {
        storage::fetch(at.clone(), key.into(), app.into(), name.into(), now).await
    }

    async fn create(
        &self,
        at: &Location,
        key: &[u8],
        record: &SessionRecord,
        writes: &[Write],
    ) -> Result<CreateOutcome, Failure> {
        storage::create(at.clone(), key.into(), record.clone(), writes.into()).await
    }

    async fn update(
        &self,
        at: &Location,
        key: &[u8],
        change: &Change,
        expected: Option<u64>,
        now: u64,
    ) -> Result<UpdateOutcome, Failure> {
        storage::update(at.clone(), key.into(), change.clone(), expected, now).await
    }

    async fn destroy(
        &self,
        at: &Location,
        key: &[u8],
        only: &DestroyCondition,
        now: u64,
        remember: u32,
    ) -> Result<bool, Failure> {
        storage::destroy(at.clone(), key.into(), only.clone(), now, remember).await
    }

    async fn destroy_owned(
        &self,
        at: &Location,
        owner: &str,
        except: Option<&[u8]>,
        now: u64,
        remember: u32,
    ) -> Result<u64, Failure> {
        storage::destroy_owned(at.clone(), owner.into(), except.map(Into::into), now, remember).await
    }

    async fn cleanup(&self, at: &Location, now: u64, limit: u32) -> Result<u32, Failure> {
        storage::cleanup(at.clone(), now, limit).await
    }

    fn cleanup_later(&self, at: &Location, now: u64) {
        storage::cleanup_later(at, now);
    }

    async fn count(&self, at: &Location, now: u64) -> Result<u64, Failure> {
        storage::count(at.clone(), now).await
    }

    async fn list(
        &self,
        at: &Location,
        now: u64,
        owner: Option<&str>,
        after: Option<&[u8]>,
        limit: u32,
    ) -> Result<Vec<Listed>, Failure> {
        storage::list(at.clone(), now, owner.map(Into::into), after.map(Into::into), limit).await
    }

    async fn create_tables(&self, at: &Location) -> Result<(), Failure> {
        storage::create_tables(at.clone()).await
    }

    async fn drop_tables(&self, at: &Location) -> Result<(), Failure> {
        storage::drop_tables(at.clone()).await
    }

    async fn tables_exist(&self, at: &Location) -> Result<bool, Failure> {
        storage::tables_exist(at.clone()).await
    }
}

struct Component;

bindings::export!(Component with_types_in bindings);

impl sessions::Guest for Component {
    type Session = Session<Imports>;

    async fn start(options: Options) -> Result<sessions::Session, Error> {
        start(world(), options).await.map(sessions::Session::new)
    }
}

/// Applications hold the handles of the rules. A method of the same name is the handle's own, not the trait's.
impl sessions::GuestSession for Session<Imports> {
    fn id(&self) -> String {
        self.id()
    }

    fn digest(&self) -> String {
        self.digest()
    }

    fn app(&self) -> String {
        self.app()
    }

    fn created(&self) -> bool {
        self.created()
    }

    async fn get(&self, key: String) -> Result<Option<Value>, Error> {
        self.turn().await.get(&key).await
    }

    async fn set(&self, key: String, value: Value) -> Result<(), Error> {
        self.turn().await.set(&key, &value).await
    }

    async fn add(&self, key: String, delta: i64) -> Result<i64, Error> {
        self.turn().await.add(&key, delta)
    }

    async fn delete(&self, key: String) -> Result<bool, Error> {
        self.turn().await.delete(&key)
    }

    async fn has_key(&self, key: String) -> Result<bool, Error> {
        self.turn().await.has_key(&key)
    }

    async fn keys(&self) -> Result<Vec<String>, Error> {
        self.turn().await.keys()
    }

    async fn entries(&self) -> Result<Vec<(String, Value)>, Error> {
        self.turn().await.entries().await
    }

    async fn take(&self, key: String) -> Result<Option<Value>, Error> {
        self.turn().await.take(&key).await
    }

    async fn clear(&self) -> Result<(), Error> {
        self.turn().await.clear()
    }

    async fn application(&self, name: String) -> Result<sessions::Session, Error> {
        self.turn().await.application_named(&name).await.map(sessions::Session::new)
    }

    async fn reserve(&self, name: String, key: Option<String>) -> Result<sessions::Session, Error> {
        self.turn().await.reserve(&name, key.as_deref()).await.map(sessions::Session::new)
    }

    async fn release(&self, name: String) -> Result<(), Error> {
        self.turn().await.release(&name)
    }

    async fn regenerate_id(&self) -> Result<(), Error> {
        self.turn().await.regenerate_id()
    }

    async fn set_owner(&self, owner: Option<String>) -> Result<(), Error> {
        self.turn().await.set_owner(owner)
    }

    async fn owner(&self) -> Result<Option<String>, Error> {
        self.turn().await.owner()
    }

    async fn destroy_others(&self) -> Result<u64, Error> {
        self.turn().await.destroy_others().await
    }

    async fn authenticate(&self, owner: String, method: String) -> Result<(), Error> {
        self.turn().await.authenticate(&owner, &method)
    }

    async fn fresh_within(&self, seconds: u32) -> Result<bool, Error> {
        self.turn().await.fresh_within(seconds)
    }

    async fn set_lifetime(&self, lifetime: Lifetime) -> Result<(), Error> {
        self.turn().await.set_lifetime(&lifetime)
    }

    async fn remember(&self, seconds: u32) -> Result<(), Error> {
        self.turn().await.remember(seconds)
    }

    async fn set_label(&self, label: Option<String>) -> Result<(), Error> {
        self.turn().await.set_label(label)
    }

    async fn metadata(&self) -> Result<Metadata, Error> {
        self.turn().await.metadata()
    }

    fn expires_at(&self) -> u64 {
        self.expires_at()
    }

    async fn save(&self) -> Result<Vec<Header>, Error> {
        self.turn().await.save().await
    }

    async fn destroy(&self) -> Result<Vec<Header>, Error> {
        self.turn().await.destroy().await
    }

    async fn set_default(&self, key: String, value: Value) -> Result<Value, Error> {
        self.turn().await.set_default(&key, &value).await
    }

    async fn flash(&self, value: Value) -> Result<(), Error> {
        self.turn().await.flash(&value)
    }

    async fn flashes(&self) -> Result<Vec<Value>, Error> {
        self.turn().await.flashes().await
    }

    async fn entries_of(&self, digest: String) -> Result<Vec<(String, Value)>, Error> {
        self.turn().await.entries_of(&digest).await
    }

    async fn csrf_token(&self) -> Result<String, Error> {
        self.turn().await.csrf_token()
    }

    async fn check_csrf(&self, token: String) -> Result<bool, Error> {
        self.turn().await.check_csrf(&token)
    }

    fn modified(&self) -> bool {
        self.modified()
    }

    fn accessed(&self) -> bool {
        self.accessed()
    }
}

impl manager::Guest for Component {
    async fn create_tables(location: Location) -> Result<(), Vec<Error>> {
        rules::create_tables(world(), &location).await
    }

    async fn drop_tables(location: Location) -> Result<(), Vec<Error>> {
        rules::drop_tables(world(), &location).await
    }

    async fn tables_exist(location: Location) -> Result<bool, Error> {
        rules::tables_exist(world(), &location).await
    }

    async fn cleanup(location: Location, limit: u32) -> Result<u32, Error> {
        rules::cleanup(world(), &location, limit).await
    }

    async fn count(location: Location) -> Result<u64, Error> {
        rules::count(world(), &location).await
    }

    async fn list(location: Location, owner: Option<String>, after: Option<String>, limit: u32) -> Result<Page, Error> {
        rules::list(world(), &location, owner.as_deref(), after.as_deref(), limit).await
    }

    async fn get(location: Location, digest: String, owner: Option<String>) -> Result<Option<Entry>, Error> {
        rules::get(world(), &location, &digest, owner.as_deref()).await
    }

    async fn destroy(location: Location, digest: String, owner: Option<String>) -> Result<bool, Error> {
        rules::destroy(world(), &location, &digest, owner.as_deref()).await
    }

    async fn destroy_owned(location: Location, owner: String, except: Option<String>) -> Result<u64, Error> {
        rules::destroy_owned(world(), &location, &owner, except.as_deref()).await
    }
}
