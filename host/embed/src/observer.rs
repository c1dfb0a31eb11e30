//! Storage operations and their outcomes, reported call by call, for metrics.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use crate::store::{CreateOutcome, LoadOutcome, Result, UpdateOutcome};

/// Receives every storage operation when it ends, whether an application, the native API or a background cleanup called
/// it.
///
/// The session is never identified. Pass an observer to [`SessionCtxBuilder::observer`](crate::SessionCtxBuilder::observer).
///
/// ```
/// use std::{sync::atomic::{AtomicU64, Ordering}, time::Duration};
/// use lemon_session_host::{Observer, observer::{Operation, Outcome}};
///
/// #[derive(Default)]
/// struct Counter {
///     stolen: AtomicU64,
/// }
///
/// impl Observer for Counter {
///     fn observe(&self, operation: Operation, outcome: Outcome, _time: Duration) {
///         if (operation, outcome) == (Operation::Load, Outcome::Ended) {
///             self.stolen.fetch_add(1, Ordering::Relaxed);
///         }
///     }
/// }
/// ```
pub trait Observer: Send + Sync + 'static {
    /// `operation` ended with `outcome` after `time`. This runs on the path of a request, so it must not block.
    fn observe(&self, operation: Operation, outcome: Outcome, time: Duration);

    /// The same, on behalf of the request with this number, [`Caller::request`](crate::Caller::request); 0 if there is none
    /// or its host does not number requests. Without an implementation, this calls [`observe`](Self::observe).
    fn observe_request(&self, request: u64, operation: Operation, outcome: Outcome, time: Duration) {
        let _ = request;
        self.observe(operation, outcome, time);
    }
}

/// A function of the interface `lemon:session/storage`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Reads a session with the variables of one application.
    Load,
    /// Reads one large variable.
    Fetch,
    /// Stores a new session.
    Create,
    /// Saves changes of a session.
    Update,
    /// Ends a session.
    Destroy,
    /// Ends all sessions of an owner.
    DestroyOwned,
    /// Removes a batch of expired sessions and tombstones.
    Cleanup,
    /// Counts the live sessions.
    Count,
    /// Lists live sessions.
    List,
    /// Creates the tables.
    CreateTables,
    /// Removes the tables.
    DropTables,
    /// Tells whether the tables exist.
    TablesExist,
}

impl Operation {
    /// All operations, in the order of their declaration.
    pub const ALL: [Self; 12] = [
        Self::Load,
        Self::Fetch,
        Self::Create,
        Self::Update,
        Self::Destroy,
        Self::DestroyOwned,
        Self::Cleanup,
        Self::Count,
        Self::List,
        Self::CreateTables,
        Self::DropTables,
        Self::TablesExist,
    ];

    /// Its name in lower case, with underscores: `destroy_owned`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Load => "load",
            Self::Fetch => "fetch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Destroy => "destroy",
            Self::DestroyOwned => "destroy_owned",
            Self::Cleanup => "cleanup",
            Self::Count => "count",
            Self::List => "list",
            Self::CreateTables => "create_tables",
            Self::DropTables => "drop_tables",
            Self::TablesExist => "tables_exist",
        }
    }
}

/// How an operation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// `load`: the session is live.
    Found,
    /// `load`: no session has this digest.
    Absent,
    /// `load`: the session has expired and was not removed yet.
    Expired,
    /// `load`: the session was destroyed, or its id was rotated.
    Ended,
    /// `create`: the session was stored.
    Created,
    /// `create`: a session with this digest exists.
    Exists,
    /// `create`: the client has created too many sessions. The store was not called.
    TooMany,
    /// `update`: all changes were written.
    Committed,
    /// `update`: another request saved the session first. Nothing was written.
    Conflict,
    /// `update`: the session has ended. Nothing was written.
    Gone,
    /// `update`: the session would have exceeded a limit. Nothing was written.
    TooLarge,
    /// `update`: the owner has as many sessions as the setting `max-sessions` allows. Nothing was written.
    TooManyOwned,
    /// `destroy`, `destroy-owned`, `cleanup`: the number of sessions that were removed.
    Removed(u64),
    /// Any other operation: it succeeded.
    Done,
    /// The store failed; the log has the error.
    Failed,
    /// The call was dropped before it ended: the request timed out, or its client disconnected.
    Abandoned,
}

