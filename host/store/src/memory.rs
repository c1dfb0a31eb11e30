//! `memory:`: sessions in this process's memory, for tests, for first steps, and for sites that can lose their sessions at a
//! restart.
//!
//! Each open creates a separate store. It needs no tables: they always exist, and dropping them empties the store.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;

use crate::{
    Change, CreateOutcome, DETAILS, DestroyCondition, Digest, Error, Grace, Inspect, Listed, LoadOutcome, Loaded,
    Record, Result, Schema, Snapshot, StorageOptions, Store, Stored, Transfer, UpdateOutcome, Variable, Write, Writes,
    batches::{DESTROY_BATCH, Destroyed, destroy_all},
    registry::{Open, Opening},
};

/// The schemes of its URLs, for [`Registry::register`](crate::Registry::register).
pub const SCHEMES: [(&str, Open); 1] = [("memory", Memory::open)];

/// Sessions in this process's memory.
#[derive(Default)]
pub struct Memory {
    state: Mutex<State>,
}

impl Memory {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens an empty store for the URL `memory:`.
    pub fn open(options: StorageOptions) -> Opening {
        Box::pin(async move {
            if options.url != "memory:" {
                return Err(Error::invalid("the URL of the store in memory is memory: and nothing after it"));
            }
            options.refuse_unknown(&[])?;
            Ok(Arc::new(Self::new()) as Arc<dyn Store>)
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No method panics between two changes that belong together.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All sessions and tombstones.
#[derive(Default)]
struct State {
    digests: BTreeMap<Digest, Held>,
    sessions: BTreeMap<u64, Session>,
    /// The number of the last session. No number is used twice, so a former digest never leads to another session.
    last: u64,
    /// When each entry may be removed: at the expiry of the session or of the tombstone.
    removable: BTreeSet<(u64, Digest)>,
    owned: BTreeSet<(String, Digest)>,
}

/// What a digest means.
enum Held {
    /// It is the digest of the session with this number.
    Current(u64),
    /// It is a tombstone, or a former digest within its grace period.
    Former(Former),
}

struct Former {
    /// The session that a former digest leads to.
    leads: Option<(u64, Grace)>,
    /// When the tombstone expires.
    until: u64,
    /// How often it was loaded after its end.
    reused: u64,
}

struct Session {
    record: Record,
    variables: Variables,
    /// The former digests that may lead here.
    former: Vec<Digest>,
}

/// By application and name. An update works on a copy, which shares the values.
type Variables = BTreeMap<String, BTreeMap<String, Arc<[u8]>>>;

impl Session {
    fn is_live(&self, now: u64) -> bool {
        now < self.record.expires
    }

    fn variables_of(&self, app: &str) -> Vec<Variable> {
        let variables = self.variables.get(app).into_iter().flatten();
        let stored = |(name, value): (&String, &Arc<[u8]>)| Variable {
            name: name.clone(),
            value: Stored::Inline(value.to_vec()),
        };
        variables.map(stored).collect()
    }
}

fn size(variables: &Variables) -> u64 {
    variables.values().flatten().map(|(name, value)| (name.len() + value.len()) as u64).sum()
}

fn write(variables: &mut Variables, writes: &Writes) {
    for Write { app, name, value } in writes {
        match value {
            Some(value) => {
                variables.entry(app.clone()).or_default().insert(name.clone(), value.as_slice().into());
            }
            None => {
                if let Some(own) = variables.get_mut(app) {
                    own.remove(name);
                    if own.is_empty() {
                        variables.remove(app);
                    }
                }
            }
        }
    }
}

impl State {
    /// The live session of this digest.
    fn live(&self, digest: &Digest, now: u64) -> Option<&Session> {
        match self.digests.get(digest)? {
            Held::Current(number) => self.sessions.get(number).filter(|session| session.is_live(now)),
            Held::Former(_) => None,
        }
    }

    /// The number of the session that a digest leads to: its own, or that of a former digest within its grace period.
    fn number(&self, digest: &Digest, now: u64) -> Option<u64> {
        match self.digests.get(digest)? {
            Held::Current(number) => Some(*number),
            Held::Former(former) => {
                former.leads.as_ref().filter(|(_, grace)| now < grace.until).map(|(number, _)| *number)
            }
        }
    }

    /// The live session that a digest leads to, with the nonce of a former digest within its grace period.
    fn follow(&self, digest: &Digest, now: u64) -> Option<(&Session, Option<&[u8]>)> {
        match self.digests.get(digest)? {
            Held::Current(_) => self.live(digest, now).map(|session| (session, None)),
            Held::Former(former) => {
                let (number, grace) = former.leads.as_ref().filter(|(_, grace)| now < grace.until)?;
                let session = self.sessions.get(number).filter(|session| session.is_live(now))?;
                Some((session, Some(&grace.nonce)))
            }
        }
    }

    /// Whether nothing has this digest. Removes a tombstone that has expired.
    fn is_free(&mut self, digest: &Digest, now: u64) -> bool {
        match self.digests.get(digest) {
            None => true,
            Some(Held::Former(former)) if former.until <= now => {
                self.removable.remove(&(former.until, *digest));
                self.digests.remove(digest);
                true
            }
            Some(_) => false,
        }
    }

    fn remember(&mut self, digest: Digest, leads: Option<(u64, Grace)>, until: u64, now: u64) {
        if until > now {
            self.removable.insert((until, digest));
            self.digests.insert(digest, Held::Former(Former { leads, until, reused: 0 }));
        } else {
            self.digests.remove(&digest);
        }
    }

    /// Removes a session, live or expired. Its former digests become tombstones.
    fn remove(&mut self, digest: &Digest) -> Option<Session> {
        let Some(Held::Current(number)) = self.digests.get(digest) else { return None };
        let session = self.sessions.remove(number)?;
        self.digests.remove(digest);
        self.removable.remove(&(session.record.expires, *digest));
        if let Some(owner) = &session.record.owner {
            self.owned.remove(&(owner.clone(), *digest));
        }
        self.seal(&session.former);
        Some(session)
    }

    fn seal(&mut self, former: &[Digest]) {
        for digest in former {
            if let Some(Held::Former(former)) = self.digests.get_mut(digest) {
                former.leads = None;
            }
        }
    }

    fn destroy(&mut self, digest: &Digest, only: &DestroyCondition, now: u64, remember: u32) -> bool {
        let Some(Held::Current(number)) = self.digests.get(digest) else { return false };
        let Some(session) = self.sessions.get(number) else { return false };
        let live = session.is_live(now);
        if !only.is_met(live, session.record.owner.as_deref()) {
            return false;
        }
        self.remove(digest);
        if live {
            self.remember(*digest, None, now.saturating_add(remember.into()), now);
        }
        live
    }

    /// Ends some sessions of an owner whose digests follow `after`, except the one with the number `spared`.
    fn destroy_owned(&mut self, owner: &str, spared: Option<u64>, after: &[u8], now: u64, remember: u32) -> Destroyed {
        let from = (owner.to_owned(), Digest::try_from(after).unwrap_or(Digest::from([0; 32])));
        let from = if after.is_empty() { Bound::Included(from) } else { Bound::Excluded(from) };
        let owned =
            self.owned.range((from, Bound::Unbounded)).take_while(|(of, _)| of == owner).map(|(_, digest)| digest);
        let is_spared = |digest| spared.is_some() && self.number(digest, now) == spared;
        let found = owned.filter(|digest| self.live(digest, now).is_some() && !is_spared(digest));
        let found: Vec<Digest> = found.take(DESTROY_BATCH as usize).copied().collect();
        for digest in &found {
            self.destroy(digest, &DestroyCondition::Any, now, remember);
        }
        let (number, last) = (found.len() as u64, found.last().map(|digest| digest.as_bytes().to_vec()));
        Destroyed { found: number, ended: number, last }
    }

    /// How many live sessions an owner has.
    fn count_owned(&self, owner: &str, now: u64) -> u64 {
        let from = (owner.to_owned(), Digest::from([0; 32]));
        let owned = self.owned.range(from..).take_while(|(of, _)| of == owner);
        owned.filter(|(_, digest)| self.live(digest, now).is_some()).count() as u64
    }

    /// Stores a session under a digest that is free.
    fn insert(&mut self, digest: Digest, record: Record, writes: &Writes) {
        let mut variables = Variables::new();
        write(&mut variables, writes);
        let record = Record { size: size(&variables), ..record };
        self.last += 1;
        self.digests.insert(digest, Held::Current(self.last));
        self.removable.insert((record.expires, digest));
        if let Some(owner) = &record.owner {
            self.owned.insert((owner.clone(), digest));
        }
        self.sessions.insert(self.last, Session { record, variables, former: Vec::new() });
    }

    /// Replaces a live session by a copy of another store's.
    fn replace(&mut self, digest: &Digest, Snapshot { record, variables }: &Snapshot, over: u64, now: u64) -> bool {
        let Some(Held::Current(number)) = self.digests.get(digest) else { return false };
        let Some(session) = self.sessions.get_mut(number) else { return false };
        if !session.is_live(now) || session.record.version != over {
            return false;
        }
        session.variables.clear();
        write(&mut session.variables, variables);
        let mut record = Record { size: size(&session.variables), ..record.clone() };
        record.accessed = record.accessed.max(session.record.accessed);
        record.expires = record.expires.max(session.record.expires).min(record.absolute_expiry.unwrap_or(u64::MAX));
        let old = std::mem::replace(&mut session.record, record.clone());
        self.removable.remove(&(old.expires, *digest));
        self.removable.insert((record.expires, *digest));
        if let Some(owner) = old.owner {
            self.owned.remove(&(owner, *digest));
        }
        if let Some(owner) = record.owner {
            self.owned.insert((owner, *digest));
        }
        true
    }

    fn update(&mut self, digest: &Digest, change: &Change, expected: Option<u64>, now: u64) -> Result<UpdateOutcome> {
        let number = match self.digests.get(digest) {
            Some(Held::Current(number)) => *number,
            _ => return Ok(UpdateOutcome::Gone),
        };
        let Some(session) = self.sessions.get(&number).filter(|session| session.is_live(now)) else {
            return Ok(UpdateOutcome::Gone);
        };
        if expected.is_some_and(|expected| expected != session.record.version) {
            return Ok(UpdateOutcome::Conflict(session.record.version));
        }

        let mut record = session.record.clone();
        let mut variables = None;
        if !change.clears.is_empty() || !change.writes.is_empty() {
            let mut changed = session.variables.clone();
            changed.retain(|app, _| !change.clears.contains(app));
            write(&mut changed, &change.writes);
            record.size = size(&changed);
            if record.size > session.record.size && record.size > change.max_size {
                return Ok(UpdateOutcome::TooLarge(record.size));
            }
            variables = Some(changed);
        }
        if let Some((owner, most)) = change.owner_limit()
            && session.record.owner.as_deref() != Some(owner)
        {
            let others = self.count_owned(owner, now);
            if others >= most {
                return Ok(UpdateOutcome::TooManyOwned(others));
            }
        }
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
        let new = change.rotation.as_ref().map_or(*digest, |rotation| rotation.to);
        if change.rotation.is_some() {
            record.rotated = now;
            if !self.is_free(&new, now) {
                return Err(Error::unavailable("the new digest of a session is taken"));
            }
        }

        let digests = &self.digests;
        let Some(session) = self.sessions.get_mut(&number) else { return Ok(UpdateOutcome::Gone) };
        let version = record.version;
        let old = std::mem::replace(&mut session.record, record);
        if let Some(variables) = variables {
            session.variables = variables;
        }
        self.removable.remove(&(old.expires, *digest));
        self.removable.insert((session.record.expires, new));
        if let Some(owner) = old.owner {
            self.owned.remove(&(owner, *digest));
        }
        if let Some(owner) = &session.record.owner {
            self.owned.insert((owner.clone(), new));
        }

        if let Some(rotation) = &change.rotation {
            let sealed = match &rotation.grace {
                Some(_) => {
                    // Otherwise removed ones would add up while a session is renewed for months.
                    session.former.retain(|former| digests.contains_key(former));
                    session.former.push(*digest);
                    Vec::new()
                }
                None => std::mem::take(&mut session.former),
            };
            self.seal(&sealed);
            self.digests.insert(new, Held::Current(number));
            let from = rotation.grace.as_ref().map_or(now, |grace| grace.until);
            let leads = rotation.grace.clone().map(|grace| (number, grace));
            self.remember(*digest, leads, from.saturating_add(change.remember.into()), now);
        }
        Ok(UpdateOutcome::Committed(version))
    }
}

#[async_trait]
impl Store for Memory {
    fn summary(&self) -> String {
        "this process's memory".to_owned()
    }

    async fn load(&self, digest: &Digest, app: &str, now: u64, _inline_bytes: u32) -> Result<LoadOutcome> {
        let mut state = self.state();
        if let Some((session, nonce)) = state.follow(digest, now) {
            return Ok(LoadOutcome::Found(Loaded {
                record: session.record.clone(),
                details: session.variables_of(DETAILS),
                variables: if app == DETAILS { Vec::new() } else { session.variables_of(app) },
                renewal: nonce.map(<[u8]>::to_vec),
            }));
        }
        Ok(match state.digests.get_mut(digest) {
            None => LoadOutcome::Absent,
            Some(Held::Current(_)) => LoadOutcome::Expired,
            Some(Held::Former(former)) if former.until <= now => LoadOutcome::Absent,
            Some(Held::Former(former)) => {
                former.reused += 1;
                LoadOutcome::Ended
            }
        })
    }

    async fn fetch(&self, digest: &Digest, app: &str, name: &str, now: u64) -> Result<Option<Vec<u8>>> {
        let state = self.state();
        let found = state.follow(digest, now).and_then(|(session, _)| session.variables.get(app)?.get(name));
        Ok(found.map(|value| value.to_vec()))
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
        let spared = except.and_then(|digest| self.state().number(digest, now));
        destroy_all(async |after| {
            let done = self.state().destroy_owned(owner, spared, &after, now, remember);
            tokio::task::yield_now().await;
            Ok(done)
        })
        .await
    }

    async fn cleanup(&self, now: u64, limit: u32) -> Result<u32> {
        let mut state = self.state();
        let due: Vec<Digest> = state
            .removable
            .iter()
            .take_while(|(at, _)| *at <= now)
            .take(limit as usize)
            .map(|(_, digest)| *digest)
            .collect();
        for digest in &due {
            if state.remove(digest).is_none() {
                state.is_free(digest, now);
            }
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
impl Inspect for Memory {
    async fn count(&self, now: u64) -> Result<u64> {
        Ok(self.state().sessions.values().filter(|session| session.is_live(now)).count() as u64)
    }

    async fn reused(&self, now: u64) -> Result<u64> {
        let state = self.state();
        let former = state.digests.values().filter_map(|held| match held {
            Held::Former(former) if now < former.until => Some(former.reused),
            _ => None,
        });
        Ok(former.sum())
    }

    async fn backlog(&self, now: u64) -> Result<u64> {
        Ok(self.state().removable.iter().take_while(|(at, _)| *at <= now).count() as u64)
    }

    async fn list(&self, now: u64, owner: Option<&str>, after: Option<&Digest>, limit: u32) -> Result<Vec<Listed>> {
        let state = self.state();
        let after = after.map_or(Bound::Unbounded, Bound::Excluded);
        let listed = state.digests.range((after, Bound::Unbounded)).filter_map(|(digest, _)| {
            let session = state.live(digest, now)?;
            let fits = owner.is_none() || session.record.owner.as_deref() == owner;
            fits.then(|| Listed { digest: *digest, record: session.record.clone() })
        });
        Ok(listed.take(limit as usize).collect())
    }

    async fn describe(&self, digest: &Digest, now: u64) -> Result<Option<(Record, Vec<(String, String, u64)>)>> {
        let state = self.state();
        Ok(state.live(digest, now).map(|session| {
            let variables = session
                .variables
                .iter()
                .flat_map(|(app, own)| own.iter().map(|(name, value)| (app.clone(), name.clone(), value.len() as u64)));
            (session.record.clone(), variables.collect())
        }))
    }
}

#[async_trait]
impl Transfer for Memory {
    async fn export(&self, digest: &Digest, now: u64) -> Result<Option<Snapshot>> {
        let state = self.state();
        Ok(state.live(digest, now).map(|session| {
            let variables = session.variables.iter().flat_map(|(app, own)| {
                own.iter().map(|(name, value)| Write {
                    app: app.clone(),
                    name: name.clone(),
                    value: Some(value.to_vec()),
                })
            });
            Snapshot { record: session.record.clone(), variables: variables.collect() }
        }))
    }

    async fn import(&self, digest: &Digest, snapshot: &Snapshot, over: Option<u64>, now: u64) -> Result<bool> {
        let mut state = self.state();
        if let Some(over) = over {
            return Ok(state.replace(digest, snapshot, over, now));
        }
        let free = state.is_free(digest, now);
        if free {
            state.insert(*digest, snapshot.record.clone(), &snapshot.variables);
        }
        Ok(free)
    }
}

#[async_trait]
impl Schema for Memory {
    async fn create_tables(&self) -> Result<()> {
        Ok(())
    }

    async fn drop_tables(&self) -> Result<()> {
        let mut state = self.state();
        // The numbers of sessions go on.
        *state = State { last: state.last, ..State::default() };
        Ok(())
    }

    async fn tables_exist(&self) -> Result<bool> {
        Ok(true)
    }
}
