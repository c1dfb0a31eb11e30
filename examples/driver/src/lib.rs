//! The simplest possible driver: a list in memory that is searched from end to end. docs/drivers.md explains it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use lemon_session_store::{
    Change, CreateOutcome, DETAILS, DestroyCondition, Digest, Error, Grace, Inspect, Listed, LoadOutcome, Loaded,
    Record, Result, Schema, Snapshot, StorageOptions, Store, Stored, Transfer, UpdateOutcome, Variable, Write, Writes,
    registry::{Open, Opening},
};

/// The schemes of its URLs, for `Registry::register`.
pub const SCHEMES: [(&str, Open); 1] = [("plain", open)];

/// Opens a store for the URL `plain:`.
fn open(options: StorageOptions) -> Opening {
    Box::pin(async move {
        if options.url != "plain:" {
            return Err(Error::invalid("the URL of this store is plain: and nothing after it"));
        }
        options.refuse_unknown(&[])?;
        Ok(Arc::new(Plain::default()) as Arc<dyn Store>)
    })
}

/// The store. Everything under its lock is one transaction.
#[derive(Default)]
pub struct Plain(Mutex<State>);

#[derive(Default)]
struct State {
    entries: BTreeMap<Digest, Entry>,
    /// The number of the last session. No number is used twice, so a former digest never leads to another session.
    last: u64,
}

/// The meaning of a digest: one thing at a time.
enum Entry {
    Session(Session),
    Ended(Ended),
}

#[derive(Clone)]
struct Session {
    number: u64,
    record: Record,
    /// By application and name.
    variables: BTreeMap<(String, String), Vec<u8>>,
}

struct Ended {
    /// The session that a former digest leads to.
    leads: Option<(u64, Grace)>,
    /// When the tombstone expires.
    forgotten: u64,
    reused: u64,
}

impl Session {
    fn is_live(&self, now: u64) -> bool {
        now < self.record.expires
    }

    fn variables_of(&self, app: &str) -> Vec<Variable> {
        let own = self.variables.iter().filter(|((of, _), _)| of == app);
        own.map(|((_, name), value)| Variable { name: name.clone(), value: Stored::Inline(value.clone()) }).collect()
    }

    /// Applies writes, and keeps the size exact.
    fn write(&mut self, writes: &Writes) {
        for Write { app, name, value } in writes {
            let variable = (app.clone(), name.clone());
            match value {
                Some(value) => self.variables.insert(variable, value.clone()),
                None => self.variables.remove(&variable),
            };
        }
        self.record.size = self.variables.iter().map(|((_, name), value)| (name.len() + value.len()) as u64).sum();
    }
}

impl State {
    fn live(&self, digest: &Digest, now: u64) -> Option<&Session> {
        match self.entries.get(digest)? {
            Entry::Session(session) => Some(session).filter(|session| session.is_live(now)),
            Entry::Ended(_) => None,
        }
    }

    fn sessions(&self, now: u64) -> impl Iterator<Item = (&Digest, &Session)> {
        self.entries.iter().filter_map(move |(digest, entry)| match entry {
            Entry::Session(session) if session.is_live(now) => Some((digest, session)),
            _ => None,
        })
    }

    /// The live session that a digest leads to, with the nonce if it is a former digest within its grace period.
    fn follow(&self, digest: &Digest, now: u64) -> Option<(&Session, Option<&Vec<u8>>)> {
        let Entry::Ended(ended) = self.entries.get(digest)? else {
            return self.live(digest, now).map(|session| (session, None));
        };
        let (number, grace) = ended.leads.as_ref().filter(|(_, grace)| now < grace.until)?;
        let (_, session) = self.sessions(now).find(|(_, session)| session.number == *number)?;
        Some((session, Some(&grace.nonce)))
    }

    /// Whether a digest is free for a session.
    fn is_free(&self, digest: &Digest, now: u64) -> bool {
        match self.entries.get(digest) {
            None => true,
            Some(Entry::Session(_)) => false,
            Some(Entry::Ended(ended)) => ended.forgotten <= now,
        }
    }

    fn insert(&mut self, digest: Digest, record: Record, writes: &Writes) {
        self.last += 1;
        let mut session = Session { number: self.last, record, variables: BTreeMap::new() };
        session.write(writes);
        self.entries.insert(digest, Entry::Session(session));
    }

    /// Ends the grace periods of all former digests of a session.
    fn seal(&mut self, number: u64) {
        for entry in self.entries.values_mut() {
            if let Entry::Ended(ended) = entry {
                ended.leads.take_if(|(leads_to, _)| *leads_to == number);
            }
        }
    }

    fn end(&mut self, digest: &Digest, leads: Option<(u64, Grace)>, forgotten: u64, now: u64) {
        self.entries.remove(digest);
        if now < forgotten {
            self.entries.insert(*digest, Entry::Ended(Ended { leads, forgotten, reused: 0 }));
        }
    }

