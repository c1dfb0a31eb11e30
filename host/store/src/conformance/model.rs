//! Random sequences of operations, against a model that keeps the contract in the plainest way.

use std::collections::BTreeMap;

use proptest::{
    collection::vec,
    option,
    prelude::*,
    sample::select,
    test_runner::{Config, TestCaseError, TestRunner},
};

use super::{Store, key};
use crate::{
    Change, CreateOutcome, DestroyCondition, Driver, Grace, Key, LoadOutcome, Record, Rename, Snapshot, Stored,
    UpdateOutcome, Write,
};

/// All times are multiples of it, so that boundaries are met to the second.
const STEP: u64 = 600;
const KEYS: u8 = 5;

pub async fn any_sequence_of_operations_answers_as_the_model(store: &Store) {
    let runtime = tokio::runtime::Handle::current();
    let mut config = Config { failure_persistence: None, ..Config::default() };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = 100;
    }
    // The runner is not asynchronous.
    let kept = tokio::task::block_in_place(|| {
        TestRunner::new(config).run(&vec(operation(), 1..60), |operations| runtime.block_on(follow(store, &operations)))
    });
    if let Err(broken) = kept {
        panic!("the store does not answer as the contract's model: {broken}");
    }
}

async fn follow(store: &Store, operations: &[Operation]) -> Result<(), TestCaseError> {
    store.driver.drop_tables().await.expect("drop_tables");
    store.driver.create_tables().await.expect("create_tables");
    let mut model = Model { now: store.now, cleans: !store.expires_by_itself, ..Model::default() };
    for (number, operation) in operations.iter().enumerate() {
        let handle = store.handle(number);
        let answer = operation.run(&*handle, model.now, model.version_of(operation)).await;
        let expected = model.run(operation);
        prop_assert!(
            answer.fits(&expected),
            "operation {number} of {operations:#?} answers {answer:?}, not {expected:?}"
        );
    }
    Ok(())
}

