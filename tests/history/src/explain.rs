use std::{collections::BTreeSet, fmt};

use crate::{
    check::{Found, Search},
    operation::{Action, Change, Id, NewId, Operation, Saved, Started, Variables},
};

/// How many states are looked at to find out whether an answer is needed. It is kept if that was too few.
const STATES: usize = 2_000;

/// Operations of one session that contradict the contract.
#[derive(Clone, Debug)]
pub struct Violation {
    /// The session: the first of its ids.
    pub session: Id,
    /// What is wrong.
    pub kind: Kind,
    /// The operations that cannot all have come to their answers, and the saves that wrote what they saw or link their ids, in the
    /// order of their beginning.
    pub operations: Vec<Operation>,
}

/// What is wrong with a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A session is live, or was saved, after it had ended or under an id that it no longer had.
    Resurrected,
    /// A session is gone, and nothing ended it.
    Vanished,
    /// What was read, or the version of a save, is not what the acknowledged saves before it left.
    Inconsistent,
}

/// Finds few operations that contradict the contract among those of a session that do.
///
/// Ends with the first answer that cannot be right. Then it leaves out what is not needed for the contradiction: an operation
/// without its answer may have taken effect at any time or never, so leaving answers out cannot cause a contradiction. Versions are
/// left out as well if values contradict each other without them, as values tell more.
pub(crate) fn explain(session: &Id, mut operations: Vec<Operation>) -> Violation {
    let versioned = operations.clone();
    operations.iter_mut().for_each(|operation| operation.action.forget_version());
    if !is_violated(&operations, &vec![true; operations.len()]) {
        operations.clone_from(&versioned);
    }
    let answered = |operation: &Operation, at| operation.action.is_answered() && operation.completed <= at;
    let until = |at| operations.iter().map(|operation| answered(operation, at)).collect::<Vec<bool>>();
    let mut answers: Vec<u64> = operations.iter().filter(|o| o.action.is_answered()).map(|o| o.completed).collect();
    answers.sort_unstable();
    let first = answers.partition_point(|at| !is_violated(&operations, &until(*at)));
    let at = answers.get(first).copied().unwrap_or(u64::MAX);
    let mut needed = until(at);
    let last = operations.iter().rposition(|operation| answered(operation, at) && operation.completed == at);
    for index in 0..operations.len() {
        if needed[index] && Some(index) != last {
            needed[index] = false;
            needed[index] = !is_violated(&operations, &needed);
        }
    }

    let kind = last.map_or(Kind::Inconsistent, |last| kind(&operations, last, &needed));
    let evidence = || operations.iter().zip(&needed).filter(|(_, needed)| **needed).map(|(operation, _)| operation);
    let seen: Vec<&Variables> = evidence().filter_map(seen).collect();
    let ids: BTreeSet<&Id> = evidence().flat_map(|operation| operation.action.ids()).flatten().collect();
    let tells = |operation: &Operation| {
        operation.invoked <= at && (wrote(operation, &seen) || ids.len() > 1 && rotated(operation))
    };
    let shown = versioned.iter().zip(&needed).filter(|(operation, needed)| **needed || tells(operation));
    Violation { session: session.clone(), kind, operations: shown.map(|(operation, _)| operation.clone()).collect() }
}

/// Whether these operations are a contradiction with the answers of those alone that are needed.
fn is_violated(operations: &[Operation], needed: &[bool]) -> bool {
    let action = |operation: &Operation, needed| match needed {
        true => operation.action.clone(),
        false => operation.action.unanswered(),
    };
    let operations: Vec<Operation> = operations
        .iter()
        .zip(needed)
        .map(|(operation, needed)| Operation { action: action(operation, *needed), ..operation.clone() })
        .collect();
    let operations: Vec<&Operation> = operations.iter().collect();
    matches!(Search::new(&operations, STATES).run(), Found::None)
}

fn seen(operation: &Operation) -> Option<&Variables> {
    match &operation.action {
        Action::Start { answer: Some(Started::Found { variables, .. }), .. } => Some(variables),
        _ => None,
    }
}

fn wrote(operation: &Operation, seen: &[&Variables]) -> bool {
    let Action::Save { change, .. } = &operation.action else { return false };
    change.sets.iter().any(|(name, value)| seen.iter().any(|variables| variables.get(name) == Some(value)))
}

/// Whether the session may have another id since.
fn rotated(operation: &Operation) -> bool {
    matches!(&operation.action, Action::Save { change: Change { rotation: Some(_), .. }, .. })
}

