//! Other session libraries on the Redis cluster with sentinels, and ours, through one schedule: concurrent requests of one session,
//! logouts while a request is under way, and failovers.
//!
//! Runs with `LEMON_TEST_PEERS=N`, N times; `peers/setup.sh` installs what it needs. docs/drivers.md has the results.

mod balancer;
mod sites;

use std::{
    fmt,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use tokio::runtime::Handle;

use self::{
    balancer::Balancer,
    sites::{Ask, Browser, Ours, Peer, Site},
};
use crate::{
    faults::{alone, number, say},
    redis::{Sentinels, faults},
};

/// The visitors who use a site at once without faults, each by two clients.
const VISITORS: usize = 4;
/// The requests of each of these clients.
const REQUESTS: usize = 40;
/// How long a page works between reading a session and saving it.
const WORK: Duration = Duration::from_millis(5);
/// The sessions that are ended while a request is under way.
const LOGOUTS: usize = 20;
/// The clients of a site at a failover, each with a session of its own.
const CLIENTS: usize = 8;
const PAUSE: Duration = Duration::from_millis(8);
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(60);
/// How long a site may take until every client saves again, after the cluster is whole.
const RECOVERY: Duration = Duration::from_secs(45);
/// The faults of the schedule, by their names.
const FAULTS: [&str; 3] =
    ["primary killed", "primary cut off from all", "primary and the hosts cut off from replicas and sentinels"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    Php { locks: bool },
    Express,
    Tower,
    Ours { replicas: u32 },
}

const ALL: [Which; 6] = [
    Which::Php { locks: false },
    Which::Php { locks: true },
    Which::Express,
    Which::Tower,
    Which::Ours { replicas: 0 },
    Which::Ours { replicas: 1 },
];

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Php { locks: false } => f.write_str("PHP"),
            Self::Php { locks: true } => f.write_str("PHP with locks"),
            Self::Express => f.write_str("express-session"),
            Self::Tower => f.write_str("tower-sessions"),
            Self::Ours { replicas } => write!(f, "lemon:session, replicas = {replicas}"),
        }
    }
}

impl Which {
    /// Starts the site; none if it is not installed.
    fn start(self, runtime: &Handle, cluster: &Sentinels, balancer: &Balancer) -> Option<Box<dyn Site>> {
        Some(match self {
            Self::Php { locks } => Box::new(Peer::php(balancer.port, locks)?),
            Self::Express => Box::new(Peer::express(&cluster.sentinel_ports())?),
            Self::Tower => Box::new(Peer::tower(&cluster.sentinel_ports())?),
            Self::Ours { replicas } => Box::new(Ours { store: cluster.store_with(replicas), runtime: runtime.clone() }),
        })
    }
}

/// What came of requests without a fault.
#[derive(Clone, Copy, Debug, Default)]
struct Quiet {
    /// Acknowledged increases of the counter, and how many of them are not in it.
    adds: i64,
    adds_lost: i64,
    /// Acknowledged settings of a variable that only one client sets, and how many of them the next read of it did not find.
    sets: i64,
    sets_lost: i64,
    /// Sessions that ended while a request was under way, and how many of them had their variables afterwards.
    logouts: i64,
    resurrected: i64,
}

/// What came of a fault.
#[derive(Clone, Copy, Debug, Default)]
struct Failed {
    saves: i64,
    /// The acknowledged saves that the session did not have later.
    lost: i64,
    ended: i64,
    /// The sessions that had their variables after their end was acknowledged.
    resurrected: i64,
    /// The longest time without a save by any client, and by one.
    unavailable: Duration,
    worst: Duration,
    /// The clients that did not save again in time.
    stuck: usize,
}

/// Logs in with a new session.
fn log_in<'a>(site: &'a dyn Site) -> Box<dyn Browser + 'a> {
    let mut browser = site.browser();
    for _ in 0..20 {
        if browser.ask(Ask::Login, Duration::ZERO).is_some() {
            return browser;
        }
        thread::sleep(PAUSE_AFTER_FAILURE);
    }
    panic!("a site saves nothing although nothing fails");
}

