//! The memory of a digest that has ended.

use lemon_session_store::Change;

/// Until when the tombstone of a digest that `change` ends is kept: through its grace, and `remember` seconds longer.
pub fn known_until(change: &Change, now: u64) -> u64 {
    let grace = change.rotation.as_ref().and_then(|rotation| rotation.grace.as_ref());
    grace.map_or(now, |grace| grace.until).saturating_add(change.remember.into())
}
