use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
    time::Duration,
};

use super::{NOW, Session, carrying, options, settings, start};
use crate::{
    Env, Result, Value, World,
    options::Options,
    settings::{Caller, Client, Grant, Notice, Settings},
    storage::{
        Change, CreateOutcome, DETAILS, DestroyCondition, Failure, Grace, Lifetime, Listed, LoadOutcome, Loaded,
        Location, SessionRecord, Stored, UpdateOutcome, Variable, Write,
    },
};

/// The world around the component.
#[derive(Clone)]
pub struct Outside(Rc<Inner>);

struct Inner {
    clock: Cell<Duration>,
    drawn: Cell<u64>,
    fails: Cell<bool>,
    extends: Cell<bool>,
    overtakes: Cell<u32>,
    crowds: Cell<bool>,
    caller: Cell<Caller>,
    client: RefCell<Client>,
    notices: RefCell<Vec<Notice>>,
    settings: RefCell<Settings>,
    sessions: RefCell<BTreeMap<Vec<u8>, Row>>,
    calls: RefCell<Vec<&'static str>>,
}

/// The variables of a session by application and name.
type Variables = BTreeMap<(String, String), Vec<u8>>;

fn size(variables: &Variables) -> u64 {
    variables.iter().map(|((_, name), bytes)| (name.len() + bytes.len()) as u64).sum()
}

#[derive(Clone)]
enum Row {
    Session(SessionRecord, Variables),
    Former { to: Vec<u8>, grace: Grace },
    Ended,
}

impl Outside {
    pub fn new(change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = settings();
        change(&mut settings);
        Self(Rc::new(Inner {
            clock: Cell::new(Duration::from_secs(NOW)),
            drawn: Cell::new(0),
            fails: Cell::new(false),
            extends: Cell::new(false),
            overtakes: Cell::new(0),
            crowds: Cell::new(false),
            caller: Cell::new(Caller { request: 0, manager: Grant::All }),
            client: RefCell::default(),
            notices: RefCell::default(),
            settings: RefCell::new(settings),
            sessions: RefCell::default(),
            calls: RefCell::default(),
        }))
    }

