use std::fmt;

use sha2::{Digest, Sha256};

/// What a store knows a session by: the SHA-256 digest of its id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key([u8; 32]);

impl Key {
    /// The key of a session id.
    pub fn of(id: &str) -> Self {
        Self(Sha256::digest(id.as_bytes()).into())
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The key as 64 hexadecimal digits, the form operators see and type.
    pub fn to_hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Reads 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let mut bytes = [0; 32];
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).ok()?;
        }
        Some(Self(bytes))
    }
}

impl From<[u8; 32]> for Key {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl TryFrom<&[u8]> for Key {
    type Error = std::array::TryFromSliceError;

    fn try_from(bytes: &[u8]) -> Result<Self, Self::Error> {
        bytes.try_into().map(Self)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.to_hex())
    }
}

/// What a store keeps of a session beside its variables. Times are in seconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// When it was created.
    pub created: u64,
    /// When a use of it was last written down.
    pub accessed: u64,
    /// When it expires.
    pub expires: u64,
    /// When it expires however often it is used; `expires` is never later.
    pub ends: Option<u64>,
    /// When its key was last changed.
    pub renewed: u64,
    /// Whose it is.
    pub owner: Option<String>,
    /// Counts the updates that changed variables or the owner; 1 after `create`.
    pub version: u64,
    /// The bytes of the names and values of its variables, of all applications.
    pub size: u64,
}

/// The value of a variable as [`load`](super::Driver::load) returns it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stored {
    /// The bytes.
    Inline(Vec<u8>),
    /// It is longer than was asked for: so many bytes, which [`fetch`](super::Driver::fetch) gets.
    Large(u64),
}

/// One variable as [`load`](super::Driver::load) returns it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: Stored,
}

/// A live session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// The session.
    pub record: Record,
    /// The application's variables, sorted by name.
    pub variables: Vec<Variable>,
    /// Set when the session was found under a former key within its grace: the nonce of [`Grace`].
    pub renewal: Option<Vec<u8>>,
}

/// The answer of [`load`](super::Driver::load).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadOutcome {
    /// The session is live.
    Found(Loaded),
    /// There is none of this key.
    Absent,
    /// There is one that has expired and was not cleaned up yet.
    Expired,
    /// There was one that was ended, or was given another key, and is remembered.
    Ended,
}

/// One variable to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// The application.
    pub app: String,
    /// The variable's name.
    pub name: String,
    /// Its new value; none removes it.
    pub value: Option<Vec<u8>>,
}

/// How a former key leads to its session for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grace {
    /// Until when.
    pub until: u64,
    /// What [`Loaded::renewal`] answers then.
    pub nonce: Vec<u8>,
}

/// A change of a session's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rename {
    /// The new key.
    pub to: Key,
    /// None: the old key is dead at once.
    pub grace: Option<Grace>,
}

/// What an update changes, applied in the order of the fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Applications that lose all their variables.
    pub clears: Vec<String>,
    /// Variables to be written; of one variable, the last entry counts.
    pub writes: Vec<Write>,
    /// The new owner, if it changes.
    pub owner: Option<Option<String>>,
    /// The new expiry, if it changes: only ever moved to a later time, and never past `ends`.
    pub expires: Option<u64>,
    /// The new key, if it changes; the record's `renewed` becomes `now`.
    pub rename: Option<Rename>,
    /// The change is refused when the session grows by it and is larger than this afterwards.
    pub max_size: u64,
    /// For how many seconds a key that the change ends is remembered; 0: not at all. A key with a grace is remembered
    /// for so long after it.
    pub remember: u32,
}

/// The answer of [`create`](super::Driver::create).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreateOutcome {
    /// It was created.
    Created,
    /// There is something of this key. Nothing was written.
    Exists,
}

/// The answer of [`update`](super::Driver::update).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpdateOutcome {
    /// All was written; the session's version now.
    Committed(u64),
    /// The version is not the expected one but this one. Nothing was written.
    Conflict(u64),
    /// There is no live session of this key. Nothing was written.
    Gone,
    /// The session would have grown to this many bytes. Nothing was written.
    TooLarge(u64),
}

/// Which session [`destroy`](super::Driver::destroy) ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DestroyCondition {
    /// Any.
    Any,
    /// Only one that has expired: one that was extended since it was read stays.
    Expired,
    /// Only a live session of this owner.
    Owned(String),
}

impl DestroyCondition {
    /// Whether a session of this owner meets the condition, by whether it is live.
    pub fn is_met(&self, live: bool, owner: Option<&str>) -> bool {
        match self {
            Self::Any => true,
            Self::Expired => !live,
            Self::Owned(expected) => live && owner == Some(expected),
        }
    }
}

/// A live session as [`list`](super::Driver::list) returns it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its key.
    pub key: Key,
    /// The session.
    pub record: Record,
}

/// All of a live session, as [`export`](super::Driver::export) returns it and [`import`](super::Driver::import) takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The session.
    pub record: Record,
    /// The variables of all applications with their values, sorted by application and name.
    pub variables: Vec<Write>,
}

/// The name of the table sessions are kept in: a letter, then letters, digits and `_`, at most 48 characters. Safe to be
/// part of an SQL statement.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TableName(String);

impl TableName {
    /// Checks a name.
    pub fn new(name: &str) -> Result<Self, String> {
        let mut bytes = name.bytes();
        let starts = bytes.next().is_some_and(|b| b.is_ascii_alphabetic());
        if !starts || name.len() > 48 || !bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return Err(format!(
                "{name:?} is not a table name: a letter, then letters, digits and _, at most 48 characters"
            ));
        }
        Ok(Self(name.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for TableName {
    /// `Session`, as in the ancestor.
    fn default() -> Self {
        Self("Session".to_owned())
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
