use std::{
    collections::BTreeSet,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use crate::operation::{Id, Operation};

/// Where clients note what they do, from any number of threads.
#[derive(Debug, Default)]
pub struct Recorder {
    operations: Mutex<Vec<Operation>>,
    requests: AtomicUsize,
}

impl Recorder {
    /// A number for a request that no other request has.
    pub fn number(&self) -> usize {
        self.requests.fetch_add(1, Relaxed)
    }

    /// Notes an operation.
    pub fn note(&self, operation: Operation) {
        self.operations.lock().unwrap_or_else(PoisonError::into_inner).push(operation);
    }

    /// All ids that sessions got so far, each of them once.
    pub fn ids(&self) -> Vec<Id> {
        let operations = self.operations.lock().unwrap_or_else(PoisonError::into_inner);
        let ids: BTreeSet<&Id> = operations.iter().flat_map(|operation| operation.action.ids()).flatten().collect();
        ids.into_iter().cloned().collect()
    }

    /// What was noted since this was called last.
    pub fn take(&self) -> Vec<Operation> {
        std::mem::take(&mut self.operations.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
