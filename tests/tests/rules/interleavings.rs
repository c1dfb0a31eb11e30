//! Two and three requests of one session, in every order of their storage calls, against the session component itself.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use lemon_session_host::{
    SessionCtx, Sessions, Settings, Stores,
    engine::{EngineOptions, engine},
    sessions::{Error, Options, PoolOptions, Value},
    store::{Digest, Inspect, LoadOutcome, Store, memory::Memory},
};

use crate::{
    model::{Changes, Model, Rules, Saved, Variables},
    schedule::{Actor, Current, Run, Stepped, explore},
};

const NOW: u64 = 1_800_000_000;
const OWNER: &str = "ann";

/// What one request does. Every request but `Later` and `Cleanup` begins with a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Script {
    /// Reads and saves.
    Read,
    /// Sets a variable of its own.
    Set,
    /// Sets the variable that all set.
    SetShared,
    /// Adds to the variable that all add to.
    Add,
    /// Removes the variable that was there.
    Delete,
    /// Clears the application and sets a variable.
    Clear,
    /// Sets everything to what it is.
    SetSame,
    /// Saves twice.
    SetTwice,
    /// Changes the id and the owner.
    Login,
    /// Logs out.
    Destroy,
    /// Logs out everywhere.
    DestroyOwned,
    /// Time passes: so much that a use is written down.
    Later,
    /// Time passes: so much that the session expires unless it was used since.
    MuchLater,
    /// Expired sessions are removed.
    Cleanup,
}

use Script::*;

/// An operation that has come to its end, with the position of its last storage call.
#[derive(Debug)]
struct Event {
    at: (usize, usize),
    actor: usize,
    now: u64,
    operation: Operation,
}

#[derive(Debug)]
enum Operation {
    Start { seen: Option<Variables> },
    Save { changes: Changes, answer: Saved },
    Destroy,
    DestroyOwned { ended: u64 },
    Cleanup,
}

/// What the actors of one run share.
#[derive(Clone)]
struct World {
    id: String,
    clock: Arc<AtomicU64>,
    run: Arc<Run>,
    events: Arc<Mutex<Vec<Event>>>,
}

impl World {
    /// Notes an operation at the position of the storage call that decided it: the last one, but for a logout, which may
    /// look afterwards whether the session goes on under another id.
    fn happened(&self, actor: usize, operation: Operation) {
        let decided = matches!(operation, Operation::Destroy).then(|| self.run.last_step(actor, "destroy")).flatten();
        let (at, step) = decided.or_else(|| self.run.last_step(actor, "")).expect("every operation follows a start");
        let now = step.now;
        let mut events = self.events.lock().unwrap();
        let nth = events.len();
        events.push(Event { at: (at, nth), actor, now, operation });
    }
}

/// A session component for each actor, on one engine.
struct Bench {
    rules: Rules,
    clock: Arc<AtomicU64>,
    current: Current,
    actors: Vec<Sessions>,
    explored: usize,
}

impl Bench {
    fn new(actors: usize, rules: Rules) -> Self {
        let clock = Arc::new(AtomicU64::new(NOW));
        let current = Current::default();
        let engine = engine(&EngineOptions { instances: 16, epochs: false, ..EngineOptions::default() }).unwrap();
        let settings = Settings {
            strict: rules.strict,
            renew_after: rules.renew_after as u32,
            renew_grace: rules.renew_grace as u32,
            cleanup: 0.0,
            ..Settings::default()
        };
        let sessions = |actor| {
            let driver = Arc::new(Stepped { actor, current: Arc::clone(&current) });
            let ctx = SessionCtx::builder(Stores::single(driver)).settings(settings.clone()).build().unwrap();
            let clock = Arc::clone(&clock);
            let clock = Arc::new(move || Duration::from_secs(clock.load(Relaxed)));
            let options = PoolOptions { instances: 2, clock: Some(clock), ..PoolOptions::default() };
            Sessions::with(ctx, &engine, options).unwrap()
        };
        let actors = (0..actors).map(sessions).collect();
        Self { rules, clock, current, actors, explored: 0 }
    }

