//! The component of WASI 0.2: its store returns when it is done, and so do its exports.

mod bindings {
    bindings!(
        "session-component",
        "lemon:session/device-bound@0.1.0/request": lemon_session_rules::device_bound::Request,
        "lemon:session/device-bound@0.1.0/proof": lemon_session_rules::device_bound::Proof,
        "lemon:session/device-bound@0.1.0/bound": lemon_session_rules::device_bound::Bound,
        "lemon:session/device-bound@0.1.0/answer": lemon_session_rules::device_bound::Answer
    );

    pub use exports::lemon::session::{device_bound, manager, sessions};
    pub use lemon::session::{settings, storage};
}

use alloc::{string::String, vec::Vec};
use core::time::Duration;

use lemon_session_rules::{
    Env, Error, Session, Settings, Value, at_once,
    device_bound::{self as devices, Answer, Proof, Request},
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
use bindings::{device_bound, manager, sessions, settings, storage, wasi::clocks::wall_clock};

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
        storage::load(at, key, app, now, inline)
    }

    async fn fetch(
        &self,
        at: &Location,
        key: &[u8],
        app: &str,
        name: &str,
        now: u64,
    ) -> Result<Option<Vec<u8>>, Failure> {
        storage::fetch(at, key, app, name, now)
    }

    async fn create(
        &self,
        at: &Location,
        key: &[u8],
        record: &SessionRecord,
        writes: &[Write],
    ) -> Result<CreateOutcome, Failure> {
        storage::create(at, key, record, writes)
    }

    async fn update(
        &self,
        at: &Location,
        key: &[u8],
        change: &Change,
        expected: Option<u64>,
        now: u64,
    ) -> Result<UpdateOutcome, Failure> {
        storage::update(at, key, change, expected, now)
    }

    async fn destroy(
        &self,
        at: &Location,
        key: &[u8],
        only: &DestroyCondition,
        now: u64,
        remember: u32,
    ) -> Result<bool, Failure> {
        storage::destroy(at, key, only, now, remember)
    }

    async fn destroy_owned(
        &self,
        at: &Location,
        owner: &str,
        except: Option<&[u8]>,
        now: u64,
        remember: u32,
    ) -> Result<u64, Failure> {
        storage::destroy_owned(at, owner, except, now, remember)
    }

    async fn cleanup(&self, at: &Location, now: u64, limit: u32) -> Result<u32, Failure> {
        storage::cleanup(at, now, limit)
    }

    fn cleanup_later(&self, at: &Location, now: u64) {
        storage::cleanup_later(at, now);
    }

    async fn count(&self, at: &Location, now: u64) -> Result<u64, Failure> {
        storage::count(at, now)
    }

    async fn list(
        &self,
        at: &Location,
        now: u64,
        owner: Option<&str>,
        after: Option<&[u8]>,
        limit: u32,
    ) -> Result<Vec<Listed>, Failure> {
        storage::list(at, now, owner, after, limit)
    }

    async fn create_tables(&self, at: &Location) -> Result<(), Failure> {
        storage::create_tables(at)
    }

    async fn drop_tables(&self, at: &Location) -> Result<(), Failure> {
        storage::drop_tables(at)
    }

    async fn tables_exist(&self, at: &Location) -> Result<bool, Failure> {
        storage::tables_exist(at)
    }
}

struct Component;

bindings::export!(Component with_types_in bindings);

impl sessions::Guest for Component {
    type Session = Session<Imports>;

