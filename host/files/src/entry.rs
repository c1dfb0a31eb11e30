//! What a digest means, and how that is stored: a format version byte, a CRC-32, then bincode.
//!
//! bincode 2 is no longer maintained (RUSTSEC-2025-0141), so it stays behind this module, and the version byte lets another
//! encoding replace it.

use std::collections::BTreeMap;

use bincode::{Decode, Encode, config};
use lemon_session_store::{Change, DETAILS, Digest, Record, Snapshot, Stored, Variable, Write, Writes};

use super::name::{Pointer, Tag};

/// The format in which entries are written.
const VERSION: u8 = 1;

/// The version byte and the checksum.
const HEAD: usize = 5;

/// The longest entry, in bytes. What a damaged length could make a reader allocate ends here.
pub const LONGEST: usize = 256 << 20;

fn encoding() -> impl config::Config {
    config::standard().with_limit::<LONGEST>()
}

/// What a digest means.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Entry {
    Session(Session),
    Former(Former),
}

/// A session with the variables of all applications.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Session {
    pub created: u64,
    pub accessed: u64,
    pub expires: u64,
    pub absolute_expiry: Option<u64>,
    pub rotated: u64,
    pub owner: Option<Owner>,
    pub version: u64,
    pub size: u64,
    pub line: Line,
    /// Until when one of its former digests leads to it at the latest.
    pub led_until: u64,
    /// By application and name.
    pub variables: BTreeMap<String, BTreeMap<String, Vec<u8>>>,
    /// Set if it came to its digest by an id rotation.
    pub incoming: Option<Incoming>,
}

/// An owner, with what tells the session's entry in the index by owner from other entries.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Owner {
    pub name: String,
    pub unique: u64,
}

/// Tells whether two digests are of the same session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Line {
    /// The same for the session's whole life.
    pub session: u64,
    /// Another one after each id rotation without a grace period: former digests from before lead nowhere.
    pub since: u64,
}

/// The id rotation by which a session comes to its digest. It is decided once the old digest has the version `decided`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Incoming {
    pub from: [u8; 32],
    /// The version of the old digest that the rotation replaces.
    pub base: Pointer,
    pub decided: Pointer,
}

/// A digest that has ended.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Former {
    /// When the tombstone expires.
    pub until: u64,
    /// How often it was loaded after its end.
    pub reused: u64,
    /// Set if it has ended by an id rotation.
    pub moved: Option<Moved>,
}

/// An id rotation, as the old digest remembers it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Moved {
    pub to: [u8; 32],
    /// The version of the new digest that the rotation made.
    pub arrival: Tag,
    pub line: Line,
    /// When the grace period ends, and the nonce.
    pub grace: Option<(u64, Vec<u8>)>,
}

impl Entry {
    pub fn encode(&self) -> Result<Vec<u8>, TooLong> {
        let mut bytes = vec![VERSION, 0, 0, 0, 0];
        bytes.extend(bincode::encode_to_vec(self, encoding()).map_err(|_| TooLong)?);
        if bytes.len() > LONGEST {
            return Err(TooLong);
        }
        let checksum = crc32fast::hash(&bytes[HEAD..]);
        bytes[1..HEAD].copy_from_slice(&checksum.to_le_bytes());
        Ok(bytes)
    }

    /// What [`encode`](Self::encode) wrote; the error says what is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, String> {
        match bytes.first() {
            Some(&VERSION) => {}
            Some(0) | None => return Err("is damaged: it is empty or zeroed".to_owned()),
            Some(other) => {
                return Err(format!(
                    "is written in format {other}; this version of the program reads format {VERSION}"
                ));
            }
        }
        let damaged = || "is damaged: its checksum is wrong".to_owned();
        let (head, body) = bytes.split_at_checked(HEAD).ok_or_else(damaged)?;
        if head[1..] != crc32fast::hash(body).to_le_bytes() {
            return Err(damaged());
        }
        match bincode::decode_from_slice(body, encoding()) {
            Ok((entry, read)) if read == body.len() => Ok(entry),
            _ => Err("is damaged: it is not a session".to_owned()),
        }
    }
}

/// The entry would have more than [`LONGEST`] bytes.
#[derive(Debug)]
pub struct TooLong;

impl Session {
    pub fn new(record: &Record, version: u64, writes: &Writes, unique: u64) -> Self {
        let mut session = Self {
            created: record.created,
            accessed: record.accessed,
            expires: record.expires,
            absolute_expiry: record.absolute_expiry,
            rotated: record.rotated,
            owner: record.owner.as_ref().map(|name| Owner { name: name.clone(), unique }),
            version,
            size: 0,
            line: Line { session: unique, since: unique },
            led_until: 0,
            variables: BTreeMap::new(),
            incoming: None,
        };
        session.write(writes);
        session
    }