    fn destroy(&mut self, digest: &Digest, only: &DestroyCondition, now: u64, remember: u32) -> bool {
        let Some(Entry::Session(session)) = self.entries.get(digest) else { return false };
        let (number, live) = (session.number, session.is_live(now));
        if !only.is_met(live, session.record.owner.as_deref()) {
            return false;
        }
        self.seal(number);
        self.end(digest, None, if live { now + u64::from(remember) } else { now }, now);
        live
    }

    fn update(&mut self, digest: &Digest, change: &Change, expected: Option<u64>, now: u64) -> Result<UpdateOutcome> {
        let Some(old) = self.live(digest, now) else { return Ok(UpdateOutcome::Gone) };
        if expected.is_some_and(|expected| expected != old.record.version) {
            return Ok(UpdateOutcome::Conflict(old.record.version));
        }
        let mut session = old.clone();
        session.variables.retain(|(app, _), _| !change.clears.contains(app));
        session.write(&change.writes);
        let size = session.record.size;
        if size > old.record.size && size > change.max_size {
            return Ok(UpdateOutcome::TooLarge(size));
        }
        if let Some((owner, most)) = change.owner_limit()
            && old.record.owner.as_deref() != Some(owner)
        {
            let theirs = |(_, session): &(_, &Session)| session.record.owner.as_deref() == Some(owner);
            let others = self.sessions(now).filter(theirs).count() as u64;
            if others >= most {
                return Ok(UpdateOutcome::TooManyOwned(others));
            }
        }
        if change.rotation.as_ref().is_some_and(|rotation| !self.is_free(&rotation.to, now)) {
            return Err(Error::unavailable("the new digest of a session is taken"));
        }

        let record = &mut session.record;
        record.version += u64::from(change.is_counted());
        if let Some(owner) = &change.owner {
            record.owner.clone_from(owner);
        }
        record.accessed = record.accessed.max(now);
        if let Some(lifetime) = change.lifetime {
            (record.expires, record.absolute_expiry) = (lifetime.expiry(), lifetime.absolute_expiry);
        } else if let Some(expires) = change.expires {
            record.expires = record.expires.max(expires.min(record.absolute_expiry.unwrap_or(u64::MAX)));
        }
        let (number, version) = (session.number, record.version);
        let Some(rotation) = &change.rotation else {
            self.entries.insert(*digest, Entry::Session(session));
            return Ok(UpdateOutcome::Committed(version));
        };
        record.rotated = now;
        if rotation.grace.is_none() {
            self.seal(number);
        }
        let until = rotation.grace.as_ref().map_or(now, |grace| grace.until);
        let leads = rotation.grace.clone().map(|grace| (number, grace));
        self.end(digest, leads, until + u64::from(change.remember), now);
        self.entries.insert(rotation.to, Entry::Session(session));
        Ok(UpdateOutcome::Committed(version))
    }
}

impl Plain {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Store for Plain {
    fn summary(&self) -> String {
        "a list in memory".to_owned()
    }

    async fn load(&self, digest: &Digest, app: &str, now: u64, _inline_bytes: u32) -> Result<LoadOutcome> {
        let mut state = self.state();
        if let Some((session, nonce)) = state.follow(digest, now) {
            return Ok(LoadOutcome::Found(Loaded {
                record: session.record.clone(),
                details: session.variables_of(DETAILS),
                variables: if app == DETAILS { Vec::new() } else { session.variables_of(app) },
                renewal: nonce.cloned(),
            }));
        }
        Ok(match state.entries.get_mut(digest) {
            Some(Entry::Session(_)) => LoadOutcome::Expired,
            Some(Entry::Ended(ended)) if now < ended.forgotten => {
                ended.reused += 1;
                LoadOutcome::Ended
            }
            _ => LoadOutcome::Absent,
        })
    }

    async fn fetch(&self, digest: &Digest, app: &str, name: &str, now: u64) -> Result<Option<Vec<u8>>> {
        let variable = (app.to_owned(), name.to_owned());
        Ok(self.state().follow(digest, now).and_then(|(session, _)| session.variables.get(&variable).cloned()))
    }

    async fn create(&self, digest: &Digest, record: &Record, writes: &Writes) -> Result<CreateOutcome> {
        let mut state = self.state();
        if !state.is_free(digest, record.accessed) {
            return Ok(CreateOutcome::Exists);
        }
        state.insert(*digest, Record { version: 1, ..record.clone() }, writes);
        Ok(CreateOutcome::Created)
    }

    async fn update(&self, digest: &Digest, change: &Change, expected: Option<u64>, now: u64) -> Result<UpdateOutcome> {
        self.state().update(digest, change, expected, now)
    }