fn kind(operations: &[Operation], last: usize, needed: &[bool]) -> Kind {
    let id = operations[last].action.ids()[0];
    let is_end = |operation: &Operation| match &operation.action {
        Action::Destroy { .. } | Action::DestroyOwned { .. } => true,
        Action::Start { id: of, answer: Some(Started::Absent), .. } => id == Some(of),
        Action::Save { id: of, answer: Some(Saved::Gone), .. } => id == Some(of),
        Action::Save { id: of, change, .. } => change.rotation.is_some() && id == Some(of),
        _ => false,
    };
    match &operations[last].action {
        Action::Start { answer: Some(Started::Absent), .. } | Action::Save { answer: Some(Saved::Gone), .. } => {
            Kind::Vanished
        }
        _ if (0..operations.len()).any(|n| n != last && needed[n] && is_end(&operations[n])) => Kind::Resurrected,
        _ => Kind::Inconsistent,
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resurrected => "a session that had ended was live again, or live under an id that it no longer had",
            Self::Vanished => "a session was gone that nothing had ended",
            Self::Inconsistent => "what was read or saved does not follow from the saves before it",
        })
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "session {}: {}", short(&self.session), self.kind)?;
        writeln!(f, "  no order of these operations explains their answers (times in ms, host clocks in s):")?;
        for operation in &self.operations {
            writeln!(f, "  {operation}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = |at: u64| at as f64 / 1000.0;
        let Self { client, host, clock, action, .. } = self;
        write!(f, "{:>10.3} – {:>10.3}  ", milliseconds(self.invoked), milliseconds(self.completed))?;
        match action {
            Action::Failover => write!(f, "{action}"),
            Action::Cleanup => write!(f, "host {host} at {}: {action}", clock.end()),
            _ => write!(f, "client {client}, host {host} at {}: {action}", clock.end()),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNKNOWN: &str = "no answer";
        match self {
            Self::Start { id, answer, .. } => {
                write!(f, "start {} → ", short(id))?;
                match answer {
                    None => f.write_str(UNKNOWN),
                    Some(Started::Absent) => f.write_str("absent"),
                    Some(Started::Found { variables, owner, version, expires }) => {
                        write!(f, "found {}", Shown(variables))?;
                        if let Some(owner) = owner {
                            write!(f, " of {owner}")?;
                        }
                        if let Some(version) = version {
                            write!(f, ", version {version}")?;
                        }
                        write!(f, ", until {expires}")
                    }
                }
            }
            Self::Save { id, creates, change, answer } => {
                write!(f, "{} {}:{change} → ", if *creates { "create" } else { "save" }, short(id))?;
                match answer {
                    None => f.write_str(UNKNOWN),
                    Some(Saved::Committed(None)) => f.write_str("saved"),
                    Some(Saved::Committed(Some(version))) => write!(f, "saved as version {version}"),
                    Some(Saved::Gone) => f.write_str("gone"),
                    Some(Saved::Conflict) => f.write_str("conflict"),
                }
            }
            Self::Destroy { id, answer } => {
                write!(f, "destroy {} → {}", short(id), answer.map_or(UNKNOWN, |()| "ended"))
            }
            Self::DestroyOwned { owner, except, answer } => {
                write!(f, "destroy all of {owner}")?;
                if let Some(except) = except {
                    write!(f, " but {}", short(except))?;
                }
                write!(f, " → {}", answer.map_or(UNKNOWN, |()| "ended"))
            }
            Self::Cleanup => f.write_str("cleanup"),
            Self::Failover => f.write_str("failover to a replica"),
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.clears {
            f.write_str(" clear")?;
        }
        for (name, value) in &self.sets {
            write!(f, " {name}={value}")?;
        }
        for (name, delta) in &self.adds {
            write!(f, " {name}+={delta}")?;
        }
        for name in &self.deletes {
            write!(f, " delete {name}")?;
        }
        match &self.owner {
            None => {}
            Some(None) => f.write_str(" no owner")?,
            Some(Some(owner)) => write!(f, " owner {owner}")?,
        }
        match &self.rotation {
            None => Ok(()),
            Some(NewId::Known(id)) => write!(f, " new id {}", short(id)),
            Some(NewId::Lost) => f.write_str(" new id"),
        }
    }
}

struct Shown<'a>(&'a Variables);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (index, (name, value)) in self.0.iter().enumerate() {
            write!(f, "{}{name}={value}", if index > 0 { ", " } else { "" })?;
        }
        f.write_str("}")
    }
}

/// The beginning of an id, which tells ids apart.
fn short(id: &str) -> &str {
    id.get(..6).unwrap_or(id)
}
