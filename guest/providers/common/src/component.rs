//! The exports of a provider.

use lemon_session_rules::{
    Settings,
    settings::{Caller, Client, Notice},
    storage::{
        Change, CreateOutcome, DestroyCondition, Failure, Listed, LoadOutcome, Location, SessionRecord, UpdateOutcome,
        Write,
    },
};

use crate::{
    Provider,
    bindings::{settings, storage},
};

/// A component that exports a provider: what [`provider!`](crate::provider!) defines.
pub trait Component {
    /// The provider of this instance.
    fn provider() -> &'static Provider;
}

impl<C: Component> settings::Guest for C {
    fn get_defaults() -> Settings {
        C::provider().defaults()
    }

    fn get_caller() -> Caller {
        C::provider().caller()
    }

    fn get_client() -> Client {
        // A component does not see the connection.
        Client::default()
    }

    fn notify(notice: Notice) {
        C::provider().notify(&notice);
    }
}

impl<C: Component> storage::Guest for C {
    fn load(at: Location, digest: Vec<u8>, app: String, now: u64, inline_bytes: u32) -> Result<LoadOutcome, Failure> {
        C::provider().load(&at, &digest, &app, now, inline_bytes)
    }

    fn fetch(at: Location, digest: Vec<u8>, app: String, name: String, now: u64) -> Result<Option<Vec<u8>>, Failure> {
        C::provider().fetch(&at, &digest, &app, &name, now)
    }

    fn create(
        at: Location,
        digest: Vec<u8>,
        record: SessionRecord,
        writes: Vec<Write>,
    ) -> Result<CreateOutcome, Failure> {
        C::provider().create(&at, &digest, record, writes)
    }

    fn update(
        at: Location,
        digest: Vec<u8>,
        change: Change,
        expected: Option<u64>,
        now: u64,
    ) -> Result<UpdateOutcome, Failure> {
        C::provider().update(&at, &digest, change, expected, now)
    }

    fn destroy(
        at: Location,
        digest: Vec<u8>,
        only: DestroyCondition,
        now: u64,
        remember: u32,
    ) -> Result<bool, Failure> {
        C::provider().destroy(&at, &digest, only, now, remember)
    }

    fn destroy_owned(
        at: Location,
        owner: String,
        except: Option<Vec<u8>>,
        now: u64,
        remember: u32,
    ) -> Result<u64, Failure> {
        C::provider().destroy_owned(&at, &owner, except.as_deref(), now, remember)
    }

    fn cleanup(at: Location, now: u64, limit: u32) -> Result<u32, Failure> {
        C::provider().cleanup(&at, now, limit)
    }

    fn cleanup_later(at: Location, now: u64) {
        C::provider().cleanup_later(&at, now);
    }

    fn count(at: Location, now: u64) -> Result<u64, Failure> {
        C::provider().count(&at, now)
    }

    fn list(
        at: Location,
        now: u64,
        owner: Option<String>,
        after: Option<Vec<u8>>,
        limit: u32,
    ) -> Result<Vec<Listed>, Failure> {
        C::provider().list(&at, now, owner.as_deref(), after.as_deref(), limit)
    }

    fn create_tables(at: Location) -> Result<(), Failure> {
        C::provider().create_tables(&at)
    }

    fn drop_tables(at: Location) -> Result<(), Failure> {
        C::provider().drop_tables(&at)
    }

    fn tables_exist(at: Location) -> Result<bool, Failure> {
        C::provider().tables_exist(&at)
    }
}
