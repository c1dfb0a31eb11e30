//! Changes, as arguments of scripts.

use lemon_session_store::{Change, Lifetime};

use super::{
    keys::{field, prefix},
    script::Args,
};

/// A change of a session.
pub struct Changes<'a> {
    pub change: &'a Change,
    expected: Option<u64>,
    now: u64,
}

impl<'a> Changes<'a> {
    pub(super) fn new(change: &'a Change, expected: Option<u64>, now: u64) -> Self {
        Self { change, expected, now }
    }

    /// The arguments that `change.lua` reads. `indexed` and `token` are empty unless a cluster needs them; `max_owned` is none in a
    /// cluster once the owner's sessions were counted.
    pub(super) fn args(&self, indexed: &str, token: &str, max_owned: Option<u32>) -> Args {
        let change = self.change;
        let owner = match &change.owner {
            None => String::new(),
            Some(None) => "-".to_owned(),
            Some(Some(owner)) => format!("+{owner}"),
        };
        let grace = change.rotation.as_ref().and_then(|rotation| rotation.grace.as_ref());
        let args = Args::at(self.now)
            .text(&self.expected.map_or_else(String::new, |version| version.to_string()))
            .text(&owner)
            .time_if(change.lifetime.map(|lifetime| lifetime.expiry()).or(change.expires))
            .number(change.max_size)
            .number(change.remember.into())
            .text(&change.rotation.as_ref().map_or_else(String::new, |rotation| rotation.to.to_hex()))
            .time_if(grace.map(|grace| grace.until))
            .bytes(grace.map_or(&[], |grace| &grace.nonce))
            .text(indexed)
            .text(token);
        let args = match change.lifetime {
            None => args.text(""),
            Some(Lifetime { absolute_expiry: None, .. }) => args.text("-"),
            Some(Lifetime { absolute_expiry: Some(end), .. }) => args.time(end),
        };
        let args = args.text(&max_owned.map_or_else(String::new, |most| most.to_string()));

        let (mut puts, mut removals) = (Vec::new(), Vec::new());
        for write in &change.writes {
            let field = field(&write.app, &write.name);
            let name = write.name.len().to_string().into_bytes();
            match &write.value {
                Some(value) => puts.extend([field, name, value.clone()]),
                None => removals.extend([field, name]),
            }
        }
        let args =
            args.number(change.clears.len() as u64).number(puts.len() as u64 / 3).number(removals.len() as u64 / 2);
        let clears: Vec<_> = change.clears.iter().map(|app| prefix(app)).collect();
        args.many(clears.iter().chain(&puts).chain(&removals).map(Vec::as_slice))
    }
}
