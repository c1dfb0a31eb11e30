//! Makes `storage-async` of a `storage` whose functions block, as those of a provider do: what `lemon-session compose` puts between
//! the session component of WASI 0.3 and a provider. While one call blocks, all others of the instance wait.

#![cfg(target_family = "wasm")]

wit_bindgen::generate!({ world: "blocking-store", path: "wit", generate_all });

use exports::lemon::session::storage_async::Guest;
use lemon::session::{
    storage::{
        self, Change, CreateOutcome, DestroyCondition, Failure, Listed, LoadOutcome, SessionRecord, UpdateOutcome,
        Write,
    },
    types::Location,
};

struct Blocking;

export!(Blocking);

impl Guest for Blocking {
    async fn load(at: Location, digest: Vec<u8>, app: String, now: u64, inline: u32) -> Result<LoadOutcome, Failure> {
        storage::load(&at, &digest, &app, now, inline)
    }

    async fn fetch(
        at: Location,
        digest: Vec<u8>,
        app: String,
        name: String,
        now: u64,
    ) -> Result<Option<Vec<u8>>, Failure> {
        storage::fetch(&at, &digest, &app, &name, now)
    }

    async fn create(
        at: Location,
        digest: Vec<u8>,
        record: SessionRecord,
        writes: Vec<Write>,
    ) -> Result<CreateOutcome, Failure> {
        storage::create(&at, &digest, &record, &writes)
    }

    async fn update(
        at: Location,
        digest: Vec<u8>,
        change: Change,
        expected: Option<u64>,
        now: u64,
    ) -> Result<UpdateOutcome, Failure> {
        storage::update(&at, &digest, &change, expected, now)
    }

    async fn destroy(
        at: Location,
        digest: Vec<u8>,
        only: DestroyCondition,
        now: u64,
        remember: u32,
    ) -> Result<bool, Failure> {
        storage::destroy(&at, &digest, &only, now, remember)
    }

    async fn destroy_owned(
        at: Location,
        owner: String,
        except: Option<Vec<u8>>,
        now: u64,
        remember: u32,
    ) -> Result<u64, Failure> {
        storage::destroy_owned(&at, &owner, except.as_deref(), now, remember)
    }

    async fn cleanup(at: Location, now: u64, limit: u32) -> Result<u32, Failure> {
        storage::cleanup(&at, now, limit)
    }

    fn cleanup_later(at: Location, now: u64) {
        storage::cleanup_later(&at, now);
    }

    async fn count(at: Location, now: u64) -> Result<u64, Failure> {
        storage::count(&at, now)
    }

    async fn list(
        at: Location,
        now: u64,
        owner: Option<String>,
        after: Option<Vec<u8>>,
        limit: u32,
    ) -> Result<Vec<Listed>, Failure> {
        storage::list(&at, now, owner.as_deref(), after.as_deref(), limit)
    }

    async fn create_tables(at: Location) -> Result<(), Failure> {
        storage::create_tables(&at)
    }

    async fn drop_tables(at: Location) -> Result<(), Failure> {
        storage::drop_tables(&at)
    }

    async fn tables_exist(at: Location) -> Result<bool, Failure> {
        storage::tables_exist(&at)
    }
}
