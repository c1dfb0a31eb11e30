use std::{
    cell::RefCell,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use lemon_session_rules::Settings;
use lemon_session_store::{Result, Store};
use tokio::runtime::Handle;

use crate::{Ask, Reply, Wire};

/// A host's connection to a store in this process, for a client on a thread of its own. Cleanups are left to the test.
pub struct Direct {
    /// The store.
    pub store: Arc<dyn Store>,
    /// Runs its methods.
    pub runtime: Handle,
    /// When the clock of all clients began.
    pub begun: Instant,
    /// The settings of sessions.
    pub settings: Settings,
    /// Makes the ids.
    pub random: RefCell<fastrand::Rng>,
}

impl Wire for Direct {
    fn call(&self, ask: Ask) -> Result<Reply> {
        self.runtime.block_on(ask.put_to(&*self.store))
    }

    fn later(&self, _: Ask) {}

    fn clock(&self) -> Duration {
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("it is after 1970")
    }

    fn time(&self) -> u64 {
        self.begun.elapsed().as_micros() as u64
    }

    fn random(&self, bytes: &mut [u8]) {
        self.random.borrow_mut().fill(bytes);
    }

    fn settings(&self) -> Settings {
        self.settings.clone()
    }
}
