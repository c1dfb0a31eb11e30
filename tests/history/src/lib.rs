//! What clients of lemon:session see when hosts, networks and stores fail, and whether the contract allows it.
//!
//! - [`visit`] does one [`Request`] on a [`Host`], by the rules of sessions over a store, and notes each [`Operation`] in a
//!   [`Recorder`]. A client of a server records the same operations from its responses.
//! - [`check`] decides whether the contract allows what was recorded, and a [`Violation`] says in a few lines why not.
//! - [`simulation`] runs a fleet of hosts with one store in virtual time, from a seed.
//!
//! docs/proof.md says what this shows and what it does not.

#![deny(missing_docs)]

mod ask;
mod check;
mod explain;
mod host;
mod model;
mod operation;
mod recorder;
pub mod simulation;
mod threads;
mod visit;

pub use ask::{Ask, Reply};
pub use check::{Failovers, Verdict, check, check_each};
pub use explain::{Kind, Violation};
pub use host::{Host, Wire};
pub use operation::{Action, Bounds, Change, Id, NewId, Operation, Saved, Started, Variables};
pub use recorder::Recorder;
pub use threads::Direct;
pub use visit::{Changes, Request, Task, visit};
