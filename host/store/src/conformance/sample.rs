//! What rules write.

use crate::{Change, Digest, Grace, Rotation, Write, Writes};

pub const HOUR: u64 = 3600;
pub const WEEK: u64 = 7 * 24 * HOUR;
pub const APP: &str = "shop";

pub fn key(name: &str) -> Digest {
    Digest::of(name)
}

pub fn put(name: &str, value: &[u8]) -> Write {
    put_in(APP, name, value)
}

pub fn put_in(app: &str, name: &str, value: &[u8]) -> Write {
    Write { app: app.to_owned(), name: name.to_owned(), value: Some(value.to_owned()) }
}

pub fn removal(name: &str) -> Write {
    Write { app: APP.to_owned(), name: name.to_owned(), value: None }
}

/// A change without a limit, whose ended digests have a tombstone for an hour.
pub fn change() -> Change {
    Change { max_size: u64::MAX, remember: HOUR as u32, ..Change::default() }
}

pub fn writing(writes: impl Into<Writes>) -> Change {
    Change { writes: writes.into(), ..change() }
}

pub fn renaming_to(to: Digest, grace: Option<Grace>) -> Change {
    Change { rotation: Some(Rotation { to, grace }), ..change() }
}

pub fn pairs(variables: &[(&str, &[u8])]) -> Vec<(String, Vec<u8>)> {
    variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}
