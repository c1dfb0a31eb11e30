//! The removal of expired sessions, in transactions that are short enough not to delay saves.

use std::{future::Future, time::Duration};

use lemon_session_store::Result;

use super::pause::pause;

/// The most rows that one transaction removes.
const CLEANUP_BATCH: u32 = 256;

/// How often a cleanup looks again for rows that others have locked.
const LOOKS: u32 = 50;
/// How long it waits before that.
const PAUSE: Duration = Duration::from_millis(20);

/// Removes up to `limit` rows, and returns how many. A `batch` is one transaction: it is given the most rows to remove,
/// and returns how many it has removed and whether there are more.
///
/// A batch skips rows that others have locked, to save them or in another cleanup. If only such rows are left, this
/// waits a moment and looks again.
pub async fn clean_up<Batch: Future<Output = Result<(u32, bool)>>>(
    limit: u32,
    batch: impl Fn(u32) -> Batch,
) -> Result<u32> {
    let (mut removed, mut looks) = (0, 0);
    while removed < limit {
        let most = CLEANUP_BATCH.min(limit - removed);
        let (done, has_more) = batch(most).await?;
        removed += done;
        if done < most && !has_more {
            break;
        }
        if done == 0 {
            looks += 1;
            if looks > LOOKS {
                break;
            }
            pause(PAUSE).await;
        }
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[tokio::test]
    async fn cleanup_looks_again_for_rows_that_others_have_locked() {
        let held = RefCell::new(3);
        let removed = clean_up(300, async |most| {
            let mut held = held.borrow_mut();
            *held -= 1;
            Ok(match *held {
                2 => (most, true),
                1 => (0, true),
                _ => (4, false),
            })
        });
        assert_eq!(removed.await.expect("an answer"), 260);
        assert_eq!(clean_up(300, async |_| Ok((0, false))).await.expect("an answer"), 0);
        assert_eq!(clean_up(5, async |most| Ok((most, true))).await.expect("an answer"), 5);
    }
}
