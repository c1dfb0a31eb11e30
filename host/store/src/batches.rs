//! How drivers end all sessions of an owner: in several transactions, so that no save waits for all of them.

use std::future::Future;

use super::Result;

/// How many sessions one transaction ends, and thus how many a save waits for.
pub const DESTROY_BATCH: u32 = 64;

/// The result of one transaction of `destroy_owned`, which goes through the sessions in the order of their digests.
pub struct Destroyed {
    /// How many live sessions of the owner it found, at most [`DESTROY_BATCH`].
    pub found: u64,
    /// How many of them it ended: fewer if the id of one was rotated in between.
    pub ended: u64,
    /// The digest of the last one it found.
    pub last: Option<Vec<u8>>,
}

/// Runs transactions until the owner has no session left, and returns how many were ended. Each transaction is given the digest
/// after which it continues.
///
/// A session whose new digest is lower than that is missed. The transactions therefore start over until a single one has found
/// and ended all sessions that exist.
pub async fn destroy_all<Batch: Future<Output = Result<Destroyed>>>(batch: impl Fn(Vec<u8>) -> Batch) -> Result<u64> {
    let (mut ended, mut after) = (0, Vec::new());
    loop {
        let is_first = after.is_empty();
        let done = batch(after).await?;
        ended += done.ended;
        after = match done.last {
            Some(last) if done.found >= DESTROY_BATCH.into() => last,
            _ if is_first && done.ended == done.found => return Ok(ended),
            _ => Vec::new(),
        };
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, collections::VecDeque};

    use super::*;

    /// Answers one after the other, and notes down what it was asked.
    async fn destroyed(answers: &[(u64, u64)], asked: &RefCell<Vec<Vec<u8>>>) -> u64 {
        let answers = RefCell::new(VecDeque::from(answers.to_vec()));
        let all = destroy_all(async |after| {
            asked.borrow_mut().push(after);
            let (found, ended) = answers.borrow_mut().pop_front().expect("no call more than these");
            Ok(Destroyed { found, ended, last: (found > 0).then(|| vec![asked.borrow().len() as u8]) })
        });
        let ended = all.await.expect("an answer");
        assert!(answers.borrow().is_empty(), "no call fewer than these");
        ended
    }

    #[tokio::test]
    async fn destroying_ends_when_one_transaction_has_ended_all_that_there_were() {
        for (answers, ended, asked) in [
            (&[(0, 0)][..], 0, &[&[][..]][..]),
            (&[(3, 3)], 3, &[&[]]),
            // The id of one was rotated.
            (&[(3, 2), (1, 1)], 3, &[&[], &[]]),
            // After more than one transaction, those that were missed are looked for.
            (&[(64, 64), (5, 5), (0, 0)], 69, &[&[], &[1], &[]]),
            (&[(64, 64), (64, 63), (0, 0), (1, 1)], 128, &[&[], &[1], &[2], &[]]),
        ] {
            let calls = RefCell::default();
            assert_eq!(destroyed(answers, &calls).await, ended);
            assert_eq!(*calls.borrow(), asked);
        }
    }
}
