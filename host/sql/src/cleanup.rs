//! How the drivers of SQL servers clean up: in transactions that hold up nobody for long.

use std::{future::Future, time::Duration};

use lemon_session_store::Result;

/// How many sessions one transaction of a cleanup removes.
const CLEANUP_BATCH: u32 = 256;

/// How often a cleanup looks again for what others hold, and how long it waits before.
const LOOKS: u32 = 50;
const PAUSE: Duration = Duration::from_millis(20);

/// Runs transactions, each of which is given how many rows it may remove, and answers how many it has removed and whether
/// there are more; returns how many were removed.
///
/// They pass over rows that others hold: those are being saved, or removed by another cleanup, and it will show in a moment
/// what became of them.
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
            tokio::time::sleep(PAUSE).await;
        }
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[tokio::test]
    async fn cleanup_looks_again_for_what_others_hold() {
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
