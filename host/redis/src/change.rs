//! Changes, as arguments of scripts.

use std::collections::BTreeMap;

use lemon_session_store::{Change, Write};

use super::{
    keys::{field, prefix},
    script::Args,
};

/// A change of a session.
pub struct Changes<'a> {
    pub change: &'a Change,
    expected: Option<u64>,
    now: u64,
    /// The last write of each variable, by its field.
    writes: BTreeMap<Vec<u8>, &'a Write>,
}

impl<'a> Changes<'a> {
    pub(super) fn new(change: &'a Change, expected: Option<u64>, now: u64) -> Self {
        Self { change, expected, now, writes: last_writes(&change.writes) }
    }

    /// The arguments that `change.lua` reads. `indexed` and `token` are empty unless a cluster needs them.
    pub(super) fn args(&self, indexed: &str, token: &str) -> Args {
        let change = self.change;
        let owner = match &change.owner {
            None => String::new(),
            Some(None) => "-".to_owned(),
            Some(Some(owner)) => format!("+{owner}"),
        };
        let grace = change.rename.as_ref().and_then(|rename| rename.grace.as_ref());
        let args = Args::at(self.now)
            .text(&self.expected.map_or_else(String::new, |version| version.to_string()))
            .text(&owner)
            .time_if(change.expires)
            .number(change.max_size)
            .number(change.remember.into())
            .text(&change.rename.as_ref().map_or_else(String::new, |rename| rename.to.to_hex()))
            .time_if(grace.map(|grace| grace.until))
            .bytes(grace.map_or(&[], |grace| &grace.nonce))
            .text(indexed)
            .text(token);

        let (mut puts, mut removals) = (Vec::new(), Vec::new());
        for (field, write) in &self.writes {
            let name = write.name.len().to_string().into_bytes();
            match &write.value {
                Some(value) => puts.extend([field.clone(), name, value.clone()]),
                None => removals.extend([field.clone(), name]),
            }
        }
        let args =
            args.number(change.clears.len() as u64).number(puts.len() as u64 / 3).number(removals.len() as u64 / 2);
        let clears: Vec<_> = change.clears.iter().map(|app| prefix(app)).collect();
        args.many(clears.iter().chain(&puts).chain(&removals).map(Vec::as_slice))
    }
}

/// The last write of each variable, by its field.
pub fn last_writes(writes: &[Write]) -> BTreeMap<Vec<u8>, &Write> {
    writes.iter().map(|write| (field(&write.app, &write.name), write)).collect()
}