    pub fn is_live(&self, now: u64) -> bool {
        now < self.expires
    }

    pub fn owner(&self) -> Option<&str> {
        self.owner.as_ref().map(|owner| &*owner.name)
    }

    pub fn record(&self) -> Record {
        Record {
            created: self.created,
            accessed: self.accessed,
            expires: self.expires,
            absolute_expiry: self.absolute_expiry,
            rotated: self.rotated,
            owner: self.owner().map(str::to_owned),
            version: self.version,
            size: self.size,
        }
    }

    /// The variables of an application, as a load answers them.
    pub fn variables(&self, app: &str, inline_bytes: u32) -> Vec<Variable> {
        if app == DETAILS { Vec::new() } else { self.application(app, inline_bytes) }
    }

    pub fn details(&self) -> Vec<Variable> {
        self.application(DETAILS, u32::MAX)
    }

    fn application(&self, app: &str, inline_bytes: u32) -> Vec<Variable> {
        let stored = |value: &Vec<u8>| match value.len() {
            bytes if bytes > inline_bytes as usize => Stored::Large(bytes as u64),
            _ => Stored::Inline(value.clone()),
        };
        let variables = self.variables.get(app).into_iter().flatten();
        variables.map(|(name, value)| Variable { name: name.clone(), value: stored(value) }).collect()
    }

    pub fn sizes(&self) -> Vec<(String, String, u64)> {
        let all = self.variables.iter().flat_map(|(app, own)| own.iter().map(move |(name, value)| (app, name, value)));
        all.map(|(app, name, value)| (app.clone(), name.clone(), value.len() as u64)).collect()
    }

    pub fn snapshot(&self) -> Snapshot {
        let all = self.variables.iter().flat_map(|(app, own)| own.iter().map(move |(name, value)| (app, name, value)));
        let variables =
            all.map(|(app, name, value)| Write { app: app.clone(), name: name.clone(), value: Some(value.clone()) });
        Snapshot { record: self.record(), variables: variables.collect() }
    }

    /// Applies a change except for its rotation. `unique` is that of a new entry in the index by owner.
    pub fn apply(&mut self, change: &Change, now: u64, unique: u64) {
        self.incoming = None;
        self.variables.retain(|app, _| !change.clears.contains(app));
        self.write(&change.writes);
        self.version += u64::from(change.is_counted());
        if let Some(owner) = &change.owner
            && owner.as_deref() != self.owner()
        {
            self.owner = owner.as_ref().map(|name| Owner { name: name.clone(), unique });
        }
        self.accessed = self.accessed.max(now);
        if let Some(lifetime) = change.lifetime {
            (self.expires, self.absolute_expiry) = (lifetime.expiry(), lifetime.absolute_expiry);
        } else if let Some(expires) = change.expires {
            self.expires = self.expires.max(expires.min(self.absolute_expiry.unwrap_or(u64::MAX)));
        }
    }

    /// What an import makes of it.
    pub fn replace(&mut self, snapshot: &Snapshot, unique: u64) {
        let mut copy = Self::new(&snapshot.record, snapshot.record.version, &snapshot.variables, unique);
        copy.accessed = copy.accessed.max(self.accessed);
        copy.expires = copy.expires.max(self.expires).min(copy.absolute_expiry.unwrap_or(u64::MAX));
        if copy.owner() == self.owner() {
            copy.owner = self.owner.take();
        }
        (copy.line, copy.led_until) = (self.line, self.led_until);
        *self = copy;
    }

    fn write(&mut self, writes: &Writes) {
        for Write { app, name, value } in writes {
            match value {
                Some(value) => {
                    self.variables.entry(app.clone()).or_default().insert(name.clone(), value.clone());
                }
                None => {
                    if let Some(own) = self.variables.get_mut(app) {
                        own.remove(name);
                        if own.is_empty() {
                            self.variables.remove(app);
                        }
                    }
                }
            }
        }
        let sizes = self.variables.values().flatten().map(|(name, value)| (name.len() + value.len()) as u64);
        self.size = sizes.sum();
    }
}

impl Former {
    /// The session that it leads to within its grace period, with the nonce.
    pub fn leads(&self, now: u64) -> Option<(&Moved, &[u8])> {
        let moved = self.moved.as_ref()?;
        let (until, nonce) = moved.grace.as_ref()?;
        (now < *until).then_some((moved, nonce))
    }
}

impl Moved {
    pub fn to(&self) -> Digest {
        Digest::from(self.to)
    }
}

impl Incoming {
    pub fn from(&self) -> Digest {
        Digest::from(self.from)
    }
}

/// The pointer's successor, of which only kind, length and expiry are to be set.
pub fn next(tag: &Tag, unique: u64) -> Tag {
    Tag { number: tag.number.wrapping_add(1), unique }
}
