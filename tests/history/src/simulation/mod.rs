//! A fleet of hosts with one store, in one thread and in virtual time.
//!
//! Each host is the rules of sessions with a clock of its own. A request runs on a stack of its own and stops at each call of the
//! store. The network delays calls and answers and loses some, and the store fails over to a replica. Everything that happens
//! follows from the seed, so a seed is all that is needed to see it again.

mod client;
mod fleet;
mod line;
mod replicas;

use std::sync::Arc;

use lemon_session_store::{Store, memory::Memory};

pub use self::line::BEGIN;
use crate::operation::Operation;

/// What is simulated.
#[derive(Clone, Copy)]
pub struct Setup {
    /// Makes an empty store.
    pub store: fn() -> Arc<dyn Store>,
    /// How the store gets its replica.
    pub replication: Replication,
    /// How far the clocks of hosts may be off, in seconds.
    pub skew: u64,
    /// Whether the store has a clock of its own, which is right, and goes by it if a host's is ahead. What it does is then recorded
    /// by the earlier of the two.
    pub has_clock: bool,
    /// Whether the driver sends an update again when no answer came. That is a mistake: the first one may have taken effect.
    pub repeats: bool,
    /// Whether the driver reads from the replica. That is a mistake: the replica lags behind.
    pub reads_replica: bool,
}

/// How a store gets its replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replication {
    /// It has none.
    None,
    /// A call is answered when the replica has it too.
    Synchronous,
    /// The replica gets what was answered some time later.
    Asynchronous,
}

impl Setup {
    /// Correct hosts on a correct store, with clocks that may be off by two minutes.
    pub fn new(replication: Replication) -> Self {
        Self {
            store: || Arc::new(Memory::new()),
            replication,
            skew: 120,
            has_clock: false,
            repeats: false,
            reads_replica: false,
        }
    }

    /// The same on a store with a clock of its own, and hosts whose clocks may be off by an hour.
    pub fn with_clock(replication: Replication) -> Self {
        Self { skew: 3600, has_clock: true, ..Self::new(replication) }
    }
}

/// Runs one schedule: what its clients saw. The same seed and the same setup give the same history.
pub fn simulate(seed: u64, setup: &Setup) -> Vec<Operation> {
    fleet::Fleet::new(seed, setup).run()
}
