//! Fleets in virtual time: correct ones keep the contract in every schedule, and those with a mistake break it in one.
//!
//! `LEMON_TEST_SIMULATION=600` looks at other schedules for 600 seconds; `LEMON_TEST_SEED=N` shows one.

#[expect(dead_code, reason = "some of the mistakes are about what no simulated request does")]
#[path = "../../../host/store/tests/broken/store.rs"]
mod broken;
mod mistakes;

use std::{
    env, fs,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use broken::Broken;
use lemon_session_history::{
    Failovers, Kind, Operation, Verdict, Violation, check,
    simulation::{BEGIN, Replication, Setup, simulate},
};
use lemon_session_store::Store;
use mistakes::{Mistake, Mistaken};

/// The schedules of each correct fleet in a run of all tests.
const SCHEDULES: u64 = 2_000;
/// The schedules in which a mistake has to be found.
const SCHEDULES_OF_A_MISTAKE: u64 = 20_000;

/// The correct fleets, and what their failovers may do.
fn correct() -> [(Setup, Failovers); 5] {
    [
        (Setup::new(Replication::None), Failovers::KeepEverything),
        (Setup::new(Replication::Synchronous), Failovers::KeepEverything),
        (Setup::new(Replication::Asynchronous), Failovers::MayLoseTheLast),
        (Setup::with_clock(Replication::None), Failovers::KeepEverything),
        (Setup::with_clock(Replication::Asynchronous), Failovers::MayLoseTheLast),
    ]
}

/// Says which seed it was if the simulation itself panics.
struct Running(u64);

impl Drop for Running {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("the seed is {}", self.0);
        }
    }
}

/// What is wrong with a history, if anything is.
fn violation(seed: u64, history: &[Operation], failovers: Failovers) -> Option<Violation> {
    match check(history, failovers) {
        Verdict::Allowed(_) => None,
        Verdict::Violated(violation) => Some(*violation),
        Verdict::Undecided(id) => panic!("seed {seed}: too many operations of the session {id} overlap"),
    }
}

/// What is wrong with one schedule.
fn run(seed: u64, setup: &Setup, failovers: Failovers) -> Option<Violation> {
    let _running = Running(seed);
    violation(seed, &simulate(seed, setup), failovers)
}

/// The first violation in this many schedules, with its seed.
fn find(setup: &Setup, failovers: Failovers, schedules: u64) -> Option<(u64, Violation)> {
    (0..schedules).find_map(|seed| Some((seed, run(seed, setup, failovers)?)))
}

fn number(variable: &str) -> Option<u64> {
    let value = env::var(variable).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{variable} is a number, not {value:?}")))
}

#[test]
fn correct_fleets_keep_the_contract() {
    if let Some(seed) = number("LEMON_TEST_SEED") {
        return correct().iter().for_each(|(setup, failovers)| show(seed, setup, *failovers));
    }
    let time = number("LEMON_TEST_SIMULATION").map(Duration::from_secs);
    // A longer run looks at other schedules than the last one.
    let first = time.map_or(0, |_| u64::from(fastrand::u32(..)) << 24);
    let begun = Instant::now();
    let (next, shown) = (AtomicU64::new(first), Mutex::new(begun));
    let (finished, worked) = (AtomicU64::new(0), AtomicU64::new(0));
    let run_schedules = || {
        loop {
            let seed = next.fetch_add(1, Relaxed);
            if time.map_or(seed >= SCHEDULES, |time| begun.elapsed() >= time) {
                worked.fetch_add(processor_time(), Relaxed);
                return;
            }
            for (setup, failovers) in correct() {
                if let Some(violation) = run(seed, &setup, failovers) {
                    panic!("seed {seed}, replication {:?}: {violation}", setup.replication);
                }
                finished.fetch_add(1, Relaxed);
            }
            let mut shown = shown.lock().expect("no panic while it is held");
            if shown.elapsed() > Duration::from_secs(10) {
                *shown = Instant::now();
                println!("{} schedules of each fleet, seeds {first} to {seed}", seed - first);
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(run_schedules);
        }
    });
    let schedules = finished.into_inner();
    println!("{schedules} schedules from seed {first} in {:.1?}", begun.elapsed());
    if let Some(rate) = (schedules * 1_000_000_000).checked_div(worked.into_inner()) {
        println!("{rate} schedules in a second of processor time, run and checked");
    }
}