    async fn destroy(&self, digest: &Digest, only: &DestroyCondition, now: u64, remember: u32) -> Result<bool> {
        Ok(self.state().destroy(digest, only, now, remember))
    }

    async fn destroy_owned(&self, owner: &str, except: Option<&Digest>, now: u64, remember: u32) -> Result<u64> {
        let mut state = self.state();
        let spared = except.and_then(|digest| state.follow(digest, now)).map(|(session, _)| session.number);
        let owned = state
            .sessions(now)
            .filter(|(_, session)| session.record.owner.as_deref() == Some(owner) && Some(session.number) != spared);
        let keys: Vec<Digest> = owned.map(|(digest, _)| *digest).collect();
        for digest in &keys {
            state.destroy(digest, &DestroyCondition::Any, now, remember);
        }
        Ok(keys.len() as u64)
    }

    async fn cleanup(&self, now: u64, limit: u32) -> Result<u32> {
        let mut state = self.state();
        let due = state.entries.iter().filter(|(_, entry)| match entry {
            Entry::Session(session) => !session.is_live(now),
            Entry::Ended(ended) => ended.forgotten <= now,
        });
        let due: Vec<Digest> = due.map(|(digest, _)| *digest).take(limit as usize).collect();
        for digest in &due {
            state.destroy(digest, &DestroyCondition::Any, now, 0);
            state.entries.remove(digest);
        }
        Ok(due.len() as u32)
    }

    fn inspect(&self) -> Option<&dyn Inspect> {
        Some(self)
    }

    fn transfer(&self) -> Option<&dyn Transfer> {
        Some(self)
    }

    fn schema(&self) -> Option<&dyn Schema> {
        Some(self)
    }
}

#[async_trait]
impl Inspect for Plain {
    async fn count(&self, now: u64) -> Result<u64> {
        Ok(self.state().sessions(now).count() as u64)
    }

    async fn reused(&self, now: u64) -> Result<u64> {
        let state = self.state();
        let reused = state.entries.values().map(|entry| match entry {
            Entry::Ended(ended) if now < ended.forgotten => ended.reused,
            _ => 0,
        });
        Ok(reused.sum())
    }

    async fn list(&self, now: u64, owner: Option<&str>, after: Option<&Digest>, limit: u32) -> Result<Vec<Listed>> {
        let state = self.state();
        let listed = state
            .sessions(now)
            .filter(|(digest, _)| after.is_none_or(|after| *digest > after))
            .filter(|(_, session)| owner.is_none() || session.record.owner.as_deref() == owner)
            .map(|(digest, session)| Listed { digest: *digest, record: session.record.clone() });
        Ok(listed.take(limit as usize).collect())
    }

    async fn describe(&self, digest: &Digest, now: u64) -> Result<Option<(Record, Vec<(String, String, u64)>)>> {
        Ok(self.state().live(digest, now).map(|session| {
            let variables = session.variables.iter();
            let sizes = variables.map(|((app, name), value)| (app.clone(), name.clone(), value.len() as u64));
            (session.record.clone(), sizes.collect())
        }))
    }
}

#[async_trait]
impl Transfer for Plain {
    async fn export(&self, digest: &Digest, now: u64) -> Result<Option<Snapshot>> {
        Ok(self.state().live(digest, now).map(|session| {
            let variables = session.variables.iter().map(|((app, name), value)| Write {
                app: app.clone(),
                name: name.clone(),
                value: Some(value.clone()),
            });
            Snapshot { record: session.record.clone(), variables: variables.collect() }
        }))
    }

    async fn import(&self, digest: &Digest, snapshot: &Snapshot, over: Option<u64>, now: u64) -> Result<bool> {
        let mut state = self.state();
        let Some(over) = over else {
            let free = state.is_free(digest, now);
            if free {
                state.insert(*digest, snapshot.record.clone(), &snapshot.variables);
            }
            return Ok(free);
        };
        let Some(old) = state.live(digest, now).filter(|session| session.record.version == over) else {
            return Ok(false);
        };
        let accessed = old.record.accessed.max(snapshot.record.accessed);
        let latest = snapshot.record.absolute_expiry.unwrap_or(u64::MAX);
        let expires = old.record.expires.max(snapshot.record.expires).min(latest);
        let record = Record { accessed, expires, ..snapshot.record.clone() };
        let mut session = Session { number: old.number, record, variables: BTreeMap::new() };
        session.write(&snapshot.variables);
        state.entries.insert(*digest, Entry::Session(session));
        Ok(true)
    }
}

#[async_trait]
impl Schema for Plain {
    async fn create_tables(&self) -> Result<()> {
        Ok(())
    }

    async fn drop_tables(&self) -> Result<()> {
        self.state().entries.clear();
        Ok(())
    }

    async fn tables_exist(&self) -> Result<bool> {
        Ok(true)
    }
}
