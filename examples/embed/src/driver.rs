//! A custom driver: all sessions in one JSON file.
//!
//! Every call locks the file and reads it. If something has changed, it writes a new file and renames it over the old one, so
//! that a reader in any process sees all of the change or nothing. This is the shortest way to keep the contract, and fast
//! enough for a few hundred sessions.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, ErrorKind},
    ops::Bound,
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use lemon_session_host::store::{
    Change, CreateOutcome, DestroyCondition, Digest, Error, Inspect, Listed, LoadOutcome, Loaded, Record, Result,
    Schema, Snapshot, Store, Stored, Transfer, UpdateOutcome, Variable, Write, Writes,
};
use serde::{Deserialize, Serialize};

/// Sessions in a JSON file.
pub struct JsonFile {
    path: PathBuf,
}

impl JsonFile {
    /// The store in this file, which [`Schema::create_tables`] creates.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Runs one transaction: all of it or, after an error, nothing. It completes even if the caller is dropped.
    async fn run<T: Send + 'static>(&self, work: impl FnOnce(&mut State) -> Result<T> + Send + 'static) -> Result<T> {
        let path = self.path.clone();
        blocking(move || {
            let _lock = lock(&path)?;
            let before = match fs::read(&path) {
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    return Err(Error::missing_tables(format!("there is no file {}", path.display())));
                }
                read => read.map_err(|error| unusable(&path, error))?,
            };
            let mut state = serde_json::from_slice(&before).map_err(|error| unusable(&path, error))?;
            let answer = work(&mut state)?;
            let after = serde_json::to_vec(&state).map_err(|error| unusable(&path, error))?;
            if after != before {
                replace(&path, &after).map_err(|error| unusable(&path, error))?;
            }
            Ok(answer)
        })
        .await
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(Error::unavailable("a task has ended early").with_source(error)))
}

/// Waits for the lock on the file. The lock ends with the value, and with the process.
fn lock(path: &Path) -> Result<File> {
    let open = || {
        let file = File::options().create(true).append(true).open(path.with_added_extension("lock"))?;
        file.lock()?;
        Ok(file)
    };
    open().map_err(|error: io::Error| unusable(path, error))
}

fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let new = path.with_added_extension("new");
    fs::write(&new, text)?;
    fs::rename(new, path)
}

fn unusable(path: &Path, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::unavailable(format!("cannot use {}", path.display())).with_source(error)
}

/// The content of the file.
#[derive(Default, Deserialize, Serialize)]
struct State {
    /// By the hexadecimal digits of the digest, which sort as its bytes do.
    keys: BTreeMap<String, Held>,
    /// The number of the last session. No number is used twice, so a former digest never leads to another session.
    last: u64,
}

/// The meaning of a digest.
#[derive(Deserialize, Serialize)]
enum Held {
    Session(Session),
    Ended(Ended),
}

#[derive(Deserialize, Serialize)]
struct Session {
    number: u64,
    #[serde(with = "RecordFields")]
    record: Record,
    variables: Variables,
}

/// By application and name.
type Variables = BTreeMap<String, BTreeMap<String, Bytes>>;

#[derive(Deserialize, Serialize)]
struct Ended {
    /// When the tombstone expires.
    forget: u64,
    /// How often it was presented since.
    reused: u64,
    lead: Option<Lead>,
}

/// The session that a former digest leads to.
#[derive(Deserialize, Serialize)]
struct Lead {
    number: u64,
    until: u64,
    nonce: Bytes,
}

#[derive(Deserialize, Serialize)]
#[serde(remote = "Record")]
struct RecordFields {
    created: u64,
    accessed: u64,
    expires: u64,
    absolute_expiry: Option<u64>,
    rotated: u64,
    owner: Option<String>,
    version: u64,
    size: u64,
}

/// The answer of [`Inspect::describe`]: a session, and the names and sizes of its variables.
type Described = (Record, Vec<(String, String, u64)>);

/// Bytes, stored as hexadecimal digits.
#[derive(Clone, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
struct Bytes(Vec<u8>);

impl From<Bytes> for String {
    fn from(Bytes(bytes): Bytes) -> Self {
        let digit = |digit: u8| char::from(b"0123456789abcdef"[usize::from(digit)]);
        bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
    }
}

impl TryFrom<String> for Bytes {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let digit = |digit: u8| char::from(digit).to_digit(16).map(|digit| digit as u8);
        let byte = |pair: &[u8]| Some(digit(pair[0])? << 4 | digit(*pair.get(1)?)?);
        text.as_bytes().chunks(2).map(byte).collect::<Option<_>>().map(Self).ok_or("no hexadecimal digits")
    }
}

impl Session {
    fn is_live(&self, now: u64) -> bool {
        now < self.record.expires
    }
}

