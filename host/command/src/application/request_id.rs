//! A name for each request, by which its client and the log mean the same one.

use std::{
    fmt,
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
};

/// Names one request: the second this server was started, and how many came before.
#[derive(Clone, Copy)]
pub struct RequestId(u64);

static STARTED: LazyLock<u64> = LazyLock::new(crate::output::now);
static NEXT: AtomicU64 = AtomicU64::new(1);

impl RequestId {
    /// Names the one request of this process.
    pub fn of_process() -> Self {
        Self(std::process::id().into())
    }

    pub fn next() -> Self {
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// A number that no other request of this process has.
    pub fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{}", *STARTED, self.0)
    }
}