    /// The host is started again with other settings: new instances have them.
    pub fn set(&self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.0.settings.borrow_mut());
    }

    /// A new instance of the component.
    pub fn instance(&self) -> Rc<World<Self>> {
        Rc::new(World::new(self.clone()))
    }

    /// A request in an instance of its own.
    pub fn start(&self, options: Options) -> Result<Session<Self>> {
        start(&self.instance(), options)
    }

    /// A request that brings the cookie of an earlier response.
    pub fn resume(&self, id: &str) -> Result<Session<Self>> {
        self.start(carrying(id))
    }

    /// A session that is stored with one variable; its id.
    pub fn visited(&self) -> String {
        let session = self.start(options()).unwrap();
        session.set("a", &Value::Integer(1)).unwrap();
        session.save().unwrap();
        session.id()
    }

    pub fn wait(&self, seconds: u64) {
        self.wait_for(Duration::from_secs(seconds));
    }

    pub fn wait_for(&self, time: Duration) {
        self.0.clock.set(self.0.clock.get() + time);
    }

    pub fn turn_back(&self, seconds: u64) {
        self.0.clock.set(self.0.clock.get() - Duration::from_secs(seconds));
    }

    pub fn fail(&self, fails: bool) {
        self.0.fails.set(fails);
    }

    /// What a load finds expired is extended right after it, as by a host whose clock is behind.
    pub fn extend_what_is_found_expired(&self) {
        self.0.extends.set(true);
    }

    /// Has another request save before each of the next `updates` updates that expect a version.
    pub fn overtake(&self, updates: u32) {
        self.0.overtakes.set(updates);
    }

    /// Another login is faster than each one that counts the owner's sessions.
    pub fn crowd(&self) {
        self.0.crowds.set(true);
    }

    /// Calls from now on are on behalf of this request and grant.
    pub fn call_as(&self, request: u64, manager: Grant) {
        self.0.caller.set(Caller { request, manager });
    }

    /// Requests from now on are of this client.
    pub fn call_from(&self, address: &str, user_agent: &str) {
        self.0.client.replace(Client { address: Some(address.into()), user_agent: Some(user_agent.into()) });
    }

    /// What the host was told since this was called last.
    pub fn notices(&self) -> Vec<Notice> {
        self.0.notices.take()
    }

    /// What the store was asked since this was called last.
    pub fn calls(&self) -> Vec<&'static str> {
        self.0.calls.take()
    }

    /// How many sessions the store has, live or not.
    pub fn stored(&self) -> usize {
        self.0.sessions.borrow().values().filter(|row| matches!(row, Row::Session(..))).count()
    }

    /// The stored bytes of all variables of all sessions, by application and name.
    pub fn rows(&self) -> Vec<((String, String), Vec<u8>)> {
        let sessions = self.0.sessions.borrow();
        let variables = sessions.values().filter_map(|row| match row {
            Row::Session(_, variables) => Some(variables.clone()),
            Row::Former { .. } | Row::Ended => None,
        });
        variables.flatten().collect()
    }

    /// The applications and names of all stored variables.
    pub fn variables(&self) -> Vec<(String, String)> {
        self.rows().into_iter().map(|(place, _)| place).collect()
    }

    /// Puts bytes where a variable of the only session is.
    pub fn corrupt(&self, app: &str, name: &str, bytes: &[u8]) {
        for row in self.0.sessions.borrow_mut().values_mut() {
            if let Row::Session(_, variables) = row {
                variables.insert((app.into(), name.into()), bytes.into());
            }
        }
    }

    fn called(&self, name: &'static str) -> Result<(), Failure> {
        self.0.calls.borrow_mut().push(name);
        if self.0.fails.get() { Err(Failure::Unavailable("password=hunter2".into())) } else { Ok(()) }
    }

    fn end(&self, digest: &[u8], remember: u32) {
        self.0.sessions.borrow_mut().remove(digest);
        if remember != 0 {
            self.0.sessions.borrow_mut().insert(digest.into(), Row::Ended);
        }
    }
}

impl Env for Outside {
    fn clock(&self) -> Duration {
        self.0.clock.get()
    }

