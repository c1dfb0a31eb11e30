use std::collections::{BTreeMap, HashSet};

use crate::{
    explain::{self, Violation},
    model::State,
    operation::{Action, Id, Operation},
};

/// How many states of one session are looked at before the search gives up.
const STATES: usize = 400_000;

/// What a failover may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failovers {
    /// Lose nothing that was acknowledged.
    KeepEverything,
    /// Bring back what a session was before, as an asynchronous replica does.
    MayLoseTheLast,
}

/// What a check comes to.
#[derive(Debug)]
pub enum Verdict {
    /// The contract allows the history: its number of sessions.
    Allowed(usize),
    /// It does not.
    Violated(Box<Violation>),
    /// The operations of one session were too many that overlap.
    Undecided(Id),
}

impl Verdict {
    /// # Panics
    ///
    /// Panics with an explanation if the contract does not allow the history, or if that was not found out.
    pub fn assert_allowed(self) -> usize {
        match self {
            Self::Allowed(sessions) => sessions,
            Self::Violated(violation) => panic!("{violation}"),
            Self::Undecided(id) => panic!("too many operations of the session {id} overlap"),
        }
    }
}

/// Decides whether the contract allows a history: whether the operations of each session can be put into an order in which each of
/// them has the answer that it had, and in which none comes before one that was answered before it was asked.
///
/// Sessions do not depend on each other, so each one is looked at by itself (as Herlihy and Wing proved of objects). The search is
/// that of Wing and Gong, which tries the next operation in every way that is possible, with the memory that Lowe added: it does not
/// go on twice from the same operations with the same state.
pub fn check(history: &[Operation], failovers: Failovers) -> Verdict {
    let mut count = 0;
    for (_, verdict) in check_each(history, failovers) {
        match verdict {
            Verdict::Allowed(sessions) => count += sessions,
            other => return other,
        }
    }
    Verdict::Allowed(count)
}

/// The same for each session: what a check of it alone comes to.
pub fn check_each(history: &[Operation], failovers: Failovers) -> impl Iterator<Item = (Id, Verdict)> {
    sessions(history, failovers).into_iter().map(|(id, operations)| {
        let verdict = match Search::new(&operations, STATES).run() {
            Found::Order => Verdict::Allowed(1),
            Found::None => {
                let operations = operations.into_iter().cloned().collect();
                Verdict::Violated(Box::new(explain::explain(&id, operations)))
            }
            Found::TooMany => Verdict::Undecided(id.clone()),
        };
        (id, verdict)
    })
}

/// The operations of each session, in the order of their beginning. A session is known by the first of its ids.
fn sessions(history: &[Operation], failovers: Failovers) -> BTreeMap<Id, Vec<&Operation>> {
    let mut first: BTreeMap<&Id, &Id> = BTreeMap::new();
    for operation in history {
        if let [Some(old), Some(new)] = operation.action.ids() {
            first.insert(new, old);
        }
    }
    let root = |mut id| {
        while let Some(old) = first.get(id) {
            id = *old;
        }
        id.clone()
    };
    let mut sessions: BTreeMap<Id, Vec<&Operation>> = BTreeMap::new();
    for operation in history {
        if let [Some(id), _] = operation.action.ids() {
            sessions.entry(root(id)).or_default().push(operation);
        }
    }
    // What concerns all sessions.
    for operation in history.iter().filter(|operation| operation.action.ids()[0].is_none()) {
        if operation.action != Action::Failover || failovers == Failovers::MayLoseTheLast {
            sessions.values_mut().for_each(|operations| operations.push(operation));
        }
    }
    for operations in sessions.values_mut() {
        operations.sort_by_key(|operation| (operation.invoked, operation.completed));
    }
    sessions
}

pub(crate) enum Found {
    Order,
    None,
    TooMany,
}

/// The search for an order of one session's operations.
pub(crate) struct Search<'a> {
    operations: &'a [&'a Operation],
    failovers: usize,
    /// How many states are looked at before it gives up.
    states: usize,
    seen: HashSet<(Done, State)>,
}

/// Which operations have been put in order: a bit for each.
type Done = Vec<u64>;

