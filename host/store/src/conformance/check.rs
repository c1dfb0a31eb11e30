//! Checks a rule on a store of its own.

use std::{future::Future, io::Write as _, panic::AssertUnwindSafe};

use futures::FutureExt;

use super::{RULES, Subject, executor};

/// The result of checking a rule. A store that breaks the rule makes the check panic instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Outcome {
    /// The store keeps the rule.
    Kept,
    /// The rule is about something that the store does not do, for this reason.
    NotApplicable(&'static str),
    /// There was no store to check the rule on, because its server does not run for example.
    Unchecked,
}

impl Outcome {
    /// Panics if the rule does not apply to the store.
    pub fn assert_kept(self) {
        if let Self::NotApplicable(why) = self {
            panic!("the rule does not apply to this store, as {why}: name it under `not_applicable`");
        }
    }
}

impl From<()> for Outcome {
    fn from((): ()) -> Self {
        Self::Kept
    }
}

/// For a rule that starts by asking whether it applies.
impl From<Result<(), Self>> for Outcome {
    fn from(kept: Result<(), Self>) -> Self {
        kept.err().unwrap_or(Self::Kept)
    }
}

/// Checks that rules do not apply to a store, and prints why directly to the standard error: the test harness hides what a
/// passing test prints otherwise.
#[doc(hidden)]
pub fn check_not_applicable<Opening: Future<Output: Into<Option<Subject>>>>(
    name: &str,
    open: impl Fn() -> Opening,
    rules: &[&str],
) {
    let mut report = String::new();
    for rule in rules {
        match check(&open, rule) {
            Outcome::Kept => panic!("{rule} applies to this store: take it out of `not_applicable`"),
            Outcome::NotApplicable(why) => report += &format!("\n  {rule}: {why}"),
            Outcome::Unchecked => {}
        }
    }
    if !report.is_empty() {
        let (some, all) = (rules.len(), RULES.len());
        let _ = writeln!(std::io::stderr(), "{name}: {some} of {all} rules do not apply:{report}");
    }
}

/// Checks one rule on a store of its own, and panics if the store breaks it.
///
/// Creates the store's tables before, and drops them afterwards, if its driver implements [`Schema`](crate::Schema).
///
/// An opener returns `None` if there is no store to check, because its server does not run for example; it should print why.
pub fn check<Opening: Future<Output: Into<Option<Subject>>>>(open: impl FnOnce() -> Opening, rule: &str) -> Outcome {
    let (_, rule) = RULES.iter().find(|(name, _)| *name == rule).unwrap_or_else(|| panic!("there is no rule {rule}"));
    executor::run(async {
        let store: Option<Subject> = open().await.into();
        let Some(store) = store else { return Outcome::Unchecked };
        if let Some(schema) = store.driver.schema() {
            schema.create_tables().await.expect("the store's tables can be created");
        }
        let kept = AssertUnwindSafe(rule(&store)).catch_unwind().await;
        let dropped = match store.driver.schema() {
            Some(schema) => schema.drop_tables().await,
            None => Ok(()),
        };
        let closed = futures::future::try_join_all(store.handles().map(|handle| handle.close())).await;
        let outcome = kept.unwrap_or_else(|broken| std::panic::resume_unwind(broken));
        dropped.expect("the store's tables can be dropped");
        closed.expect("the store can be closed");
        outcome
    })
}
