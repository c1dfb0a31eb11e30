//! The store that a rule is checked on.

use std::{any::Any, sync::Arc, time::SystemTime};

use super::{APP, HOUR, Outcome, WEEK};
use crate::{
    CreateOutcome, Digest, Inspect, LoadOutcome, Loaded, Record, Result, Schema, Store, Stored, Transfer, Variable,
    Write,
};

/// A session as `describe` returns it.
pub(super) type Description = (Record, Vec<(String, String, u64)>);

/// A store to check rules on, which nothing else uses.
pub struct Subject {
    pub(super) driver: Arc<dyn Store>,
    pub(super) other: Option<Arc<dyn Store>>,
    pub(super) tables: bool,
    pub(super) expires_by_itself: bool,
    pub(super) counts_roughly: bool,
    pub(super) now: u64,
    _kept: Vec<Box<dyn Any + Send + Sync>>,
}

impl Subject {
    /// A store that is empty and has no tables yet.
    pub fn new(driver: Arc<dyn Store>) -> Self {
        let now = machine_time().saturating_sub(WEEK);
        Self {
            driver,
            other: None,
            tables: true,
            expires_by_itself: false,
            counts_roughly: false,
            now,
            _kept: Vec::new(),
        }
    }

    /// Adds a second handle on the same store, opened as another process would open it.
    #[must_use]
    pub fn and(mut self, other: Arc<dyn Store>) -> Self {
        self.other = Some(other);
        self
    }

    /// For a store that needs no tables: they always exist, and dropping them only empties it.
    #[must_use]
    pub fn without_tables(mut self) -> Self {
        self.tables = false;
        self
    }

    /// For a store that removes expired sessions and tombstones by itself and by its own clock, so that its cleanup has
    /// nothing to do.
    #[must_use]
    pub fn expiring_by_itself(mut self) -> Self {
        self.expires_by_itself = true;
        self
    }

    /// For a store in which concurrent logins of one owner can exceed its limit of sessions.
    #[must_use]
    pub fn counting_owned_roughly(mut self) -> Self {
        self.counts_roughly = true;
        self
    }

    /// Keeps a value, the store's temporary folder for example, until the rule is done.
    #[must_use]
    pub fn keeping(mut self, kept: impl Any + Send + Sync) -> Self {
        self._kept.push(Box::new(kept));
        self
    }

    /// For rules about the removal of what has expired.
    pub(super) fn removes_by_cleanup(&self) -> Result<(), Outcome> {
        let why = "the store removes by itself what has expired";
        if self.expires_by_itself { Err(Outcome::NotApplicable(why)) } else { Ok(()) }
    }

    /// For rules about concurrent logins of one owner.
    pub(super) fn counts_owned_exactly(&self) -> Result<(), Outcome> {
        let why = "concurrent logins of one owner can exceed its limit of sessions";
        if self.counts_roughly { Err(Outcome::NotApplicable(why)) } else { Ok(()) }
    }

    /// For rules about tables that are not there.
    pub(super) fn needs_tables(&self) -> Result<&dyn Schema, Outcome> {
        let why = "the store needs no tables";
        self.schema().and_then(|schema| if self.tables { Ok(schema) } else { Err(Outcome::NotApplicable(why)) })
    }

    /// For rules about what an operator sees.
    pub(super) fn inspect(&self) -> Result<&dyn Inspect, Outcome> {
        self.driver.inspect().ok_or(Outcome::NotApplicable("it cannot count and list sessions (Inspect)"))
    }

    /// For rules about copies.
    pub(super) fn transfer(&self) -> Result<&dyn Transfer, Outcome> {
        self.driver.transfer().ok_or(Outcome::NotApplicable("it cannot export and import sessions (Transfer)"))
    }

    /// For rules about tables.
    pub(super) fn schema(&self) -> Result<&dyn Schema, Outcome> {
        self.driver.schema().ok_or(Outcome::NotApplicable("it has no tables (Schema)"))
    }

    pub(super) fn other(&self) -> &Arc<dyn Store> {
        self.other.as_ref().unwrap_or(&self.driver)
    }

    pub(super) fn handles(&self) -> impl Iterator<Item = &Arc<dyn Store>> {
        std::iter::once(&self.driver).chain(&self.other)
    }

    /// A handle for the task of this number: they take turns.
    pub(super) fn handle(&self, number: usize) -> Arc<dyn Store> {
        Arc::clone(if number.is_multiple_of(2) { &self.driver } else { self.other() })
    }

    /// A record that is live for an hour from `self.now`.
    pub(super) fn record(&self) -> Record {
        Record {
            created: self.now,
            accessed: self.now,
            expires: self.now + HOUR,
            absolute_expiry: None,
            rotated: self.now,
            owner: None,
            version: 0,
            size: 0,
        }
    }

    /// Creates a session that is live for an hour from `self.now`.
    pub(super) async fn create(&self, key: &Digest, writes: &[Write]) {
        self.create_as(key, &self.record(), writes).await;
    }

