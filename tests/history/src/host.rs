use std::{cell::Cell, rc::Rc, time::Duration};

use lemon_session_rules::{
    Env, Settings,
    settings::{Caller, Client, Grant, Notice},
    storage as wit,
};
use lemon_session_store::{self as store, Digest, guest};

use crate::{Ask, Reply};

/// The most that a cleanup in the background removes.
const CLEANUP: u32 = 500;

/// What surrounds a host: its clock, its randomness and its connection to the store.
pub trait Wire {
    /// Calls the store, and waits for its answer.
    ///
    /// # Errors
    ///
    /// Fails if no answer comes: the call may have taken effect or not, or will later.
    fn call(&self, ask: Ask) -> store::Result<Reply>;

    /// Calls the store in the background, and notes the cleanup.
    fn later(&self, ask: Ask);

    /// The host's clock, since 1970-01-01T00:00:00Z.
    fn clock(&self) -> Duration;

    /// The clock that all clients go by, in microseconds.
    fn time(&self) -> u64;

    /// Fills `bytes` at random.
    fn random(&self, bytes: &mut [u8]);

    /// The settings of sessions.
    fn settings(&self) -> Settings;
}

/// A host: what the rules of sessions import, for the requests of one client.
pub struct Host<W>(Rc<Inner<W>>);

struct Inner<W> {
    wire: W,
    client: usize,
    number: usize,
    /// The version of the session that the store told last.
    version: Cell<Option<u64>>,
}

impl<W> Clone for Host<W> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<W: Wire> Host<W> {
    /// The host of this number, for this client.
    pub fn new(wire: W, client: usize, number: usize) -> Self {
        Self(Rc::new(Inner { wire, client, number, version: Cell::default() }))
    }

    /// What surrounds it.
    pub fn wire(&self) -> &W {
        &self.0.wire
    }

    pub(crate) fn client(&self) -> usize {
        self.0.client
    }

    pub(crate) fn number(&self) -> usize {
        self.0.number
    }

    pub(crate) fn version(&self) -> Option<u64> {
        self.0.version.get()
    }

    fn call(&self, ask: Ask) -> Result<Reply, wit::Failure> {
        self.wire().call(ask).map_err(|error| wit::Failure::Unavailable(error.to_string()))
    }
}

/// A reply that is not that of the call.
fn other(reply: &Reply) -> ! {
    panic!("the store replied {reply:?} to another call")
}

fn digest(bytes: &[u8]) -> Digest {
    guest::digest(bytes).expect("the rules make digests")
}

impl<W: Wire> Env for Host<W> {
    fn clock(&self) -> Duration {
        self.wire().clock()
    }

    fn random(&self, bytes: &mut [u8]) {
        self.wire().random(bytes);
    }

    fn defaults(&self) -> Settings {
        self.wire().settings()
    }

    fn caller(&self) -> Caller {
        Caller { request: 0, manager: Grant::All }
    }

    fn client(&self) -> Client {
        Client::default()
    }

    fn notify(&self, _: &Notice) {}

    async fn load(
        &self,
        _: &wit::Location,
        key: &[u8],
        app: &str,
        now: u64,
        inline: u32,
    ) -> Result<wit::LoadOutcome, wit::Failure> {
        match self.call(Ask::Load { digest: digest(key), app: app.to_owned(), now, inline_bytes: inline })? {
            Reply::Load(outcome) => {
                if let store::LoadOutcome::Found(loaded) = &outcome {
                    self.0.version.set(Some(loaded.record.version));
                }
                Ok(load_outcome(outcome))
            }
            reply => other(&reply),
        }
    }

    async fn fetch(
        &self,
        _: &wit::Location,
        key: &[u8],
        app: &str,
        name: &str,
        now: u64,
    ) -> Result<Option<Vec<u8>>, wit::Failure> {
        let ask = Ask::Fetch { digest: digest(key), app: app.to_owned(), name: name.to_owned(), now };
        match self.call(ask)? {
            Reply::Fetch(value) => Ok(value),
            reply => other(&reply),
        }
    }

    async fn create(
        &self,
        _: &wit::Location,
        key: &[u8],
        record: &wit::SessionRecord,
        values: &[wit::Write],
    ) -> Result<wit::CreateOutcome, wit::Failure> {
        match self.call(Ask::Create { digest: digest(key), record: record_of(record), writes: writes(values) })? {
            Reply::Create(store::CreateOutcome::Created) => {
                self.0.version.set(Some(1));
                Ok(wit::CreateOutcome::Created)
            }
            Reply::Create(store::CreateOutcome::Exists) => Ok(wit::CreateOutcome::Exists),
            reply => other(&reply),
        }
    }

    async fn update(
        &self,
        _: &wit::Location,
        key: &[u8],
        change: &wit::Change,
        expected: Option<u64>,
        now: u64,
    ) -> Result<wit::UpdateOutcome, wit::Failure> {
        match self.call(Ask::Update { digest: digest(key), change: change_of(change), expected, now })? {
            Reply::Update(store::UpdateOutcome::Committed(version)) => {
                self.0.version.set(Some(version));
                Ok(wit::UpdateOutcome::Committed(version))
            }
            Reply::Update(store::UpdateOutcome::Conflict(version)) => Ok(wit::UpdateOutcome::Conflict(version)),
            Reply::Update(store::UpdateOutcome::Gone) => Ok(wit::UpdateOutcome::Gone),
            Reply::Update(store::UpdateOutcome::TooLarge(size)) => Ok(wit::UpdateOutcome::TooLarge(size)),
            Reply::Update(store::UpdateOutcome::TooManyOwned(sessions)) => {
                Ok(wit::UpdateOutcome::TooManyOwned(sessions))
            }
            reply => other(&reply),
        }
    }

