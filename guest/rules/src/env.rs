use alloc::{string::String, vec::Vec};
use core::time::Duration;

use crate::{
    settings::{Caller, Client, Notice, Settings},
    storage::{
        Change, CreateOutcome, DestroyCondition, Failure, Listed, LoadOutcome, Location, SessionRecord, UpdateOutcome,
        Write,
    },
};

/// What the component imports: the clock, randomness, the settings and the store. The methods of the store are the functions of
/// the interface `lemon:session/storage`, and can be awaited: a store whose functions return when they are done is called by
/// [`at_once`](crate::at_once).
#[expect(missing_docs, reason = "the documentation is in wit/storage.wit")]
#[expect(async_fn_in_trait, reason = "a component has one thread: futures need not be Send")]
pub trait Env {
    /// The wall clock, since 1970-01-01T00:00:00Z.
    fn clock(&self) -> Duration;
    /// The whole seconds of the wall clock.
    fn now(&self) -> u64 {
        self.clock().as_secs()
    }
    /// Fills `bytes` from a cryptographically secure source.
    fn random(&self, bytes: &mut [u8]);
    /// The settings; called once.
    fn defaults(&self) -> Settings;
    /// The request that calls, and its grant.
    fn caller(&self) -> Caller;
    /// The client of the request that calls.
    fn client(&self) -> Client;
    /// Tells the host what an application probably did not intend.
    fn notify(&self, notice: &Notice);

    async fn load(
        &self,
        at: &Location,
        digest: &[u8],
        app: &str,
        now: u64,
        inline: u32,
    ) -> Result<LoadOutcome, Failure>;
    async fn fetch(
        &self,
        at: &Location,
        digest: &[u8],
        app: &str,
        name: &str,
        now: u64,
    ) -> Result<Option<Vec<u8>>, Failure>;
    async fn create(
        &self,
        at: &Location,
        digest: &[u8],
        record: &SessionRecord,
        writes: &[Write],
    ) -> Result<CreateOutcome, Failure>;
    async fn update(
        &self,
        at: &Location,
        digest: &[u8],
        change: &Change,
        expected: Option<u64>,
        now: u64,
    ) -> Result<UpdateOutcome, Failure>;
    async fn destroy(
        &self,
        at: &Location,
        digest: &[u8],
        only: &DestroyCondition,
        now: u64,
        remember: u32,
    ) -> Result<bool, Failure>;
    async fn destroy_owned(
        &self,
        at: &Location,
        owner: &str,
        except: Option<&[u8]>,
        now: u64,
        remember: u32,
    ) -> Result<u64, Failure>;
    async fn cleanup(&self, at: &Location, now: u64, limit: u32) -> Result<u32, Failure>;
    fn cleanup_later(&self, at: &Location, now: u64);
    async fn count(&self, at: &Location, now: u64) -> Result<u64, Failure>;
    async fn list(
        &self,
        at: &Location,
        now: u64,
        owner: Option<&str>,
        after: Option<&[u8]>,
        limit: u32,
    ) -> Result<Vec<Listed>, Failure>;
    async fn create_tables(&self, at: &Location) -> Result<(), Failure>;
    async fn drop_tables(&self, at: &Location) -> Result<(), Failure>;
    async fn tables_exist(&self, at: &Location) -> Result<bool, Failure>;
}

/// The application gets a plain case; the detail is in the host's log.
impl From<Failure> for crate::Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::MissingTables(_) => Self::Storage(String::from(
                "the session tables do not exist; create them with `lemon-session tables create`",
            )),
            Failure::UnknownLocation(text) => Self::InvalidOption(text),
            Failure::Unavailable(_) => Self::Storage(String::from("the session store is unavailable")),
            Failure::TooMany(text) => Self::TooMany(text),
        }
    }
}