/// How long this thread has run, in nanoseconds; zero where that is not known.
fn processor_time() -> u64 {
    let times = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    times.split(' ').next().and_then(|time| time.parse().ok()).unwrap_or_default()
}

/// Prints all of a schedule.
fn show(seed: u64, setup: &Setup, failovers: Failovers) {
    println!("seed {seed}, replication {:?}", setup.replication);
    let mut history = simulate(seed, setup);
    history.sort_by_key(|operation| operation.invoked);
    history.iter().for_each(|operation| println!("{operation}"));
    println!("{} sessions\n", check(&history, failovers).assert_allowed());
}

#[test]
fn seed_determines_all_that_happens() {
    for (setup, _) in correct() {
        for seed in 0..50 {
            assert_eq!(simulate(seed, &setup), simulate(seed, &setup), "seed {seed}");
        }
    }
}

#[test]
fn schedules_differ_and_reach_what_is_to_be_tested() {
    use lemon_session_history::{Action, Saved, Started};
    let mut reached = [0; 8];
    for seed in 0..1000 {
        for operation in simulate(seed, &Setup::new(Replication::Synchronous)) {
            let case = match operation.action {
                Action::Start { answer: Some(Started::Found { .. }), .. } => 0,
                Action::Start { answer: Some(Started::Absent), .. } => 1,
                Action::Save { answer: Some(Saved::Committed(_)), .. } => 2,
                Action::Save { answer: Some(Saved::Gone), .. } => 3,
                Action::Save { answer: Some(Saved::Conflict), .. } => 4,
                Action::Save { answer: None, .. } => 5,
                Action::DestroyOwned { .. } => 6,
                _ => 7,
            };
            reached[case] += 1;
        }
    }
    println!("{reached:?}");
    assert!(reached.iter().all(|times| *times > 20), "{reached:?}");
}

#[test]
fn failover_to_an_asynchronous_replica_loses_what_was_acknowledged() {
    let setup = Setup::new(Replication::Asynchronous);
    let (seed, violation) = find(&setup, Failovers::KeepEverything, SCHEDULES_OF_A_MISTAKE).expect("it loses saves");
    println!("seed {seed}: {violation}");
}

/// The same, as if every host had a clock that is right.
fn by_the_true_clock(mut history: Vec<Operation>) -> Vec<Operation> {
    for operation in &mut history {
        operation.clock = BEGIN + operation.invoked / 1_000_000..=BEGIN + operation.completed / 1_000_000;
    }
    history
}

/// Where a store has no clock, a session expires by the clock of the host that is asked.
#[test]
fn sessions_that_are_live_by_the_true_clock_end_if_the_clock_of_a_host_is_an_hour_off() {
    let ends = |skew, seed| {
        let setup = Setup { skew, ..Setup::new(Replication::None) };
        violation(seed, &by_the_true_clock(simulate(seed, &setup)), Failovers::KeepEverything)
    };
    assert!((0..2000).all(|seed| ends(0, seed).is_none()), "clocks that are right end nothing");
    let mut violations = (0..2000).filter_map(|seed| ends(3600, seed));
    println!("{}", violations.find(|violation| violation.kind == Kind::Vanished).expect("a session that ends early"));
}

