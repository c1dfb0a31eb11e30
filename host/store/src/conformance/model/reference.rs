//! What the contract answers to an operation.

use std::collections::BTreeMap;

use super::{
    answer::Answer,
    operation::{
        Changes, Expected, Only, Operation, STEP, Written, app_of, key_of, name_of, new_record, nonce_of, owner_of,
    },
};
use crate::{CreateOutcome, DETAILS, Digest, LoadOutcome, Record, UpdateOutcome, Write};

/// The contract in the plainest way: lists that are searched from end to end.
#[derive(Default)]
pub struct Model {
    pub now: u64,
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
    key: Digest,
    record: Record,
    variables: BTreeMap<(String, String), Vec<u8>>,
}

struct Former {
    key: Digest,
    /// The session's number, until when it leads there, and the nonce.
    leads: Option<(u64, u64, Vec<u8>)>,
    forgotten: u64,
    reused: u64,
}

impl Session {
    fn of(&self, app: &str) -> Vec<(String, Vec<u8>)> {
        let own = self.variables.iter().filter(|((of, _), _)| of == app);
        own.map(|((_, name), value)| (name.clone(), value.clone())).collect()
    }

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
    pub fn new(now: u64, cleans: bool) -> Self {
        Self { now, cleans, ..Self::default() }
    }

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

    pub fn version_of(&self, operation: &Operation) -> u64 {
        match operation {
            Operation::Update { key, .. } | Operation::Import { key, .. } => {
                self.live(*key).map_or(1, |session| session.record.version)
            }
            _ => 0,
        }
    }

    /// The expired sessions of an owner, which a store may remove when it ends the live ones.
    pub fn expired_of(&self, owner: u8) -> Vec<Digest> {
        let expired = self.sessions.iter().filter(|session| session.record.expires <= self.now);
        expired.filter(|session| session.record.owner == Some(owner_of(owner))).map(|session| session.key).collect()
    }

    /// Removes an expired session.
    pub fn remove(&mut self, key: Digest) {
        self.destroy(key, 0);
    }

    /// Ends what leads to a session.
    fn seal(&mut self, number: u64) {
        for former in &mut self.former {
            former.leads.take_if(|(leads_to, ..)| *leads_to == number);
        }
    }

    fn remember(&mut self, key: Digest, leads: Option<(u64, u64, Vec<u8>)>, forgotten: u64) {
        self.former.push(Former { key, leads, forgotten, reused: 0 });
        self.forget();
    }

    fn forget(&mut self) {
        let before = self.former.len();
        self.former.retain(|former| self.now < former.forgotten);
        self.forgotten += (before - self.former.len()) as u64;
    }

    fn destroy(&mut self, key: Digest, remember: u64) -> bool {
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
        if let (Some(Some(owner)), Some(most)) = (changes.owner, changes.max_owned)
            && before.owner != Some(owner_of(owner))
        {
            let theirs =
                |other: &&Session| self.now < other.record.expires && other.record.owner == Some(owner_of(owner));
            let others = self.sessions.iter().filter(theirs).count() as u64;
            if others >= most.into() {
                return Answer::Updated(UpdateOutcome::TooManyOwned(others));
            }
        }
        if let Some((to, _)) = changes.rotation
            && self.is_there(to)
        {
            return Answer::Error;
        }
        let sets = changes.owner.is_some() || changes.lifetime.is_some();
        if !changes.clears.is_empty() || !changes.writes.is_empty() || sets {
            session.record.version += 1;
        }
        if let Some(owner) = changes.owner {
            session.record.owner = owner.map(owner_of);
        }
        session.record.accessed = self.now;
        if let Some(after) = changes.expires {
            let expires = (self.now + after).min(session.record.absolute_expiry.unwrap_or(u64::MAX));
            session.record.expires = expires.max(before.expires);
        }
        if let Some((expires, end)) = changes.lifetime {
            session.record.expires = self.now + expires.min(end.unwrap_or(expires));
            session.record.absolute_expiry = end.map(|end| self.now + end);
        }
        let version = session.record.version;
        if let Some((to, grace)) = changes.rotation {
            session.key = key_of(to);
            session.record.rotated = self.now;
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

    pub fn run(&mut self, operation: &Operation) -> Answer {
        match operation {
            Operation::Pass(seconds) => {
                self.now += seconds;
                self.forget();
                Answer::Nothing
            }
            Operation::Load { key, app } => {
                if let Some((session, renewal)) = self.follow(*key) {
                    let mut variables = session.of(&app_of(*app));
                    if app_of(*app) == DETAILS {
                        variables.clear();
                    }
                    return Answer::Found(session.record.clone(), [session.of(DETAILS), variables], renewal);
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
            Operation::Create { key, expires, absolute_expiry, owner, writes } => {
                if self.is_there(*key) {
                    return Answer::Created(CreateOutcome::Exists);
                }
                self.last += 1;
                let record = Record { version: 1, ..new_record(self.now, *expires, *absolute_expiry, *owner) };
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
                let keys: Vec<Digest> =
                    owned.filter(|session| Some(session.number) != spared).map(|session| session.key).collect();
                Answer::Number(keys.into_iter().map(|key| u64::from(self.destroy(key, *remember))).sum())
            }
            Operation::Cleanup { .. } => {
                if !self.cleans {
                    return Answer::Number(0);
                }
                let expired = self.sessions.iter().filter(|session| session.record.expires <= self.now);
                let expired: Vec<Digest> = expired.map(|session| session.key).collect();
                for key in &expired {
                    self.destroy(*key, 0);
                }
                // A store may have removed forgotten tombstones before.
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
