//! The contract of a store as tests, one for each rule: for the drivers of this project and for those of others.
//!
//! The feature `conformance` adds this module. A driver's crate takes this one as a development dependency with that feature; the
//! macro adds a `#[test]` for every rule to one of its own tests:
//!
//! ```
//! use std::sync::Arc;
//!
//! use lemon_session_store::{conformance::Subject, memory::Memory};
//!
//! /// A store of its own for each rule: a separate database or table.
//! async fn open() -> Subject {
//!     Subject::new(Arc::new(Memory::new())).without_tables()
//! }
//!
//! // A module `memory` with a test for every rule.
//! lemon_session_store::conformance!(memory, open, not_applicable: [operations_without_tables_say_that_they_are_missing]);
//! # fn main() {
//! #     let rules = lemon_session_store::conformance::rules();
//! #     let kept = rules.filter(|rule| {
//! #         lemon_session_store::conformance::check(open, rule) == lemon_session_store::conformance::Outcome::Kept
//! #     });
//! #     assert!(kept.count() > 100);
//! # }
//! ```
//!
//! A rule about something that the store does not do is named as not applicable: see [`conformance!`](crate::conformance). Rules
//! about [`Inspect`](crate::Inspect), [`Transfer`](crate::Transfer) or [`Schema`](crate::Schema) do not apply to a driver that does
//! not implement that trait. Other rules use it for further checks if the driver has it.
//!
//! A race within one handle proves little. For a store that can be opened twice, [`Subject::and`] gives the rules a second
//! handle, opened as another process would open it.
//!
//! Times are injected. They start a week before the machine's own time and run ahead by hours, so that they stay behind the clock
//! of a store that does not believe a caller whose clock is ahead. A store that expires entries by itself has to count their time to
//! live from the caller's time. No rule waits for time to pass. [`clocks`] checks what a store with a clock of its own does for
//! callers whose clocks are off.
//!
//! The suite also compiles to WebAssembly, where a broken rule ends the instance, as a panic cannot be caught there.

mod check;
mod cleaning;
mod clocks;
mod copying;
mod creating;
mod details;
mod ending;
mod errors;
mod executor;
mod keys;
mod lifetimes;
mod listing;
mod loading;
mod logins;
mod model;
mod owners;
mod races;
mod renaming;
mod rules;
mod sample;
mod subject;
mod tables;
mod updating;
mod values;
mod whole;

use futures::future::BoxFuture;

#[doc(hidden)]
pub use self::check::check_not_applicable;
use self::sample::{APP, HOUR, WEEK, change, key, pairs, put, put_in, removal, renaming_to, writing};
pub use self::{
    check::{Outcome, check},
    clocks::clocks,
    errors::{CALLS, SECRET, failures},
    subject::Subject,
};

type Rule = for<'a> fn(&'a Subject) -> BoxFuture<'a, Outcome>;

const RULES: &[(&str, Rule)] = crate::__conformance_rules!(__conformance_table);

/// The names of all rules.
pub fn rules() -> impl Iterator<Item = &'static str> {
    RULES.iter().map(|(name, _)| *name)
}
