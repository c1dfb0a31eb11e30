//! Idle items that wait for reuse: at most as many as were in use at the same time recently.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// How long an item stays idle before it is removed.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// A stack ordered by last use. Taking from the top leaves the items that concurrent use does not need at the bottom,
/// where they grow old and are removed.
pub(super) struct Idle<T>(VecDeque<(Instant, T)>);

impl<T> Idle<T> {
    pub(super) const fn new() -> Self {
        Self(VecDeque::new())
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Takes the most recently used item.
    pub(super) fn take(&mut self) -> Option<T> {
        self.0.pop_back().map(|(_, item)| item)
    }

    /// Returns an item after its use.
    pub(super) fn keep(&mut self, item: T, now: Instant) {
        self.0.push_back((now, item));
    }

    /// Removes the items that have been idle for [`PATIENCE`] or longer.
    pub(super) fn remove_old(&mut self, now: Instant) -> Vec<T> {
        let old = self.0.partition_point(|(since, _)| now.saturating_duration_since(*since) >= PATIENCE);
        self.0.drain(..old).map(|(_, item)| item).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_peak_as_many_stay_as_are_still_in_use() {
        let (mut idle, mut now) = (Idle::new(), Instant::now());
        for n in 0..100 {
            idle.keep(n, now);
        }
        for _ in 0..10 {
            now += PATIENCE / 4;
            let used: Vec<_> = (0..3).map(|_| idle.take().unwrap()).collect();
            for n in used {
                idle.keep(n, now);
            }
            let _ = idle.remove_old(now);
        }
        assert_eq!(idle.len(), 3);
        assert_eq!(idle.remove_old(now + PATIENCE).len(), 3);
        assert_eq!(idle.len(), 0);
    }

    #[test]
    fn what_is_in_use_all_the_time_is_never_removed() {
        let (mut idle, begun) = (Idle::new(), Instant::now());
        for n in 0..100 {
            idle.keep(n, begun);
        }
        let now = begun + PATIENCE - Duration::from_millis(1);
        assert!(idle.remove_old(now).is_empty());
    }
}
