use super::{Error, Result, Store};

/// By how many seconds the clock of a host may differ from that of its store. A host whose clock differs by more does not remove
/// expired sessions.
pub const CLOCK_TOLERANCE: u64 = 60;

impl dyn Store {
    /// Compares `now`, the time by the clock of this host, with the clock of the store, before a cleanup. A store that has no
    /// clock of its own agrees with every time.
    ///
    /// # Errors
    ///
    /// Fails with [`Error::is_clock_off`] if they differ by more than [`CLOCK_TOLERANCE`], with a message for the operator's log,
    /// and otherwise if the store does not answer.
    pub async fn check_clock(&self, now: u64) -> Result<()> {
        let Some(inspect) = self.inspect() else { return Ok(()) };
        match inspect.clock().await? {
            Some(clock) => compare(now, clock, &self.summary()),
            None => Ok(()),
        }
    }
}

fn compare(ours: u64, theirs: u64, store: &str) -> Result<()> {
    let difference = ours.abs_diff(theirs);
    if difference <= CLOCK_TOLERANCE {
        return Ok(());
    }
    let side = if ours > theirs { "ahead of" } else { "behind" };
    Err(Error::clock_off(format!(
        "the clock of this host shows {} and is {difference} seconds {side} that of {store}, which shows {}: this host removes no \
         expired sessions until both agree; synchronise them with a time server (chrony, systemd-timesyncd)",
        time_of_day(ours),
        time_of_day(theirs)
    )))
}

fn time_of_day(seconds: u64) -> String {
    let minutes = seconds / 60;
    format!("{:02}:{:02}:{:02} UTC", minutes / 60 % 24, minutes % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_that_differ_by_more_than_the_tolerance_are_an_error_that_names_both_times() {
        for ours in [1_000_000 - CLOCK_TOLERANCE, 1_000_000, 1_000_000 + CLOCK_TOLERANCE] {
            assert!(compare(ours, 1_000_000, "a store").is_ok(), "{ours}");
        }
        let ahead = compare(1_003_600, 1_000_000, "a store").expect_err("an hour").to_string();
        assert!(
            ahead.contains("shows 14:46:40 UTC and is 3600 seconds ahead of that of a store, which shows 13:46:40 UTC"),
            "{ahead}"
        );
        let behind = compare(1_000_000 - CLOCK_TOLERANCE - 1, 1_000_000, "a store").expect_err("61 s").to_string();
        assert!(behind.contains("is 61 seconds behind that of a store"), "{behind}");
    }
}
