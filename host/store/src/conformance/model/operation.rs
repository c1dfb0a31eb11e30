//! The operations that a sequence is made of, and how they are drawn.

use proptest::{collection::vec, option, prelude::*, sample::select};

use super::super::key;
use crate::{Change, DETAILS, DestroyCondition, Digest, Grace, Lifetime, Record, Rotation, Write};

/// All times are multiples of it, so that boundaries are met to the second.
pub const STEP: u64 = 600;
const KEYS: u8 = 5;
const APPS: u8 = 3;

/// One call of a driver's method, or the passing of time.
#[derive(Clone, Debug)]
pub enum Operation {
    Pass(u64),
    Load { key: u8, app: u8 },
    Fetch { key: u8, app: u8, name: u8 },
    Create { key: u8, expires: u64, absolute_expiry: Option<u64>, owner: Option<u8>, writes: Vec<Written> },
    Update { key: u8, changes: Changes, expected: Expected },
    Destroy { key: u8, only: Only, remember: u64 },
    DestroyOwned { owner: u8, except: Option<u8>, remember: u64 },
    Cleanup { limit: u32 },
    Count,
    Reused,
    List { owner: Option<u8>, after: Option<u8>, limit: u32 },
    Describe { key: u8 },
    Import { key: u8, version: u64, expires: u64, owner: Option<u8>, writes: Vec<Written>, over: Option<Expected> },
}

#[derive(Clone, Debug)]
pub struct Written {
    pub app: u8,
    pub name: u8,
    pub size: Option<usize>,
}

#[derive(Clone, Debug)]
pub struct Changes {
    pub clears: Vec<u8>,
    pub writes: Vec<Written>,
    pub owner: Option<Option<u8>>,
    pub max_owned: Option<u32>,
    pub expires: Option<u64>,
    /// The expiry and the absolute expiry, from now.
    pub lifetime: Option<(u64, Option<u64>)>,
    pub rotation: Option<(u8, bool)>,
    pub max_size: u64,
    pub remember: u64,
}

#[derive(Clone, Copy, Debug)]
pub enum Expected {
    Any,
    Current,
    Other,
}

/// The condition of a destroy.
#[derive(Clone, Copy, Debug)]
pub enum Only {
    Any,
    Expired,
    Owned(u8),
}

impl Only {
    pub fn condition(self) -> DestroyCondition {
        match self {
            Self::Any => DestroyCondition::Any,
            Self::Expired => DestroyCondition::Expired,
            Self::Owned(owner) => DestroyCondition::Owned(owner_of(owner)),
        }
    }
}

pub fn operation() -> impl Strategy<Value = Operation> {
    let key = 0..KEYS;
    let over = option::of(select(vec![Expected::Current, Expected::Current, Expected::Other]));
    let steps = || (0_u64..5).prop_map(|steps| steps * STEP);
    prop_oneof![
        3 => (1_u64..3).prop_map(|steps| Operation::Pass(steps * STEP)),
        4 => (key.clone(), 0..APPS).prop_map(|(key, app)| Operation::Load { key, app }),
        1 => (key.clone(), 0..APPS, 0_u8..3).prop_map(|(key, app, name)| Operation::Fetch { key, app, name }),
        4 => (key.clone(), 1_u64..5, option::of(5_u64..8), option::of(0_u8..2), vec(written(), 0..4)).prop_map(
            |(key, expires, absolute_expiry, owner, writes)| Operation::Create {
                key, expires: expires * STEP, absolute_expiry: absolute_expiry.map(|absolute_expiry| absolute_expiry * STEP), owner, writes
            }
        ),
        6 => (key.clone(), changes(), select(vec![Expected::Any, Expected::Any, Expected::Current, Expected::Other]))
            .prop_map(|(key, changes, expected)| Operation::Update { key, changes, expected }),
        2 => (key.clone(), only(), steps())
            .prop_map(|(key, only, remember)| Operation::Destroy { key, only, remember }),
        1 => (0_u8..2, option::of(key.clone()), steps())
            .prop_map(|(owner, except, remember)| Operation::DestroyOwned { owner, except, remember }),
        1 => (0_u32..4).prop_map(|limit| Operation::Cleanup { limit }),
        1 => Just(Operation::Count),
        1 => Just(Operation::Reused),
        1 => (option::of(0_u8..2), option::of(key.clone()), 0_u32..6)
            .prop_map(|(owner, after, limit)| Operation::List { owner, after, limit }),
        1 => key.clone().prop_map(|key| Operation::Describe { key }),
        2 => (key, 1_u64..5, 1_u64..5, option::of(0_u8..2), vec(written(), 0..4), over).prop_map(
            |(key, version, expires, owner, writes, over)| Operation::Import {
                key, version, expires: expires * STEP, owner, writes, over
            }
        ),
    ]
}

