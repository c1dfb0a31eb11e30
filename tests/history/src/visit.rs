use std::{collections::BTreeMap, ops::RangeInclusive, rc::Rc, sync::Arc};

use bincode::{Decode, Encode};
use lemon_session_rules::{Error, Session, Value, World, at_once, manager, options::Options, start, types::Location};

use crate::{
    Host, Recorder, Wire,
    operation::{Action, Bounds, Change, Id, NewId, Operation, Saved, Started, Variables},
};

/// What a client asks of a page.
#[derive(Clone, Debug, Encode, Decode)]
pub struct Request {
    /// The id that the client has, if it has one.
    pub id: Option<Id>,
    /// Whether the save is to fail if another request saved since the start.
    pub strict: bool,
    /// How likely the start asks for a cleanup in the background.
    pub cleanup: f64,
    /// What the page does with the session.
    pub task: Task,
}

/// What a page does with the session that it has started.
#[derive(Clone, Debug, Encode, Decode)]
pub enum Task {
    /// Reads all variables, and does not save.
    Read,
    /// Reads all variables, changes these and saves.
    Save(Changes),
    /// Reads, and ends the session.
    Destroy,
    /// Ends all sessions of an owner.
    DestroyOwned(Arc<str>),
    /// Ends all other sessions of the session's owner, if it has one.
    DestroyOthers,
}

/// What a page changes.
#[derive(Clone, Debug, Default, Encode, Decode)]
pub struct Changes {
    /// Whether it removes all variables first.
    pub clear: bool,
    /// The variables that it sets, to values that no other request sets.
    pub sets: BTreeMap<Arc<str>, i64>,
    /// What it adds to variables.
    pub adds: BTreeMap<Arc<str>, i64>,
    /// The variables that it removes.
    pub deletes: Vec<Arc<str>>,
    /// The owner that it gives the session.
    pub owner: Option<Option<Arc<str>>>,
    /// Whether it gives the session a new id.
    pub regenerate: bool,
}

/// Does a request on a host by the rules of sessions, as a page would, and notes what it asked and was told. Returns the id that the
/// client has afterwards.
///
/// # Panics
///
/// Panics if the rules refuse what is asked, which no request here is meant to cause.
pub fn visit<W: Wire>(host: &Host<W>, recorder: &Recorder, request: &Request) -> Option<Id> {
    Page { host, recorder, number: recorder.number(), world: Rc::new(World::new(host.clone())) }.visit(request)
}

/// The name of the only application.
const APP: &str = "session";

struct Page<'a, W: Wire> {
    host: &'a Host<W>,
    recorder: &'a Recorder,
    number: usize,
    world: Rc<World<Host<W>>>,
}

/// When an operation began, by the clock of all clients and by that of the host.
#[derive(Clone, Copy)]
struct Moment {
    time: u64,
    clock: u64,
}

