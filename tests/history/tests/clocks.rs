//! What a host with a wrong clock does to sessions of other hosts. A driver goes by the clock of the host that calls it
//! (`wit/storage.wit`), so this is what the contract says, and why docs/operating.md demands that clocks agree.

use std::{
    cell::{Cell, RefCell},
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use lemon_session_history::{
    Action, Ask, Changes, Failovers, Host, Id, Recorder, Reply, Request, Started, Task, Wire, check, visit,
};
use lemon_session_rules::Settings;
use lemon_session_store::{Result, Store, memory::Memory};

const NOW: u64 = 1_800_000_000;
const HOUR: u64 = 3600;

/// A connection that answers at once, of a host with this clock.
struct Clocked {
    store: Arc<dyn Store>,
    clock: u64,
    time: Cell<u64>,
    random: RefCell<fastrand::Rng>,
}

impl Wire for Clocked {
    fn call(&self, ask: Ask) -> Result<Reply> {
        let mut call = pin!(ask.put_to(&*self.store));
        loop {
            if let Poll::Ready(reply) = call.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                return reply;
            }
        }
    }

    fn later(&self, ask: Ask) {
        self.call(ask).expect("the memory answers");
    }

    fn clock(&self) -> Duration {
        Duration::from_secs(self.clock)
    }

    fn time(&self) -> u64 {
        self.time.set(self.time.get() + 1);
        self.time.get()
    }

    fn random(&self, bytes: &mut [u8]) {
        self.random.borrow_mut().fill(bytes);
    }

    fn settings(&self) -> Settings {
        Settings { cleanup: 0.0, ..Settings::default() }
    }
}

struct Site {
    store: Arc<dyn Store>,
    recorder: Recorder,
    requests: Cell<u64>,
}

impl Site {
    fn new() -> Self {
        Self { store: Arc::new(Memory::new()), recorder: Recorder::default(), requests: Cell::default() }
    }

    /// A request on a host whose clock shows this.
    fn visit(&self, clock: u64, id: Option<&Id>, cleanup: f64, task: Task) -> Option<Id> {
        let number = self.requests.replace(self.requests.get() + 1);
        let (time, random) = (Cell::new(1000 * number), RefCell::new(fastrand::Rng::with_seed(number)));
        let wire = Clocked { store: Arc::clone(&self.store), clock, time, random };
        let request = Request { id: id.cloned(), strict: false, cleanup, task };
        visit(&Host::new(wire, 0, 0), &self.recorder, &request)
    }

    /// Begins a session of an owner.
    fn begin(&self, clock: u64) -> Id {
        let owner = Some(Some("ann".into()));
        self.visit(clock, None, 0.0, Task::Save(Changes { owner, ..Changes::default() })).expect("a session")
    }

    fn is_live(&self, clock: u64, id: &Id) -> bool {
        self.visit(clock, Some(id), 0.0, Task::Read);
        let operations = self.recorder.take();
        let Some(Action::Start { answer, .. }) = operations.last().map(|operation| &operation.action) else {
            panic!("a start was noted last, not {operations:?}");
        };
        operations.iter().for_each(|operation| self.recorder.note(operation.clone()));
        matches!(answer, Some(Started::Found { .. }))
    }
}

#[test]
fn host_whose_clock_is_ahead_ends_a_live_session_that_it_is_asked_for() {
    let site = Site::new();
    let id = site.begin(NOW);
    assert!(site.is_live(NOW, &id));
    assert!(!site.is_live(NOW + HOUR, &id), "it takes the session for expired, and removes it");
    assert!(!site.is_live(NOW, &id), "it is gone for all hosts");
    check(&site.recorder.take(), Failovers::KeepEverything).assert_allowed();
}

#[test]
fn cleanup_by_a_clock_that_is_ahead_ends_live_sessions_of_all_visitors() {
    let site = Site::new();
    let ids = [site.begin(NOW), site.begin(NOW)];
    site.visit(NOW + HOUR, None, 1.0, Task::Read);
    assert!(ids.iter().all(|id| !site.is_live(NOW, id)));
}

#[test]
fn destroy_owned_by_a_clock_that_is_ahead_leaves_sessions_live() {
    let site = Site::new();
    let id = site.begin(NOW);
    site.visit(NOW + HOUR, None, 0.0, Task::DestroyOwned("ann".into()));
    assert!(site.is_live(NOW, &id), "the host that is ahead took it for expired, and did not end it");
    site.visit(NOW, None, 0.0, Task::DestroyOwned("ann".into()));
    assert!(!site.is_live(NOW, &id));
    check(&site.recorder.take(), Failovers::KeepEverything).assert_allowed();
}

#[test]
fn session_begun_by_a_clock_that_is_behind_has_expired_for_the_others() {
    let site = Site::new();
    let id = site.begin(NOW - HOUR);
    assert!(site.is_live(NOW - HOUR, &id));
    assert!(!site.is_live(NOW, &id));
}

#[test]
fn session_used_by_a_clock_that_is_ahead_lasts_as_much_longer() {
    let site = Site::new();
    let id = site.begin(NOW);
    let ahead = 600;
    site.visit(NOW + ahead, Some(&id), 0.0, Task::Save(Changes::default()));
    let idle = u64::from(Settings::default().expires);
    assert!(site.is_live(NOW + idle + idle / 20 + ahead - 1, &id));
    assert!(!site.is_live(NOW + idle + idle / 20 + ahead, &id));
}
