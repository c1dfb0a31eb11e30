//! Clients that use sessions while a cluster fails, and what they saw.

use std::{
    cell::{Cell, RefCell},
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use lemon_session_history::{
    Action, Ask, Changes, Direct, Failovers, Host, Id, Kind, Operation, Recorder, Reply, Request, Saved, Started, Task,
    Verdict, Wire, check_each, visit,
};
use lemon_session_rules::Settings;
use lemon_session_store::{CreateOutcome, Result, Store, UpdateOutcome};
use tokio::runtime::Handle;

/// The clients of each host.
const CLIENTS: usize = 3;
/// The visitors, whose sessions all clients share.
const VISITORS: usize = 8;
/// The requests after which a visitor goes on with a new session.
const REQUESTS: u32 = 40;
/// The failed calls after which a visitor does: each of them may have taken effect, and the checker tries both.
const FAILURES: u32 = 3;
/// A client waits so long between two requests.
const PAUSE: Duration = Duration::from_millis(8);
/// So long after one that failed.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(60);
/// The idle time of sessions, in seconds. It is less than the clocks of servers are off by, and more than a run takes.
const IDLE: u32 = 100;
/// The most violations of a run that are printed.
const PRINTED: usize = 3;
/// How long it may take until every host saves again, after the cluster is whole.
const RECOVERY: Duration = Duration::from_secs(40);

/// What came of a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcome {
    pub runs: usize,
    pub sessions: usize,
    /// The saves that were acknowledged.
    pub saves: usize,
    /// The sessions that lack what was acknowledged.
    pub lost: usize,
    /// The sessions that were read or saved after their end.
    pub resurrected: usize,
    /// The sessions of which the checker could not tell.
    pub undecided: usize,
    /// The longest time without a save by any host.
    pub unavailable: Duration,
    /// The longest time without a save by one of the hosts.
    pub worst: Duration,
}

impl Outcome {
    /// Adds that of another run.
    pub fn add(&mut self, other: &Self) {
        self.runs += other.runs;
        self.sessions += other.sessions;
        self.saves += other.saves;
        self.lost += other.lost;
        self.resurrected += other.resurrected;
        self.undecided += other.undecided;
        self.unavailable = self.unavailable.max(other.unavailable);
        self.worst = self.worst.max(other.worst);
    }
}

/// As a line of the table in docs/drivers.md.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { runs, sessions, saves, lost, resurrected, undecided, unavailable, worst } = self;
        write!(f, "{runs} | {sessions} | {saves} | {lost} | {resurrected} | ")?;
        write!(f, "{:.1} s | {:.1} s", unavailable.as_secs_f64(), worst.as_secs_f64())?;
        if *undecided > 0 { write!(f, " | {undecided} undecided") } else { Ok(()) }
    }
}

/// A client's connection to the store of its host, which notes what fails and what is saved.
struct Noting<'a> {
    direct: Direct,
    /// How many calls failed.
    failed: Cell<u32>,
    /// When the host saved last, in microseconds.
    saved: &'a AtomicU64,
}

impl Wire for Noting<'_> {
    fn call(&self, ask: Ask) -> Result<Reply> {
        let answer = self.direct.call(ask);
        match &answer {
            Ok(Reply::Create(CreateOutcome::Created) | Reply::Update(UpdateOutcome::Committed(_))) => {
                self.saved.store(self.time(), Relaxed);
            }
            Ok(_) => {}
            Err(error) => {
                self.failed.set(self.failed.get() + 1);
                if std::env::var_os("LEMON_TEST_ERRORS").is_some() {
                    println!("{:8.3} s: {error}", self.time() as f64 / 1e6);
                }
            }
        }
        answer
    }

    fn later(&self, _: Ask) {}

    fn clock(&self) -> Duration {
        self.direct.clock()
    }

    fn time(&self) -> u64 {
        self.direct.time()
    }

    fn random(&self, bytes: &mut [u8]) {
        self.direct.random(bytes);
    }

    fn settings(&self) -> Settings {
        self.direct.settings()
    }
}

