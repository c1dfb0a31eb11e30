use std::{collections::BTreeMap, ops::RangeInclusive, sync::Arc};

use bincode::{Decode, Encode};

/// A session's id, as clients know it.
pub type Id = Arc<str>;

/// The variables of a session. Every value that is set is set once in a history, so that a value tells which save wrote it.
pub type Variables = BTreeMap<Arc<str>, i64>;

/// Something that a client did: what it asked, when, and what it was told.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Operation {
    /// Who did it. A client does one thing after the other.
    pub client: usize,
    /// The host that did it for the client.
    pub host: usize,
    /// The request that it was part of; no two requests have one number.
    pub request: usize,
    /// When it was asked, in microseconds by one clock for all clients.
    pub invoked: u64,
    /// When the answer came, or the client gave up, by the same clock.
    pub completed: u64,
    /// The host's own clock meanwhile, in seconds since 1970-01-01T00:00:00Z.
    pub clock: RangeInclusive<u64>,
    /// What was asked and answered.
    pub action: Action,
}

impl Operation {
    /// The same, by the earlier one of the host's clock and that of the store, which showed this meanwhile. A call that was not
    /// answered may reach the store later; it is then at most as late as the host's clock was.
    #[must_use]
    pub fn by_the_store(mut self, clock: RangeInclusive<u64>) -> Self {
        let (least, most) = self.clock.into_inner();
        let is_over = self.action.is_answered() || matches!(self.action, Action::Cleanup);
        let latest = if is_over { *clock.end() } else { u64::MAX };
        self.clock = least.min(*clock.start())..=most.min(latest);
        self
    }
}

/// What was asked and answered. An answer of `None` is an error, or none that arrived: the operation has taken effect, or has not, or
/// will later.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Action {
    /// `start` with an id.
    Start {
        /// The id.
        id: Id,
        /// Whether the saves of this request are to fail if another request saved since.
        strict: bool,
        /// The session that was found.
        answer: Option<Started>,
    },
    /// `save` of a session that was started or begun in this request.
    Save {
        /// The id that the session had before.
        id: Id,
        /// Whether `start` began the session, so that this stores it first.
        creates: bool,
        /// What it changes.
        change: Change,
        /// How it ended.
        answer: Option<Saved>,
    },
    /// `destroy` of a session that was started in this request.
    Destroy {
        /// The id.
        id: Id,
        /// Whether it succeeded.
        answer: Option<()>,
    },
    /// `destroy-owned` of the manager, or `destroy-others`.
    DestroyOwned {
        /// The owner.
        owner: Arc<str>,
        /// The session that is spared.
        except: Option<Id>,
        /// Whether it succeeded.
        answer: Option<()>,
    },
    /// A cleanup, which may remove what has expired by the host's clock.
    Cleanup,
    /// A replica became the store. It may lack what was stored last.
    Failover,
}

/// What a `start` found.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Started {
    /// The session is not live: a new one was begun instead.
    Absent,
    /// The session, as it was stored.
    Found {
        /// All of its variables.
        variables: Variables,
        /// Its owner.
        owner: Option<Arc<str>>,
        /// Its version, where the client can see it.
        version: Option<u64>,
        /// When it expires, by the clocks of the hosts.
        expires: u64,
    },
}

/// How a `save` ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Saved {
    /// Everything was stored, as this version, where the client can see it.
    Committed(Option<u64>),
    /// The session has ended.
    Gone,
    /// Another request has saved the session since it was started here.
    Conflict,
}

/// What a `save` changes, applied in the order of the fields. What is as it was read is no change, and is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Change {
    /// Whether all variables are removed first.
    pub clears: bool,
    /// The variables that are set.
    pub sets: Variables,
    /// What is added to variables.
    pub adds: Variables,
    /// The variables that are removed.
    pub deletes: Vec<Arc<str>>,
    /// The new owner, if it changes.
    pub owner: Option<Option<Arc<str>>>,
    /// The new id, if it changes.
    pub rotation: Option<NewId>,
    /// The expiry that the session has afterwards, at least and at most.
    pub expires: Bounds,
}

/// The id that a session got.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum NewId {
    /// This one.
    Known(Id),
    /// One that no client was told.
    Lost,
}

/// A time that is known to be in a range, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Bounds {
    /// It is not before.
    pub least: u64,
    /// It is not after.
    pub most: u64,
}

impl Change {
    /// Whether it writes something other than the expiry and the id, so that the version grows.
    pub fn writes(&self) -> bool {
        self.clears
            || !self.sets.is_empty()
            || !self.adds.is_empty()
            || !self.deletes.is_empty()
            || self.owner.is_some()
    }
}

impl Action {
    /// The same with an answer that is not known.
    pub(crate) fn unanswered(&self) -> Self {
        let mut action = self.clone();
        match &mut action {
            Self::Start { answer, .. } => *answer = None,
            Self::Save { answer, .. } => *answer = None,
            Self::Destroy { answer, .. } | Self::DestroyOwned { answer, .. } => *answer = None,
            Self::Cleanup | Self::Failover => {}
        }
        action
    }

    /// Leaves out the version that it was told.
    pub(crate) fn forget_version(&mut self) {
        match self {
            Self::Start { answer: Some(Started::Found { version, .. }), .. }
            | Self::Save { answer: Some(Saved::Committed(version)), .. } => *version = None,
            _ => {}
        }
    }

    /// Whether it has taken effect for sure, at one moment between call and answer.
    pub(crate) fn is_answered(&self) -> bool {
        match self {
            Self::Start { answer, .. } => answer.is_some(),
            Self::Save { answer, .. } => answer.is_some(),
            Self::Destroy { answer, .. } | Self::DestroyOwned { answer, .. } => answer.is_some(),
            Self::Cleanup | Self::Failover => false,
        }
    }

    /// The ids of one session that it names: the id it is for, and a new one.
    pub(crate) fn ids(&self) -> [Option<&Id>; 2] {
        match self {
            Self::Start { id, .. } | Self::Destroy { id, .. } => [Some(id), None],
            Self::Save { id, change, .. } => {
                let new = match &change.rotation {
                    Some(NewId::Known(new)) => Some(new),
                    Some(NewId::Lost) | None => None,
                };
                [Some(id), new]
            }
            Self::DestroyOwned { .. } | Self::Cleanup | Self::Failover => [None, None],
        }
    }
}
