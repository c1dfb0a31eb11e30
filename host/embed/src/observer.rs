//! What is asked of the stores and how they answer, told call by call: for metrics.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use crate::store::{CreateOutcome, LoadOutcome, Result, UpdateOutcome};

/// Is told of every storage operation when it has come to its end, whoever asked for it: an application, the native API, or
/// a cleanup in the background.
///
/// It is never told which session it was. [`Stores::observed`](crate::Stores::observed) takes one.
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
    /// `operation` came to its end with `outcome` after `time`. Called in the midst of a request: an observer counts, and
    /// waits for nothing.
    fn observe(&self, operation: Operation, outcome: Outcome, time: Duration);
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
    /// Removes a batch of expired sessions and forgotten ids.
    Cleanup,
    /// Counts the live sessions.
    Count,
    /// Lists live sessions.
    List,
    /// Creates the tables.
    CreateTables,
    /// Removes the tables.
    DropTables,
    /// Tells whether the tables are there.
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
    /// `load`: there is none of this id.
    Absent,
    /// `load`: it has expired, and was not removed yet.
    Expired,
    /// `load`: it was ended, or has another id by now.
    Ended,
    /// `create`: it was stored.
    Created,
    /// `create`: there is one of this id.
    Exists,
    /// `create`: its client has begun too many sessions. The store was not asked.
    TooMany,
    /// `update`: all was written.
    Committed,
    /// `update`: somebody else saved the session in the meantime. Nothing was written.
    Conflict,
    /// `update`: the session has ended in the meantime. Nothing was written.
    Gone,
    /// `update`: the session would have grown too large. Nothing was written.
    TooLarge,
    /// `destroy`, `destroy-owned`, `cleanup`: so many were removed.
    Removed(u64),
    /// Any other operation: it was done.
    Done,
    /// The store was in trouble; the log says how.
    Failed,
    /// Nobody waited for the end: the request took too long, or its client went away.
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
        }
    }
}

/// Waits for a call of a driver, and tells the observer how it ended: also when it is dropped before.
pub(crate) async fn observe<T>(
    observer: Option<&dyn Observer>,
    operation: Operation,
    call: impl Future<Output = Result<T>>,
    outcome: impl FnOnce(&T) -> Outcome,
) -> Result<T> {
    let Some(observer) = observer else { return call.await };
    let mut watch = Watch { observer, operation, outcome: Outcome::Abandoned, begun: Instant::now() };
    let result = call.await;
    watch.outcome = result.as_ref().map_or(Outcome::Failed, outcome);
    result
}

struct Watch<'a> {
    observer: &'a dyn Observer,
    operation: Operation,
    outcome: Outcome,
    begun: Instant,
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        self.observer.observe(self.operation, self.outcome, self.begun.elapsed());
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
        observe(Some(&notes), Operation::Cleanup, async { Ok(3) }, removed).await.unwrap();
        let trouble = async { Err(Error::unavailable("away")) };
        observe(Some(&notes), Operation::Cleanup, trouble, removed).await.unwrap_err();
        drop(observe(Some(&notes), Operation::Cleanup, async { Ok(3) }, removed));
        let mut hanging = Box::pin(observe(Some(&notes), Operation::Cleanup, std::future::pending(), removed));
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
