//! The driver conformance suite on the drivers of this crate.

use std::sync::Arc;

use lemon_session_host::{conformance::Store, driver::memory::Memory};

async fn memory() -> Store {
    let driver = Arc::new(Memory::new());
    Store::new(driver.clone()).and(driver).without_tables()
}

lemon_session_host::conformance!(memory_driver, memory);