fn write(variables: &mut Variables, writes: Writes) {
    for Write { app, name, value } in writes {
        let own = variables.entry(app).or_default();
        match value {
            Some(value) => own.insert(name, Bytes(value)),
            None => own.remove(&name),
        };
    }
    variables.retain(|_, own| !own.is_empty());
}

fn size(variables: &Variables) -> u64 {
    variables.values().flatten().map(|(name, value)| (name.len() + value.0.len()) as u64).sum()
}

impl State {
    fn live(&self, key: &str, now: u64) -> Option<&Session> {
        match self.keys.get(key)? {
            Held::Session(session) => session.is_live(now).then_some(session),
            Held::Ended(_) => None,
        }
    }

    /// The live session that a digest leads to, and the nonce if it is a former digest within its grace period.
    fn follow(&self, key: &str, now: u64) -> Option<(&Session, Option<Vec<u8>>)> {
        match self.keys.get(key)? {
            Held::Session(_) => Some((self.live(key, now)?, None)),
            Held::Ended(ended) => {
                let lead = ended.lead.as_ref().filter(|lead| now < lead.until)?;
                let (_, session) = self.sessions(now).find(|(_, session)| session.number == lead.number)?;
                Some((session, Some(lead.nonce.0.clone())))
            }
        }
    }

    /// The live sessions in the order of their digests.
    fn sessions(&self, now: u64) -> impl Iterator<Item = (&String, &Session)> {
        self.keys.iter().filter_map(move |(key, held)| match held {
            Held::Session(session) if session.is_live(now) => Some((key, session)),
            _ => None,
        })
    }

    fn is_free(&self, key: &str, now: u64) -> bool {
        match self.keys.get(key) {
            None => true,
            Some(Held::Ended(ended)) => ended.forget <= now,
            Some(Held::Session(_)) => false,
        }
    }

    /// Replaces a session by the tombstone of its digest.
    fn end(&mut self, key: &str, lead: Option<Lead>, forget: u64, now: u64) {
        self.keys.remove(key);
        if forget > now {
            self.keys.insert(key.to_owned(), Held::Ended(Ended { forget, reused: 0, lead }));
        }
    }

    fn load(&mut self, key: &str, app: &str, now: u64) -> LoadOutcome {
        if let Some((session, renewal)) = self.follow(key, now) {
            let variables = session.variables.get(app).into_iter().flatten();
            let variables = variables
                .map(|(name, value)| Variable { name: name.clone(), value: Stored::Inline(value.0.clone()) })
                .collect();
            return LoadOutcome::Found(Loaded { record: session.record.clone(), variables, renewal });
        }
        match self.keys.get_mut(key) {
            Some(Held::Session(_)) => LoadOutcome::Expired,
            Some(Held::Ended(ended)) if now < ended.forget => {
                ended.reused += 1;
                LoadOutcome::Ended
            }
            _ => LoadOutcome::Absent,
        }
    }

    fn create(&mut self, key: String, record: Record, writes: Writes) -> CreateOutcome {
        if !self.is_free(&key, record.accessed) {
            return CreateOutcome::Exists;
        }
        let mut variables = Variables::new();
        write(&mut variables, writes);
        let record = Record { version: 1, size: size(&variables), ..record };
        self.last += 1;
        self.keys.insert(key, Held::Session(Session { number: self.last, record, variables }));
        CreateOutcome::Created
    }

    fn update(&mut self, key: &str, change: Change, expected: Option<u64>, now: u64) -> Result<UpdateOutcome> {
        let Some(Session { number, record, variables }) = self.live(key, now) else { return Ok(UpdateOutcome::Gone) };
        if expected.is_some_and(|expected| expected != record.version) {
            return Ok(UpdateOutcome::Conflict(record.version));
        }
        let (number, mut record, mut variables) = (*number, record.clone(), variables.clone());

        if !change.clears.is_empty() || !change.writes.is_empty() || change.owner.is_some() {
            record.version += 1;
        }
        variables.retain(|app, _| !change.clears.contains(app));
        write(&mut variables, change.writes);
        let size = size(&variables);
        if size > record.size && size > change.max_size {
            return Ok(UpdateOutcome::TooLarge(size));
        }
        record.size = size;
        record.owner = change.owner.unwrap_or(record.owner);
        record.accessed = record.accessed.max(now);
        if let Some(expires) = change.expires {
            record.expires = record.expires.max(expires.min(record.absolute_expiry.unwrap_or(u64::MAX)));
        }

        let version = record.version;
        let mut key = key.to_owned();
        if let Some(rotation) = change.rotation {
            let to = rotation.to.to_hex();
            if !self.is_free(&to, now) {
                return Err(Error::unavailable("the new digest of a session is taken"));
            }
            record.rotated = now;
            let lead = rotation.grace.map(|grace| Lead { number, until: grace.until, nonce: Bytes(grace.nonce) });
            if lead.is_none() {
                self.seal(number);
            }
            let forget = lead.as_ref().map_or(now, |lead| lead.until).saturating_add(change.remember.into());
            self.end(&key, lead, forget, now);
            key = to;
        }
        self.keys.insert(key, Held::Session(Session { number, record, variables }));
        Ok(UpdateOutcome::Committed(version))
    }