    async fn destroy(
        &self,
        _: &wit::Location,
        key: &[u8],
        only: &wit::DestroyCondition,
        now: u64,
        remember: u32,
    ) -> Result<bool, wit::Failure> {
        let only = match only {
            wit::DestroyCondition::Any => store::DestroyCondition::Any,
            wit::DestroyCondition::Expired => store::DestroyCondition::Expired,
            wit::DestroyCondition::Owned(owner) => store::DestroyCondition::Owned(owner.clone()),
        };
        match self.call(Ask::Destroy { digest: digest(key), only, now, remember })? {
            Reply::Destroy(ended) => Ok(ended),
            reply => other(&reply),
        }
    }

    async fn destroy_owned(
        &self,
        _: &wit::Location,
        owner: &str,
        except: Option<&[u8]>,
        now: u64,
        remember: u32,
    ) -> Result<u64, wit::Failure> {
        let ask = Ask::DestroyOwned { owner: owner.to_owned(), except: except.map(digest), now, remember };
        match self.call(ask)? {
            Reply::DestroyOwned(ended) => Ok(ended),
            reply => other(&reply),
        }
    }

    async fn cleanup(&self, _: &wit::Location, now: u64, limit: u32) -> Result<u32, wit::Failure> {
        match self.call(Ask::Cleanup { now, limit })? {
            Reply::Cleanup(removed) => Ok(removed),
            reply => other(&reply),
        }
    }

    fn cleanup_later(&self, _: &wit::Location, now: u64) {
        self.wire().later(Ask::Cleanup { now, limit: CLEANUP });
    }

    async fn count(&self, _: &wit::Location, _: u64) -> Result<u64, wit::Failure> {
        unasked()
    }

    async fn list(
        &self,
        _: &wit::Location,
        _: u64,
        _: Option<&str>,
        _: Option<&[u8]>,
        _: u32,
    ) -> Result<Vec<wit::Listed>, wit::Failure> {
        unasked()
    }

    async fn create_tables(&self, _: &wit::Location) -> Result<(), wit::Failure> {
        unasked()
    }

    async fn drop_tables(&self, _: &wit::Location) -> Result<(), wit::Failure> {
        unasked()
    }

    async fn tables_exist(&self, _: &wit::Location) -> Result<bool, wit::Failure> {
        unasked()
    }
}

fn unasked<T>() -> Result<T, wit::Failure> {
    Err(wit::Failure::Unavailable("the requests of histories do not ask this".to_owned()))
}

fn record_of(record: &wit::SessionRecord) -> store::Record {
    let wit::SessionRecord { created, accessed, expires, absolute_expiry, rotated, owner, version, size } =
        record.clone();
    store::Record { created, accessed, expires, absolute_expiry, rotated, owner, version, size }
}

fn writes(writes: &[wit::Write]) -> store::Writes {
    let write = |wit::Write { app, name, value }: wit::Write| store::Write { app, name, value };
    writes.iter().cloned().map(write).collect()
}

fn change_of(change: &wit::Change) -> store::Change {
    let rotation = |rotation: &wit::Rotation| {
        let grace = rotation.grace.clone().map(|wit::Grace { until, nonce }| store::Grace { until, nonce });
        store::Rotation { to: digest(&rotation.to), grace }
    };
    store::Change {
        clears: change.clears.clone(),
        writes: writes(&change.writes),
        owner: change.owner.clone(),
        max_owned: change.max_owned,
        expires: change.expires,
        lifetime: change
            .lifetime
            .map(|wit::Lifetime { expires, absolute_expiry }| store::Lifetime { expires, absolute_expiry }),
        rotation: change.rotation.as_ref().map(rotation),
        max_size: change.max_size,
        remember: change.remember,
    }
}

fn load_outcome(outcome: store::LoadOutcome) -> wit::LoadOutcome {
    match outcome {
        store::LoadOutcome::Found(loaded) => {
            let store::Record { created, accessed, expires, absolute_expiry, rotated, owner, version, size } =
                loaded.record;
            let record =
                wit::SessionRecord { created, accessed, expires, absolute_expiry, rotated, owner, version, size };
            let variable = |store::Variable { name, value }| {
                let value = match value {
                    store::Stored::Inline(bytes) => wit::Stored::Inline(bytes),
                    store::Stored::Large(size) => wit::Stored::Large(size),
                };
                wit::Variable { name, value }
            };
            let details = loaded.details.into_iter().map(variable).collect();
            let variables = loaded.variables.into_iter().map(variable).collect();
            wit::LoadOutcome::Found(wit::Loaded { record, details, variables, renewal: loaded.renewal })
        }
        store::LoadOutcome::Absent => wit::LoadOutcome::Absent,
        store::LoadOutcome::Expired => wit::LoadOutcome::Expired,
        store::LoadOutcome::Ended => wit::LoadOutcome::Ended,
    }
}
