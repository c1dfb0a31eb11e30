use async_trait::async_trait;

use super::{
    Change, CreateOutcome, DestroyCondition, Digest, Error, Inspect, LoadOutcome, Record, Result, Schema, Transfer,
    UpdateOutcome, Writes,
};

/// What requests need of a store. A driver that implements nothing else can serve them.
///
/// A store knows nothing of the rules of sessions; it guarantees atomicity. Each method is one transaction: it takes effect
/// completely or not at all, whatever other callers do meanwhile, on this host or another one. A lost race is an answer. An
/// [`Error`] means that the call could not be completed; it may or may not have taken effect.
///
/// Values are bytes that a store never interprets. Times are in seconds since 1970-01-01T00:00:00Z. `now` is the caller's
/// time, and a session is live while `now < record.expires`.
///
/// # Clocks
///
/// A store that has a clock of its own ([`Inspect::clock`](super::Inspect::clock)) takes the earlier of `now` and its own time
/// as the time of a call. What is live by the store's clock is then live for every caller, and a caller whose clock is ahead
/// does not end it as expired. Other stores go by `now`.
///
/// # Digests
///
/// A session is known by its digest, the SHA-256 of its id ([`Digest`]). A digest means one thing at a time:
///
/// - a session, until it is removed, even if it has expired;
/// - or a tombstone: its session was destroyed, or its id was rotated. [`load`](Self::load) answers [`LoadOutcome::Ended`] and
///   [`update`](Self::update) answers [`UpdateOutcome::Gone`]. Once its tombstone expires, the digest behaves as if it had
///   never existed, whether the tombstone was removed yet or not.
///
/// A former digest is one whose id was rotated with a grace period ([`Rotation::grace`](super::Rotation::grace)). While
/// `now < grace.until` it leads to its session, also after further rotations with a grace period. It ends at once, whatever
/// its grace period, when the session is destroyed, expires, or has its id rotated without a grace period. It never leads to
/// another session, even to one that is created under a digest which its session had. After the grace period it is a
/// tombstone.
///
/// # Cancellation
///
/// A call whose future is dropped takes effect completely or not at all. [`destroy_owned`](Self::destroy_owned) and
/// [`cleanup`](Self::cleanup) do so for each session.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// The name of this store for people, on one line and without passwords: `SQLite in sessions.db`.
    fn summary(&self) -> String;

    /// Returns the session of a digest with its details, and with the variables of one application, in one round trip.
    ///
    /// Values of the latter longer than `inline_bytes` may be returned as [`Stored::Large`](super::Stored::Large), no others. A former
    /// digest within its grace period leads to its session; [`Loaded::renewal`](super::Loaded::renewal) then holds the nonce
    /// of its own rotation. Every [`LoadOutcome::Ended`] is counted in the store before it is returned
    /// ([`Inspect::reused`]).
    async fn load(&self, digest: &Digest, app: &str, now: u64, inline_bytes: u32) -> Result<LoadOutcome>;

    /// Returns the value of one variable of a live session, if there is one. Follows a former digest as `load` does, and
    /// counts no use of an ended one.
    async fn fetch(&self, digest: &Digest, app: &str, name: &str, now: u64) -> Result<Option<Vec<u8>>>;

    /// Stores a new session. Its `version` becomes 1 and its `size` that of `writes`, whatever `record` says. A removal
    /// among the writes is ignored.
    ///
    /// Never overwrites: answers [`CreateOutcome::Exists`] if the digest is that of a live session, of an expired one that
    /// was not removed yet, a former digest, or a tombstone that has not expired at `record.accessed`.
    async fn create(&self, digest: &Digest, record: &Record, writes: &Writes) -> Result<CreateOutcome>;

    /// Applies `change` to a live session, all of it or nothing, in one round trip.
    ///
    /// Never recreates: answers [`UpdateOutcome::Gone`] if the session was destroyed, has expired, or its id was rotated; a
    /// former digest is not followed. Answers [`UpdateOutcome::Conflict`] if `expected` is given and is not the session's
    /// version. Writes of different variables by concurrent callers all survive; of one variable, the last.
    ///
    /// With [`Change::max_owned`], counting the owner's other live sessions and writing are one step: of any number of concurrent
    /// updates, no more succeed than it allows. Otherwise the answer is [`UpdateOutcome::TooManyOwned`]. A session whose id is
    /// being rotated meanwhile counts once. Of several refusals, the answer is the first of `Gone`, `Conflict`, `TooLarge` and
    /// `TooManyOwned`.
    ///
    /// The version grows by one if `change` has clears, writes, an owner or a lifetime, even if they change nothing.
    /// `accessed` becomes the later of itself and `now`.
    ///
    /// # Errors
    ///
    /// Fails and writes nothing if the new digest of a rotation is taken by something that [`create`](Self::create) would not
    /// overwrite at `now`.
    async fn update(&self, digest: &Digest, change: &Change, expected: Option<u64>, now: u64) -> Result<UpdateOutcome>;

    /// Ends a session that meets the condition `only`, and returns whether a live one was ended.
    ///
    /// Its variables are removed at once. A live session leaves a tombstone for `remember` seconds; an expired one leaves
    /// none. A former digest and a tombstone stay as they are.
    async fn destroy(&self, digest: &Digest, only: &DestroyCondition, now: u64, remember: u32) -> Result<bool>;

    /// Ends all live sessions of an owner as [`destroy`](Self::destroy) does, except that of the digest `except`, and returns
    /// how many were ended. A former digest within its grace period spares the session it leads to. Owners are compared byte
    /// by byte, like applications and names.
    ///
    /// Expired sessions of the owner may be removed too, and are not counted. A store with a clock of its own removes them: they
    /// are live for a caller whose clock is behind.
    ///
    /// May take several transactions, so that no save waits for all of them. Every session that is the owner's when the call
    /// begins has ended when it returns, even if its id is rotated meanwhile.
    async fn destroy_owned(&self, owner: &str, except: Option<&Digest>, now: u64, remember: u32) -> Result<u64>;

    /// Removes at most `limit` expired sessions and expired tombstones, and returns how many: fewer than `limit` if none
    /// remain.
    ///
    /// May take several transactions, so that no other call waits for all of them. Waits, for a limited time, for what
    /// another call is saving or removing. A store that expires its entries by itself returns 0.
    async fn cleanup(&self, now: u64, limit: u32) -> Result<u32>;

    /// Writes out what is held in memory and ends background work. Called once, as the last call.
    async fn close(&self) -> Result<()> {
        Ok(())
    }

    /// This store for the operator's commands; `None` if the driver does not implement [`Inspect`].
    fn inspect(&self) -> Option<&dyn Inspect> {
        None
    }

    /// This store for the command `move`; `None` if the driver does not implement [`Transfer`].
    fn transfer(&self) -> Option<&dyn Transfer> {
        None
    }

    /// The tables of this store; `None` if the driver does not implement [`Schema`], as the store needs no tables.
    fn schema(&self) -> Option<&dyn Schema> {
        None
    }
}