/// As if the store went by its own clock where that is earlier, which it does not.
#[test]
fn store_that_believes_a_host_whose_clock_is_ahead_ends_live_sessions() {
    let setup = Setup { has_clock: false, ..Setup::with_clock(Replication::None) };
    let mut violations = (0..2000).filter_map(|seed| {
        let history = simulate(seed, &setup).into_iter().map(|operation| {
            let second = |time| BEGIN + time / 1_000_000;
            let meanwhile = second(operation.invoked)..=second(operation.completed);
            operation.by_the_store(meanwhile)
        });
        violation(seed, &history.collect::<Vec<_>>(), Failovers::KeepEverything)
    });
    println!("{}", violations.find(|violation| violation.kind == Kind::Vanished).expect("a session that ends early"));
}

/// A store that makes a mistake, and what the checker calls the consequence.
#[track_caller]
fn finds(setup: Setup, kinds: &[Kind]) {
    let begun = Instant::now();
    let found = find(&setup, Failovers::KeepEverything, SCHEDULES_OF_A_MISTAKE);
    let (seed, violation) = found.unwrap_or_else(|| panic!("no violation in {SCHEDULES_OF_A_MISTAKE} schedules"));
    println!("seed {seed}, {:.1?}: {violation}", begun.elapsed());
    assert!(kinds.contains(&violation.kind), "{violation}");
    assert!(violation.operations.len() <= 8, "an explanation is short: {violation}");
}

fn on(store: fn() -> Arc<dyn Store>) -> Setup {
    Setup { store, ..Setup::new(Replication::None) }
}

#[test]
fn finds_a_driver_that_recreates_on_update() {
    finds(on(|| Arc::new(Mistaken::new(Mistake::RecreatesOnUpdate))), &[Kind::Resurrected, Kind::Inconsistent]);
}

#[test]
fn finds_a_cleanup_that_ignores_extension() {
    finds(on(|| Arc::new(Mistaken::new(Mistake::IgnoresExtension))), &[Kind::Vanished]);
}

#[test]
fn finds_a_driver_that_writes_back_the_whole_session() {
    finds(on(|| Arc::new(Mistaken::new(Mistake::WritesBack))), &[Kind::Inconsistent]);
}

#[test]
fn finds_a_driver_that_keeps_the_old_id() {
    finds(on(|| Arc::new(Mistaken::new(Mistake::KeepsTheOldId))), &[Kind::Resurrected, Kind::Inconsistent]);
}

#[test]
fn finds_a_driver_that_ignores_the_expected_version() {
    finds(on(|| Arc::new(Mistaken::new(Mistake::IgnoresTheVersion))), &[Kind::Inconsistent]);
}

#[test]
fn finds_an_add_that_is_not_repeated() {
    finds(on(|| Arc::new(Mistaken::new(Mistake::TakesConflictForSaved))), &[Kind::Inconsistent]);
}

#[test]
fn finds_a_torn_save() {
    finds(on(|| Arc::new(Broken::new(broken::Mistake::UpdatesInSteps))), &[Kind::Inconsistent, Kind::Resurrected]);
}

#[test]
fn finds_a_destroy_owned_that_misses_rotated_sessions() {
    finds(on(|| Arc::new(Broken::new(broken::Mistake::EndsListedKeys))), &[Kind::Resurrected, Kind::Inconsistent]);
}

#[test]
fn finds_a_cleanup_of_live_sessions() {
    finds(on(|| Arc::new(Broken::new(broken::Mistake::CleansUpWhatIsLive))), &[Kind::Vanished]);
}

#[test]
fn finds_a_driver_that_repeats_an_update_without_an_answer() {
    finds(Setup { repeats: true, ..Setup::new(Replication::None) }, &[Kind::Inconsistent, Kind::Vanished]);
}

#[test]
fn finds_a_driver_that_reads_from_the_replica() {
    let setup = Setup { reads_replica: true, ..Setup::new(Replication::Asynchronous) };
    finds(setup, &[Kind::Inconsistent, Kind::Vanished, Kind::Resurrected]);
}
