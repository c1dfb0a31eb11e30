use std::{rc::Rc, sync::Arc};

use crate::operation::{Action, Bounds, Change, Id, NewId, Operation, Saved, Started, Variables};

/// What one session can be, after some of its operations: the contract of `wit/storage.wit` and `wit/sessions.wit` for one session
/// that does one operation after the other.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    session: Session,
    /// For each request that is to notice other saves: the version that it knows.
    held: Vec<(usize, u64)>,
    /// What the session was before, if a failover may bring that back.
    past: Vec<Session>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Session {
    stage: Stage,
    /// None: the id was changed to one that no client was told.
    id: Option<Id>,
    /// Shared by all states that have the same.
    variables: Rc<Variables>,
    owner: Option<Arc<str>>,
    version: u64,
    /// When it expires. An answer that did not arrive leaves open whether it was moved.
    expires: Bounds,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Stage {
    /// It was never stored.
    Unborn,
    Live,
    /// It was destroyed, or removed after it had expired.
    Ended,
}

impl State {
    pub fn new() -> Self {
        let session = Session {
            stage: Stage::Unborn,
            id: None,
            variables: Rc::default(),
            owner: None,
            version: 0,
            expires: Bounds::default(),
        };
        Self { session, held: Vec::new(), past: Vec::new() }
    }

    /// What the session can be after an operation; nothing if the operation cannot have come to its answer here. Of an operation
    /// without an answer, what it can have come to if it took effect. `remembers` says whether a failover is still to come.
    pub fn after(&self, operation: &Operation, remembers: bool) -> Vec<Self> {
        let after = match &operation.action {
            Action::Start { id, strict, answer } => self.started(operation, id, *strict, answer.as_ref()),
            Action::Save { id, creates, change, answer } => self.saved(operation, id, *creates, change, *answer),
            Action::Destroy { id, answer } => match self.session.is(id) {
                true => vec![self.ended()],
                false => self.unchanged(answer.is_some()),
            },
            Action::DestroyOwned { owner, except, answer } => {
                let is_meant = self.session.stage == Stage::Live
                    && self.session.owner.as_ref() == Some(owner)
                    && (except.is_none() || self.session.id != *except);
                match is_meant {
                    // If it had expired, the store may leave it alone.
                    true if self.session.may_be_expired(operation) => vec![self.clone(), self.ended()],
                    true => vec![self.ended()],
                    false => self.unchanged(answer.is_some()),
                }
            }
            Action::Cleanup => match self.session.stage == Stage::Live && self.session.may_be_expired(operation) {
                true => vec![self.ended()],
                false => Vec::new(),
            },
            Action::Failover => {
                self.past.iter().enumerate().map(|(index, session)| self.back(index, session)).collect()
            }
        };
        match remembers {
            true => after.into_iter().map(|state| state.remembering(self)).collect(),
            false => after,
        }
    }

    /// Whether the operation changes nothing here, whatever comes before it. A `destroy-owned` may have nothing to end now, and
    /// something after a save that overlaps with it.
    pub fn never_changes_by(&self, operation: &Operation, remembers: bool) -> bool {
        let is_over = self.session.stage == Stage::Ended && !remembers;
        match &operation.action {
            Action::Start { answer: Some(Started::Found { .. }), .. } => true,
            Action::Save { answer: Some(Saved::Gone | Saved::Conflict), .. } => true,
            _ => is_over,
        }
    }

    fn started(&self, operation: &Operation, id: &Id, strict: bool, answer: Option<&Started>) -> Vec<Self> {
        let session = &self.session;
        // A start that finds the session expired removes it, unless another host has extended it meanwhile.
        let expired = session.is(id) && session.may_be_expired(operation);
        match answer {
            None if expired => vec![self.ended()],
            None => Vec::new(),
            Some(Started::Absent) if expired => vec![self.clone(), self.ended()],
            Some(Started::Absent) => self.unchanged(!session.is(id)),
            Some(Started::Found { variables, owner, version, expires }) => {
                let is_seen = session.is(id)
                    && session.may_be_live(operation)
                    && *session.variables == *variables
                    && session.owner == *owner
                    && version.is_none_or(|version| version == session.version)
                    && (session.expires.least..=session.expires.most).contains(expires);
                if !is_seen {
                    return Vec::new();
                }
                let mut after = self.clone();
                after.session.expires = Bounds { least: *expires, most: *expires };
                if strict {
                    after.hold(operation.request);
                }
                vec![after]
            }
        }
    }

    fn saved(
        &self,
        operation: &Operation,
        id: &Id,
        creates: bool,
        change: &Change,
        answer: Option<Saved>,
    ) -> Vec<Self> {
        let session = &self.session;
        let held = self.held.iter().find(|(request, _)| *request == operation.request).map(|(_, version)| *version);
        let overtaken = held.is_some_and(|version| version != session.version);
        let is_here = session.is(id) && session.may_be_live(operation);
        match answer {
            Some(Saved::Gone) => self.unchanged(!session.is(id) || session.may_be_expired(operation)),
            Some(Saved::Conflict) => self.unchanged(is_here && overtaken),
            Some(Saved::Committed(_)) | None => {
                let takes_effect = match creates {
                    true => session.stage == Stage::Unborn,
                    false => is_here && !overtaken,
                };
                if !takes_effect {
                    return Vec::new();
                }
                let mut after = self.clone();
                after.session.change(id, creates, change);
                if let Some(Saved::Committed(Some(version))) = answer
                    && version != after.session.version
                {
                    return Vec::new();
                }
                if held.is_some() {
                    after.hold(operation.request);
                }
                vec![after]
            }
        }
    }

    fn hold(&mut self, request: usize) {
        self.held.retain(|(other, _)| *other != request);
        self.held.push((request, self.session.version));
    }

    /// Only if it is possible. An operation without an answer that changes nothing is one that did not take effect.
    fn unchanged(&self, is_possible: bool) -> Vec<Self> {
        if is_possible { vec![self.clone()] } else { Vec::new() }
    }

    fn ended(&self) -> Self {
        let mut after = self.clone();
        after.session = Session { stage: Stage::Ended, variables: Rc::default(), owner: None, ..after.session };
        after
    }

    fn remembering(mut self, before: &Self) -> Self {
        if self.session != before.session && self.past.len() == before.past.len() {
            self.past.push(before.session.clone());
        }
        self
    }

    fn back(&self, index: usize, session: &Session) -> Self {
        Self { session: session.clone(), held: self.held.clone(), past: self.past[..index].to_vec() }
    }
}

impl Session {
    /// Whether it is stored under this id. It may have expired.
    fn is(&self, id: &Id) -> bool {
        self.stage == Stage::Live && self.id.as_ref() == Some(id)
    }

    fn may_be_live(&self, operation: &Operation) -> bool {
        *operation.clock.start() < self.expires.most
    }

    fn may_be_expired(&self, operation: &Operation) -> bool {
        *operation.clock.end() >= self.expires.least
    }

    fn change(&mut self, id: &Id, creates: bool, change: &Change) {
        let Change { clears, sets, adds, deletes, owner, rotation, expires } = change;
        if creates {
            (self.stage, self.id, self.version) = (Stage::Live, Some(id.clone()), 1);
        } else {
            self.version += u64::from(change.writes());
        }
        if *clears {
            self.variables = Rc::default();
        }
        let variables = Rc::make_mut(&mut self.variables);
        variables.extend(sets.iter().map(|(name, value)| (name.clone(), *value)));
        for (name, delta) in adds {
            *variables.entry(name.clone()).or_default() += delta;
        }
        for name in deletes {
            variables.remove(name);
        }
        if let Some(owner) = owner {
            self.owner.clone_from(owner);
        }
        match rotation {
            None => {}
            Some(NewId::Known(new)) => self.id = Some(new.clone()),
            Some(NewId::Lost) => self.id = None,
        }
        // An expiry is only ever moved to a later time.
        self.expires.least = self.expires.least.max(expires.least);
        self.expires.most = self.expires.most.max(expires.most);
    }
}
