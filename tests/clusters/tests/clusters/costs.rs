//! What it costs to wait for a replica: the same requests with and without, in turns.

use std::{
    cell::RefCell,
    sync::Arc,
    time::{Duration, Instant},
};

use lemon_session_history::{Changes, Direct, Host, Id, Recorder, Request, Task, visit};
use lemon_session_rules::Settings;
use lemon_session_store::Store;
use tokio::runtime::Handle;

use crate::faults::say;

/// How often both take their turn.
const ROUNDS: usize = 10;
/// The requests of a turn.
const REQUESTS: usize = 50;

/// Prints how long a request takes that reads a session and saves it, without the wait for a replica and with it. `turn` switches
/// the wait on or off, and returns a store.
pub fn measure(runtime: &Handle, name: &str, mut turn: impl FnMut(bool) -> Arc<dyn Store>) {
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..2 * ROUNDS {
        let store = turn(round % 2 == 1);
        times[round % 2].extend(requests(runtime, &store));
        runtime.block_on(store.close()).expect("close");
    }
    let [without, with] = times.map(median);
    let milliseconds = |time: Duration| 1e3 * time.as_secs_f64();
    say(&format!("{name} | {:.1} ms | {:.1} ms", milliseconds(without), milliseconds(with)));
}

/// How long each request of a turn takes.
fn requests(runtime: &Handle, store: &Arc<dyn Store>) -> Vec<Duration> {
    let settings = Settings { cleanup: 0.0, ..Settings::default() };
    let random = RefCell::new(fastrand::Rng::new());
    let (store, runtime) = (Arc::clone(store), runtime.clone());
    let host = Host::new(Direct { store, runtime, begun: Instant::now(), settings, random }, 0, 0);
    let recorder = Recorder::default();
    let increase = |id: Option<Id>| {
        let changes = Changes { adds: [("sum".into(), 1)].into(), ..Changes::default() };
        visit(&host, &recorder, &Request { id, strict: false, cleanup: 0.0, task: Task::Save(changes) })
    };
    // The first request connects.
    let id = increase(None);
    assert!(id.is_some(), "a session is stored");
    let time = || {
        let begun = Instant::now();
        increase(id.clone());
        begun.elapsed()
    };
    (0..REQUESTS).map(|_| time()).collect()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
