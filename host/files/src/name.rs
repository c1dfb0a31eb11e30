//! The names of files. They consist of letters, hexadecimal digits and `-`, whatever clients send.

use std::sync::atomic::{AtomicU64, Ordering};

use bincode::{Decode, Encode};
use lemon_session_store::{Digest, Error, Result};
use rand::{TryRng, rngs::SysRng};

/// Names one version of what a digest means. No two versions have the same tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Tag {
    /// How many versions were before it in the same folder.
    pub number: u64,
    /// Differs from that of every other version.
    pub unique: u64,
}

impl Tag {
    /// The file with the data.
    pub fn data(&self) -> String {
        format!("d-{:x}-{:016x}", self.number, self.unique)
    }

    /// Reads the name of a file with data.
    pub fn of_data(name: &str) -> Option<Self> {
        let (number, unique) = name.strip_prefix("d-")?.split_once('-')?;
        Some(Self { number: hex(number)?, unique: hex(unique)? })
    }
}

/// What the current version of a digest is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Kind {
    /// A session.
    Session,
    /// A session whose id rotation to this digest may not have been decided yet.
    Incoming,
    /// A tombstone, or a former digest within its grace period.
    Former,
}

/// Says in its name which version is the current one. The file itself is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Pointer {
    pub kind: Kind,
    pub tag: Tag,
    /// The length of the file with the data.
    pub bytes: u64,
    /// When the session or the tombstone expires.
    pub until: u64,
}

impl Pointer {
    pub fn name(&self) -> String {
        let kind = match self.kind {
            Kind::Session => 's',
            Kind::Incoming => 'i',
            Kind::Former => 'f',
        };
        format!("{kind}-{:x}-{:016x}-{:x}-{:x}", self.tag.number, self.tag.unique, self.bytes, self.until)
    }

    pub fn parse(name: &str) -> Option<Self> {
        let mut parts = name.split('-');
        let kind = match parts.next()? {
            "s" => Kind::Session,
            "i" => Kind::Incoming,
            "f" => Kind::Former,
            _ => return None,
        };
        let mut next = || hex(parts.next()?);
        let (number, unique, bytes, until) = (next()?, next()?, next()?, next()?);
        parts.next().is_none().then_some(Self { kind, tag: Tag { number, unique }, bytes, until })
    }
}

/// An entry of the index by expiry: something of this digest may have to be removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    pub at: u64,
    pub digest: Digest,
    /// Differs from that of every other entry.
    pub unique: u64,
    /// The entry of the index by owner that goes with it, by the hash of the owner.
    pub owner: Option<String>,
}

impl Due {
    pub fn name(&self) -> String {
        let owner = self.owner.as_ref().map_or_else(String::new, |owner| format!("-{owner}"));
        format!("{:x}-{}-{:016x}{owner}", self.at, self.digest.to_hex(), self.unique)
    }

    pub fn parse(name: &str) -> Option<Self> {
        let mut parts = name.split('-');
        let at = hex(parts.next()?)?;
        let (digest, unique) = Self::digest_and_unique(parts.next()?, parts.next()?)?;
        let owner = parts.next().map(str::to_owned);
        let is_hash = owner.as_ref().is_none_or(|owner| owner.len() == OWNER && hex(&owner[..16]).is_some());
        (is_hash && parts.next().is_none()).then_some(Self { at, digest, unique, owner })
    }

    fn digest_and_unique(digest: &str, unique: &str) -> Option<(Digest, u64)> {
        Some((Digest::from_hex(digest)?, hex(unique)?))
    }
}

/// The length of an owner's hash.
const OWNER: usize = 32;

/// What stands for an owner in names.
pub fn owner_hash(owner: &str) -> String {
    let mut hash = Digest::of(owner).to_hex();
    hash.truncate(OWNER);
    hash
}

/// The name of an entry of the index by owner.
pub fn owned(digest: &Digest, unique: u64) -> String {
    format!("{}-{unique:016x}", digest.to_hex())
}

/// The digest in the name of an entry of the index by owner.
pub fn owned_digest(name: &str) -> Option<Digest> {
    Digest::from_hex(name.split_once('-')?.0)
}

/// The number that hexadecimal digits stand for.
pub fn hex(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    u64::from_str_radix(text, 16).ok()
}

/// Gives numbers that nothing else has: they count from a random one.
#[derive(Debug)]
pub struct Unique(AtomicU64);

impl Unique {
    pub fn new() -> Result<Self> {
        let drawn = SysRng.try_next_u64();
        let start = drawn.map_err(|error| Error::unavailable("there are no random numbers").with_source(error))?;
        Ok(Self(AtomicU64::new(start)))
    }

    pub fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_were_written() {
        let tag = Tag { number: 42, unique: 0xabc };
        assert_eq!(tag.data(), "d-2a-0000000000000abc");
        assert_eq!(Tag::of_data(&tag.data()), Some(tag));
        for kind in [Kind::Session, Kind::Incoming, Kind::Former] {
            let pointer = Pointer { kind, tag, bytes: 100, until: u64::MAX };
            assert_eq!(Pointer::parse(&pointer.name()), Some(pointer));
        }
        for owner in [None, Some(owner_hash("Ada"))] {
            let due = Due { at: 1_800_000_000, digest: Digest::of("a"), unique: 7, owner };
            assert_eq!(Due::parse(&due.name()), Some(due));
        }
        assert_eq!(owned_digest(&owned(&Digest::of("a"), 7)), Some(Digest::of("a")));
    }

    #[test]
    fn other_names_are_not_read() {
        for name in ["", "s", "s-1-2-3", "s-1-2-3-4-5", "x-1-2-3-4", "s-+1-2-3-4", "s-1-2-3-11111111111111111", "d-1"] {
            assert_eq!(Pointer::parse(name), None, "{name}");
            assert_eq!(Tag::of_data(name), None, "{name}");
            assert_eq!(Due::parse(name), None, "{name}");
        }
        let long = Due { at: 1, digest: Digest::of("a"), unique: 7, owner: Some("../../x".to_owned()) };
        assert_eq!(Due::parse(&long.name()), None);
    }
}