impl<W: Wire> Page<'_, W> {
    fn visit(&self, request: &Request) -> Option<Id> {
        if let Task::DestroyOwned(owner) = &request.task {
            let begun = self.now();
            let answer = at_once(manager::destroy_owned(&self.world, &Location::default(), owner, None));
            let answer = answered(answer).map(|_| ());
            self.note(begun, Action::DestroyOwned { owner: owner.clone(), except: None, answer });
            return request.id.clone();
        }
        let session = self.start(request)?;
        match &request.task {
            Task::Read => request.id.clone(),
            Task::Save(changes) => self.save(&session, changes, request),
            Task::Destroy => {
                self.destroy(&session);
                None
            }
            Task::DestroyOthers => {
                self.destroy_others(&session);
                request.id.clone()
            }
            Task::DestroyOwned(_) => unreachable!("it needs no start"),
        }
    }

    /// Starts the session; none if the store did not answer. What was read is noted.
    fn start(&self, request: &Request) -> Option<Session<Host<W>>> {
        let begun = self.now();
        let options = Options {
            app: Some(APP.to_owned()),
            cookies: request.id.iter().map(|id| format!("{APP}={id}").into_bytes()).collect(),
            strict: Some(request.strict),
            cleanup: Some(request.cleanup),
            ..Options::default()
        };
        let session = answered(at_once(start(&self.world, options)));
        if let Some(id) = &request.id {
            let answer = session.as_ref().map(|session| match session.created() {
                true => Started::Absent,
                false => Started::Found {
                    variables: integers(at_once(session.entries())),
                    owner: session.owner().expect("it is live").map(Arc::from),
                    version: self.host.version(),
                    expires: session.expires_at(),
                },
            });
            self.note(begun, Action::Start { id: id.clone(), strict: request.strict, answer });
        }
        session
    }

    fn save(&self, session: &Session<Host<W>>, changes: &Changes, request: &Request) -> Option<Id> {
        let creates = session.created();
        let id = Id::from(session.id());
        let mut change = change(session, changes, creates).expect("the session is live");
        let new = Id::from(session.id());
        if creates {
            // The id that a session which was never saved has is replaced at once.
            change.rotation = None;
        }
        let id = if creates { new.clone() } else { id };
        let before = session.expires_at();
        let begun = self.now();
        let answer = match at_once(session.save()) {
            Ok(_) => Some(Saved::Committed(self.host.version())),
            Err(Error::Gone) => Some(Saved::Gone),
            Err(Error::Conflict) => Some(Saved::Conflict),
            Err(Error::Storage(_)) => None,
            Err(error) => panic!("{error:?}"),
        };
        let now = self.now();
        let idle = u64::from(self.host.wire().settings().expires);
        change.expires = match answer {
            Some(Saved::Committed(_)) => Bounds { least: session.expires_at(), most: session.expires_at() },
            // The idle time, as much again before a use is written at most, and the second that has begun.
            _ => Bounds { least: if creates { before } else { 0 }, most: before.max(now.clock + 2 * idle + 1) },
        };
        let committed = matches!(answer, Some(Saved::Committed(_)));
        let is_written = creates || change.writes() || change.rotation.is_some() || session.expires_at() != before;
        // A save of nothing does not ask the store.
        if is_written || !committed {
            self.note(begun, Action::Save { id: id.clone(), creates, change, answer });
        }
        match answer {
            Some(Saved::Committed(_)) => Some(new),
            _ => request.id.clone(),
        }
    }

    fn destroy(&self, session: &Session<Host<W>>) {
        let id = Id::from(session.id());
        let is_stored = !session.created();
        let begun = self.now();
        let answer = answered(at_once(session.destroy())).map(|_| ());
        if is_stored {
            self.note(begun, Action::Destroy { id, answer });
        }
    }

    fn destroy_others(&self, session: &Session<Host<W>>) {
        let Some(owner) = session.owner().expect("it is live") else { return };
        let except = Some(Id::from(session.id()));
        let begun = self.now();
        let answer = answered(at_once(session.destroy_others())).map(|_| ());
        self.note(begun, Action::DestroyOwned { owner: owner.into(), except, answer });
    }

    fn now(&self) -> Moment {
        let wire = self.host.wire();
        Moment { time: wire.time(), clock: wire.clock().as_secs() }
    }

    fn note(&self, begun: Moment, action: Action) {
        let now = self.now();
        self.recorder.note(Operation {
            client: self.host.client(),
            host: self.host.number(),
            request: self.number,
            invoked: begun.time,
            completed: now.time,
            clock: RangeInclusive::new(begun.clock, now.clock),
            action,
        });
    }
}

/// What the store answered, if it did.
fn answered<T>(answer: Result<T, Error>) -> Option<T> {
    match answer {
        Ok(answer) => Some(answer),
        Err(Error::Storage(_)) => None,
        Err(error) => panic!("{error:?}"),
    }
}

/// Changes the session. Returns what is not as it was read.
fn change<W: Wire>(session: &Session<Host<W>>, changes: &Changes, creates: bool) -> Result<Change, Error> {
    let owner = session.owner()?.map(Arc::from);
    let mut change = Change { clears: changes.clear, sets: changes.sets.clone(), ..Change::default() };
    if changes.clear {
        session.clear()?;
    }
    for (name, value) in &changes.sets {
        at_once(session.set(name, &Value::Integer(*value)))?;
    }
    for (name, delta) in &changes.adds {
        session.add(name, *delta)?;
        change.adds.insert(name.clone(), *delta);
    }
    for name in &changes.deletes {
        if session.delete(name)? {
            change.deletes.push(name.clone());
        }
    }
    if let Some(new) = changes.owner.as_ref().filter(|new| **new != owner) {
        session.set_owner(new.as_deref().map(str::to_owned))?;
        change.owner = Some(new.clone());
    }
    if changes.regenerate {
        session.regenerate_id()?;
        change.rotation = (!creates).then(|| NewId::Known(session.id().into()));
    }
    Ok(change)
}

fn integers(entries: Result<Vec<(String, Value)>, Error>) -> Variables {
    let integer = |(name, value)| match value {
        Value::Integer(value) => (Arc::from(name), value),
        other => panic!("{name} is {other:?}"),
    };
    entries.expect("small values are loaded with the session").into_iter().map(integer).collect()
}
