//! Notices when a store that failed answers again.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// A period in which a store fails.
#[derive(Default)]
pub(crate) struct Outage {
    /// Whether it is in one: answers of a store that works take no lock.
    is_failing: AtomicBool,
    state: Mutex<Option<State>>,
}

struct State {
    since: Instant,
    /// Whether the log has an entry about it. A store that fails now and then has one a minute.
    is_logged: bool,
}

impl Outage {
    /// A call failed, and the log says so or has said so less than a minute ago.
    pub(crate) fn failed(&self, now: Instant, is_logged: bool) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.get_or_insert(State { since: now, is_logged }).is_logged |= is_logged;
        self.is_failing.store(true, Relaxed);
    }

    /// A call was answered. Returns how long the store had failed, if that was logged.
    pub(crate) fn answered(&self, now: impl FnOnce() -> Instant) -> Option<Duration> {
        if !self.is_failing.load(Relaxed) {
            return None;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.is_failing.store(false, Relaxed);
        let State { since, is_logged } = state.take()?;
        is_logged.then(|| now().saturating_duration_since(since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_answer_after_failures_tells_how_long_they_lasted() {
        let (outage, begun) = (Outage::default(), Instant::now());
        let after = |seconds| begun + Duration::from_secs(seconds);
        assert_eq!(outage.answered(|| begun), None);
        outage.failed(after(1), true);
        outage.failed(after(3), false);
        assert_eq!(outage.answered(|| after(8)), Some(Duration::from_secs(7)));
        assert_eq!(outage.answered(|| after(9)), None, "only the first");
    }

    #[test]
    fn an_outage_without_an_entry_ends_without_one() {
        let (outage, begun) = (Outage::default(), Instant::now());
        outage.failed(begun, false);
        assert_eq!(outage.answered(|| begun + Duration::from_secs(1)), None);
        outage.failed(begun + Duration::from_secs(2), false);
        outage.failed(begun + Duration::from_secs(62), true);
        assert_eq!(outage.answered(|| begun + Duration::from_secs(63)), Some(Duration::from_secs(61)));
    }
}