    /// Runs these requests in every order, and compares each run with the model.
    async fn race(&mut self, scripts: &[Script]) {
        let id = "A".repeat(43);
        let events: Arc<Mutex<Vec<Event>>> = Arc::default();
        let store: Arc<Mutex<Option<Arc<Memory>>>> = Arc::default();
        let begin = async |run: &Arc<Run>| {
            let memory = Arc::new(Memory::new());
            visited(&memory, &id).await;
            *store.lock().unwrap() = Some(Arc::clone(&memory));
            *self.current.lock().unwrap() = Some((Arc::clone(run), memory));
            self.clock.store(NOW, Relaxed);
            events.lock().unwrap().clear();
            let world = World {
                id: id.clone(),
                clock: Arc::clone(&self.clock),
                run: Arc::clone(run),
                events: Arc::clone(&events),
            };
            let actors = scripts.iter().zip(&self.actors).enumerate();
            actors
                .map(|(actor, (script, sessions))| {
                    Box::pin(request(actor, *script, sessions.clone(), world.clone())) as Actor
                })
                .collect()
        };
        let check = async |run: &Run| {
            let memory = store.lock().unwrap().clone().unwrap();
            let mut events = std::mem::take(&mut *events.lock().unwrap());
            events.sort_by_key(|event| event.at);
            let end = self.clock.load(Relaxed);
            if let Err(text) = compare(self.rules, &id, &events, &memory, end).await {
                panic!("{scripts:?} under {:?} in the order {:?}: {text}\n{events:#?}", self.rules, run.order());
            }
        };
        self.explored += explore(scripts.len(), begin, check).await;
    }
}

/// Stores the session that all requests are of.
async fn visited(memory: &Memory, id: &str) {
    use lemon_session_host::store::{Record, Write};
    let value = lemon_session_rules::codec::encode(&lemon_session_rules::Value::Integer(1)).unwrap();
    let write = |name: &str| Write { app: "session".into(), name: name.into(), value: Some(value.clone()) };
    let record = Record {
        created: NOW,
        accessed: NOW,
        expires: NOW + crate::model::EXPIRES + crate::model::SLICE,
        absolute_expiry: None,
        rotated: NOW,
        owner: Some(OWNER.into()),
        version: 1,
        size: 0,
    };
    memory.create(&Digest::of(id), &record, &[write("old"), write("sum")].into()).await.unwrap();
}

fn before() -> Variables {
    Variables::from([("old".into(), 1), ("sum".into(), 1)])
}

/// One request.
async fn request(actor: usize, script: Script, sessions: Sessions, world: World) {
    match script {
        Later | MuchLater => {
            world.run.step(actor, "wait", 0).await;
            world.clock.fetch_add(if script == Later { 600 } else { 1600 }, Relaxed);
            return;
        }
        Cleanup => {
            sessions.manager().cleanup(&Default::default(), 100).await.unwrap();
            return world.happened(actor, Operation::Cleanup);
        }
        DestroyOwned => {
            let ended = sessions.manager().destroy_owned(&Default::default(), OWNER, None).await.unwrap();
            return world.happened(actor, Operation::DestroyOwned { ended });
        }
        _ => {}
    }

    let cookies = vec![format!("session={}", world.id).into_bytes()];
    let session = sessions.start(Options { cookies, ..Options::default() }).await.unwrap();
    let seen = match session.created().await.unwrap() {
        true => None,
        false => Some(integers(session.entries().await.unwrap())),
    };
    world.happened(actor, Operation::Start { seen });
    if script == Destroy {
        session.destroy().await.unwrap();
        return world.happened(actor, Operation::Destroy);
    }

    let own = format!("own{actor}");
    let mut changes = Changes::default();
    match script {
        Set | SetTwice => _ = changes.sets.insert(own, actor as i64),
        SetShared => _ = changes.sets.insert("shared".into(), actor as i64),
        Add => _ = changes.adds.insert("sum".into(), 10),
        Delete => changes.deletes.push("old".into()),
        Clear => {
            changes.cleared = true;
            changes.sets.insert(own, actor as i64);
        }
        SetSame => {
            changes.sets.insert("old".into(), 1);
            changes.adds.insert("sum".into(), 0);
            changes.owner = Some(OWNER.into());
        }
        Login => {
            changes.regenerates = true;
            changes.owner = Some("bob".into());
        }
        _ => {}
    }
    save(actor, &session, &mut changes, &world).await;
    if script == SetTwice {
        let mut changes = Changes { sets: [(format!("own{actor}"), 7)].into(), ..Changes::default() };
        save(actor, &session, &mut changes, &world).await;
    }
}

async fn save(actor: usize, session: &lemon_session_host::Session, changes: &mut Changes, world: &World) {
    match changed(session, changes).await {
        Ok(()) => {}
        // An earlier save said so already.
        Err(Error::Gone) => return,
        Err(error) => panic!("{error}"),
    }
    let answer = match session.save().await {
        Ok(_) => Saved::As(session.id().await.unwrap()),
        Err(Error::Gone) => Saved::Gone,
        Err(Error::Conflict) => Saved::Conflict,
        Err(error) => panic!("{error}"),
    };
    world.happened(actor, Operation::Save { changes: changes.clone(), answer });
}