    pub(super) async fn create_as(&self, key: &Digest, record: &Record, writes: &[Write]) {
        let created = self.driver.create(key, record, &writes.to_vec().into()).await.expect("create");
        assert_eq!(created, CreateOutcome::Created, "a session of a new digest is created");
    }

    /// Loads a session that has to be live.
    pub(super) async fn found(&self, key: &Digest, app: &str, now: u64) -> Loaded {
        match self.driver.load(key, app, now, u32::MAX).await.expect("load") {
            LoadOutcome::Found(loaded) => loaded,
            other => panic!("the session is live, but load answers {other:?}"),
        }
    }

    pub(super) async fn load(&self, key: &Digest, now: u64) -> LoadOutcome {
        self.driver.load(key, APP, now, u32::MAX).await.expect("load")
    }

    /// All variables of an application, by name, with their values.
    pub(super) async fn variables(&self, key: &Digest, app: &str, now: u64) -> Vec<(String, Vec<u8>)> {
        let loaded = self.found(key, app, now).await;
        let mut variables = Vec::new();
        for variable in loaded.variables {
            let value = match variable.value {
                Stored::Inline(value) => value,
                Stored::Large(bytes) => {
                    let value = self.driver.fetch(key, app, &variable.name, now).await.expect("fetch");
                    let value = value.expect("fetch gets what load answered by its size");
                    assert_eq!(value.len() as u64, bytes, "load answers the size of a large value");
                    value
                }
            };
            variables.push((variable.name, value));
        }
        variables
    }

    /// Checks that a live session has no variables, of neither of the applications that rules write for.
    pub(super) async fn assert_empty(&self, key: &Digest, now: u64, why: &str) {
        let record = self.found(key, APP, now).await.record;
        assert_eq!(record.size, 0, "{why}");
        for app in [APP, "other"] {
            assert_eq!(self.variables(key, app, now).await, [], "{why}");
        }
        if let Some(described) = self.described(key, now).await {
            assert_eq!(described, Some((record, Vec::new())), "{why}");
        }
    }

    /// What the operator sees of a session, if the driver can tell.
    pub(super) async fn described(&self, key: &Digest, now: u64) -> Option<Option<Description>> {
        supported("describe", self.driver.inspect()?.describe(key, now).await)
    }

    /// Checks that the sessions of these digests are live, and no others as far as the driver can count them.
    pub(super) async fn assert_live(&self, now: u64, keys: &[Digest]) {
        for key in keys {
            self.found(key, APP, now).await;
        }
        self.assert_count(now, keys.len() as u64).await;
    }

    /// Checks how many sessions are live, if the driver can count them.
    pub(super) async fn assert_count(&self, now: u64, live: u64) {
        if let Some(inspect) = self.driver.inspect() {
            assert_eq!(inspect.count(now).await.expect("count"), live, "the number of live sessions");
        }
    }

    /// Checks which sessions an owner has, if the driver can list them.
    pub(super) async fn assert_owned(&self, now: u64, owner: &str, keys: &[Digest]) {
        if let Some(inspect) = self.driver.inspect() {
            let listed = inspect.list(now, Some(owner), None, 100).await.expect("list");
            let listed: Vec<Digest> = listed.iter().map(|listed| listed.digest).collect();
            assert_eq!(listed, keys, "the list of {owner:?}");
        }
    }

    /// Checks how often a tombstone was loaded, if the driver can tell.
    pub(super) async fn assert_reused(&self, now: u64, times: u64, why: &str) {
        let Some(inspect) = self.driver.inspect() else { return };
        if let Some(reused) = supported("reused", inspect.reused(now).await) {
            assert_eq!(reused, times, "{why}");
        }
    }

    /// Checks how many expired sessions and tombstones wait for a cleanup, if the driver can tell.
    pub(super) async fn assert_backlog(&self, now: u64, backlog: u64, why: &str) {
        let Some(inspect) = self.driver.inspect() else { return };
        if let Some(answer) = supported("backlog", inspect.backlog(now).await) {
            assert_eq!(answer, backlog, "{why}");
        }
    }
}

/// The time by this machine's clock, in seconds since 1970-01-01T00:00:00Z.
pub(super) fn machine_time() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs())
}

/// Details with their values, which are never answered by their size.
pub(super) fn inline(details: Vec<Variable>) -> Vec<(String, Vec<u8>)> {
    let inline = |detail: Variable| match detail.value {
        Stored::Inline(value) => (detail.name, value),
        Stored::Large(bytes) => panic!("the detail {:?} is answered by its size, {bytes}", detail.name),
    };
    details.into_iter().map(inline).collect()
}

/// The answer of a call that a driver may not support.
pub(super) fn supported<T>(call: &str, answer: Result<T>) -> Option<T> {
    match answer {
        Err(error) if error.is_unsupported() => None,
        answer => Some(answer.unwrap_or_else(|error| panic!("{call}: {error:?}"))),
    }
}
