//! When a session expires, and when a use of it has to be written down.

use crate::bindings::settings::Defaults;

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
    pub fn new(idle: u32, settings: &Defaults) -> Self {
        let slice = settings.touch_after.unwrap_or(idle / 20).min(idle);
        Self {
            idle: idle.into(),
            slice: slice.into(),
            rolling: settings.rolling,
            max_lifetime: (settings.max_lifetime != 0).then_some(settings.max_lifetime.into()),
        }
    }

    /// When a session created at `created` ends however often it is used.
    pub fn ends(&self, created: u64) -> Option<u64> {
        self.max_lifetime.map(|lifetime| created.saturating_add(lifetime))
    }

    /// The expiry to store for a session that is created now.
    pub fn first(&self, now: u64) -> u64 {
        let slice = if self.rolling { self.slice } else { 0 };
        cap(now.saturating_add(self.idle + slice), self.ends(now))
    }

    /// The expiry to store for a session used now; none while the stored one still gives it its idle time.
    ///
    /// The slice that may pass unwritten is added to what is stored, so a session lasts its idle time after every use.
    pub fn pushed(&self, expires: u64, ends: Option<u64>, now: u64) -> Option<u64> {
        if !self.rolling || expires >= cap(now.saturating_add(self.idle), ends) {
            return None;
        }
        Some(cap(now.saturating_add(self.idle + self.slice), ends))
    }
}

fn cap(expires: u64, ends: Option<u64>) -> u64 {
    ends.map_or(expires, |ends| expires.min(ends))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::settings;

    fn expiry(change: impl FnOnce(&mut Defaults)) -> Expiry {
        let mut settings = settings();
        change(&mut settings);
        Expiry::new(100, &settings)
    }

    #[test]
    fn a_new_session_gets_its_idle_time_and_the_slice() {
        assert_eq!(expiry(|_| ()).first(1000), 1105);
        assert_eq!(expiry(|s| s.touch_after = Some(0)).first(1000), 1100);
        assert_eq!(expiry(|s| s.rolling = false).first(1000), 1100);
    }

    #[test]
    fn a_use_is_written_only_when_the_slice_has_passed() {
        let expiry = expiry(|_| ());
        assert_eq!(expiry.pushed(1105, None, 1000), None);
        assert_eq!(expiry.pushed(1105, None, 1005), None);
        assert_eq!(expiry.pushed(1105, None, 1006), Some(1111));
    }

    #[test]
    fn a_session_lasts_at_least_its_idle_time_after_every_use() {
        let expiry = expiry(|_| ());
        let mut expires = expiry.first(0);
        for now in 0..1000 {
            expires = expiry.pushed(expires, None, now).unwrap_or(expires);
            assert!(expires >= now + 100, "used at {now}, expires at {expires}");
        }
    }

    #[test]
    fn max_lifetime_caps_every_expiry_and_then_nothing_is_written_any_more() {
        let expiry = expiry(|s| s.max_lifetime = 150);
        assert_eq!(expiry.ends(1000), Some(1150));
        assert_eq!(expiry.first(1000), 1105);
        assert_eq!(expiry.pushed(1105, Some(1150), 1060), Some(1150));
        assert_eq!(expiry.pushed(1150, Some(1150), 1100), None);
    }

    #[test]
    fn without_rolling_a_use_moves_nothing() {
        assert_eq!(expiry(|s| s.rolling = false).pushed(1100, None, 1099), None);
    }

    #[test]
    fn nothing_overflows_at_the_end_of_time() {
        let expiry = expiry(|_| ());
        assert_eq!(expiry.first(u64::MAX), u64::MAX);
        assert_eq!(expiry.pushed(0, None, u64::MAX), Some(u64::MAX));
    }
}
