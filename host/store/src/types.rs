use std::fmt;

use sha2::{Digest as _, Sha256};

use super::Writes;

/// A session's digest: the SHA-256 of its id. A store never holds an id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of a session id.
    pub fn of(id: &str) -> Self {
        Self(Sha256::digest(id.as_bytes()).into())
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The digest as 64 hexadecimal digits, the form that operators see and type.
    pub fn to_hex(&self) -> String {
        let digits =
            |byte: &u8| [byte >> 4, byte & 15].map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)]));
        self.0.iter().flat_map(digits).collect()
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

impl From<[u8; 32]> for Digest {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl TryFrom<&[u8]> for Digest {
    type Error = std::array::TryFromSliceError;

    fn try_from(bytes: &[u8]) -> Result<Self, Self::Error> {
        bytes.try_into().map(Self)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({})", self.to_hex())
    }
}

/// A session without its variables. Times are in seconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// When it was created.
    pub created: u64,
    /// When a use of it was last stored.
    pub accessed: u64,
    /// When it expires.
    pub expires: u64,
    /// Its absolute expiry: when it expires however often it is used. `expires` is never later.
    pub absolute_expiry: Option<u64>,
    /// When its id was last rotated.
    pub rotated: u64,
    /// The owner, if it has one.
    pub owner: Option<String>,
    /// 1 after `create`; grows by one with each update of variables, the owner or the lifetime.
    pub version: u64,
    /// The bytes of the names and values of all its variables, summed over all applications.
    pub size: u64,
}

/// The value of a variable as [`load`](super::Store::load) returns it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stored {
    /// The bytes.
    Inline(Vec<u8>),
    /// The value is longer than `inline_bytes`: its length in bytes. [`fetch`](super::Store::fetch) returns it.
    Large(u64),
}

/// One variable as [`load`](super::Store::load) returns it.
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
    /// What the session component itself keeps of the session: the variables of the application with the empty name
    /// ([`DETAILS`]), sorted by name, always with their values.
    pub details: Vec<Variable>,
    /// The application's variables, sorted by name; none for [`DETAILS`].
    pub variables: Vec<Variable>,
    /// Set if the session was found by a former digest within its grace period: the nonce of [`Grace`].
    pub renewal: Option<Vec<u8>>,
}

/// The application of a session's details. The rules let no other application have the empty name.
pub const DETAILS: &str = "";

/// The answer of [`load`](super::Store::load).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadOutcome {
    /// The session is live.
    Found(Loaded),
    /// No session has this digest.
    Absent,
    /// The session has expired and was not removed yet.
    Expired,
    /// The digest has a tombstone: its session was destroyed, or its id was rotated.
    Ended,
}

/// One variable to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// The application.
    pub app: String,
    /// The variable's name.
    pub name: String,
    /// The new value; `None` removes the variable.
    pub value: Option<Vec<u8>>,
}

/// How long a former digest leads to its session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grace {
    /// When the grace period ends.
    pub until: u64,
    /// What [`Loaded::renewal`] returns within the grace period.
    pub nonce: Vec<u8>,
}

/// An id rotation: the session gets another digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// The new digest.
    pub to: Digest,
    /// `None` ends the old digest at once.
    pub grace: Option<Grace>,
}

/// When a session expires, earlier or later than before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// The new expiry; the new absolute expiry replaces a later one.
    pub expires: u64,
    /// The new absolute expiry; `None` for none.
    pub absolute_expiry: Option<u64>,
}

impl Lifetime {
    /// When the session expires: `expires`, but not after the absolute expiry.
    pub fn expiry(&self) -> u64 {
        self.expires.min(self.absolute_expiry.unwrap_or(u64::MAX))
    }
}

/// What an update changes, applied in the order of the fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Applications that lose all their variables.
    pub clears: Vec<String>,
    /// Variables to be written.
    pub writes: Writes,
    /// The new owner, if it changes.
    pub owner: Option<Option<String>>,
    /// The most live sessions that a new owner may have after the change, this one included. Ignored if the session is the
    /// owner's already, or gets no owner.
    pub max_owned: Option<u32>,
    /// The new expiry after a use: only moved to a later time, and never past the absolute expiry. Ignored beside a
    /// `lifetime`.
    pub expires: Option<u64>,
    /// The new lifetime, if it changes.
    pub lifetime: Option<Lifetime>,
    /// The new digest, if the id is rotated; the record's `renewed` becomes `now`.
    pub rotation: Option<Rotation>,
    /// The change is refused if it makes the session grow to more bytes than this.
    pub max_size: u64,
    /// For how many seconds a digest that the change ends has a tombstone; 0 for none. A digest with a grace period has it
    /// for as long after that period.
    pub remember: u32,
}

impl Change {
    /// Whether the session's version grows: by every change but that of its expiry after a use, and of its id.
    pub fn is_counted(&self) -> bool {
        !self.clears.is_empty() || !self.writes.is_empty() || self.owner.is_some() || self.lifetime.is_some()
    }

    /// The new owner, and how many live sessions it may have, if that is limited. Does not concern a session that is the owner's
    /// already.
    pub fn owner_limit(&self) -> Option<(&str, u64)> {
        let owner = self.owner.as_ref()?.as_deref()?;
        Some((owner, self.max_owned?.into()))
    }
}

/// The answer of [`create`](super::Store::create).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreateOutcome {
    /// The session was created.
    Created,
    /// The digest is taken. Nothing was written.
    Exists,
}

/// The answer of [`update`](super::Store::update).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpdateOutcome {
    /// All was written; the session's new version.
    Committed(u64),
    /// The session has this version and not the expected one. Nothing was written.
    Conflict(u64),
    /// No live session has this digest. Nothing was written.
    Gone,
    /// The session would have grown to this many bytes. Nothing was written.
    TooLarge(u64),
    /// How many other live sessions the new owner has: [`Change::max_owned`] allows no further one. Nothing was written.
    TooManyOwned(u64),
}

/// Which session [`destroy`](super::Store::destroy) ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DestroyCondition {
    /// Any.
    Any,
    /// Only an expired one: a session that was extended since it was read stays.
    Expired,
    /// Only a live session of this owner.
    Owned(String),
}

impl DestroyCondition {
    /// Whether a session of this owner, live or expired, meets the condition.
    pub fn is_met(&self, live: bool, owner: Option<&str>) -> bool {
        match self {
            Self::Any => true,
            Self::Expired => !live,
            Self::Owned(expected) => live && owner == Some(expected),
        }
    }
}

/// A live session as [`list`](super::Inspect::list) returns it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its digest.
    pub digest: Digest,
    /// The session.
    pub record: Record,
}

/// All of a live session, as [`export`](super::Transfer::export) returns it and [`import`](super::Transfer::import) takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The session.
    pub record: Record,
    /// The variables of all applications with their values.
    pub variables: Writes,
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
