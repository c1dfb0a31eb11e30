//! The same record or variant in WIT and in Rust, and the failures of a component as errors.

use lemon_session_store::{
    Change, CreateOutcome, DestroyCondition, Digest, Error, Lifetime, Listed, LoadOutcome, Loaded, Record, Stored,
    UpdateOutcome, Variable, Writes,
};

use crate::bindings::exports::lemon::session::storage as wit;

/// The longest text of a component in an error, in characters.
const LONGEST: usize = 300;

/// A text of a component on one line.
pub fn line(text: &str) -> String {
    let mut line: String = text.chars().take(LONGEST).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(LONGEST).is_some() {
        line.push('…');
    }
    line
}

/// The error that a failure of the component `name` is.
pub fn failure(name: &str, failure: wit::Failure) -> Error {
    let text = |text: String| format!("{name}: {}", line(&text));
    match failure {
        wit::Failure::MissingTables(why) => Error::missing_tables(text(why)),
        wit::Failure::UnknownLocation(why) => Error::unknown_location(text(why)),
        wit::Failure::Unavailable(why) | wit::Failure::TooMany(why) => Error::unavailable(text(why)),
    }
}

pub fn digest(digest: &Digest) -> Vec<u8> {
    digest.as_bytes().to_vec()
}

pub fn writes(writes: &Writes) -> Vec<wit::Write> {
    let write = |write: &lemon_session_store::Write| wit::Write {
        app: write.app.clone(),
        name: write.name.clone(),
        value: write.value.clone(),
    };
    writes.iter().map(write).collect()
}

pub fn change(change: &Change) -> wit::Change {
    let rotation = change.rotation.as_ref().map(|rotation| wit::Rotation {
        to: digest(&rotation.to),
        grace: rotation.grace.as_ref().map(|grace| wit::Grace { until: grace.until, nonce: grace.nonce.clone() }),
    });
    wit::Change {
        clears: change.clears.clone(),
        writes: writes(&change.writes),
        owner: change.owner.clone(),
        max_owned: change.max_owned,
        expires: change.expires,
        lifetime: change
            .lifetime
            .map(|Lifetime { expires, absolute_expiry }| wit::Lifetime { expires, absolute_expiry }),
        rotation,
        max_size: change.max_size,
        remember: change.remember,
    }
}

pub fn condition(condition: &DestroyCondition) -> wit::DestroyCondition {
    match condition {
        DestroyCondition::Any => wit::DestroyCondition::Any,
        DestroyCondition::Expired => wit::DestroyCondition::Expired,
        DestroyCondition::Owned(owner) => wit::DestroyCondition::Owned(owner.clone()),
    }
}

impl From<&Record> for wit::SessionRecord {
    fn from(record: &Record) -> Self {
        let Record { created, accessed, expires, absolute_expiry, rotated, owner, version, size } = record.clone();
        Self { created, accessed, expires, absolute_expiry, rotated, owner, version, size }
    }
}

impl From<wit::SessionRecord> for Record {
    fn from(record: wit::SessionRecord) -> Self {
        let wit::SessionRecord { created, accessed, expires, absolute_expiry, rotated, owner, version, size } = record;
        Self { created, accessed, expires, absolute_expiry, rotated, owner, version, size }
    }
}

impl From<wit::LoadOutcome> for LoadOutcome {
    fn from(outcome: wit::LoadOutcome) -> Self {
        match outcome {
            wit::LoadOutcome::Found(loaded) => Self::Found(loaded.into()),
            wit::LoadOutcome::Absent => Self::Absent,
            wit::LoadOutcome::Expired => Self::Expired,
            wit::LoadOutcome::Ended => Self::Ended,
        }
    }
}

impl From<wit::Loaded> for Loaded {
    fn from(loaded: wit::Loaded) -> Self {
        let variable = |wit::Variable { name, value }| {
            let value = match value {
                wit::Stored::Inline(bytes) => Stored::Inline(bytes),
                wit::Stored::Large(size) => Stored::Large(size),
            };
            Variable { name, value }
        };
        Self {
            record: loaded.record.into(),
            details: loaded.details.into_iter().map(variable).collect(),
            variables: loaded.variables.into_iter().map(variable).collect(),
            renewal: loaded.renewal,
        }
    }
}

impl From<wit::CreateOutcome> for CreateOutcome {
    fn from(outcome: wit::CreateOutcome) -> Self {
        match outcome {
            wit::CreateOutcome::Created => Self::Created,
            wit::CreateOutcome::Exists => Self::Exists,
        }
    }
}

impl From<wit::UpdateOutcome> for UpdateOutcome {
    fn from(outcome: wit::UpdateOutcome) -> Self {
        match outcome {
            wit::UpdateOutcome::Committed(version) => Self::Committed(version),
            wit::UpdateOutcome::Conflict(version) => Self::Conflict(version),
            wit::UpdateOutcome::Gone => Self::Gone,
            wit::UpdateOutcome::TooLarge(size) => Self::TooLarge(size),
            wit::UpdateOutcome::TooManyOwned(sessions) => Self::TooManyOwned(sessions),
        }
    }
}

impl TryFrom<wit::Listed> for Listed {
    type Error = String;

    fn try_from(wit::Listed { digest, record }: wit::Listed) -> Result<Self, String> {
        let length = digest.len();
        let digest = digest.as_slice().try_into().map_err(|_| format!("a digest of {length} bytes instead of 32"))?;
        Ok(Self { digest, record: record.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_a_component_is_one_short_line() {
        assert_eq!(line("no\r\nroom\u{1b}[31m"), "no  room [31m");
        let long = line(&"é".repeat(1_000));
        assert_eq!((long.chars().count(), long.chars().last()), (LONGEST + 1, Some('…')));
        assert_eq!(line(&"é".repeat(LONGEST)).chars().count(), LONGEST);
    }
}
