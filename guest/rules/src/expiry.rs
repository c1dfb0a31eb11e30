//! When a session expires, and when a use of it has to be stored.

use core::time::Duration;

use crate::settings::Settings;

/// The rules of one session, in seconds.
#[derive(Clone, Copy, Debug)]
pub struct Expiry {
    idle: u64,
    slice: u64,
    rolling: bool,
    max_lifetime: Option<u64>,
}

impl Expiry {
    /// The rules for an idle time under the settings.
    pub fn new(idle: u32, settings: &Settings) -> Self {
        let slice = settings.touch_after.unwrap_or(idle / 20).min(idle);
        Self {
            idle: idle.into(),
            slice: slice.into(),
            rolling: settings.rolling,
            max_lifetime: (settings.max_lifetime != 0).then_some(settings.max_lifetime.into()),
        }
    }

    /// The absolute expiry of a session created now.
    pub fn absolute_expiry(&self, now: Duration) -> Option<u64> {
        self.max_lifetime.map(|lifetime| next_second(now).saturating_add(lifetime))
    }

    /// The expiry to store for a session that begins now, or gets this idle time now.
    pub fn first(&self, absolute_expiry: Option<u64>, now: Duration) -> u64 {
        let slice = if self.rolling { self.slice } else { 0 };
        cap(next_second(now).saturating_add(self.idle + slice), absolute_expiry)
    }

    /// The latest expiry that a session can have whose last use was stored at `accessed`. A later one was stored by a request
    /// that did not know yet that another had shortened the idle time.
    pub fn latest(&self, accessed: u64) -> u64 {
        // `accessed` is in whole seconds.
        accessed.saturating_add(1 + self.idle + self.slice)
    }

    /// The expiry to store for a session used now; `None` while the stored expiry leaves it its idle time.
    ///
    /// The stored expiry includes the slice that may pass without a write, so a session lasts its idle time after every use.
    pub fn pushed(&self, expires: u64, absolute_expiry: Option<u64>, now: Duration) -> Option<u64> {
        let now = next_second(now);
        if !self.rolling || expires >= cap(now.saturating_add(self.idle), absolute_expiry) {
            return None;
        }
        Some(cap(now.saturating_add(self.idle + self.slice), absolute_expiry))
    }
}

/// A fraction of a second counts as a whole one: otherwise a session would expire up to a second early.
pub fn next_second(now: Duration) -> u64 {
    now.as_secs().saturating_add((now.subsec_nanos() > 0).into())
}

fn cap(expires: u64, absolute_expiry: Option<u64>) -> u64 {
    absolute_expiry.map_or(expires, |absolute_expiry| expires.min(absolute_expiry))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::settings;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn expiry(change: impl FnOnce(&mut Settings)) -> Expiry {
        let mut settings = settings();
        change(&mut settings);
        Expiry::new(100, &settings)
    }

    #[test]
    fn a_new_session_gets_its_idle_time_and_the_slice() {
        assert_eq!(expiry(|_| ()).first(None, at(1000)), 1105);
        assert_eq!(expiry(|s| s.touch_after = Some(0)).first(None, at(1000)), 1100);
        assert_eq!(expiry(|s| s.rolling = false).first(None, at(1000)), 1100);
    }

    #[test]
    fn a_use_is_written_only_when_the_slice_has_passed() {
        let expiry = expiry(|_| ());
        assert_eq!(expiry.pushed(1105, None, at(1000)), None);
        assert_eq!(expiry.pushed(1105, None, at(1005)), None);
        assert_eq!(expiry.pushed(1105, None, at(1006)), Some(1111));
    }

    #[test]
    fn a_session_lasts_at_least_its_idle_time_after_every_use() {
        let expiry = expiry(|_| ());
        let mut expires = expiry.first(None, at(0));
        for now in 0..1000 {
            expires = expiry.pushed(expires, None, at(now)).unwrap_or(expires);
            assert!(expires >= now + 100, "used at {now}, expires at {expires}");
        }
    }

    #[test]
    fn no_expiry_that_a_use_stores_is_later_than_the_latest() {
        let expiry = expiry(|_| ());
        for nanoseconds in [0, 1, 999_999_999] {
            let now = Duration::new(1000, nanoseconds);
            assert!(expiry.first(None, now) <= expiry.latest(1000));
            assert!(expiry.pushed(0, None, now) <= Some(expiry.latest(1000)));
        }
        assert_eq!(expiry.latest(1000), 1106);
    }

    #[test]
    fn max_lifetime_caps_every_expiry_and_then_nothing_is_written_any_more() {
        let expiry = expiry(|s| s.max_lifetime = 150);
        assert_eq!(expiry.absolute_expiry(at(1000)), Some(1150));
        assert_eq!(expiry.first(Some(1150), at(1000)), 1105);
        assert_eq!(expiry.first(Some(1104), at(1000)), 1104);
        assert_eq!(expiry.pushed(1105, Some(1150), at(1060)), Some(1150));
        assert_eq!(expiry.pushed(1150, Some(1150), at(1100)), None);
    }

    #[test]
    fn without_rolling_a_use_moves_nothing() {
        assert_eq!(expiry(|s| s.rolling = false).pushed(1100, None, at(1099)), None);
    }

    #[test]
    fn nothing_overflows_at_the_end_of_time() {
        let expiry = expiry(|_| ());
        assert_eq!(expiry.first(None, at(u64::MAX)), u64::MAX);
        assert_eq!(expiry.latest(u64::MAX), u64::MAX);
        assert_eq!(expiry.pushed(0, None, at(u64::MAX)), Some(u64::MAX));
    }

    #[test]
    fn a_session_never_ends_before_its_idle_time_whatever_the_fraction_of_a_second() {
        for rolling in [true, false] {
            let expiry = expiry(|s| (s.rolling, s.touch_after, s.max_lifetime) = (rolling, Some(0), 100));
            for nanoseconds in [0, 1, 500_000_000, 999_999_999] {
                let created = Duration::new(1000, nanoseconds);
                let expires = expiry.first(expiry.absolute_expiry(created), created);
                assert!(at(expires) >= created + at(100), "created at {created:?}, expires at {expires}");
                assert!(at(expires) < created + at(101), "created at {created:?}, expires at {expires}");
            }
        }
        let expiry = expiry(|s| s.touch_after = Some(0));
        assert_eq!(expiry.pushed(1200, None, Duration::new(1100, 1)), Some(1201));
        assert_eq!(expiry.pushed(1201, None, Duration::new(1100, 1)), None);
    }
}
