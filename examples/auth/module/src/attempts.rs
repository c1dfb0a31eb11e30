//! Attempts to sign in to one account. After a few failed ones, the next one must wait, longer each time.
//!
//! Each attempt is stored as a separate session whose owner stands for the account. All instances of the module and all
//! hosts that share the store therefore count the same attempts without waiting for each other, and the records expire
//! by themselves. An attempt is stored before its password is checked, so that of several concurrent attempts each one
//! counts the earlier ones.
//!
//! A client that fails often enough makes the account's user wait too, for a quarter of an hour at most.

use lemon_session::{Location, Options, Result, manager};
use sha2::{Digest as _, Sha256};

/// How many attempts may fail before the next one has to wait.
const FREE: usize = 3;
/// The longest wait in seconds.
const LONGEST: u64 = 15 * 60;
/// For how many seconds an attempt is remembered.
const MEMORY: u32 = 60 * 60;
/// The maximum number of attempts that are counted: one page of an owner's list. With these delays an hour has about twenty.
const MANY: u32 = 100;

pub struct Attempts {
    owner: String,
}

impl Attempts {
    /// Those of an account, which need not exist. Its name may be a password in the wrong field, and is stored as a
    /// hash.
    pub fn of(account: &str) -> Self {
        let hash: String = Sha256::digest(account).iter().map(|byte| format!("{byte:02x}")).collect();
        Self { owner: format!("attempts to sign in: {hash}") }
    }

    /// Notes an attempt, unless it comes too early: then for how many seconds it has to wait.
    pub fn begin(&self, now: u64) -> Result<Option<u32>> {
        if let Some(seconds) = self.wait(None, now)? {
            return Ok(Some(seconds));
        }
        // Without a cookie: it is not the session of a visitor.
        let note = Options::new().app("attempts").session_id("").expires(MEMORY).start(&())?;
        note.set_owner(Some(&self.owner))?;
        let _ = note.save()?;
        self.wait(Some(&note.digest()), now)
    }

    /// Forgets all attempts, once one has succeeded.
    pub fn forget(&self) -> Result<()> {
        manager::destroy_owned(&Location::default(), &self.owner, None)?;
        Ok(())
    }

    /// For how many seconds an attempt has to wait for those before it.
    fn wait(&self, own: Option<&str>, now: u64) -> Result<Option<u32>> {
        let page = manager::list(&Location::default(), Some(&self.owner), None, MANY)?;
        let others = page.entries.iter().filter(|entry| Some(entry.digest.as_str()) != own);
        Ok(wait(&others.map(|entry| entry.created).collect::<Vec<_>>(), now))
    }
}

/// For how many seconds the next attempt has to wait, after attempts at these times.
fn wait(attempts: &[u64], now: u64) -> Option<u32> {
    let doubled = u32::try_from(attempts.len().checked_sub(FREE)?).unwrap_or(u32::MAX);
    let delay = 2_u64.saturating_pow(doubled.saturating_add(1)).min(LONGEST);
    let until = attempts.iter().max()?.saturating_add(delay);
    u32::try_from(until.checked_sub(now)?).ok().filter(|seconds| *seconds > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_attempts_are_free() {
        assert_eq!(wait(&[], 100), None);
        assert_eq!(wait(&[100, 100], 100), None);
    }

    #[test]
    fn each_further_attempt_waits_twice_as_long_up_to_a_quarter_of_an_hour() {
        let waits: Vec<_> = (3..14).map(|count| wait(&vec![100; count], 100).unwrap()).collect();
        assert_eq!(waits, [2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]);
        assert_eq!(wait(&vec![100; MANY as usize], 100), Some(900));
    }

    #[test]
    fn the_wait_begins_at_the_last_attempt() {
        assert_eq!(wait(&[40, 100, 70], 100), Some(2));
        assert_eq!(wait(&[40, 100, 70], 101), Some(1));
        assert_eq!(wait(&[40, 100, 70], 102), None);
        assert_eq!(wait(&[40, 100, 70], 5_000), None);
    }
}