/// Reads until an answer comes.
fn read(browser: &mut dyn Browser) -> sites::Variables {
    let begun = Instant::now();
    while begun.elapsed() < RECOVERY {
        if let Some(variables) = browser.ask(Ask::Read, Duration::ZERO) {
            return variables;
        }
        thread::sleep(Duration::from_millis(300));
    }
    panic!("a site reads nothing although nothing fails");
}

/// Visitors whose two clients do their requests at once: both increase one counter, and each sets a variable of its own.
fn concurrent(site: &dyn Site, quiet: &Mutex<Quiet>) {
    thread::scope(|scope| {
        for _ in 0..VISITORS {
            scope.spawn(|| {
                let mut first = log_in(site);
                let cookie = first.cookie().clone();
                let counts = thread::scope(|scope| {
                    let clients = ["a", "b"].map(|name| {
                        let cookie = cookie.clone();
                        scope.spawn(move || client(site, cookie, name))
                    });
                    clients.map(|client| client.join().expect("a client does not panic"))
                });
                let variables = read(&mut *first);
                let found = |name: &str| variables.get(name).copied().unwrap_or_default();
                let mut quiet = quiet.lock().expect("no client panics");
                let adds: i64 = counts.iter().map(|count| count.adds).sum();
                quiet.adds += adds;
                quiet.adds_lost += (adds - found("count")).max(0);
                for (count, name) in counts.iter().zip(["a", "b"]) {
                    quiet.sets += count.sets;
                    quiet.sets_lost += count.lost + i64::from(found(name) < count.last);
                }
            });
        }
    });
}

/// What one of two clients did.
#[derive(Default)]
struct Count {
    adds: i64,
    sets: i64,
    lost: i64,
    /// The value of its variable that was acknowledged last, unless it is known to be lost.
    last: i64,
}

fn client(site: &dyn Site, cookie: Option<String>, name: &'static str) -> Count {
    let mut browser = site.browser();
    let mut count = Count::default();
    for value in 1..=REQUESTS as i64 / 2 {
        *browser.cookie() = cookie.clone();
        count.adds += i64::from(browser.ask(Ask::Add, WORK).is_some());
        *browser.cookie() = cookie.clone();
        if let Some(found) = browser.ask(Ask::Set(name, value), WORK) {
            count.lost += i64::from(found.get(name).copied().unwrap_or_default() < count.last);
            count.sets += 1;
            count.last = value;
        }
    }
    count
}

/// A visitor logs out while a request of the session is under way, which saves afterwards.
fn logouts(site: &dyn Site, quiet: &Mutex<Quiet>) {
    for _ in 0..LOGOUTS {
        let mut browser = log_in(site);
        let cookie = browser.cookie().clone();
        let ended = thread::scope(|scope| {
            let slow = cookie.clone();
            scope.spawn(move || {
                let mut browser = site.browser();
                *browser.cookie() = slow;
                browser.ask(Ask::Set("a", 1), Duration::from_millis(150));
            });
            thread::sleep(Duration::from_millis(50));
            browser.ask(Ask::Logout, Duration::ZERO).is_some()
        });
        *browser.cookie() = cookie;
        let mut quiet = quiet.lock().expect("no client panics");
        quiet.logouts += i64::from(ended);
        quiet.resurrected += i64::from(ended && read(&mut *browser).contains_key("user"));
    }
}

