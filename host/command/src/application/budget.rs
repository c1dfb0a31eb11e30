//! How much the host keeps in its own memory for one guest: header fields, bodies, handles and what waits to be read.
//!
//! Every byte of it is guest-controlled or client-controlled, and none of it counts towards the guest's own memory.

use std::fmt;

/// The bytes that one guest may have the host keep, as `[server] request-memory` says.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    limit: usize,
    /// Kept for as long as the guest lives.
    fixed: usize,
    /// Handed over since the host last counted what it has. Never less than what is left of it.
    handed_over: usize,
}

/// The share of the budget that is set aside for handles: a quarter.
const HANDLES_SHARE: usize = 4;
/// The most bytes that the host needs for a handle, beside what is counted where it is handed over. Of the three handles of
/// a response's body, the channel between them takes most.
const HANDLE_BYTES: usize = 1024;

impl Budget {
    pub fn new(limit: usize) -> Self {
        Self { limit, fixed: 0, handed_over: 0 }
    }

    /// How many handles a guest may hold at a time.
    pub fn handles(&self) -> usize {
        self.limit / HANDLES_SHARE / HANDLE_BYTES
    }

    /// What is left for all that is no handle, if nothing was taken back.
    fn left(&self) -> usize {
        (self.limit - self.limit / HANDLES_SHARE).saturating_sub(self.fixed).saturating_sub(self.handed_over)
    }

    /// Takes what the host keeps until the guest has ended.
    pub fn reserve(&mut self, bytes: usize) -> Result<(), OverBudget> {
        self.check(bytes)?;
        self.fixed += bytes;
        Ok(())
    }

    /// Takes what a guest hands over. Only where that seems too much is counted what the host still has, by `held`: most
    /// guests come to their end before.
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

/// A guest had the host keep more than it may.
#[derive(Debug)]
pub struct OverBudget;

impl fmt::Display for OverBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it had the server keep more header fields, bodies and handles than [server] request-memory allows")
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
    fn what_is_reserved_is_never_given_back() {
        let mut budget = Budget::new(4000);
        budget.reserve(2500).unwrap();
        assert!(budget.take(600, || 0).is_err());
        budget.take(400, || 0).unwrap();
        assert!(budget.reserve(200).is_err());
    }
}
