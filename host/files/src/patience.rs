//! How long a call goes on that others overtake each time.

use std::{
    thread,
    time::{Duration, Instant},
};

use super::fault::{Fault, Result};

/// The longest time.
const LONGEST: Duration = Duration::from_secs(30);

/// Counts the tries of a call. Of those that change one session at the same time, one succeeds; the others try again.
#[derive(Default)]
pub struct Patience {
    tries: u32,
    since: Option<Instant>,
}

impl Patience {
    /// To be called before each try.
    pub fn next(&mut self) -> Result<()> {
        if self.tries > 0 {
            let since = self.since.get_or_insert_with(Instant::now);
            if since.elapsed() > LONGEST {
                return Err(Fault::Other("others have changed the session for 30 seconds without a pause"));
            }
            match self.tries {
                0..4 => thread::yield_now(),
                tries => thread::sleep(Duration::from_micros(50) * tries.min(40)),
            }
        }
        self.tries += 1;
        Ok(())
    }

    /// How many tries have begun.
    pub fn tries(&self) -> u32 {
        self.tries
    }
}
