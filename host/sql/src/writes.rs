//! What a driver writes for a change.

use std::collections::BTreeMap;

use lemon_session_store::{Change, Write};

/// The writes that count: of each variable the last.
pub fn last_writes(writes: &[Write]) -> Vec<&Write> {
    let mut last = BTreeMap::new();
    for write in writes {
        last.insert((write.app.as_str(), write.name.as_str()), write);
    }
    last.into_values().collect()
}

/// Until when a key that `change` ends is known: through its grace, and remembered after it.
pub fn known_until(change: &Change, now: u64) -> u64 {
    let grace = change.rename.as_ref().and_then(|rename| rename.grace.as_ref());
    grace.map_or(now, |grace| grace.until).saturating_add(change.remember.into())
}
