//! The records of the WIT as those of the storage contract, and back.

use lemon_session_rules::storage as wit;
use lemon_session_store::{self as store, Error, Result, guest};

pub(crate) fn record(record: wit::SessionRecord) -> store::Record {
    let wit::SessionRecord { created, accessed, expires, absolute_expiry, rotated, owner, version, size } = record;
    store::Record { created, accessed, expires, absolute_expiry, rotated, owner, version, size }
}

fn session_record(record: store::Record) -> wit::SessionRecord {
    let store::Record { created, accessed, expires, absolute_expiry, rotated, owner, version, size } = record;
    wit::SessionRecord { created, accessed, expires, absolute_expiry, rotated, owner, version, size }
}

pub(crate) fn writes(writes: Vec<wit::Write>) -> store::Writes {
    writes.into_iter().map(|wit::Write { app, name, value }| store::Write { app, name, value }).collect()
}

pub(crate) fn change(change: wit::Change) -> Result<store::Change> {
    let rotation = |wit::Rotation { to, grace }| {
        let grace = grace.map(|wit::Grace { until, nonce }| store::Grace { until, nonce });
        Ok::<_, Error>(store::Rotation { to: guest::digest(&to)?, grace })
    };
    Ok(store::Change {
        clears: change.clears,
        writes: writes(change.writes),
        owner: change.owner,
        max_owned: change.max_owned,
        expires: change.expires,
        lifetime: change.lifetime.map(lifetime),
        rotation: change.rotation.map(rotation).transpose()?,
        max_size: change.max_size,
        remember: change.remember,
    })
}

fn lifetime(wit::Lifetime { expires, absolute_expiry }: wit::Lifetime) -> store::Lifetime {
    store::Lifetime { expires, absolute_expiry }
}

pub(crate) fn condition(condition: wit::DestroyCondition) -> store::DestroyCondition {
    match condition {
        wit::DestroyCondition::Any => store::DestroyCondition::Any,
        wit::DestroyCondition::Expired => store::DestroyCondition::Expired,
        wit::DestroyCondition::Owned(owner) => store::DestroyCondition::Owned(owner),
    }
}

pub(crate) fn load_outcome(outcome: store::LoadOutcome) -> wit::LoadOutcome {
    match outcome {
        store::LoadOutcome::Found(loaded) => wit::LoadOutcome::Found(wit::Loaded {
            record: session_record(loaded.record),
            details: loaded.details.into_iter().map(variable).collect(),
            variables: loaded.variables.into_iter().map(variable).collect(),
            renewal: loaded.renewal,
        }),
        store::LoadOutcome::Absent => wit::LoadOutcome::Absent,
        store::LoadOutcome::Expired => wit::LoadOutcome::Expired,
        store::LoadOutcome::Ended => wit::LoadOutcome::Ended,
    }
}

fn variable(store::Variable { name, value }: store::Variable) -> wit::Variable {
    let value = match value {
        store::Stored::Inline(bytes) => wit::Stored::Inline(bytes),
        store::Stored::Large(size) => wit::Stored::Large(size),
    };
    wit::Variable { name, value }
}

pub(crate) fn create_outcome(outcome: store::CreateOutcome) -> wit::CreateOutcome {
    match outcome {
        store::CreateOutcome::Created => wit::CreateOutcome::Created,
        store::CreateOutcome::Exists => wit::CreateOutcome::Exists,
    }
}

pub(crate) fn update_outcome(outcome: store::UpdateOutcome) -> wit::UpdateOutcome {
    match outcome {
        store::UpdateOutcome::Committed(version) => wit::UpdateOutcome::Committed(version),
        store::UpdateOutcome::Conflict(version) => wit::UpdateOutcome::Conflict(version),
        store::UpdateOutcome::Gone => wit::UpdateOutcome::Gone,
        store::UpdateOutcome::TooLarge(size) => wit::UpdateOutcome::TooLarge(size),
        store::UpdateOutcome::TooManyOwned(sessions) => wit::UpdateOutcome::TooManyOwned(sessions),
    }
}

pub(crate) fn listed(listed: store::Listed) -> wit::Listed {
    wit::Listed { digest: listed.digest.as_bytes().to_vec(), record: session_record(listed.record) }
}
