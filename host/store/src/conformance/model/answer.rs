//! What a driver answers to an operation.

use super::{
    super::subject::{Description, inline, supported},
    operation::{Expected, Operation, Written, app_of, key_of, name_of, new_record, owner_of},
};
use crate::{CreateOutcome, Digest, LoadOutcome, Record, Snapshot, Store, Stored, UpdateOutcome, Write, Writes};

/// What a driver answered, and what the model would.
#[derive(Debug, PartialEq)]
pub enum Answer {
    Nothing,
    /// The record, the details and the variables with their values, the renewal.
    Found(Record, [Vec<(String, Vec<u8>)>; 2], Option<Vec<u8>>),
    Load(LoadOutcome),
    Value(Option<Vec<u8>>),
    Created(CreateOutcome),
    Updated(UpdateOutcome),
    Error,
    Number(u64),
    /// What the model allows where a store has a choice.
    Between(u64, u64),
    Listed(Vec<(Digest, Record)>),
    Described(Option<Description>),
    /// The driver cannot tell.
    Unsupported,
}

impl Answer {
    pub fn fits(&self, expected: &Self) -> bool {
        match (self, expected) {
            (Self::Number(number), Self::Between(least, most)) => (least..=most).contains(&number),
            (Self::Unsupported, Self::Number(_) | Self::Described(_)) => true,
            _ => self == expected,
        }
    }
}

impl Operation {
    /// Whether a driver implements what the operation needs.
    pub fn is_possible(&self, driver: &dyn Store) -> bool {
        match self {
            Self::Count | Self::Reused | Self::List { .. } | Self::Describe { .. } => driver.inspect().is_some(),
            Self::Import { .. } => driver.transfer().is_some(),
            _ => true,
        }
    }

    pub async fn run(&self, driver: &dyn Store, now: u64, version: u64) -> Answer {
        match self {
            Self::Pass(_) => Answer::Nothing,
            Self::Load { key, app } => {
                let (key, app) = (key_of(*key), app_of(*app));
                match driver.load(&key, &app, now, 1_000).await.expect("load") {
                    LoadOutcome::Found(loaded) => {
                        let mut variables = Vec::new();
                        for variable in loaded.variables {
                            let value = match variable.value {
                                Stored::Inline(value) => value,
                                Stored::Large(bytes) => {
                                    assert!(bytes > 1_000, "a short value is answered inline");
                                    let value = driver.fetch(&key, &app, &variable.name, now).await.expect("fetch");
                                    value.expect("fetch gets what load answered by its size")
                                }
                            };
                            variables.push((variable.name, value));
                        }
                        let details = inline(loaded.details);
                        Answer::Found(loaded.record, [details, variables], loaded.renewal)
                    }
                    other => Answer::Load(other),
                }
            }
            Self::Fetch { key, app, name } => {
                Answer::Value(driver.fetch(&key_of(*key), &app_of(*app), &name_of(*name), now).await.expect("fetch"))
            }
            Self::Create { key, expires, absolute_expiry, owner, writes } => {
                let record = new_record(now, *expires, *absolute_expiry, *owner);
                let writes: Writes = writes.iter().map(Written::write).collect();
                Answer::Created(driver.create(&key_of(*key), &record, &writes).await.expect("create"))
            }
            Self::Update { key, changes, expected } => {
                let expected = match expected {
                    Expected::Any => None,
                    Expected::Current => Some(version),
                    Expected::Other => Some(version + 1),
                };
                match driver.update(&key_of(*key), &changes.change(now), expected, now).await {
                    Ok(outcome) => Answer::Updated(outcome),
                    Err(_) => Answer::Error,
                }
            }
            Self::Destroy { key, only, remember } => {
                let ended = driver.destroy(&key_of(*key), &only.condition(), now, *remember as u32).await;
                Answer::Number(ended.expect("destroy").into())
            }
            Self::DestroyOwned { owner, except, remember } => {
                let except = except.map(key_of);
                let ended = driver.destroy_owned(&owner_of(*owner), except.as_ref(), now, *remember as u32).await;
                Answer::Number(ended.expect("destroy_owned"))
            }
            // Which ones go first is the store's business, so that a limited cleanup is followed by a whole one.
            Self::Cleanup { limit } => {
                let first = driver.cleanup(now, *limit).await.expect("cleanup");
                assert!(first <= *limit, "at most the limit is removed");
                Answer::Number(u64::from(first + driver.cleanup(now, 1_000).await.expect("cleanup")))
            }
            Self::Count => Answer::Number(driver.inspect().expect("inspect").count(now).await.expect("count")),
            Self::Reused => {
                let reused = driver.inspect().expect("inspect").reused(now).await;
                supported("reused", reused).map_or(Answer::Unsupported, Answer::Number)
            }
            Self::List { owner, after, limit } => {
                let (owner, after) = (owner.map(owner_of), after.map(key_of));
                let inspect = driver.inspect().expect("inspect");
                let listed = inspect.list(now, owner.as_deref(), after.as_ref(), *limit).await.expect("list");
                Answer::Listed(listed.into_iter().map(|listed| (listed.digest, listed.record)).collect())
            }
            Self::Describe { key } => {
                let key = key_of(*key);
                let described = driver.inspect().expect("inspect").describe(&key, now).await;
                let Some(described) = supported("describe", described) else { return Answer::Unsupported };
                if let Some(transfer) = driver.transfer() {
                    let exported = transfer.export(&key, now).await.expect("export");
                    let exported = exported.map(|Snapshot { record, variables }| {
                        let size =
                            |write: Write| (write.app, write.name, write.value.map_or(0, |value| value.len() as u64));
                        (record, variables.into_iter().map(size).collect())
                    });
                    assert_eq!(exported, described, "export and describe tell of the same session");
                }
                Answer::Described(described)
            }
            Self::Import { key, version: of_copy, expires, owner, writes, over } => {
                let record = Record { version: *of_copy, ..new_record(now, *expires, None, *owner) };
                let snapshot = Snapshot { record, variables: writes.iter().map(Written::write).collect() };
                let over = over.map(|over| match over {
                    Expected::Other => version + 1,
                    _ => version,
                });
                let transfer = driver.transfer().expect("transfer");
                Answer::Number(transfer.import(&key_of(*key), &snapshot, over, now).await.expect("import").into())
            }
        }
    }
}