impl<'a> Search<'a> {
    pub fn new(operations: &'a [&'a Operation], states: usize) -> Self {
        let failovers = operations.iter().filter(|operation| operation.action == Action::Failover).count();
        Self { operations, failovers, states, seen: HashSet::new() }
    }

    pub fn run(mut self) -> Found {
        let mut done = vec![0; self.operations.len().div_ceil(64)];
        match self.go_on(&mut done, State::new(), 0) {
            Some(true) => Found::Order,
            Some(false) => Found::None,
            None => Found::TooMany,
        }
    }

    /// Whether the operations that are not done can follow; none if that takes too long to find out. `latest` is when the last of
    /// those that are done began.
    fn go_on(&mut self, done: &mut Done, state: State, mut latest: u64) -> Option<bool> {
        let mut taken = Vec::new();
        let found = loop {
            let Some(bound) = self.open(done).map(|(_, operation)| operation.completed).min() else { break Some(true) };
            // What can be next and never changes anything may as well be next, unless something may have come before it.
            let before = self.optional(done, bound, latest).filter(|(_, operation)| has_end(operation));
            let before = before.map(|(_, operation)| operation.completed).min().unwrap_or(u64::MAX);
            let still = self.next(done, bound).find(|(_, operation)| {
                operation.invoked <= before
                    && state.never_changes_by(operation, self.failovers > 0)
                    && *self.after(&state, operation) == *std::slice::from_ref(&state)
            });
            let Some((index, operation)) = still else { break self.branch(done, &state, latest, bound) };
            set(done, index, true);
            taken.push(index);
            latest = latest.max(operation.invoked);
        };
        taken.into_iter().for_each(|index| set(done, index, false));
        found
    }

    fn branch(&mut self, done: &mut Done, state: &State, latest: u64, bound: u64) -> Option<bool> {
        let mut next: Vec<(usize, &'a Operation)> = self.next(done, bound).collect();
        next.sort_by_key(|(_, operation)| operation.completed);
        next.extend(self.optional(done, bound, latest));
        // Where there is no choice, what comes next is remembered.
        if next.len() > 1 && !self.seen.insert((done.clone(), state.clone())) {
            return Some(false);
        }
        if self.seen.len() > self.states {
            return None;
        }
        for (index, operation) in next {
            set(done, index, true);
            for after in self.after(state, operation) {
                let found = self.go_on(done, after, latest.max(operation.invoked));
                if found != Some(false) {
                    return found;
                }
            }
            set(done, index, false);
        }
        Some(false)
    }

    fn after(&self, state: &State, operation: &Operation) -> Vec<State> {
        state.after(operation, self.failovers > 0)
    }

    /// The answered operations that are not done.
    fn open(&self, done: &Done) -> impl Iterator<Item = (usize, &'a Operation)> {
        let operations = self.operations.iter().copied().enumerate();
        operations.filter(|(index, operation)| !get(done, *index) && operation.action.is_answered())
    }

    /// Those of them that can be next: that began before the first of them was answered, and are their clients' first.
    fn next(&self, done: &Done, bound: u64) -> impl Iterator<Item = (usize, &'a Operation)> {
        let mut clients = Vec::new();
        self.open(done).take_while(move |(_, operation)| operation.invoked <= bound).filter(move |(_, operation)| {
            let is_first = !clients.contains(&operation.client);
            clients.push(operation.client);
            is_first
        })
    }

    /// What may have taken effect next. Without an answer, it may also do so after its client has given up.
    fn optional(&self, done: &Done, bound: u64, latest: u64) -> impl Iterator<Item = (usize, &'a Operation)> {
        let operations =
            self.operations.iter().copied().enumerate().take_while(move |(_, operation)| operation.invoked <= bound);
        operations.filter(move |(index, operation)| {
            let is_over = has_end(operation) && operation.completed < latest;
            !get(done, *index) && !operation.action.is_answered() && !is_over
        })
    }
}

/// Whether what is not known to have taken effect has not done so after this either.
fn has_end(operation: &Operation) -> bool {
    matches!(operation.action, Action::Cleanup | Action::Failover)
}

fn get(done: &Done, index: usize) -> bool {
    done[index / 64] >> (index % 64) & 1 == 1
}

fn set(done: &mut Done, index: usize, value: bool) {
    done[index / 64] = done[index / 64] & !(1 << (index % 64)) | u64::from(value) << (index % 64);
}