    /// Ends the grace periods of all former digests of a session.
    fn seal(&mut self, number: u64) {
        for held in self.keys.values_mut() {
            if let Held::Ended(ended) = held {
                ended.lead = ended.lead.take().filter(|lead| lead.number != number);
            }
        }
    }

    fn destroy(&mut self, key: &str, only: &DestroyCondition, now: u64, remember: u32) -> bool {
        let Some(Held::Session(session)) = self.keys.get(key) else { return false };
        let was_live = session.is_live(now);
        if !only.is_met(was_live, session.record.owner.as_deref()) {
            return false;
        }
        let forget = if was_live { now.saturating_add(remember.into()) } else { 0 };
        self.end(key, None, forget, now);
        was_live
    }

    fn destroy_owned(&mut self, owner: &str, except: Option<&str>, now: u64, remember: u32) -> u64 {
        let spared = except.and_then(|key| self.follow(key, now)).map(|(session, _)| session.number);
        let owned = self
            .sessions(now)
            .filter(|(_, session)| session.record.owner.as_deref() == Some(owner) && Some(session.number) != spared);
        let keys: Vec<_> = owned.map(|(key, _)| key.clone()).collect();
        keys.iter().filter(|key| self.destroy(key, &DestroyCondition::Any, now, remember)).count() as u64
    }

    fn cleanup(&mut self, now: u64, limit: u32) -> u32 {
        let is_due = |held: &Held| match held {
            Held::Session(session) => !session.is_live(now),
            Held::Ended(ended) => ended.forget <= now,
        };
        let due = self.keys.iter().filter(|(_, held)| is_due(held)).take(limit as usize);
        let keys: Vec<_> = due.map(|(key, _)| key.clone()).collect();
        self.keys.retain(|key, _| keys.binary_search(key).is_err());
        keys.len() as u32
    }

    fn reused(&self, now: u64) -> u64 {
        let reused = self.keys.values().map(|held| match held {
            Held::Ended(ended) if now < ended.forget => ended.reused,
            _ => 0,
        });
        reused.sum()
    }

    fn list(&self, now: u64, owner: Option<&str>, after: Option<String>, limit: u32) -> Vec<Listed> {
        let after = after.map_or(Bound::Unbounded, Bound::Excluded);
        let listed = self.keys.range((after, Bound::Unbounded)).filter_map(|(key, _)| {
            let session = self.live(key, now)?;
            let fits = owner.is_none() || session.record.owner.as_deref() == owner;
            fits.then_some(Listed { digest: Digest::from_hex(key)?, record: session.record.clone() })
        });
        listed.take(limit as usize).collect()
    }

    fn describe(&self, key: &str, now: u64) -> Option<Described> {
        let session = self.live(key, now)?;
        let variables = session
            .variables
            .iter()
            .flat_map(|(app, own)| own.iter().map(|(name, value)| (app.clone(), name.clone(), value.0.len() as u64)));
        Some((session.record.clone(), variables.collect()))
    }

    fn export(&self, key: &str, now: u64) -> Option<Snapshot> {
        let session = self.live(key, now)?;
        let variables = session.variables.iter().flat_map(|(app, own)| {
            own.iter().map(|(name, value)| Write { app: app.clone(), name: name.clone(), value: Some(value.0.clone()) })
        });
        Some(Snapshot { record: session.record.clone(), variables: variables.collect() })
    }

    fn import(&mut self, key: String, snapshot: Snapshot, over: Option<u64>, now: u64) -> bool {
        let mut variables = Variables::new();
        write(&mut variables, snapshot.variables);
        let mut record = Record { size: size(&variables), ..snapshot.record };
        let number = match over {
            None if self.is_free(&key, now) => {
                self.last += 1;
                self.last
            }
            None => return false,
            Some(version) => match self.live(&key, now) {
                Some(session) if session.record.version == version => {
                    record.accessed = record.accessed.max(session.record.accessed);
                    record.expires = record.expires.max(session.record.expires);
                    session.number
                }
                _ => return false,
            },
        };
        self.keys.insert(key, Held::Session(Session { number, record, variables }));
        true
    }
}

#[async_trait]
impl Store for JsonFile {
    fn summary(&self) -> String {
        format!("the file {}", self.path.display())
    }