    fn start(options: Options) -> Result<sessions::Session, Error> {
        at_once(start(world(), options)).map(sessions::Session::new)
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

    fn get(&self, key: String) -> Result<Option<Value>, Error> {
        at_once(self.get(&key))
    }

    fn set(&self, key: String, value: Value) -> Result<(), Error> {
        at_once(self.set(&key, &value))
    }

    fn add(&self, key: String, delta: i64) -> Result<i64, Error> {
        self.add(&key, delta)
    }

    fn delete(&self, key: String) -> Result<bool, Error> {
        self.delete(&key)
    }

    fn has_key(&self, key: String) -> Result<bool, Error> {
        self.has_key(&key)
    }

    fn keys(&self) -> Result<Vec<String>, Error> {
        self.keys()
    }

    fn entries(&self) -> Result<Vec<(String, Value)>, Error> {
        at_once(self.entries())
    }

    fn take(&self, key: String) -> Result<Option<Value>, Error> {
        at_once(self.take(&key))
    }

    fn clear(&self) -> Result<(), Error> {
        self.clear()
    }

    fn application(&self, name: String) -> Result<sessions::Session, Error> {
        at_once(self.application_named(&name)).map(sessions::Session::new)
    }

    fn reserve(&self, name: String, key: Option<String>) -> Result<sessions::Session, Error> {
        at_once(self.reserve(&name, key.as_deref())).map(sessions::Session::new)
    }

    fn release(&self, name: String) -> Result<(), Error> {
        self.release(&name)
    }

    fn regenerate_id(&self) -> Result<(), Error> {
        self.regenerate_id()
    }

    fn set_owner(&self, owner: Option<String>) -> Result<(), Error> {
        self.set_owner(owner)
    }

    fn owner(&self) -> Result<Option<String>, Error> {
        self.owner()
    }

    fn destroy_others(&self) -> Result<u64, Error> {
        at_once(self.destroy_others())
    }

    fn authenticate(&self, owner: String, method: String) -> Result<(), Error> {
        self.authenticate(&owner, &method)
    }

    fn fresh_within(&self, seconds: u32) -> Result<bool, Error> {
        self.fresh_within(seconds)
    }

    fn set_lifetime(&self, lifetime: Lifetime) -> Result<(), Error> {
        self.set_lifetime(&lifetime)
    }

    fn remember(&self, seconds: u32) -> Result<(), Error> {
        self.remember(seconds)
    }

    fn set_label(&self, label: Option<String>) -> Result<(), Error> {
        self.set_label(label)
    }

    fn metadata(&self) -> Result<Metadata, Error> {
        self.metadata()
    }

    fn expires_at(&self) -> u64 {
        self.expires_at()
    }

    fn save(&self) -> Result<Vec<Header>, Error> {
        at_once(self.save())
    }

    fn destroy(&self) -> Result<Vec<Header>, Error> {
        at_once(self.destroy())
    }

    fn set_default(&self, key: String, value: Value) -> Result<Value, Error> {
        at_once(self.set_default(&key, &value))
    }

    fn flash(&self, value: Value) -> Result<(), Error> {
        self.flash(&value)
    }

    fn flashes(&self) -> Result<Vec<Value>, Error> {
        at_once(self.flashes())
    }

    fn entries_of(&self, digest: String) -> Result<Vec<(String, Value)>, Error> {
        at_once(self.entries_of(&digest))
    }

    fn csrf_token(&self) -> Result<String, Error> {
        self.csrf_token()
    }

    fn check_csrf(&self, token: String) -> Result<bool, Error> {
        self.check_csrf(&token)
    }

    fn modified(&self) -> bool {
        self.modified()
    }

    fn accessed(&self) -> bool {
        self.accessed()
    }
}

impl manager::Guest for Component {
    fn create_tables(location: Location) -> Result<(), Vec<Error>> {
        at_once(rules::create_tables(world(), &location))
    }

    fn drop_tables(location: Location) -> Result<(), Vec<Error>> {
        at_once(rules::drop_tables(world(), &location))
    }

    fn tables_exist(location: Location) -> Result<bool, Error> {
        at_once(rules::tables_exist(world(), &location))
    }

    fn cleanup(location: Location, limit: u32) -> Result<u32, Error> {
        at_once(rules::cleanup(world(), &location, limit))
    }

    fn count(location: Location) -> Result<u64, Error> {
        at_once(rules::count(world(), &location))
    }

    fn list(location: Location, owner: Option<String>, after: Option<String>, limit: u32) -> Result<Page, Error> {
        at_once(rules::list(world(), &location, owner.as_deref(), after.as_deref(), limit))
    }

    fn get(location: Location, digest: String, owner: Option<String>) -> Result<Option<Entry>, Error> {
        at_once(rules::get(world(), &location, &digest, owner.as_deref()))
    }

    fn destroy(location: Location, digest: String, owner: Option<String>) -> Result<bool, Error> {
        at_once(rules::destroy(world(), &location, &digest, owner.as_deref()))
    }

    fn destroy_owned(location: Location, owner: String, except: Option<String>) -> Result<u64, Error> {
        at_once(rules::destroy_owned(world(), &location, &owner, except.as_deref()))
    }
}

impl device_bound::Guest for Component {
    fn key(request: Request, identifier: String) -> Result<Option<String>, Error> {
        at_once(devices::key(world(), &request, &identifier))
    }

    fn register(request: Request, proof: Proof) -> Result<Answer, Error> {
        at_once(devices::register(world(), &request, &proof))
    }

    fn refresh(request: Request, identifier: String, proof: Option<Proof>) -> Result<Answer, Error> {
        at_once(devices::refresh(world(), &request, &identifier, proof.as_ref()))
    }
}