async fn changed(session: &lemon_session_host::Session, changes: &mut Changes) -> Result<(), Error> {
    if changes.cleared {
        session.clear().await?;
    }
    for (key, value) in &changes.sets {
        session.set(key, *value).await?;
    }
    for (key, delta) in &changes.adds {
        session.add(key, *delta).await?;
    }
    // What was not there when the request started is nothing to remove.
    let mut deletes = Vec::new();
    for key in std::mem::take(&mut changes.deletes) {
        if session.delete(&key).await? {
            deletes.push(key);
        }
    }
    changes.deletes = deletes;
    if let Some(owner) = &changes.owner {
        session.set_owner(Some(owner)).await?;
    }
    if changes.regenerates {
        session.regenerate_id().await?;
    }
    Ok(())
}

fn integers(entries: Vec<(String, Value)>) -> Variables {
    let integer = |(key, value)| match value {
        Value::Integer(value) => (key, value),
        other => panic!("{key} is {other:?}"),
    };
    entries.into_iter().map(integer).collect()
}

/// Has the model do what was done, and compares every answer and what is stored in the end.
async fn compare(rules: Rules, id: &str, events: &[Event], memory: &Memory, end: u64) -> Result<(), String> {
    let mut model = Model::new(rules);
    model.store(id, before(), Some(OWNER.into()), NOW);
    for Event { actor, now, operation, .. } in events {
        let wrong = |text: String| format!("actor {actor} should have seen {text}");
        match operation {
            Operation::Start { seen } => {
                let expected = model.start(*actor, id, *now);
                if *seen != expected {
                    return Err(wrong(format!("{expected:?}, not {seen:?}")));
                }
            }
            Operation::Save { changes, answer } => model.save(*actor, changes, answer, *now).map_err(wrong)?,
            Operation::Destroy => model.destroy(*actor, *now),
            Operation::DestroyOwned { ended } => {
                let expected = model.destroy_owned(OWNER, *now);
                if *ended != expected {
                    return Err(wrong(format!("{expected} sessions ended, not {ended}")));
                }
            }
            Operation::Cleanup => model.cleanup(*now),
        }
    }
    let expected = model.live(end);
    let mut stored = BTreeMap::new();
    for (id, variables) in &expected {
        let LoadOutcome::Found(loaded) = memory.load(&Digest::of(id), "session", end, u32::MAX).await.unwrap() else {
            return Err(format!("there should be a session with {variables:?}"));
        };
        let variables = loaded.variables.into_iter().map(|variable| {
            let lemon_session_host::store::Stored::Inline(bytes) = variable.value else { panic!("it is small") };
            let value = lemon_session_rules::codec::decode(&bytes).unwrap();
            let lemon_session_rules::Value::Integer(value) = value else { panic!("{value:?}") };
            (variable.name, value)
        });
        stored.insert(*id, variables.collect::<Variables>());
    }
    if !expected.iter().all(|(id, variables)| stored[id] == **variables) {
        return Err(format!("there should be stored {expected:?}, not {stored:?}"));
    }
    let count = memory.count(end).await.unwrap();
    if count != expected.len() as u64 {
        return Err(format!("there should be {} sessions, not {count}", expected.len()));
    }
    Ok(())
}

const ALL: [Script; 14] = [
    Read,
    Set,
    SetSame,
    SetShared,
    Add,
    Delete,
    Clear,
    SetTwice,
    Login,
    Destroy,
    DestroyOwned,
    Later,
    MuchLater,
    Cleanup,
];

/// Those that come to more than the two calls of a start and a save are raced in pairs.
const FEW: [Script; 9] = [Set, SetShared, Add, Clear, Login, Destroy, DestroyOwned, MuchLater, Cleanup];

fn kinds() -> [Rules; 3] {
    let plain = Rules::default();
    [plain, Rules { strict: true, ..plain }, Rules { renew_after: 300, renew_grace: 60, ..plain }]
}

#[tokio::test]
async fn every_order_of_two_requests_answers_as_the_model() {
    let mut explored = 0;
    for rules in kinds() {
        let mut bench = Bench::new(3, rules);
        for (n, first) in ALL.iter().enumerate() {
            for second in &ALL[n..] {
                bench.race(&[*first, *second]).await;
                // The same after a while: the id is to be renewed, and the use to be written down.
                bench.race(&[Later, *first, *second]).await;
            }
        }
        explored += bench.explored;
    }
    println!("{explored} schedules of two requests explored");
    assert!(explored > 1000);
}

#[tokio::test]
async fn every_order_of_three_requests_answers_as_the_model() {
    let mut explored = 0;
    for rules in kinds() {
        let mut bench = Bench::new(3, rules);
        for (n, first) in FEW.iter().enumerate() {
            for (m, second) in FEW.iter().enumerate().skip(n) {
                for third in &FEW[m..] {
                    bench.race(&[*first, *second, *third]).await;
                }
            }
        }
        explored += bench.explored;
    }
    println!("{explored} schedules of three requests explored");
    assert!(explored > 10_000);
}