    async fn load(&self, key: &Digest, app: &str, now: u64, _inline_bytes: u32) -> Result<LoadOutcome> {
        let (key, app) = (key.to_hex(), app.to_owned());
        self.run(move |state| Ok(state.load(&key, &app, now))).await
    }

    async fn fetch(&self, key: &Digest, app: &str, name: &str, now: u64) -> Result<Option<Vec<u8>>> {
        let (key, app, name) = (key.to_hex(), app.to_owned(), name.to_owned());
        self.run(move |state| {
            let session = state.follow(&key, now).map(|(session, _)| session);
            Ok(session.and_then(|session| Some(session.variables.get(&app)?.get(&name)?.0.clone())))
        })
        .await
    }

    async fn create(&self, key: &Digest, record: &Record, writes: &Writes) -> Result<CreateOutcome> {
        let (key, record, writes) = (key.to_hex(), record.clone(), writes.clone());
        self.run(move |state| Ok(state.create(key, record, writes))).await
    }

    async fn update(&self, key: &Digest, change: &Change, expected: Option<u64>, now: u64) -> Result<UpdateOutcome> {
        let (key, change) = (key.to_hex(), change.clone());
        self.run(move |state| state.update(&key, change, expected, now)).await
    }

    async fn destroy(&self, key: &Digest, only: &DestroyCondition, now: u64, remember: u32) -> Result<bool> {
        let (key, only) = (key.to_hex(), only.clone());
        self.run(move |state| Ok(state.destroy(&key, &only, now, remember))).await
    }

    async fn destroy_owned(&self, owner: &str, except: Option<&Digest>, now: u64, remember: u32) -> Result<u64> {
        let (owner, except) = (owner.to_owned(), except.map(Digest::to_hex));
        self.run(move |state| Ok(state.destroy_owned(&owner, except.as_deref(), now, remember))).await
    }

    async fn cleanup(&self, now: u64, limit: u32) -> Result<u32> {
        self.run(move |state| Ok(state.cleanup(now, limit))).await
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
impl Inspect for JsonFile {
    async fn count(&self, now: u64) -> Result<u64> {
        self.run(move |state| Ok(state.sessions(now).count() as u64)).await
    }

    async fn reused(&self, now: u64) -> Result<u64> {
        self.run(move |state| Ok(state.reused(now))).await
    }

    async fn list(&self, now: u64, owner: Option<&str>, after: Option<&Digest>, limit: u32) -> Result<Vec<Listed>> {
        let (owner, after) = (owner.map(str::to_owned), after.map(Digest::to_hex));
        self.run(move |state| Ok(state.list(now, owner.as_deref(), after, limit))).await
    }

    async fn describe(&self, key: &Digest, now: u64) -> Result<Option<(Record, Vec<(String, String, u64)>)>> {
        let key = key.to_hex();
        self.run(move |state| Ok(state.describe(&key, now))).await
    }
}

#[async_trait]
impl Transfer for JsonFile {
    async fn export(&self, key: &Digest, now: u64) -> Result<Option<Snapshot>> {
        let key = key.to_hex();
        self.run(move |state| Ok(state.export(&key, now))).await
    }

    async fn import(&self, key: &Digest, snapshot: &Snapshot, over: Option<u64>, now: u64) -> Result<bool> {
        let (key, snapshot) = (key.to_hex(), snapshot.clone());
        self.run(move |state| Ok(state.import(key, snapshot, over, now))).await
    }
}

#[async_trait]
impl Schema for JsonFile {
    async fn create_tables(&self) -> Result<()> {
        let path = self.path.clone();
        blocking(move || {
            let _lock = lock(&path)?;
            if !path.exists() {
                let empty = serde_json::to_vec(&State::default()).map_err(|error| unusable(&path, error))?;
                replace(&path, &empty).map_err(|error| unusable(&path, error))?;
            }
            Ok(())
        })
        .await
    }

    async fn drop_tables(&self) -> Result<()> {
        let path = self.path.clone();
        blocking(move || {
            let _lock = lock(&path)?;
            match fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => Err(unusable(&path, error)),
                _ => Ok(()),
            }
        })
        .await
    }

    async fn tables_exist(&self) -> Result<bool> {
        Ok(self.path.exists())
    }
}

/// The contract, rule by rule.
#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use lemon_session_store::conformance::Subject;

    use super::JsonFile;

    /// A new store, opened twice, as two processes would.
    async fn open() -> Subject {
        let folder = tempfile::tempdir().expect("there is room for a folder");
        let open = || Arc::new(JsonFile::new(folder.path().join("sessions.json")));
        Subject::new(open()).and(open()).keeping(folder)
    }

    lemon_session_store::conformance!(json_file, open);
}