/// What a visitor's browser has.
#[derive(Default)]
struct Visitor {
    cookie: Option<Id>,
    requests: u32,
    failures: u32,
}

/// Runs clients on the stores of several hosts while `faults` happen, which leave the cluster whole. Then waits until every host
/// saves again, has every host read all sessions, and checks what was seen.
///
/// # Panics
///
/// Panics if a host does not recover.
pub fn run(runtime: &Handle, stores: &[Arc<dyn Store>], seed: u64, faults: impl FnOnce()) -> Outcome {
    let recorder = Recorder::default();
    let visitors: Vec<Mutex<Visitor>> = (0..VISITORS).map(|_| Mutex::default()).collect();
    let (begun, stopped, value) = (Instant::now(), AtomicBool::new(false), AtomicI64::new(1));
    let saved: Vec<AtomicU64> = stores.iter().map(|_| AtomicU64::new(0)).collect();
    let client = AtomicUsize::new(0);
    let wire = |number: usize, seed| {
        let settings = Settings { max_lifetime: 0, expires: IDLE, cleanup: 0.0, ..Settings::default() };
        let random = RefCell::new(fastrand::Rng::with_seed(seed));
        let direct = Direct { store: Arc::clone(&stores[number]), runtime: runtime.clone(), begun, settings, random };
        Noting { direct, failed: Cell::new(0), saved: &saved[number] }
    };
    let mut end = Duration::ZERO;
    thread::scope(|scope| {
        for number in 0..stores.len() {
            for _ in 0..CLIENTS {
                let client = client.fetch_add(1, Relaxed);
                let seed = seed.wrapping_add(client as u64);
                let wire = wire(number, seed);
                let (visitors, recorder, stopped, value) = (&visitors, &recorder, &stopped, &value);
                scope.spawn(move || {
                    let host = Host::new(wire, client, number);
                    let mut random = fastrand::Rng::with_seed(!seed);
                    while !stopped.load(Relaxed) {
                        let visitor = &visitors[random.usize(..VISITORS)];
                        let is_well = use_session(&host, recorder, visitor, &mut random, value);
                        thread::sleep(if is_well { PAUSE } else { PAUSE_AFTER_FAILURE });
                    }
                });
            }
        }
        let stop = Stop(&stopped);
        faults();
        wait_for_saves(&saved, begun);
        thread::sleep(Duration::from_millis(500));
        end = begun.elapsed();
        drop(stop);
    });
    let ids = recorder.ids();
    thread::scope(|scope| {
        for number in 0..stores.len() {
            let (wire, client) = (wire(number, !seed ^ number as u64), client.fetch_add(1, Relaxed));
            let (ids, recorder) = (&ids, &recorder);
            scope.spawn(move || {
                let host = Host::new(wire, client, number);
                for id in ids {
                    read(&host, recorder, id);
                }
            });
        }
    });
    outcome(&recorder.take(), stores.len(), seed, end)
}

