//! What happened to sessions in each request.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use lemon_session_host::{
    Observer,
    observer::{Operation, Outcome},
};

use super::super::metrics::Metrics;

/// What happened to sessions in the requests in flight, each kind of event once.
#[derive(Default)]
pub struct Events(Mutex<HashMap<u64, Vec<&'static str>>>);

impl Events {
    /// Notes the events of a request from now on.
    pub fn begin(&self, request: u64) {
        self.requests().insert(request, Vec::new());
    }

    /// The events of a request, of which no more are noted.
    pub fn end(&self, request: u64) -> Vec<&'static str> {
        self.requests().remove(&request).unwrap_or_default()
    }

    fn note(&self, request: u64, event: &'static str) {
        // A guest can go on after its request has ended.
        if let Some(events) = self.requests().get_mut(&request)
            && !events.contains(&event)
        {
            events.push(event);
        }
    }

    fn requests(&self) -> MutexGuard<'_, HashMap<u64, Vec<&'static str>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Notes events, and counts all operations for the metrics.
pub struct Noted {
    pub events: Arc<Events>,
    pub metrics: Arc<Metrics>,
}

impl Observer for Noted {
    fn observe(&self, operation: Operation, outcome: Outcome, time: Duration) {
        self.metrics.observe(operation, outcome, time);
    }

    fn observe_request(&self, request: u64, operation: Operation, outcome: Outcome, time: Duration) {
        if let Some(event) = event(operation, outcome) {
            self.events.note(request, event);
        }
        self.observe(operation, outcome, time);
    }
}

/// The event that an operation is; `None` for one that changes no session and finds what it looks for.
fn event(operation: Operation, outcome: Outcome) -> Option<&'static str> {
    Some(match (operation, outcome) {
        (_, Outcome::Failed) => "store failed",
        (_, Outcome::Abandoned) => "store abandoned",
        (Operation::Load, Outcome::Absent) => "unknown id",
        (Operation::Load, Outcome::Expired) => "expired",
        (Operation::Load, Outcome::Ended) => "id of an ended session",
        (Operation::Create, Outcome::Created) => "created",
        (Operation::Create, Outcome::TooMany) => "too many new sessions",
        (Operation::Update, Outcome::Committed) => "saved",
        (Operation::Update, Outcome::Conflict) => "conflict",
        (Operation::Update, Outcome::Gone) => "gone",
        (Operation::Update, Outcome::TooLarge) => "too large",
        (Operation::Update, Outcome::TooManyOwned) => "too many sessions of the owner",
        (Operation::Destroy | Operation::DestroyOwned, Outcome::Removed(1..)) => "destroyed",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_has_its_own_events_until_it_ends() {
        let events = Arc::<Events>::default();
        let noted = Noted { events: events.clone(), metrics: Arc::new(Metrics::new().unwrap()) };
        let observe = |request, operation, outcome| noted.observe_request(request, operation, outcome, Duration::ZERO);
        events.begin(1);
        events.begin(2);
        observe(1, Operation::Load, Outcome::Found);
        for _ in 0..3 {
            observe(1, Operation::Update, Outcome::Committed);
        }
        observe(2, Operation::Update, Outcome::Conflict);
        observe(1, Operation::Destroy, Outcome::Removed(1));
        observe(2, Operation::Destroy, Outcome::Removed(0));
        observe(3, Operation::Update, Outcome::Committed);
        assert_eq!(events.end(1), ["saved", "destroyed"]);
        assert_eq!(events.end(2), ["conflict"]);
        observe(1, Operation::Update, Outcome::Committed);
        assert!(events.requests().is_empty());
        let metrics = noted.metrics.text(0).unwrap();
        assert!(metrics.contains("lemon_session_saves_total{outcome=\"committed\"} 5"), "{metrics}");
    }
}
