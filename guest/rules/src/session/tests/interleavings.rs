//! Two and three requests of one session, interleaved at every call of the store: as tasks of one instance, and of an instance each.
//! The model is the one that tests/tests/rules checks the component of WASI 0.2 with.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use self::model::{Changes, Model, Rules, Saved, Variables};
use super::*;
use crate::{
    Env as _, World,
    storage::Location,
    testing::{Order, Steps, Waiting},
};

#[path = "../../../../../tests/tests/rules/model.rs"]
mod model;

const OWNER: &str = "ann";

/// What one request does. Every request but `Later` and `Cleanup` begins with a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Script {
    Read,
    Set,
    SetShared,
    Add,
    Delete,
    Clear,
    Login,
    Destroy,
    DestroyOwned,
    /// Time passes: so much that a use is written down.
    Later,
    /// Time passes: so much that the session expires unless it was used since.
    MuchLater,
    Cleanup,
}

use Script::*;

const ALL: [Script; 12] =
    [Read, Set, SetShared, Add, Delete, Clear, Login, Destroy, DestroyOwned, Later, MuchLater, Cleanup];

/// An operation that has come to its end, with the position of the storage call that decided it.
struct Event {
    at: usize,
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

/// One run of the requests.
struct Run {
    outside: Outside,
    id: String,
    steps: Rc<Steps>,
    events: RefCell<Vec<Event>>,
}

impl Run {
    fn happened(&self, actor: usize, call: &str, operation: Operation) {
        let (at, now) = self.steps.last(actor, call).expect("every operation follows a storage call");
        self.events.borrow_mut().push(Event { at, actor, now, operation });
    }
}

async fn request(actor: usize, script: Script, run: &Run, world: Rc<World<Waiting>>) {
    let location = options().location;
    match script {
        Later | MuchLater => {
            run.steps.step("wait", 0).await;
            return run.outside.wait(if script == Later { 600 } else { 1600 });
        }
        Cleanup => {
            crate::manager::cleanup(&world, &location, 100).await.unwrap();
            return run.happened(actor, "", Operation::Cleanup);
        }
        DestroyOwned => {
            let ended = crate::manager::destroy_owned(&world, &location, OWNER, None).await.unwrap();
            return run.happened(actor, "", Operation::DestroyOwned { ended });
        }
        _ => {}
    }
    let session = crate::start(&world, carrying(&run.id)).await.unwrap();
    let seen = match session.created() {
        true => None,
        false => Some(integers(session.turn().await.entries().await.unwrap())),
    };
    run.happened(actor, "", Operation::Start { seen });
    if script == Destroy {
        session.turn().await.destroy().await.unwrap();
        // It may look afterwards whether the session goes on under another id.
        let call = if run.steps.last(actor, "destroy").is_some() { "destroy" } else { "" };
        return run.happened(actor, call, Operation::Destroy);
    }
    let own = format!("own{actor}");
    let mut changes = Changes::default();
    match script {
        Set => _ = changes.sets.insert(own, actor as i64),
        SetShared => _ = changes.sets.insert("shared".into(), actor as i64),
        Add => _ = changes.adds.insert("sum".into(), 10),
        Delete => changes.deletes.push("old".into()),
        Clear => {
            changes.cleared = true;
            changes.sets.insert(own, actor as i64);
        }
        Login => {
            changes.regenerates = true;
            changes.owner = Some("bob".into());
        }
        _ => {}
    }
    change(&session, &mut changes).await.unwrap();
    let answer = match session.turn().await.save().await {
        Ok(_) => Saved::As(session.id()),
        Err(Error::Gone) => Saved::Gone,
        Err(Error::Conflict) => Saved::Conflict,
        Err(error) => panic!("{error:?}"),
    };
    run.happened(actor, "", Operation::Save { changes, answer });
}

async fn change(session: &crate::Session<Waiting>, changes: &mut Changes) -> Result<()> {
    let session = session.turn().await;
    if changes.cleared {
        session.clear()?;
    }
    for (key, value) in &changes.sets {
        session.set(key, &Value::Integer(*value)).await?;
    }
    for (key, delta) in &changes.adds {
        session.add(key, *delta)?;
    }
    // What was not there when the request started is nothing to remove.
    changes.deletes.retain(|key| session.delete(key).unwrap());
    if let Some(owner) = &changes.owner {
        session.set_owner(Some(owner.clone()))?;
    }
    if changes.regenerates {
        session.regenerate_id()?;
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
fn compare(rules: Rules, run: &Run, read: impl Fn(&str) -> Option<Variables>, end: u64) -> Result<(), String> {
    let mut model = Model::new(rules);
    let before = Variables::from([("old".into(), 1), ("sum".into(), 1)]);
    model.store(&run.id, before, Some(OWNER.into()), NOW);
    let mut events = run.events.take();
    events.sort_by_key(|event| event.at);
    for Event { actor, now, operation, .. } in &events {
        let wrong = |text: String| format!("actor {actor} should have seen {text}: {operation:?}");
        match operation {
            Operation::Start { seen } => {
                let expected = model.start(*actor, &run.id, *now);
                if *seen != expected {
                    return Err(wrong(format!("{expected:?}")));
                }
            }
            Operation::Save { changes, answer } => model.save(*actor, changes, answer, *now).map_err(wrong)?,
            Operation::Destroy => model.destroy(*actor, *now),
            Operation::DestroyOwned { ended } => {
                let expected = model.destroy_owned(OWNER, *now);
                if *ended != expected {
                    return Err(wrong(format!("{expected} sessions end")));
                }
            }
            Operation::Cleanup => model.cleanup(*now),
        }
    }
    let expected = model.live(end);
    let stored: BTreeMap<_, _> = expected.keys().map(|id| (*id, read(id))).collect();
    if !expected.iter().all(|(id, variables)| stored[id].as_ref() == Some(*variables)) {
        return Err(format!("there should be stored {expected:?}, not {stored:?}"));
    }
    let count = crate::at_once(run.outside.count(&Location::default(), end)).unwrap() as usize;
    if count != expected.len() {
        Err(format!("there should be {} sessions, not {count}", expected.len()))
    } else {
        Ok(())
    }
}

/// Runs these requests in every order of their storage calls, and compares each run with the model. Returns the number of orders.
fn race(rules: Rules, is_one_instance: bool, scripts: &[Script]) -> usize {
    race_with(|_| (), rules, is_one_instance, scripts)
}

/// The same, with settings that change after the session was stored.
fn race_with(setting: fn(&mut Settings), rules: Rules, is_one_instance: bool, scripts: &[Script]) -> usize {
    let mut order = Order::default();
    for explored in 1.. {
        let outside = Outside::new(|settings| {
            settings.strict = rules.strict;
            settings.renew_after = rules.renew_after as u32;
            settings.renew_grace = rules.renew_grace as u32;
        });
        let session = owned(&outside, OWNER);
        session.set("old", &one()).unwrap();
        session.set("sum", &one()).unwrap();
        session.save().unwrap();
        let id = session.id();
        drop(session);
        outside.set(setting);

        let steps = Rc::<Steps>::default();
        let run = Run { outside: outside.clone(), id, steps: Rc::clone(&steps), events: RefCell::default() };
        let instance = || Rc::new(World::new(Waiting::shared(&outside, &steps)));
        let shared = instance();
        type Actor<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;
        let mut actors: Vec<Option<Actor<'_>>> = Vec::new();
        for (actor, script) in scripts.iter().enumerate() {
            let world = if is_one_instance { Rc::clone(&shared) } else { instance() };
            actors.push(Some(Box::pin(request(actor, *script, &run, world))));
        }
        let poll = |actors: &mut Vec<Option<Actor<'_>>>, actor: usize| {
            steps.current.set(actor);
            let future = actors[actor].as_mut().expect("it goes on").as_mut();
            if let Poll::Ready(()) = future.poll(&mut Context::from_waker(Waker::noop())) {
                actors[actor] = None;
            }
        };
        // To the first call of each.
        (0..scripts.len()).for_each(|actor| poll(&mut actors, actor));
        loop {
            let waiting: Vec<_> = (0..actors.len()).filter(|actor| actors[*actor].is_some()).collect();
            if waiting.is_empty() {
                break;
            }
            let choice = order.choose(waiting.len());
            poll(&mut actors, waiting[choice]);
        }
        drop(actors);
        let end = outside.now();
        let read = |id: &str| {
            let session = outside.resume(id).unwrap();
            (!session.created()).then(|| integers(session.entries().unwrap()))
        };
        if let Err(text) = compare(rules, &run, read, end) {
            panic!("{scripts:?} under {rules:?}, one instance: {is_one_instance}, choices {order:?}: {text}");
        }
        match order.following() {
            Some(next) => order = next,
            None => return explored,
        }
    }
    unreachable!("there are finitely many orders")
}

/// Two requests may both give the session its key, or one the key and the other a new id.
#[test]
fn every_order_of_two_requests_answers_as_the_model_when_values_are_sealed_from_now_on() {
    for rules in kinds() {
        for (n, first) in ALL.iter().enumerate() {
            for second in &ALL[n..] {
                race_with(|settings| settings.seal = true, rules, false, &[*first, *second]);
                race_with(|settings| settings.seal = true, rules, false, &[Later, *first, *second]);
            }
        }
    }
}

fn kinds() -> [Rules; 3] {
    let plain = Rules::default();
    [plain, Rules { strict: true, ..plain }, Rules { renew_after: 300, renew_grace: 60, ..plain }]
}

#[test]
fn every_order_of_two_requests_answers_as_the_model() {
    let mut explored = 0;
    for (rules, is_one_instance) in kinds().into_iter().flat_map(|rules| [(rules, true), (rules, false)]) {
        for (n, first) in ALL.iter().enumerate() {
            for second in &ALL[n..] {
                explored += race(rules, is_one_instance, &[*first, *second]);
                // The same after a while: the id is to be renewed, and the use to be written down.
                explored += race(rules, is_one_instance, &[Later, *first, *second]);
            }
        }
    }
    assert!(explored > 10_000, "{explored} orders");
}