/// Clients with a session each, while a fault happens.
fn failover(site: &dyn Site, happens: impl FnOnce()) -> Failed {
    let (begun, stopped) = (Instant::now(), AtomicBool::new(false));
    let saved: Vec<Mutex<Vec<Duration>>> = (0..CLIENTS).map(|_| Mutex::default()).collect();
    let outcome = Mutex::new(Failed::default());
    thread::scope(|scope| {
        for saved in &saved {
            let (stopped, outcome) = (&stopped, &outcome);
            scope.spawn(move || {
                let seen = session_by_session(
                    site,
                    begun,
                    || stopped.load(Relaxed),
                    || {
                        saved.lock().expect("no client panics").push(begun.elapsed());
                    },
                );
                let mut outcome = outcome.lock().expect("no client panics");
                outcome.saves += seen.saves;
                outcome.lost += seen.lost;
                outcome.ended += seen.ended;
                outcome.resurrected += seen.resurrected;
            });
        }
        happens();
        let healed = begun.elapsed();
        if std::env::var_os("LEMON_TEST_ERRORS").is_some() {
            println!("{:8.3} s: the cluster is whole", healed.as_secs_f64());
        }
        let waits = || {
            let last = |saved: &Mutex<Vec<Duration>>| saved.lock().expect("no client panics").last().copied();
            saved.iter().filter(|saved| last(saved).is_none_or(|last| last <= healed)).count()
        };
        while waits() > 0 && begun.elapsed() < healed + RECOVERY {
            thread::sleep(Duration::from_millis(50));
        }
        outcome.lock().expect("no client panics").stuck = waits();
        stopped.store(true, Relaxed);
    });
    let end = begun.elapsed();
    let gap = |mut times: Vec<Duration>| {
        times.extend([Duration::ZERO, end]);
        times.sort_unstable();
        times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
    };
    let times: Vec<Vec<Duration>> =
        saved.into_iter().map(|times| times.into_inner().expect("no client panics")).collect();
    let mut outcome = outcome.into_inner().expect("no client panics");
    outcome.unavailable = gap(times.concat());
    outcome.worst = times.into_iter().map(gap).max().unwrap_or_default();
    outcome
}

/// A client that uses one session after the other, and looks afterwards at all that it had.
fn session_by_session(site: &dyn Site, begun: Instant, stopped: impl Fn() -> bool, saved: impl Fn()) -> Failed {
    let mut seen = Failed::default();
    let mut browser = site.browser();
    // The count that was acknowledged last.
    let mut count = 0;
    let mut ended = Vec::new();
    while !stopped() {
        let failed = match browser.cookie().clone() {
            None => {
                count = 0;
                let logged_in = browser.ask(Ask::Login, Duration::ZERO).is_some();
                seen.saves += i64::from(logged_in);
                !logged_in
            }
            cookie @ Some(_) if count > 5 && fastrand::u32(..25) == 0 => {
                let logged_out = browser.ask(Ask::Logout, Duration::ZERO).is_some();
                // Without an answer, the session may be there or not.
                ended.extend(cookie.filter(|_| logged_out));
                *browser.cookie() = None;
                !logged_out
            }
            Some(_) => match browser.ask(Ask::Add, Duration::ZERO) {
                None => true,
                Some(variables) => {
                    let found = variables.get("count").copied().unwrap_or_default();
                    if found <= count && std::env::var_os("LEMON_TEST_ERRORS").is_some() {
                        println!("{:8.3} s: {found} after {count}", begun.elapsed().as_secs_f64());
                    }
                    seen.lost += (count + 1 - found).max(0) + i64::from(!variables.contains_key("user"));
                    seen.saves += 1;
                    count = found;
                    saved();
                    if !variables.contains_key("user") {
                        // The session is lost; this is a new one, without a login.
                        *browser.cookie() = None;
                    }
                    false
                }
            },
        };
        thread::sleep(if failed { PAUSE_AFTER_FAILURE } else { PAUSE });
    }
    if browser.cookie().is_some() {
        let variables = read(&mut *browser);
        seen.lost += (count - variables.get("count").copied().unwrap_or_default()).max(0);
    }
    seen.ended = ended.len() as i64;
    for cookie in ended {
        *browser.cookie() = Some(cookie);
        seen.resurrected += i64::from(read(&mut *browser).contains_key("user"));
    }
    seen
}