/// One call of a driver's method, or the passing of time.
#[derive(Clone, Debug)]
enum Operation {
    Pass(u64),
    Load { key: u8, app: u8 },
    Fetch { key: u8, app: u8, name: u8 },
    Create { key: u8, expires: u64, ends: Option<u64>, owner: Option<u8>, writes: Vec<Written> },
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
struct Written {
    app: u8,
    name: u8,
    size: Option<usize>,
}

#[derive(Clone, Debug)]
struct Changes {
    clears: Vec<u8>,
    writes: Vec<Written>,
    owner: Option<Option<u8>>,
    expires: Option<u64>,
    rename: Option<(u8, bool)>,
    max_size: u64,
    remember: u64,
}

#[derive(Clone, Copy, Debug)]
enum Expected {
    Any,
    Current,
    Other,
}

/// The condition of a destroy.
#[derive(Clone, Copy, Debug)]
enum Only {
    Any,
    Expired,
    Owned(u8),
}

impl Only {
    fn condition(self) -> DestroyCondition {
        match self {
            Self::Any => DestroyCondition::Any,
            Self::Expired => DestroyCondition::Expired,
            Self::Owned(owner) => DestroyCondition::Owned(owner_of(owner)),
        }
    }
}

fn operation() -> impl Strategy<Value = Operation> {
    let key = 0..KEYS;
    let over = option::of(select(vec![Expected::Current, Expected::Current, Expected::Other]));
    let steps = || (0_u64..5).prop_map(|steps| steps * STEP);
    prop_oneof![
        3 => (1_u64..3).prop_map(|steps| Operation::Pass(steps * STEP)),
        4 => (key.clone(), 0_u8..2).prop_map(|(key, app)| Operation::Load { key, app }),
        1 => (key.clone(), 0_u8..2, 0_u8..3).prop_map(|(key, app, name)| Operation::Fetch { key, app, name }),
        4 => (key.clone(), 1_u64..5, option::of(5_u64..8), option::of(0_u8..2), vec(written(), 0..4)).prop_map(
            |(key, expires, ends, owner, writes)| Operation::Create {
                key, expires: expires * STEP, ends: ends.map(|ends| ends * STEP), owner, writes
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

fn only() -> impl Strategy<Value = Only> {
    prop_oneof![2 => Just(Only::Any), 1 => Just(Only::Expired), 1 => (0_u8..2).prop_map(Only::Owned)]
}

fn written() -> impl Strategy<Value = Written> {
    let size = option::of(select(vec![0, 3, 800, 1_500, 9_000]));
    (0_u8..2, 0_u8..3, size).prop_map(|(app, name, size)| Written { app, name, size })
}

fn changes() -> impl Strategy<Value = Changes> {
    let expires = option::of((0_u64..12).prop_map(|steps| steps * STEP));
    let rename = option::weighted(0.3, (0..KEYS, any::<bool>()));
    let owner = option::weighted(0.3, option::of(0_u8..2));
    let max_size = select(vec![10, 5_000, u64::MAX]);
    let remember = (0_u64..4).prop_map(|steps| steps * STEP);
    (vec(0_u8..2, 0..2), vec(written(), 0..4), owner, expires, rename, max_size, remember).prop_map(
        |(clears, writes, owner, expires, rename, max_size, remember)| Changes {
            clears,
            writes,
            owner,
            expires,
            rename,
            max_size,
            remember,
        },
    )
}

fn key_of(key_number: u8) -> Key {
    key(&key_number.to_string())
}

fn app_of(app: u8) -> String {
    ["shop", "forum"][usize::from(app)].to_owned()
}

fn name_of(name: u8) -> String {
    ["a", "é", "long name"][usize::from(name)].to_owned()
}

fn owner_of(owner: u8) -> String {
    ["Ada", "Bob"][usize::from(owner)].to_owned()
}

fn nonce_of(to: u8) -> Vec<u8> {
    vec![to; 3]
}

impl Written {
    fn write(&self) -> Write {
        let value = self.size.map(|size| vec![self.name ^ size as u8; size]);
        Write { app: app_of(self.app), name: name_of(self.name), value }
    }
}

impl Changes {
    fn change(&self, now: u64) -> Change {
        Change {
            clears: self.clears.iter().copied().map(app_of).collect(),
            writes: self.writes.iter().map(Written::write).collect(),
            owner: self.owner.map(|owner| owner.map(owner_of)),
            expires: self.expires.map(|after| now + after),
            rename: self.rename.map(|(to, grace)| Rename {
                to: key_of(to),
                grace: grace.then(|| Grace { until: now + 2 * STEP, nonce: nonce_of(to) }),
            }),
            max_size: self.max_size,
            remember: self.remember as u32,
        }
    }
}

fn new_record(now: u64, expires: u64, ends: Option<u64>, owner: Option<u8>) -> Record {
    Record {
        created: now,
        accessed: now,
        expires: now + expires,
        ends: ends.map(|ends| now + ends),
        renewed: now,
        owner: owner.map(owner_of),
        version: 0,
        size: 0,
    }
}

/// What a driver answered, and what the model would.
#[derive(Debug, PartialEq)]
enum Answer {
    Nothing,
    /// The record, the variables with their values, the renewal.
    Found(Record, Vec<(String, Vec<u8>)>, Option<Vec<u8>>),
    Load(LoadOutcome),
    Value(Option<Vec<u8>>),
    Created(CreateOutcome),
    Updated(UpdateOutcome),
    Error,
    Number(u64),
    /// What the model allows where a store has a choice.
    Between(u64, u64),
    Listed(Vec<(Key, Record)>),
    Described(Option<Description>),
}

type Description = (Record, Vec<(String, String, u64)>);

impl Answer {
    fn fits(&self, expected: &Self) -> bool {
        match (self, expected) {
            (Self::Number(number), Self::Between(least, most)) => (least..=most).contains(&number),
            _ => self == expected,
        }
    }
}

impl Operation {
    async fn run(&self, driver: &dyn Driver, now: u64, version: u64) -> Answer {
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
                        Answer::Found(loaded.record, variables, loaded.renewal)
                    }
                    other => Answer::Load(other),
                }
            }
            Self::Fetch { key, app, name } => {
                Answer::Value(driver.fetch(&key_of(*key), &app_of(*app), &name_of(*name), now).await.expect("fetch"))
            }
            Self::Create { key, expires, ends, owner, writes } => {
                let record = new_record(now, *expires, *ends, *owner);
                let writes: Vec<Write> = writes.iter().map(Written::write).collect();
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
            Self::Count => Answer::Number(driver.count(now).await.expect("count")),
            Self::Reused => Answer::Number(driver.reused(now).await.expect("reused")),
            Self::List { owner, after, limit } => {
                let (owner, after) = (owner.map(owner_of), after.map(key_of));
                let listed = driver.list(now, owner.as_deref(), after.as_ref(), *limit).await.expect("list");
                Answer::Listed(listed.into_iter().map(|listed| (listed.key, listed.record)).collect())
            }
            Self::Describe { key } => {
                let described = driver.describe(&key_of(*key), now).await.expect("describe");
                let exported =
                    driver.export(&key_of(*key), now).await.expect("export").map(|Snapshot { record, variables }| {
                        let size =
                            |write: Write| (write.app, write.name, write.value.map_or(0, |value| value.len() as u64));
                        (record, variables.into_iter().map(size).collect())
                    });
                assert_eq!(exported, described, "export and describe tell of the same session");
                Answer::Described(described)
            }
            Self::Import { key, version: of_copy, expires, owner, writes, over } => {
                let record = Record { version: *of_copy, ..new_record(now, *expires, None, *owner) };
                let snapshot = Snapshot { record, variables: writes.iter().map(Written::write).collect() };
                let over = over.map(|over| match over {
                    Expected::Other => version + 1,
                    _ => version,
                });
                Answer::Number(driver.import(&key_of(*key), &snapshot, over, now).await.expect("import").into())
            }
        }
    }
}

/// The contract in the plainest way: lists that are searched from end to end.
#[derive(Default)]
struct Model {
    now: u64,
    /// Whether cleanup removes what has expired.
    cleans: bool,
    sessions: Vec<Session>,
    former: Vec<Former>,
    /// How many keys were forgotten since the last cleanup.
    forgotten: u64,
    last: u64,
}

#[derive(Clone)]
struct Session {
    number: u64,
    key: Key,
    record: Record,
    variables: BTreeMap<(String, String), Vec<u8>>,
}

struct Former {
    key: Key,
    /// The session's number, until when it leads there, and the nonce.
    leads: Option<(u64, u64, Vec<u8>)>,
    forgotten: u64,
    reused: u64,
}

impl Session {
    fn apply(&mut self, writes: &[Written]) {
        for Write { app, name, value } in writes.iter().map(Written::write) {
            match value {
                Some(value) => self.variables.insert((app, name), value),
                None => self.variables.remove(&(app, name)),
            };
        }
        self.record.size = self.variables.iter().map(|((_, name), value)| (name.len() + value.len()) as u64).sum();
    }
}

impl Model {
    fn live(&self, key: u8) -> Option<&Session> {
        self.sessions.iter().find(|session| session.key == key_of(key) && self.now < session.record.expires)
    }

    fn follow(&self, key: u8) -> Option<(&Session, Option<Vec<u8>>)> {
        if let Some(session) = self.live(key) {
            return Some((session, None));
        }
        let former = self.former.iter().find(|former| former.key == key_of(key))?;
        let (number, until, nonce) = former.leads.as_ref()?;
        let session = self.sessions.iter().find(|session| session.number == *number)?;
        (self.now < *until && self.now < session.record.expires).then(|| (session, Some(nonce.clone())))
    }

    fn is_there(&self, key: u8) -> bool {
        let key = key_of(key);
        self.sessions.iter().any(|session| session.key == key) || self.former.iter().any(|former| former.key == key)
    }

    fn version_of(&self, operation: &Operation) -> u64 {
        match operation {
            Operation::Update { key, .. } | Operation::Import { key, .. } => {
                self.live(*key).map_or(1, |session| session.record.version)
            }
            _ => 0,
        }
    }

    /// Ends what leads to a session.
    fn seal(&mut self, number: u64) {
        for former in &mut self.former {
            former.leads.take_if(|(leads_to, ..)| *leads_to == number);
        }
    }

    fn remember(&mut self, key: Key, leads: Option<(u64, u64, Vec<u8>)>, forgotten: u64) {
        self.former.push(Former { key, leads, forgotten, reused: 0 });
        self.forget();
    }

    fn forget(&mut self) {
        let before = self.former.len();
        self.former.retain(|former| self.now < former.forgotten);
        self.forgotten += (before - self.former.len()) as u64;
    }

    fn destroy(&mut self, key: Key, remember: u64) -> bool {
        let Some(position) = self.sessions.iter().position(|session| session.key == key) else { return false };
        let session = self.sessions.remove(position);
        self.seal(session.number);
        let live = self.now < session.record.expires;
        if live {
            self.remember(key, None, self.now + remember);
        }
        live
    }

    fn update(&mut self, key: u8, changes: &Changes, expected: Expected) -> Answer {
        let Some(session) = self.live(key) else { return Answer::Updated(UpdateOutcome::Gone) };
        if matches!(expected, Expected::Other) {
            return Answer::Updated(UpdateOutcome::Conflict(session.record.version));
        }
        let before = session.record.clone();
        let mut session = session.clone();
        session.variables.retain(|(app, _), _| !changes.clears.iter().any(|clear| app_of(*clear) == *app));
        session.apply(&changes.writes);
        if session.record.size > before.size && session.record.size > changes.max_size {
            return Answer::Updated(UpdateOutcome::TooLarge(session.record.size));
        }
        if let Some((to, _)) = changes.rename
            && self.is_there(to)
        {
            return Answer::Error;
        }
        if !changes.clears.is_empty() || !changes.writes.is_empty() || changes.owner.is_some() {
            session.record.version += 1;
        }
        if let Some(owner) = changes.owner {
            session.record.owner = owner.map(owner_of);
        }
        session.record.accessed = self.now;
        if let Some(after) = changes.expires {
            let expires = (self.now + after).min(session.record.ends.unwrap_or(u64::MAX));
            session.record.expires = expires.max(before.expires);
        }
        let version = session.record.version;
        if let Some((to, grace)) = changes.rename {
            session.key = key_of(to);
            session.record.renewed = self.now;
            let until = self.now + if grace { 2 * STEP } else { 0 };
            if !grace {
                self.seal(session.number);
            }
            let leads = grace.then(|| (session.number, until, nonce_of(to)));
            self.remember(key_of(key), leads, until + changes.remember);
        }
        self.sessions.retain(|other| other.number != session.number);
        self.sessions.push(session);
        Answer::Updated(UpdateOutcome::Committed(version))
    }

    fn run(&mut self, operation: &Operation) -> Answer {
        match operation {
            Operation::Pass(seconds) => {
                self.now += seconds;
                self.forget();
                Answer::Nothing
            }
            Operation::Load { key, app } => {
                if let Some((session, renewal)) = self.follow(*key) {
                    let own = session.variables.iter().filter(|((of, _), _)| *of == app_of(*app));
                    let variables = own.map(|((_, name), value)| (name.clone(), value.clone())).collect();
                    return Answer::Found(session.record.clone(), variables, renewal);
                }
                if let Some(former) = self.former.iter_mut().find(|former| former.key == key_of(*key)) {
                    former.reused += 1;
                    return Answer::Load(LoadOutcome::Ended);
                }
                Answer::Load(if self.is_there(*key) { LoadOutcome::Expired } else { LoadOutcome::Absent })
            }
            Operation::Fetch { key, app, name } => {
                let found =
                    self.follow(*key).and_then(|(session, _)| session.variables.get(&(app_of(*app), name_of(*name))));
                Answer::Value(found.cloned())
            }
            Operation::Create { key, expires, ends, owner, writes } => {
                if self.is_there(*key) {
                    return Answer::Created(CreateOutcome::Exists);
                }
                self.last += 1;
                let record = Record { version: 1, ..new_record(self.now, *expires, *ends, *owner) };
                let mut session = Session { number: self.last, key: key_of(*key), record, variables: BTreeMap::new() };
                session.apply(writes);
                self.sessions.push(session);
                Answer::Created(CreateOutcome::Created)
            }
            Operation::Update { key, changes, expected } => self.update(*key, changes, *expected),
            Operation::Destroy { key, only, remember } => {
                let session = self.sessions.iter().find(|session| session.key == key_of(*key));
                let is_meant = session.is_some_and(|Session { record, .. }| match only {
                    Only::Any => true,
                    Only::Expired => record.expires <= self.now,
                    Only::Owned(owner) => self.now < record.expires && record.owner == Some(owner_of(*owner)),
                });
                Answer::Number((is_meant && self.destroy(key_of(*key), *remember)).into())
            }
            Operation::DestroyOwned { owner, except, remember } => {
                let spared = except.and_then(|key| self.follow(key)).map(|(session, _)| session.number);
                let live = self.sessions.iter().filter(|session| self.now < session.record.expires);
                let owned = live.filter(|session| session.record.owner == Some(owner_of(*owner)));
                let keys: Vec<Key> =
                    owned.filter(|session| Some(session.number) != spared).map(|session| session.key).collect();
                Answer::Number(keys.into_iter().map(|key| u64::from(self.destroy(key, *remember))).sum())
            }
            Operation::Cleanup { .. } => {
                if !self.cleans {
                    return Answer::Number(0);
                }
                let expired = self.sessions.iter().filter(|session| session.record.expires <= self.now);
                let expired: Vec<Key> = expired.map(|session| session.key).collect();
                for key in &expired {
                    self.destroy(*key, 0);
                }
                // A store may have removed forgotten keys before.
                let forgotten = std::mem::take(&mut self.forgotten);
                Answer::Between(expired.len() as u64, expired.len() as u64 + forgotten)
            }
            Operation::Import { key, version, expires, owner, writes, over } => {
                let record = Record { version: *version, ..new_record(self.now, *expires, None, *owner) };
                let live = self.live(*key).cloned();
                let mut session = match (over, live) {
                    (None, _) if self.is_there(*key) => return Answer::Number(0),
                    (None, _) => {
                        self.last += 1;
                        Session { number: self.last, key: key_of(*key), record, variables: BTreeMap::new() }
                    }
                    (Some(Expected::Other), _) | (Some(_), None) => return Answer::Number(0),
                    (Some(_), Some(old)) => {
                        let expires = record.expires.max(old.record.expires);
                        Session { record: Record { expires, ..record }, variables: BTreeMap::new(), ..old }
                    }
                };
                session.apply(writes);
                self.sessions.retain(|other| other.number != session.number);
                self.sessions.push(session);
                Answer::Number(1)
            }
            Operation::Count => {
                Answer::Number(self.sessions.iter().filter(|session| self.now < session.record.expires).count() as u64)
            }
            Operation::Reused => Answer::Number(self.former.iter().map(|former| former.reused).sum()),
            Operation::List { owner, after, limit } => {
                let mut listed: Vec<_> = self
                    .sessions
                    .iter()
                    .filter(|session| self.now < session.record.expires)
                    .filter(|session| owner.is_none() || session.record.owner == owner.map(owner_of))
                    .filter(|session| after.is_none_or(|after| session.key > key_of(after)))
                    .map(|session| (session.key, session.record.clone()))
                    .collect();
                listed.sort_by_key(|(key, _)| *key);
                listed.truncate(*limit as usize);
                Answer::Listed(listed)
            }
            Operation::Describe { key } => Answer::Described(self.live(*key).map(|session| {
                let sizes = session.variables.iter();
                let sizes = sizes.map(|((app, name), value)| (app.clone(), name.clone(), value.len() as u64));
                (session.record.clone(), sizes.collect())
            })),
        }
    }
}
