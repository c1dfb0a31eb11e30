//! The conformance suite on the driver `memory:`, and on drivers with a mistake each.

mod broken;

use std::sync::Arc;

use lemon_session_store::{conformance::Store, memory::Memory};

async fn memory() -> Store {
    Store::new(Arc::new(Memory::new())).without_tables()
}

lemon_session_store::conformance!(
    memory_driver,
    memory,
    not_applicable: [operations_without_tables_say_that_they_are_missing]
);
