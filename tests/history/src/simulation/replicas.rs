use std::{
    pin::pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use lemon_session_store::Store;

use super::{Replication, Setup};
use crate::Ask;

/// How far an asynchronous replica lags behind, in microseconds.
const LAG: u64 = 50_000;

/// The store, and its replica, to which the same calls are put in the same order.
pub struct Replicas {
    make: fn() -> Arc<dyn Store>,
    replication: Replication,
    primary: Arc<dyn Store>,
    replica: Arc<dyn Store>,
    /// The calls that change something, with their times.
    log: Vec<(u64, Rc<Ask>)>,
    /// How many of them the replica has.
    applied: usize,
}

impl Replicas {
    pub fn new(setup: &Setup) -> Self {
        let (primary, replica) = ((setup.store)(), (setup.store)());
        Self { make: setup.store, replication: setup.replication, primary, replica, log: Vec::new(), applied: 0 }
    }

    /// The store that a call goes to.
    pub fn called(&mut self, now: u64, ask: &Rc<Ask>) -> Arc<dyn Store> {
        if self.replication != Replication::None && !matches!(**ask, Ask::Load { .. } | Ask::Fetch { .. }) {
            self.log.push((now, Rc::clone(ask)));
        }
        Arc::clone(&self.primary)
    }

    /// The replica, as it is now.
    pub fn replica(&mut self, now: u64) -> Arc<dyn Store> {
        self.catch_up(now);
        Arc::clone(&self.replica)
    }

    /// The replica becomes the store, and gets a replica of its own.
    pub fn fail_over(&mut self, now: u64) {
        self.catch_up(now);
        self.log.truncate(self.applied);
        self.primary = std::mem::replace(&mut self.replica, (self.make)());
        self.applied = 0;
    }

    fn catch_up(&mut self, now: u64) {
        let has = |at: u64| match self.replication {
            Replication::None | Replication::Synchronous => true,
            Replication::Asynchronous => at + LAG <= now,
        };
        let has = self.log.partition_point(|(at, _)| has(*at));
        for (_, ask) in &self.log[self.applied.min(has)..has] {
            // What it answers was answered by the primary.
            _ = finish(ask.put_to(&*self.replica));
        }
        self.applied = self.applied.max(has);
    }
}

/// Runs a call to its end, with no other call in between.
fn finish<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return output;
        }
    }
}
