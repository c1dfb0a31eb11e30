//! The names of Redis keys, and of the fields of a session.

use lemon_session_store::{Digest, Result};

use super::{
    Redis,
    reply::{self, unexpected},
};

/// The names of entries begin with the table and this.
pub const ENTRIES: &str = "s:";

impl Redis {
    /// The Redis key of the layout's version.
    pub(super) fn layout(&self) -> String {
        format!("{}:layout", self.table)
    }

    /// The Redis key of a digest's entry.
    pub(super) fn entry(&self, key: &Digest) -> String {
        format!("{}:{ENTRIES}{}", self.table, key.to_hex())
    }

    /// The Redis key of an owner's index.
    pub(super) fn index(&self, owner: &str) -> String {
        format!("{}:o:{owner}", self.table)
    }
}

/// The beginning of the fields of an application's variables. It holds the length of the application's name, so that no
/// other application's fields begin with it.
pub fn prefix(app: &str) -> Vec<u8> {
    format!("{}:{app}", app.len()).into_bytes()
}

/// The field of a variable.
pub fn field(app: &str, name: &str) -> Vec<u8> {
    let mut field = prefix(app);
    field.extend_from_slice(name.as_bytes());
    field
}

/// The names of application and variable in a field.
pub fn names(field: Vec<u8>) -> Result<(String, String)> {
    let field = reply::utf8(field)?;
    let names = field.split_once(':').and_then(|(length, names)| names.split_at_checked(length.parse().ok()?));
    let (app, name) = names.ok_or_else(|| unexpected("a field that is no variable"))?;
    Ok((app.to_owned(), name.to_owned()))
}
