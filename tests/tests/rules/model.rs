//! What sessions are to do, in a hundred lines: one operation after the other, in the order of their last storage calls.

use std::collections::{BTreeMap, HashMap};

/// The settings that the model knows of, in seconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rules {
    pub strict: bool,
    pub renew_after: u64,
    pub renew_grace: u64,
}

pub const EXPIRES: u64 = 1440;
pub const SLICE: u64 = EXPIRES / 20;

/// One application's variables: integers are enough here.
pub type Variables = BTreeMap<String, i64>;

#[derive(Clone, Debug)]
struct Session {
    live: bool,
    variables: Variables,
    version: u64,
    expires: u64,
    rotated: u64,
    owner: Option<String>,
    id: String,
}

/// What an actor changes before it saves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    pub cleared: bool,
    pub sets: Variables,
    pub adds: Variables,
    pub deletes: Vec<String>,
    pub owner: Option<String>,
    pub regenerates: bool,
}

impl Changes {
    fn writes(&self) -> bool {
        self.cleared
            || !self.sets.is_empty()
            || !self.adds.is_empty()
            || !self.deletes.is_empty()
            || self.owner.is_some()
    }

    /// Without what changes nothing in a session that was read like this.
    fn of(mut self, read: &Session) -> Self {
        if !self.cleared {
            self.sets.retain(|key, value| read.variables.get(key) != Some(value));
            self.adds.retain(|key, delta| *delta != 0 || !read.variables.contains_key(key));
        }
        if self.owner == read.owner {
            self.owner = None;
        }
        self
    }

    fn apply(&self, session: &mut Session) {
        if self.cleared {
            session.variables.clear();
        }
        session.variables.extend(self.sets.clone());
        for (key, delta) in &self.adds {
            *session.variables.entry(key.clone()).or_default() += delta;
        }
        for key in &self.deletes {
            session.variables.remove(key);
        }
        if self.owner.is_some() {
            session.owner.clone_from(&self.owner);
        }
    }
}

/// How a save ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Saved {
    /// Under this id.
    As(String),
    Gone,
    Conflict,
}

/// The session that an actor's start gave it.
#[derive(Clone, Debug)]
enum Held {
    New,
    /// The session of this number, as it was read.
    Resumed {
        session: usize,
        read: Session,
    },
    Ended,
}

/// All sessions, and who holds which.
pub struct Model {
    rules: Rules,
    sessions: Vec<Session>,
    /// Former ids within their grace: whose, and until when.
    former: HashMap<String, (usize, u64)>,
    held: HashMap<usize, Held>,
}

impl Model {
    pub fn new(rules: Rules) -> Self {
        Self { rules, sessions: Vec::new(), former: HashMap::new(), held: HashMap::new() }
    }

    /// A session that is there already.
    pub fn store(&mut self, id: &str, variables: Variables, owner: Option<String>, now: u64) {
        self.sessions.push(Session {
            live: true,
            variables,
            version: 1,
            expires: now + EXPIRES + SLICE,
            rotated: now,
            owner,
            id: id.to_owned(),
        });
    }

    /// The live session that an id leads to.
    fn resolve(&self, id: &str, now: u64) -> Option<usize> {
        let current = self.sessions.iter().position(|session| session.id == id);
        let former = self.former.get(id).filter(|(_, until)| now < *until).map(|(session, _)| *session);
        current.or(former).filter(|index| {
            let session = &self.sessions[*index];
            session.live && now < session.expires
        })
    }

    /// An actor starts with an id: the variables it has to see, or none for a new session.
    pub fn start(&mut self, actor: usize, id: &str, now: u64) -> Option<Variables> {
        let Some(index) = self.resolve(id, now) else {
            self.touch_expired(id, now);
            self.held.insert(actor, Held::New);
            return None;
        };
        let read = self.sessions[index].clone();
        let variables = read.variables.clone();
        self.held.insert(actor, Held::Resumed { session: index, read });
        Some(variables)
    }

