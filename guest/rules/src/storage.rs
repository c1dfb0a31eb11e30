//! The records of the WIT interface `storage`: what a session exchanges with its store.

#![expect(missing_docs, reason = "the documentation is in wit/storage.wit")]

use alloc::{string::String, vec::Vec};

/// The application of a session's details.
pub const DETAILS: &str = "";

pub use crate::types::Location;
use crate::types::wit_enum;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    MissingTables(String),
    UnknownLocation(String),
    Unavailable(String),
    TooMany(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRecord {
    pub created: u64,
    pub accessed: u64,
    pub expires: u64,
    pub absolute_expiry: Option<u64>,
    pub rotated: u64,
    pub owner: Option<String>,
    pub version: u64,
    pub size: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stored {
    Inline(Vec<u8>),
    Large(u64),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    pub name: String,
    pub value: Stored,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    pub record: SessionRecord,
    pub details: Vec<Variable>,
    pub variables: Vec<Variable>,
    pub renewal: Option<Vec<u8>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadOutcome {
    Found(Loaded),
    Absent,
    Expired,
    Ended,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    pub app: String,
    pub name: String,
    pub value: Option<Vec<u8>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    pub to: Vec<u8>,
    pub grace: Option<Grace>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grace {
    pub until: u64,
    pub nonce: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    pub expires: u64,
    pub absolute_expiry: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub clears: Vec<String>,
    pub writes: Vec<Write>,
    pub owner: Option<Option<String>>,
    pub max_owned: Option<u32>,
    pub expires: Option<u64>,
    pub lifetime: Option<Lifetime>,
    pub rotation: Option<Rotation>,
    pub max_size: u64,
    pub remember: u32,
}

wit_enum! {
    CreateOutcome {
        Created,
        Exists,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpdateOutcome {
    Committed(u64),
    Conflict(u64),
    Gone,
    TooLarge(u64),
    TooManyOwned(u64),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DestroyCondition {
    Any,
    Expired,
    Owned(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub digest: Vec<u8>,
    pub record: SessionRecord,
}
