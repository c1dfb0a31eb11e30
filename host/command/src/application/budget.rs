//! Limits the host's memory for one guest: header fields, bodies, handles and buffers.
//!
//! The guest or the client controls every byte of it, and none of it counts towards the guest's linear memory.

use std::fmt;

/// The host's memory for one guest, limited by `[server] request-memory`, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    limit: usize,
    /// Reserved until the guest ends.
    fixed: usize,
    /// An upper bound of the other memory: the amount at the last count, and everything passed to the host since.
    handed_over: usize,
}

/// The share of the budget that is reserved for handles: a quarter.
const HANDLES_SHARE: usize = 4;
/// The share for unfinished calls: a quarter.
const CALLS_SHARE: usize = 4;
/// The maximum memory for a handle, in addition to the contents that are counted separately. A response body is the
/// largest: three handles and the channel between them.
const HANDLE_BYTES: usize = 1024;

impl Budget {
    pub fn new(limit: usize) -> Self {
        Self { limit, fixed: 0, handed_over: 0 }
    }

    /// The maximum number of open handles.
    pub fn handles(&self) -> usize {
        self.limit / HANDLES_SHARE / HANDLE_BYTES
    }

    /// The same budget, of which the share of unfinished calls is reserved: for a guest of WASI 0.3.
    #[must_use]
    pub fn with_calls(self) -> Self {
        Self { fixed: self.fixed + self.calls(), ..self }
    }

    /// The maximum data of calls that have not completed.
    pub fn calls(&self) -> usize {
        self.limit / CALLS_SHARE
    }

    /// The rest of the budget for everything except handles, if the host has freed nothing since the last count.
    fn left(&self) -> usize {
        (self.limit - self.limit / HANDLES_SHARE).saturating_sub(self.fixed).saturating_sub(self.handed_over)
    }

    /// Reserves memory until the guest ends.
    pub fn reserve(&mut self, bytes: usize) -> Result<(), OverBudget> {
        self.check(bytes)?;
        self.fixed += bytes;
        Ok(())
    }

    /// Accounts for data that the guest passes to the host. If that exceeds the budget, `held` counts the memory that
    /// is actually in use. Most guests end before that is necessary.
    pub fn take(&mut self, bytes: usize, held: impl FnOnce() -> usize) -> Result<(), OverBudget> {
        if bytes > self.left() {
            self.handed_over = held();
            self.check(bytes)?;
        }
        self.handed_over += bytes;
        Ok(())
    }

    fn check(&self, bytes: usize) -> Result<(), OverBudget> {
        if bytes > self.left() { Err(OverBudget) } else { Ok(()) }
    }
}

/// The guest exceeded its budget.
#[derive(Debug)]
pub struct OverBudget;

impl fmt::Display for OverBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it used more of the server's memory for header fields, bodies and handles than [server] request-memory allows")
    }
}

impl std::error::Error for OverBudget {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_back_can_be_taken_again() {
        let mut budget = Budget::new(4000);
        for _ in 0..100 {
            budget.take(1000, || 500).unwrap();
        }
    }

    #[test]
    fn no_more_is_held_than_three_quarters_and_the_handles_have_the_rest() {
        let mut budget = Budget::new(4 << 20);
        assert_eq!(budget.handles() * HANDLE_BYTES, 1 << 20);
        let mut held = 0;
        let refused = (0..).find(|_| {
            let taken = budget.take(1000, || held).is_ok();
            held += if taken { 1000 } else { 0 };
            !taken
        });
        assert_eq!(refused, Some((3 << 20) / 1000));
        assert!(held <= 3 << 20);
    }

    #[test]
    fn unfinished_calls_and_handles_and_the_rest_share_the_budget() {
        let mut budget = Budget::new(4000).with_calls();
        assert_eq!(budget.calls(), 1000);
        assert!(budget.take(2001, || 0).is_err());
        budget.take(2000, || 0).unwrap();
    }

    #[test]
    fn what_is_reserved_is_never_given_back() {
        let mut budget = Budget::new(4000);
        budget.reserve(2500).unwrap();
        assert!(budget.take(600, || 0).is_err());
        budget.take(400, || 0).unwrap();
        assert!(budget.reserve(200).is_err());
    }
}