pub fn only() -> impl Strategy<Value = Only> {
    prop_oneof![2 => Just(Only::Any), 1 => Just(Only::Expired), 1 => (0_u8..2).prop_map(Only::Owned)]
}

pub fn written() -> impl Strategy<Value = Written> {
    let size = option::of(select(vec![0, 3, 800, 1_500, 9_000]));
    (0..APPS, 0_u8..3, size).prop_map(|(app, name, size)| Written { app, name, size })
}

pub fn changes() -> impl Strategy<Value = Changes> {
    let steps = |from: u64, to| (from..to).prop_map(|steps| steps * STEP);
    let expires = option::of(steps(0, 12));
    let lifetime = option::weighted(0.2, (steps(0, 6), option::of(steps(0, 6))));
    let rotation = option::weighted(0.3, (0..KEYS, any::<bool>()));
    let owner = (option::weighted(0.4, option::weighted(0.7, 0_u8..2)), option::weighted(0.7, 0_u32..2));
    let max_size = select(vec![10, 5_000, u64::MAX]);
    let remember = steps(0, 4);
    (vec(0..APPS, 0..2), vec(written(), 0..4), owner, expires, lifetime, rotation, max_size, remember).prop_map(
        |(clears, writes, (owner, max_owned), expires, lifetime, rotation, max_size, remember)| Changes {
            clears,
            writes,
            owner,
            max_owned,
            expires,
            lifetime,
            rotation,
            max_size,
            remember,
        },
    )
}

pub fn key_of(key_number: u8) -> Digest {
    key(&key_number.to_string())
}

pub fn app_of(app: u8) -> String {
    ["shop", "forum", DETAILS][usize::from(app)].to_owned()
}

pub fn name_of(name: u8) -> String {
    ["a", "é", "long name"][usize::from(name)].to_owned()
}

pub fn owner_of(owner: u8) -> String {
    ["Ada", "Bob"][usize::from(owner)].to_owned()
}

pub fn nonce_of(to: u8) -> Vec<u8> {
    vec![to; 3]
}

impl Written {
    pub fn write(&self) -> Write {
        let value = self.size.map(|size| vec![self.name ^ size as u8; size]);
        Write { app: app_of(self.app), name: name_of(self.name), value }
    }
}

impl Changes {
    pub fn change(&self, now: u64) -> Change {
        Change {
            clears: self.clears.iter().copied().map(app_of).collect(),
            writes: self.writes.iter().map(Written::write).collect(),
            owner: self.owner.map(|owner| owner.map(owner_of)),
            max_owned: self.max_owned,
            expires: self.expires.map(|after| now + after),
            lifetime: self.lifetime.map(|(expires, absolute_expiry)| Lifetime {
                expires: now + expires,
                absolute_expiry: absolute_expiry.map(|after| now + after),
            }),
            rotation: self.rotation.map(|(to, grace)| Rotation {
                to: key_of(to),
                grace: grace.then(|| Grace { until: now + 2 * STEP, nonce: nonce_of(to) }),
            }),
            max_size: self.max_size,
            remember: self.remember as u32,
        }
    }
}

pub fn new_record(now: u64, expires: u64, absolute_expiry: Option<u64>, owner: Option<u8>) -> Record {
    Record {
        created: now,
        accessed: now,
        expires: now + expires,
        absolute_expiry: absolute_expiry.map(|absolute_expiry| now + absolute_expiry),
        rotated: now,
        owner: owner.map(owner_of),
        version: 0,
        size: 0,
    }
}
