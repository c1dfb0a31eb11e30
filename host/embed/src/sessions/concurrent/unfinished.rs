//! Limits the data of calls that have not completed.
//!
//! A guest of WASI 0.3 can make calls without waiting for any of them. The host keeps the arguments of each call until
//! it is its turn, and the result until the guest takes it.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

/// The most data of the unfinished calls of one guest.
#[derive(Clone)]
pub(super) struct Unfinished {
    bytes: Arc<AtomicUsize>,
    limit: usize,
}

/// What a call takes in addition to its arguments and its result: its task, and the wait for its turn.
const CALL_BYTES: usize = 4096;

impl Unfinished {
    pub fn new(limit: usize) -> Self {
        Self { bytes: Arc::default(), limit }
    }

    /// Accounts for a call with arguments of this size.
    pub fn begin(&self, bytes: usize) -> Result<Share, TooMuch> {
        let mut share = Share { bytes: 0, of: self.clone() };
        share.grow(bytes.saturating_add(CALL_BYTES))?;
        Ok(share)
    }
}

/// The share of one call, which ends when it is dropped.
pub(super) struct Share {
    bytes: usize,
    of: Unfinished,
}

impl Share {
    /// Accounts for more data, such as the call's result.
    pub fn grow(&mut self, bytes: usize) -> Result<(), TooMuch> {
        let Unfinished { bytes: all, limit } = &self.of;
        let grown = |held: usize| held.checked_add(bytes).filter(|held| held <= limit);
        all.fetch_update(Relaxed, Relaxed, grown).map_err(|_| TooMuch)?;
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.of.bytes.fetch_sub(self.bytes, Relaxed);
    }
}

/// The guest has more data in unfinished calls than it may.
#[derive(Debug)]
pub(super) struct TooMuch;

impl fmt::Display for TooMuch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it has more data in calls of lemon:session that are not finished than the host allows")
    }
}

impl std::error::Error for TooMuch {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_finished_call_held_can_be_taken_again() {
        let unfinished = Unfinished::new(10 * CALL_BYTES);
        for _ in 0..100 {
            let mut call = unfinished.begin(4 * CALL_BYTES).unwrap();
            call.grow(5 * CALL_BYTES).unwrap();
        }
    }

    #[test]
    fn calls_and_their_results_together_have_the_limit() {
        let unfinished = Unfinished::new(10 * CALL_BYTES);
        let mut first = unfinished.begin(2 * CALL_BYTES).unwrap();
        assert!(unfinished.begin(7 * CALL_BYTES).is_err());
        first.grow(7 * CALL_BYTES).unwrap();
        assert!(first.grow(1).is_err() && unfinished.begin(0).is_err());
        assert!(first.grow(usize::MAX).is_err());
        drop(first);
        unfinished.begin(9 * CALL_BYTES).unwrap();
    }
}
