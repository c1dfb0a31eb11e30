//! What a host with a wrong clock does to sessions of other hosts. A store that has a clock of its own goes by it where the host's
//! is ahead (`wit/storage.wit`): the servers that `LEMON_TEST_MYSQL`, `LEMON_TEST_POSTGRES` and `LEMON_TEST_REDIS` name, or those on
//! the standard ports of this machine. What such a host still does is why docs/operating.md demands that clocks agree.

mod servers;

use std::{
    cell::{Cell, RefCell},
    sync::Arc,
    time::{Duration, SystemTime},
};

use lemon_session_history::{
    Action, Ask, Changes, Failovers, Host, Id, Recorder, Reply, Request, Started, Task, Wire, check, visit,
};
use lemon_session_rules::Settings;
use lemon_session_store::{Result, Store, memory::Memory};
use servers::wait_for;

const HOUR: u64 = 3600;

/// A connection of a host with this clock.
struct Clocked {
    store: Arc<dyn Store>,
    clock: u64,
    time: Cell<u64>,
    random: RefCell<fastrand::Rng>,
}

impl Wire for Clocked {
    fn call(&self, ask: Ask) -> Result<Reply> {
        wait_for(ask.put_to(&*self.store))
    }

    fn later(&self, ask: Ask) {
        self.call(ask).expect("the store answers");
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
    /// The time by the store's clock, if it has one.
    now: u64,
    recorder: Recorder,
    requests: Cell<u64>,
}

impl Site {
    fn new(store: Arc<dyn Store>) -> Self {
        let now = SystemTime::UNIX_EPOCH.elapsed().expect("a clock").as_secs();
        Self { store, now, recorder: Recorder::default(), requests: Cell::default() }
    }

    /// A site on each server that answers, with tables of its own.
    fn on_servers() -> Vec<Self> {
        servers::places().into_iter().map(|(_, store)| Self::new(store)).collect()
    }

    /// Checks the history, and removes the tables.
    fn end(self) {
        // A store with a clock of its own does all by the earlier of the two.
        let operations =
            self.recorder.take().into_iter().map(|operation| operation.by_the_store(self.now..=self.now + 60));
        check(&operations.collect::<Vec<_>>(), Failovers::KeepEverything).assert_allowed();
        wait_for(self.store.try_schema().expect("schema").drop_tables()).expect("drop_tables");
        wait_for(self.store.close()).expect("close");
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
fn host_whose_clock_is_ahead_serves_a_session_that_is_live_and_leaves_it_alone() {
    for site in Site::on_servers() {
        let id = site.begin(site.now);
        assert!(site.is_live(site.now + HOUR, &id), "{}: it is live by the store's clock", site.store.summary());
        assert!(site.is_live(site.now, &id), "{}: and stays so", site.store.summary());
        site.end();
    }
}

#[test]
fn cleanup_by_a_clock_that_is_ahead_leaves_live_sessions_alone() {
    for site in Site::on_servers() {
        let ids = [site.begin(site.now), site.begin(site.now)];
        site.visit(site.now + HOUR, None, 1.0, Task::Read);
        assert!(ids.iter().all(|id| site.is_live(site.now, id)), "{}", site.store.summary());
        site.end();
    }
}

#[test]
fn destroy_owned_ends_all_sessions_by_any_clock() {
    for site in Site::on_servers() {
        let ids = [site.now, site.now - HOUR].map(|clock| site.begin(clock));
        assert!(site.is_live(site.now - HOUR, &ids[1]), "a host whose clock is behind serves it");
        site.visit(site.now + HOUR, None, 0.0, Task::DestroyOwned("ann".into()));
        for id in &ids {
            assert!(!site.is_live(site.now - HOUR, id), "{}: it has ended for all hosts", site.store.summary());
        }
        site.end();
    }
}

#[test]
fn session_begun_by_a_clock_that_is_behind_has_expired_for_the_others() {
    let site = Site::new(Arc::new(Memory::new()));
    let id = site.begin(site.now - HOUR);
    assert!(site.is_live(site.now - HOUR, &id));
    assert!(!site.is_live(site.now, &id));
}

#[test]
fn session_used_by_a_clock_that_is_ahead_lasts_as_much_longer() {
    let site = Site::new(Arc::new(Memory::new()));
    let id = site.begin(site.now);
    let ahead = 600;
    site.visit(site.now + ahead, Some(&id), 0.0, Task::Save(Changes::default()));
    let idle = u64::from(Settings::default().expires);
    assert!(site.is_live(site.now + idle + idle / 20 + ahead - 1, &id));
    assert!(!site.is_live(site.now + idle + idle / 20 + ahead, &id));
}
