//! The names of Redis keys, and of the fields of sessions.

use lemon_session_store::{Key, Result};

use super::{
    Redis,
    reply::{self, unexpected},
};

/// What the names of the entries of sessions' keys begin with, after the table.
pub const ENTRIES: &str = "s:";

impl Redis {
    pub(super) fn layout(&self) -> String {
        format!("{}:layout", self.table)
    }

    pub(super) fn entry(&self, key: &Key) -> String {
        format!("{}:{ENTRIES}{}", self.table, key.to_hex())
    }

    pub(super) fn index(&self, owner: &str) -> String {
        format!("{}:o:{owner}", self.table)
    }
}

/// What the fields of an application's variables begin with. As it says how long the application's name is, no other
/// application's fields begin so.
pub fn prefix(app: &str) -> Vec<u8> {
    format!("{}:{app}", app.len()).into_bytes()
}

pub fn field(app: &str, name: &str) -> Vec<u8> {
    let mut field = prefix(app);
    field.extend_from_slice(name.as_bytes());
    field
}

/// Reads the names of application and variable from a field.
pub fn names(field: Vec<u8>) -> Result<(String, String)> {
    let field = reply::utf8(field)?;
    let names = field.split_once(':').and_then(|(length, names)| names.split_at_checked(length.parse().ok()?));
    let (app, name) = names.ok_or_else(|| unexpected("a field that is no variable"))?;
    Ok((app.to_owned(), name.to_owned()))
}
