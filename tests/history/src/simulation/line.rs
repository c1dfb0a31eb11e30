use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Duration,
};

use corosensei::Yielder;
use lemon_session_rules::Settings;
use lemon_session_store::Result;

use crate::{Ask, Recorder, Reply, Wire, operation::Id};

/// When the simulation begins, in seconds since 1970-01-01T00:00:00Z.
pub const BEGIN: u64 = 1_800_000_000;

/// What all clients and hosts of a run share.
pub struct Shared {
    /// Microseconds since the run began.
    pub time: Cell<u64>,
    pub random: RefCell<fastrand::Rng>,
    pub recorder: Recorder,
    pub settings: Settings,
    /// The ids that each visitor was sent.
    pub cookies: RefCell<Vec<Vec<Id>>>,
    /// Until when no client does anything.
    pub night: Cell<u64>,
    /// The last value that was set.
    pub value: Cell<i64>,
    /// By how many seconds the clock of each host is off.
    pub skews: Vec<i64>,
}

impl Shared {
    /// The clock of a host, in microseconds since 1970-01-01T00:00:00Z.
    pub fn clock(&self, host: usize) -> Duration {
        let begin = BEGIN.saturating_add_signed(self.skews[host]);
        Duration::from_secs(begin) + Duration::from_micros(self.time.get())
    }
}

/// What a client's stack stops for.
pub enum Wish {
    /// The answer of the store, to this host.
    Call(Ask, usize),
    /// Nothing: this is to be called in the background, by this host.
    Later(Ask, usize),
    /// That this many microseconds pass.
    Sleep(u64),
}

/// What it goes on with: the answer, if it waited for one.
pub type Answer = Option<Result<Reply>>;

/// A host's connection to the store, on the stack of a client.
pub struct Line<'a> {
    pub yielder: &'a Yielder<Answer, Wish>,
    pub shared: Rc<Shared>,
    pub host: usize,
}

impl Wire for Line<'_> {
    fn call(&self, ask: Ask) -> Result<Reply> {
        self.yielder.suspend(Wish::Call(ask, self.host)).expect("a call goes on with an answer")
    }

    fn later(&self, ask: Ask) {
        self.yielder.suspend(Wish::Later(ask, self.host));
    }

    fn clock(&self) -> Duration {
        self.shared.clock(self.host)
    }

    fn time(&self) -> u64 {
        self.shared.time.get()
    }

    fn random(&self, bytes: &mut [u8]) {
        self.shared.random.borrow_mut().fill(bytes);
    }

    fn settings(&self) -> Settings {
        self.shared.settings.clone()
    }
}
