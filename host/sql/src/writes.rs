//! What is written for a change.

use std::collections::BTreeMap;

use lemon_session_store::{Change, Write};

/// The last write of each variable, sorted by application and name.
pub fn last_writes(writes: &[Write]) -> Vec<&Write> {
    let mut last = BTreeMap::new();
    for write in writes {
        last.insert((write.app.as_str(), write.name.as_str()), write);
    }
    last.into_values().collect()
}

/// The writes of a new session: the last write of each variable, without removals.
pub fn stored_writes(writes: &[Write]) -> Vec<&Write> {
    last_writes(writes).into_iter().filter(|write| write.value.is_some()).collect()
}

/// Until when the tombstone of a digest that `change` ends is kept: through its grace, and `remember` seconds longer.
pub fn known_until(change: &Change, now: u64) -> u64 {
    let grace = change.rename.as_ref().and_then(|rename| rename.grace.as_ref());
    grace.map_or(now, |grace| grace.until).saturating_add(change.remember.into())
}