#[test]
fn peers_go_through_the_same_schedule() {
    let Some(times) = number("LEMON_TEST_PEERS") else { return };
    // One of them alone, by its name.
    let only = std::env::var("LEMON_TEST_PEER").unwrap_or_default();
    let all = || ALL.into_iter().enumerate().filter(|(_, which)| which.to_string().contains(&only));
    alone(|runtime| {
        let Some(mut cluster) = Sentinels::start(runtime, 0) else { return };
        let mut quiet = ALL.map(|_| Quiet::default());
        let mut failed = ALL.map(|_| FAULTS.map(|_| Failed::default()));
        for _ in 0..times {
            for (place, which) in all() {
                let balancer = Balancer::to(runtime, cluster.server_ports());
                let Some(site) = which.start(runtime, &cluster, &balancer) else { return };
                let counts = Mutex::new(quiet[place]);
                concurrent(&*site, &counts);
                logouts(&*site, &counts);
                quiet[place] = counts.into_inner().expect("no client panics");
                drop(site);
                say(&format!("{which}: {:?}", quiet[place]));
                for (name, all) in FAULTS.into_iter().zip(&mut failed[place]) {
                    let balancer = Balancer::to(runtime, cluster.server_ports());
                    let Some(site) = which.start(runtime, &cluster, &balancer) else { return };
                    let fault = faults(0).into_iter().find(|fault| fault.name == name).expect("the cluster has it");
                    let outcome = failover(&*site, || (fault.happens)(&mut cluster));
                    say(&format!("{which}: {name}: {outcome:?}"));
                    all.saves += outcome.saves;
                    all.lost += outcome.lost;
                    all.ended += outcome.ended;
                    all.resurrected += outcome.resurrected;
                    all.unavailable = all.unavailable.max(outcome.unavailable);
                    all.worst = all.worst.max(outcome.worst);
                    all.stuck += outcome.stuck;
                }
            }
        }
        report(&quiet, &failed);
        for (place, which) in all() {
            assert!(quiet[place].adds > 100 && quiet[place].logouts > 10, "{which} did too little: {:?}", quiet[place]);
            if let Which::Ours { replicas } = which {
                let Quiet { adds_lost, sets_lost, resurrected, .. } = quiet[place];
                assert_eq!((adds_lost, sets_lost, resurrected), (0, 0, 0), "{which}");
                let spared = &failed[place][..2];
                let lost: i64 = spared.iter().map(|outcome| outcome.lost + outcome.resurrected).sum();
                assert!(replicas == 0 || lost == 0, "{which}: {spared:?}");
                assert!(failed[place].iter().all(|outcome| outcome.stuck == 0), "{which}: {:?}", failed[place]);
            }
        }
    });
}

/// Prints the tables of docs/drivers.md.
fn report(quiet: &[Quiet; ALL.len()], failed: &[[Failed; FAULTS.len()]; ALL.len()]) {
    println!("\nsite | increases | lost | settings | lost | logouts | resurrected");
    for (which, quiet) in ALL.iter().zip(quiet).filter(|(_, quiet)| quiet.adds > 0) {
        let Quiet { adds, adds_lost, sets, sets_lost, logouts, resurrected } = quiet;
        println!("{which} | {adds} | {adds_lost} | {sets} | {sets_lost} | {logouts} | {resurrected}");
    }
    println!("\nsite | fault | saves | lost | logouts | resurrected | unavailable | one client");
    for (fault, name) in FAULTS.iter().enumerate() {
        for (which, failed) in ALL.iter().zip(failed).filter(|(_, failed)| failed[fault].saves > 0) {
            let Failed { saves, lost, ended, resurrected, unavailable, worst, stuck } = failed[fault];
            let times = format!("{:.1} s | {:.1} s", unavailable.as_secs_f64(), worst.as_secs_f64());
            println!("{which} | {name} | {saves} | {lost} | {ended} | {resurrected} | {times} | {stuck} stuck");
        }
    }
}
