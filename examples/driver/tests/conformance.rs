//! The driver keeps the contract: a test for every rule.

use std::sync::Arc;

use example_driver::Plain;
use lemon_session_store::conformance::Subject;

/// A store of its own for each rule. One that has tables and that a second host can open would be
/// `Subject::new(open().await).and(open().await)`.
async fn plain() -> Subject {
    Subject::new(Arc::new(Plain::default())).without_tables()
}

lemon_session_store::conformance!(
    rules,
    plain,
    not_applicable: [operations_without_tables_say_that_they_are_missing]
);