    fn random(&self, bytes: &mut [u8]) {
        for byte in bytes {
            let drawn = self.0.drawn.get() + 1;
            self.0.drawn.set(drawn);
            *byte = (drawn.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8;
        }
    }

    fn defaults(&self) -> Settings {
        self.0.settings.borrow().clone()
    }

    fn caller(&self) -> Caller {
        self.0.caller.get()
    }

    fn client(&self) -> Client {
        self.0.client.borrow().clone()
    }

    fn notify(&self, notice: &Notice) {
        self.0.notices.borrow_mut().push(notice.clone());
    }

    async fn load(
        &self,
        _: &Location,
        digest: &[u8],
        app: &str,
        now: u64,
        inline: u32,
    ) -> Result<LoadOutcome, Failure> {
        self.called("load")?;
        if self.0.extends.get()
            && let Some(Row::Session(record, _)) = self.0.sessions.borrow_mut().get_mut(digest)
            && now >= record.expires
        {
            record.expires = now + 1;
            return Ok(LoadOutcome::Expired);
        }
        let sessions = self.0.sessions.borrow();
        let (row, renewal) = match sessions.get(digest) {
            Some(Row::Former { to, grace }) if now < grace.until => (sessions.get(to), Some(grace.nonce.clone())),
            row => (row, None),
        };
        Ok(match row {
            None => LoadOutcome::Absent,
            Some(Row::Former { .. } | Row::Ended) => LoadOutcome::Ended,
            Some(Row::Session(record, _)) if now >= record.expires => LoadOutcome::Expired,
            Some(Row::Session(record, variables)) => {
                let of = |app: &str, inline: u32| {
                    let own = variables.iter().filter(|((owner, _), _)| owner == app);
                    let variable = |((_, name), bytes): (&(String, String), &Vec<u8>)| {
                        let is_large = bytes.len() > inline as usize;
                        let value =
                            if is_large { Stored::Large(bytes.len() as u64) } else { Stored::Inline(bytes.clone()) };
                        Variable { name: name.clone(), value }
                    };
                    own.map(variable).collect()
                };
                let (details, variables) = (of(DETAILS, u32::MAX), of(app, inline));
                LoadOutcome::Found(Loaded { record: record.clone(), details, variables, renewal })
            }
        })
    }

    async fn fetch(
        &self,
        _: &Location,
        digest: &[u8],
        app: &str,
        name: &str,
        _: u64,
    ) -> Result<Option<Vec<u8>>, Failure> {
        self.called("fetch")?;
        Ok(match self.0.sessions.borrow().get(digest) {
            Some(Row::Session(_, variables)) => variables.get(&(app.into(), name.into())).cloned(),
            _ => None,
        })
    }

    async fn create(
        &self,
        _: &Location,
        digest: &[u8],
        record: &SessionRecord,
        writes: &[Write],
    ) -> Result<CreateOutcome, Failure> {
        self.called("create")?;
        if self.0.sessions.borrow().contains_key(digest) {
            return Ok(CreateOutcome::Exists);
        }
        let variables: Variables = writes
            .iter()
            .filter_map(|write| Some(((write.app.clone(), write.name.clone()), write.value.clone()?)))
            .collect();
        let record = SessionRecord { version: 1, size: size(&variables), ..record.clone() };
        self.0.sessions.borrow_mut().insert(digest.into(), Row::Session(record, variables));
        Ok(CreateOutcome::Created)
    }

    async fn update(
        &self,
        _: &Location,
        digest: &[u8],
        change: &Change,
        expected: Option<u64>,
        now: u64,
    ) -> Result<UpdateOutcome, Failure> {
        self.called("update")?;
        let mut sessions = self.0.sessions.borrow_mut();
        let new_owner = change.owner.clone().flatten();
        let is_theirs =
            |row: &&Row| matches!(row, Row::Session(record, _) if record.owner == new_owner && now < record.expires);
        let others = sessions.values().filter(is_theirs).count() as u64;
        let Some(Row::Session(record, variables)) = sessions.get_mut(digest) else { return Ok(UpdateOutcome::Gone) };
        if now >= record.expires {
            return Ok(UpdateOutcome::Gone);
        }
        if expected.is_some()
            && let Some(left) = self.0.overtakes.get().checked_sub(1)
        {
            self.0.overtakes.set(left);
            record.version += 1;
        }
        if expected.is_some_and(|expected| expected != record.version) {
            return Ok(UpdateOutcome::Conflict(record.version));
        }
        let mut after = variables.clone();
        after.retain(|(app, _), _| !change.clears.contains(app));
        for write in &change.writes {
            let name = (write.app.clone(), write.name.clone());
            match &write.value {
                Some(bytes) => _ = after.insert(name, bytes.clone()),
                None => _ = after.remove(&name),
            }
        }
        let size = size(&after);
        if size > record.size && size > change.max_size {
            return Ok(UpdateOutcome::TooLarge(size));
        }
        if let (Some(Some(owner)), Some(most)) = (&change.owner, change.max_owned)
            && record.owner.as_ref() != Some(owner)
            && (others >= most.into() || self.0.crowds.get())
        {
            return Ok(UpdateOutcome::TooManyOwned(others));
        }
        *variables = after;
        record.size = size;
        record.accessed = record.accessed.max(now);
        match change.lifetime {
            Some(Lifetime { expires, absolute_expiry }) => {
                record.expires = absolute_expiry.map_or(expires, |end| expires.min(end));
                record.absolute_expiry = absolute_expiry;
            }
            None => record.expires = change.expires.map_or(record.expires, |expires| expires.max(record.expires)),
        }
        if let Some(owner) = &change.owner {
            record.owner = owner.clone();
        }
        let is_uncounted = change.clears.is_empty() && change.writes.is_empty();
        if !(is_uncounted && change.owner.is_none() && change.lifetime.is_none()) {
            record.version += 1;
        }
        let version = record.version;
        if let Some(rotation) = &change.rotation {
            record.rotated = now;
            let row = sessions.remove(digest).unwrap();
            sessions.insert(rotation.to.clone(), row);
            let former = match &rotation.grace {
                Some(grace) => Row::Former { to: rotation.to.clone(), grace: grace.clone() },
                None => Row::Ended,
            };
            sessions.insert(digest.into(), former);
        }
        Ok(UpdateOutcome::Committed(version))
    }

    async fn destroy(
        &self,
        _: &Location,
        digest: &[u8],
        only: &DestroyCondition,
        now: u64,
        remember: u32,
    ) -> Result<bool, Failure> {
        self.called("destroy")?;
        let row = self.0.sessions.borrow().get(digest).cloned();
        let Some(Row::Session(record, _)) = row else { return Ok(false) };
        let live = now < record.expires;
        let is_meant = match only {
            DestroyCondition::Any => true,
            DestroyCondition::Expired => !live,
            DestroyCondition::Owned(owner) => live && record.owner.as_ref() == Some(owner),
        };
        if is_meant {
            self.end(digest, if live { remember } else { 0 });
        }
        Ok(is_meant && live)
    }

    async fn destroy_owned(
        &self,
        at: &Location,
        owner: &str,
        except: Option<&[u8]>,
        now: u64,
        remember: u32,
    ) -> Result<u64, Failure> {
        let mut ended = 0;
        let spared = except.map(|digest| match self.0.sessions.borrow().get(digest) {
            Some(Row::Former { to, grace }) if now < grace.until => to.clone(),
            _ => digest.to_vec(),
        });
        for listed in self.list(at, now, Some(owner), None, u32::MAX).await? {
            if spared.as_ref() != Some(&listed.digest) {
                self.end(&listed.digest, remember);
                ended += 1;
            }
        }
        Ok(ended)
    }

    async fn cleanup(&self, _: &Location, now: u64, limit: u32) -> Result<u32, Failure> {
        self.called("cleanup")?;
        let mut removed = 0;
        self.0.sessions.borrow_mut().retain(|_, row| {
            let expired = matches!(row, Row::Session(record, _) if now >= record.expires) && removed < limit;
            removed += u32::from(expired);
            !expired
        });
        Ok(removed)
    }

    fn cleanup_later(&self, _: &Location, _: u64) {
        self.0.calls.borrow_mut().push("cleanup-later");
    }

    async fn count(&self, at: &Location, now: u64) -> Result<u64, Failure> {
        Ok(self.list(at, now, None, None, u32::MAX).await?.len() as u64)
    }

    async fn list(
        &self,
        _: &Location,
        now: u64,
        owner: Option<&str>,
        after: Option<&[u8]>,
        limit: u32,
    ) -> Result<Vec<Listed>, Failure> {
        self.called("list")?;
        let sessions = self.0.sessions.borrow();
        let live = sessions.iter().filter_map(|(digest, row)| match row {
            Row::Session(record, _) if now < record.expires => {
                Some(Listed { digest: digest.clone(), record: record.clone() })
            }
            _ => None,
        });
        let wanted = live.filter(|listed| {
            after.is_none_or(|after| &listed.digest[..] > after)
                && owner.is_none_or(|owner| listed.record.owner.as_deref() == Some(owner))
        });
        Ok(wanted.take(limit as usize).collect())
    }

    async fn create_tables(&self, _: &Location) -> Result<(), Failure> {
        self.called("create-tables")
    }

    async fn drop_tables(&self, _: &Location) -> Result<(), Failure> {
        self.called("drop-tables")?;
        self.0.sessions.borrow_mut().clear();
        Ok(())
    }

    async fn tables_exist(&self, _: &Location) -> Result<bool, Failure> {
        self.called("tables-exist").map(|()| true)
    }
}