impl dyn Store {
    /// Creates the tables, or upgrades those of an older version, if the store needs any.
    ///
    /// # Errors
    ///
    /// Fails as [`Schema::create_tables`] does.
    pub async fn set_up(&self) -> Result<()> {
        match self.schema() {
            Some(schema) => schema.create_tables().await,
            None => Ok(()),
        }
    }

    /// [`inspect`](Store::inspect) for a caller that needs it.
    ///
    /// # Errors
    ///
    /// Fails with [`Error::is_unsupported`] if the driver does not implement [`Inspect`].
    pub fn try_inspect(&self) -> Result<&dyn Inspect> {
        self.inspect().ok_or_else(|| self.lacks("cannot count, list or describe its sessions", "Inspect"))
    }

    /// [`transfer`](Store::transfer) for a caller that needs it.
    ///
    /// # Errors
    ///
    /// Fails with [`Error::is_unsupported`] if the driver does not implement [`Transfer`].
    pub fn try_transfer(&self) -> Result<&dyn Transfer> {
        self.transfer().ok_or_else(|| self.lacks("cannot export or import sessions", "Transfer"))
    }

    /// [`schema`](Store::schema) for a caller that needs it.
    ///
    /// # Errors
    ///
    /// Fails with [`Error::is_unsupported`] if the driver does not implement [`Schema`].
    pub fn try_schema(&self) -> Result<&dyn Schema> {
        self.schema().ok_or_else(|| self.lacks("has no tables", "Schema"))
    }

    fn lacks(&self, consequence: &str, ability: &str) -> Error {
        Error::unsupported(format!("{} {consequence}: its driver does not implement {ability}", self.summary()))
    }
}
