//! Request ids, which error pages and the log share.

use std::{
    fmt,
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
};

/// The id of a request: the second at which the server started, and the number of requests before.
#[derive(Clone, Copy)]
pub struct RequestId(u64);

static STARTED: LazyLock<u64> = LazyLock::new(crate::output::now);
static NEXT: AtomicU64 = AtomicU64::new(1);

impl RequestId {
    /// The id of the only request of this process.
    pub fn of_process() -> Self {
        Self(std::process::id().into())
    }

    pub fn next() -> Self {
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// A number that is unique in this process.
    pub fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{}", *STARTED, self.0)
    }
}