impl From<&LoadOutcome> for Outcome {
    fn from(outcome: &LoadOutcome) -> Self {
        match outcome {
            LoadOutcome::Found(_) => Self::Found,
            LoadOutcome::Absent => Self::Absent,
            LoadOutcome::Expired => Self::Expired,
            LoadOutcome::Ended => Self::Ended,
        }
    }
}

impl From<&CreateOutcome> for Outcome {
    fn from(outcome: &CreateOutcome) -> Self {
        match outcome {
            CreateOutcome::Created => Self::Created,
            CreateOutcome::Exists => Self::Exists,
        }
    }
}

impl From<&UpdateOutcome> for Outcome {
    fn from(outcome: &UpdateOutcome) -> Self {
        match outcome {
            UpdateOutcome::Committed(_) => Self::Committed,
            UpdateOutcome::Conflict(_) => Self::Conflict,
            UpdateOutcome::Gone => Self::Gone,
            UpdateOutcome::TooLarge(_) => Self::TooLarge,
            UpdateOutcome::TooManyOwned(_) => Self::TooManyOwned,
        }
    }
}

/// Waits for a call of a driver and reports its outcome, also when the future is dropped before it is ready.
pub(crate) async fn observe<T>(
    observer: Option<&dyn Observer>,
    request: u64,
    operation: Operation,
    call: impl Future<Output = Result<T>>,
    outcome: impl FnOnce(&T) -> Outcome,
) -> Result<T> {
    let Some(observer) = observer else { return call.await };
    let mut watch = Watch { observer, request, operation, outcome: Outcome::Abandoned, begun: Instant::now() };
    let result = call.await;
    watch.outcome = result.as_ref().map_or(Outcome::Failed, outcome);
    result
}

struct Watch<'a> {
    observer: &'a dyn Observer,
    request: u64,
    operation: Operation,
    outcome: Outcome,
    begun: Instant,
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        self.observer.observe_request(self.request, self.operation, self.outcome, self.begun.elapsed());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::store::Error;

    #[derive(Default)]
    struct Notes(Mutex<Vec<(Operation, Outcome)>>);

    impl Observer for Notes {
        fn observe(&self, operation: Operation, outcome: Outcome, _: Duration) {
            self.0.lock().unwrap().push((operation, outcome));
        }
    }

    #[tokio::test]
    async fn every_end_of_a_call_is_told_once() {
        let notes = Notes::default();
        let removed = |&count: &u64| Outcome::Removed(count);
        observe(Some(&notes), 0, Operation::Cleanup, async { Ok(3) }, removed).await.unwrap();
        let failing = async { Err(Error::unavailable("away")) };
        observe(Some(&notes), 0, Operation::Cleanup, failing, removed).await.unwrap_err();
        drop(observe(Some(&notes), 0, Operation::Cleanup, async { Ok(3) }, removed));
        let mut hanging = Box::pin(observe(Some(&notes), 0, Operation::Cleanup, std::future::pending(), removed));
        assert!(futures::poll!(&mut hanging).is_pending());
        drop(hanging);
        let outcomes = [Outcome::Removed(3), Outcome::Failed, Outcome::Abandoned];
        assert_eq!(*notes.0.lock().unwrap(), outcomes.map(|outcome| (Operation::Cleanup, outcome)));
    }

    #[test]
    fn operations_are_numbered_by_their_place() {
        for (place, operation) in Operation::ALL.into_iter().enumerate() {
            assert_eq!(operation as usize, place, "{}", operation.name());
        }
    }
}