/// Waits until every host saves, now that the cluster is whole. `saved` is when each host saved last.
fn wait_for_saves(saved: &[AtomicU64], begun: Instant) {
    let healed = begun.elapsed().as_micros() as u64;
    while saved.iter().any(|saved| saved.load(Relaxed) <= healed) {
        let waited = begun.elapsed().saturating_sub(Duration::from_micros(healed));
        assert!(waited < RECOVERY, "not every host saves again {waited:?} after the cluster is whole");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Reads a session. A first attempt may meet a connection that has broken.
fn read(host: &Host<Noting>, recorder: &Recorder, id: &Id) {
    for _ in 0..10 {
        let (id, failed) = (Some(id.clone()), host.wire().failed.get());
        visit(host, recorder, &Request { id, strict: false, cleanup: 0.0, task: Task::Read });
        if host.wire().failed.get() == failed {
            return;
        }
        thread::sleep(Duration::from_millis(300));
    }
    panic!("a host cannot read a session while the cluster is whole");
}

/// Ends the clients, also if the faults panic.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// Does a request of a visitor. Returns whether it did not fail.
fn use_session(
    host: &Host<Noting>,
    recorder: &Recorder,
    visitor: &Mutex<Visitor>,
    random: &mut fastrand::Rng,
    value: &AtomicI64,
) -> bool {
    let id = visitor.lock().expect("no client panics").cookie.clone();
    let failed = host.wire().failed.get();
    let request = Request { id: id.clone(), strict: random.u32(..20) == 0, cleanup: 0.0, task: task(random, value) };
    let after = visit(host, recorder, &request);
    let failed = host.wire().failed.get() - failed;
    let mut visitor = visitor.lock().expect("no client panics");
    visitor.requests += 1;
    visitor.failures += failed;
    if visitor.requests > REQUESTS || visitor.failures > FAILURES {
        *visitor = Visitor::default();
    } else if after != id && visitor.cookie == id {
        visitor.cookie = after;
    }
    failed == 0
}

fn task(random: &mut fastrand::Rng, value: &AtomicI64) -> Task {
    let mut changes = Changes::default();
    let mut set = |name: &str| _ = changes.sets.insert(name.into(), value.fetch_add(1, Relaxed));
    match random.u32(..100) {
        0..3 => return Task::Destroy,
        3 => return Task::DestroyOwned("ann".into()),
        4 => return Task::DestroyOthers,
        5..20 => return Task::Read,
        20..26 => {
            changes.owner = Some(Some(if random.bool() { "ann" } else { "bob" }.into()));
            changes.regenerate = random.bool();
        }
        26..60 => _ = changes.adds.insert("sum".into(), 1),
        60..80 => ["x", "y"].iter().for_each(|name| set(name)),
        _ => set(["a", "b", "c"][random.usize(..3)]),
    }
    Task::Save(changes)
}

fn outcome(history: &[Operation], hosts: usize, seed: u64, end: Duration) -> Outcome {
    let mut outcome = Outcome { runs: 1, ..Outcome::default() };
    for (id, verdict) in check_each(history, Failovers::KeepEverything) {
        outcome.sessions += 1;
        match verdict {
            Verdict::Allowed(_) => {}
            Verdict::Undecided(_) => outcome.undecided += 1,
            Verdict::Violated(violation) => {
                if outcome.lost + outcome.resurrected < PRINTED {
                    println!("seed {seed}, session {id}: {violation}");
                }
                let count = match violation.kind {
                    Kind::Resurrected => &mut outcome.resurrected,
                    Kind::Vanished | Kind::Inconsistent => &mut outcome.lost,
                };
                *count += 1;
            }
        }
    }
    outcome.saves = saves(history).count();
    let found = history
        .iter()
        .filter(|operation| matches!(operation.action, Action::Start { answer: Some(Started::Found { .. }), .. }));
    assert!(outcome.saves > 20 && found.count() > 20, "the clients did too little: {outcome:?}");
    let of_host = |host| saves(history).filter(move |operation| operation.host == host);
    outcome.unavailable = longest_without(saves(history), end);
    outcome.worst = (0..hosts).map(|host| longest_without(of_host(host), end)).max().unwrap_or_default();
    outcome
}

/// The saves that were acknowledged.
fn saves(history: &[Operation]) -> impl Iterator<Item = &Operation> {
    let is_saved = |action: &Action| matches!(action, Action::Save { answer: Some(Saved::Committed(_)), .. });
    history.iter().filter(move |operation| is_saved(&operation.action))
}

/// The longest time without one of these saves, from the beginning of the run to its end.
fn longest_without<'a>(saves: impl Iterator<Item = &'a Operation>, end: Duration) -> Duration {
    let whole = [0, end.as_micros() as u64];
    let mut times: Vec<u64> = saves.map(|operation| operation.completed).chain(whole).collect();
    times.sort_unstable();
    let longest = times.windows(2).map(|pair| pair[1] - pair[0]).max();
    Duration::from_micros(longest.unwrap_or_default())
}
