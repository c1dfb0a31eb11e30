use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

const INTERVAL: Duration = Duration::from_secs(60);

/// Limits log lines of one kind to one a minute, for lines that any request can cause.
#[derive(Default)]
pub struct LogLimit(Mutex<State>);

#[derive(Default)]
struct State {
    logged: Option<Instant>,
    left_out: u64,
}

impl LogLimit {
    /// Calls `log` unless it was called less than a minute ago. Passes the number of lines that were suppressed since,
    /// if any: make it the field `left_out` of the line.
    pub fn limit(&self, now: Instant, log: impl FnOnce(Option<u64>)) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.logged.is_some_and(|logged| now.saturating_duration_since(logged) < INTERVAL) {
            state.left_out += 1;
            return;
        }
        let State { left_out, .. } = std::mem::replace(&mut *state, State { logged: Some(now), left_out: 0 });
        drop(state);
        log((left_out > 0).then_some(left_out));
    }
}

/// The kinds of line that the interface `lemon:session/storage` logs.
#[derive(Default)]
pub(crate) struct LogLimits {
    pub(crate) ended: LogLimit,
    pub(crate) unknown_location: LogLimit,
    pub(crate) missing_tables: LogLimit,
    pub(crate) unavailable: LogLimit,
    pub(crate) new_sessions: LogLimit,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_a_minute_is_logged_and_says_how_many_were_left_out() {
        let limit = LogLimit::default();
        let begun = Instant::now();
        let mut lines = Vec::new();
        for second in 0..150 {
            limit.limit(begun + Duration::from_secs(second), |left_out| lines.push((second, left_out)));
        }
        assert_eq!(lines, [(0, None), (60, Some(59)), (120, Some(59))]);
        limit.limit(begun + Duration::from_secs(180), |left_out| lines.push((180, left_out)));
        limit.limit(begun + Duration::from_secs(240), |left_out| lines.push((240, left_out)));
        assert_eq!(lines[3..], [(180, Some(29)), (240, None)]);
    }
}
