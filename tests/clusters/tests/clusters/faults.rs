//! Runs with faults, of one cluster after the other.

use std::{
    env,
    io::Write,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use lemon_session_store::{Registry, StorageOptions, Store};
use tokio::runtime::{Handle, Runtime};

use crate::{
    clients::{Outcome, run},
    process::Process,
};

/// The longest time that a host may be without a save: several times what it is.
const LONGEST: Duration = Duration::from_secs(15);

/// A fault of a cluster.
pub struct Fault<C> {
    pub name: &'static str,
    /// Lets it happen, and makes the cluster whole again.
    pub happens: fn(&mut C),
    pub expects: Expects,
    /// Whether it is part of a short run.
    pub short: bool,
}

/// What a fault may do to sessions.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Expects {
    /// Nothing that was acknowledged is lost, and nothing ends or comes back.
    Nothing,
    /// It loses what was acknowledged, as docs/drivers.md says.
    Losses,
}

/// A cluster with the stores of two hosts, opened anew.
pub trait Cluster {
    fn name(&self) -> String;

    fn stores(&self) -> [Arc<dyn Store>; 2];
}

/// Has each fault of a short run happen once, or all of them by chance for `LEMON_TEST_JEPSEN` seconds.
///
/// # Panics
///
/// Panics if a fault does more than it may.
pub fn inject<C: Cluster>(runtime: &Handle, cluster: &mut C, faults: &[Fault<C>]) {
    let name = cluster.name();
    let time = time();
    let seed = number("LEMON_TEST_SEED").unwrap_or_else(|| fastrand::u64(..1 << 48));
    let mut random = fastrand::Rng::with_seed(seed);
    say(&format!("{}: seed {seed}", name));
    let mut outcomes = vec![Outcome::default(); faults.len()];
    let begun = Instant::now();
    // Some faults alone, by a part of their name.
    let only = env::var("LEMON_TEST_FAULT").unwrap_or_default();
    let is_part = |fault: &Fault<C>| (time.is_some() || fault.short) && fault.name.contains(&only);
    let mut order: Vec<usize> = (0..faults.len()).filter(|fault| is_part(&faults[*fault])).collect();
    while !order.is_empty() {
        random.shuffle(&mut order);
        for &fault in &order {
            let (stores, happens) = (cluster.stores(), faults[fault].happens);
            let outcome = run(runtime, &stores, random.u64(..), || happens(cluster));
            stores.iter().for_each(|store| runtime.block_on(store.close()).expect("close"));
            say(&format!("{} | {} | {outcome}", name, faults[fault].name));
            outcomes[fault].add(&outcome);
            if time.is_some_and(|time| begun.elapsed() >= time) {
                break;
            }
        }
        if time.is_none_or(|time| begun.elapsed() >= time) {
            break;
        }
    }
    println!("\nstore | fault | runs | sessions | saves | lost | resurrected | unavailable | worst host");
    for (fault, outcome) in faults.iter().zip(&outcomes).filter(|(_, outcome)| outcome.runs > 0) {
        println!("{} | {} | {outcome}", name, fault.name);
    }
    for (fault, outcome) in faults.iter().zip(&outcomes) {
        let loses = outcome.lost + outcome.resurrected > 0;
        assert!(!loses || fault.expects == Expects::Losses, "seed {seed}: {}: {outcome:?}", fault.name);
        assert!(outcome.worst < LONGEST, "seed {seed}: {}: {outcome:?}", fault.name);
        assert_eq!(outcome.undecided, 0, "seed {seed}: {}: {outcome:?}", fault.name);
    }
}

/// Adds the faults of disks, if this server, and so the others like it, may have a slow disk here.
pub fn and_of_disks<C>(
    server: &Process,
    faults: impl Into<Vec<Fault<C>>>,
    of_disks: impl Into<Vec<Fault<C>>>,
) -> Vec<Fault<C>> {
    let mut faults = faults.into();
    if server.may_have_slow_disk() {
        faults.extend(of_disks.into());
    }
    faults
}

/// How long faults are to happen, if this is not a short run.
pub fn time() -> Option<Duration> {
    number("LEMON_TEST_JEPSEN").map(Duration::from_secs)
}

/// The clusters take turns: they share a machine with few processors.
pub fn alone(test: impl FnOnce(&Handle)) {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let runtime = Runtime::new().expect("a runtime");
    test(runtime.handle());
    runtime.shutdown_background();
}

/// Opens a store.
///
/// # Panics
///
/// Panics with the error if it does not open.
pub fn open(runtime: &Handle, url: &str) -> Arc<dyn Store> {
    let mut registry = Registry::new();
    for schemes in [&lemon_session_mysql::SCHEMES[..], &lemon_session_postgres::SCHEMES, &lemon_session_redis::SCHEMES]
    {
        registry.register(schemes).expect("each scheme is known once");
    }
    let (url, query) = url.split_once('?').unwrap_or((url, ""));
    let options = query.split('&').filter_map(|option| option.split_once('='));
    let options = options.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let options = StorageOptions { url: url.to_owned(), options, ..StorageOptions::default() };
    runtime.block_on(registry.open(options)).unwrap_or_else(|error| panic!("{url}: {error}"))
}

/// Creates the tables.
pub fn create_tables(runtime: &Handle, store: &dyn Store) {
    runtime.block_on(store.schema().expect("schema").create_tables()).expect("create_tables");
}

/// Directly to stderr: the test harness hides the output of tests that pass.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

pub fn number(variable: &str) -> Option<u64> {
    let value = env::var(variable).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{variable} is a number, not {value:?}")))
}