    /// Touching an expired session destroys it at once.
    fn touch_expired(&mut self, id: &str, now: u64) {
        for session in self.sessions.iter_mut().filter(|session| session.id == id && now >= session.expires) {
            session.live = false;
        }
    }

    /// An actor saves, and gets this answer. Fails with what it should have got.
    pub fn save(&mut self, actor: usize, changes: &Changes, answer: &Saved, now: u64) -> Result<(), String> {
        match self.held[&actor].clone() {
            Held::Ended => expect(answer, &Saved::Gone),
            Held::New => {
                let Saved::As(id) = answer else { return Err(format!("a new session, not {answer:?}")) };
                self.store(id, Variables::new(), None, now);
                changes.apply(self.sessions.last_mut().expect("just stored"));
                self.start(actor, id, now);
                Ok(())
            }
            Held::Resumed { session: index, read } => {
                let changes = &changes.clone().of(&read);
                let Session { id, version, expires, rotated, .. } = read;
                let renews = self.rules.renew_after != 0 && now >= rotated + self.rules.renew_after;
                let pushes = expires < now + EXPIRES;
                if !(changes.writes() || changes.regenerates || renews || pushes) {
                    return expect(answer, &Saved::As(id));
                }
                if self.resolve(&id, now) != Some(index) {
                    self.held.insert(actor, Held::Ended);
                    return expect(answer, &Saved::Gone);
                }
                let session = &mut self.sessions[index];
                if self.rules.strict && session.version != version {
                    self.held.insert(actor, Held::Ended);
                    return expect(answer, &Saved::Conflict);
                }
                changes.apply(session);
                session.version += u64::from(changes.writes());
                if pushes {
                    session.expires = session.expires.max(now + EXPIRES + SLICE);
                }
                let Saved::As(new) = answer else { return Err(format!("a save, not {answer:?}")) };
                let was_renewed = session.id != id;
                let changes_id = changes.regenerates || (renews && !was_renewed);
                if changes_id == (*new == session.id) {
                    return Err(format!("an id that is {}", if changes_id { "new" } else { "the session's" }));
                }
                if changes_id {
                    let old = std::mem::replace(&mut session.id, new.clone());
                    session.rotated = now;
                    if changes.regenerates {
                        self.former.retain(|_, (former, _)| *former != index);
                    } else {
                        self.former.insert(old, (index, now + self.rules.renew_grace));
                    }
                }
                self.start(actor, new, now);
                Ok(())
            }
        }
    }

    /// An actor destroys its session.
    pub fn destroy(&mut self, actor: usize, now: u64) {
        if let Held::Resumed { session, read } = &self.held[&actor]
            && (self.resolve(&read.id, now) == Some(*session) || now >= self.sessions[*session].expires)
        {
            self.sessions[*session].live = false;
        }
        self.held.insert(actor, Held::Ended);
    }

    /// All sessions of an owner end.
    pub fn destroy_owned(&mut self, owner: &str, now: u64) -> u64 {
        let of_owner =
            |session: &&mut Session| session.live && now < session.expires && session.owner.as_deref() == Some(owner);
        self.sessions.iter_mut().filter(of_owner).map(|session| session.live = false).count() as u64
    }

    /// What is expired is removed.
    pub fn cleanup(&mut self, now: u64) {
        for session in self.sessions.iter_mut().filter(|session| now >= session.expires) {
            session.live = false;
        }
    }

    /// The ids and variables of all sessions that are live in the end.
    pub fn live(&self, now: u64) -> BTreeMap<&str, &Variables> {
        let live = self.sessions.iter().filter(|session| session.live && now < session.expires);
        live.map(|session| (session.id.as_str(), &session.variables)).collect()
    }
}

fn expect(answer: &Saved, expected: &Saved) -> Result<(), String> {
    if answer == expected { Ok(()) } else { Err(format!("{expected:?}, not {answer:?}")) }
}
