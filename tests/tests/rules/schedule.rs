//! Runs concurrent actors in every order that their storage calls can come in.

use std::{
    pin::Pin,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use lemon_session_host::store::{
    Change, CreateOutcome, DestroyCondition, Digest, LoadOutcome, Record, Result, Store, UpdateOutcome, Writes,
};
use tokio::sync::oneshot;

/// One actor of a run.
pub type Actor = Pin<Box<dyn Future<Output = ()> + Send>>;

/// One run of the actors: where each is, and the order of their steps.
pub struct Run {
    actors: Mutex<Vec<State>>,
    steps: Mutex<Vec<Step>>,
}

enum State {
    Running,
    Waiting(oneshot::Sender<()>),
    Done,
}

/// A storage call: whose, and the time it was made for.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    actor: usize,
    call: &'static str,
    pub now: u64,
}

impl Run {
    fn new(actors: usize) -> Arc<Self> {
        let actors = (0..actors).map(|_| State::Running).collect();
        Arc::new(Self { actors: Mutex::new(actors), steps: Mutex::default() })
    }

    /// Waits until the schedule lets this actor make its next step.
    pub async fn step(&self, actor: usize, call: &'static str, now: u64) {
        let (sender, receiver) = oneshot::channel();
        self.actors.lock().unwrap()[actor] = State::Waiting(sender);
        receiver.await.expect("the schedule grants every step");
        self.steps.lock().unwrap().push(Step { actor, call, now });
    }

    /// The position of an actor's last step among all steps, and the step: of the last call of this name, if it is not
    /// empty.
    pub fn last_step(&self, actor: usize, call: &str) -> Option<(usize, Step)> {
        let steps = self.steps.lock().unwrap();
        let is_meant = |step: &Step| step.actor == actor && (call.is_empty() || step.call == call);
        steps.iter().copied().enumerate().rev().find(|(_, step)| is_meant(step))
    }

    /// Who made each step.
    pub fn order(&self) -> Vec<usize> {
        self.steps.lock().unwrap().iter().map(|step| step.actor).collect()
    }

    /// Grants steps until all actors are done: those of `prefix`, then always the first that can go on. Returns the
    /// choice made at each step, and how many there were.
    async fn drive(&self, prefix: &[usize]) -> Vec<(usize, usize)> {
        let mut choices = Vec::new();
        loop {
            // Everything runs on this thread: all tasks that can continue do so before this one is polled again.
            while self.actors.lock().unwrap().iter().any(|actor| matches!(actor, State::Running)) {
                tokio::task::yield_now().await;
            }
            let mut actors = self.actors.lock().unwrap();
            let waiting = actors.iter_mut().filter(|actor| matches!(actor, State::Waiting(_)));
            let mut waiting: Vec<&mut State> = waiting.collect();
            if waiting.is_empty() {
                return choices;
            }
            let choice = prefix.get(choices.len()).copied().unwrap_or(0);
            choices.push((choice, waiting.len()));
            if let State::Waiting(go_on) = std::mem::replace(waiting[choice], State::Running) {
                go_on.send(()).expect("it waits");
            }
        }
    }
}

/// Marks an actor as done, however it ends.
struct Ending(Arc<Run>, usize);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.actors.lock().unwrap()[self.1] = State::Done;
    }
}

/// Has `begin` make `actors` actors, and runs them, once for every order of their steps, with `check` after each run.
/// Returns how many orders there were. Needs a runtime of one thread.
pub async fn explore(
    actors: usize,
    mut begin: impl AsyncFnMut(&Arc<Run>) -> Vec<Actor>,
    mut check: impl AsyncFnMut(&Run),
) -> usize {
    let mut prefix = Vec::new();
    for explored in 1.. {
        let run = Run::new(actors);
        let tasks = begin(&run).await.into_iter().enumerate().map(|(actor, future)| {
            let ending = Ending(Arc::clone(&run), actor);
            tokio::spawn(async move {
                let _ending = ending;
                future.await;
            })
        });
        let tasks: Vec<_> = tasks.collect();
        let mut choices = run.drive(&prefix).await;
        for task in tasks {
            task.await.expect("no actor panics");
        }
        check(&run).await;
        loop {
            let Some((choice, of)) = choices.pop() else { return explored };
            if choice + 1 < of {
                prefix = choices.iter().map(|(choice, _)| *choice).chain([choice + 1]).collect();
                break;
            }
        }
    }
    unreachable!("there are finitely many orders")
}

/// The run that is under way, and the store that it works on.
pub type Current = Arc<Mutex<Option<(Arc<Run>, Arc<dyn Store>)>>>;

/// One actor's way to the current run's store: every call is a step.
pub struct Stepped {
    pub actor: usize,
    pub current: Current,
}

impl Stepped {
    fn inner(&self) -> Arc<dyn Store> {
        Arc::clone(&self.current.lock().unwrap().as_ref().expect("a run is under way").1)
    }

    async fn step(&self, call: &'static str, now: u64) -> Arc<dyn Store> {
        let (run, inner) = self.current.lock().unwrap().clone().expect("a run is under way");
        run.step(self.actor, call, now).await;
        inner
    }
}

#[async_trait]
impl Store for Stepped {
    fn summary(&self) -> String {
        self.inner().summary()
    }

    async fn load(&self, key: &Digest, app: &str, now: u64, inline_bytes: u32) -> Result<LoadOutcome> {
        self.step("load", now).await.load(key, app, now, inline_bytes).await
    }

    async fn fetch(&self, key: &Digest, app: &str, name: &str, now: u64) -> Result<Option<Vec<u8>>> {
        self.step("fetch", now).await.fetch(key, app, name, now).await
    }

    async fn create(&self, key: &Digest, record: &Record, writes: &Writes) -> Result<CreateOutcome> {
        self.step("create", record.accessed).await.create(key, record, writes).await
    }

    async fn update(&self, key: &Digest, change: &Change, expected: Option<u64>, now: u64) -> Result<UpdateOutcome> {
        self.step("update", now).await.update(key, change, expected, now).await
    }

    async fn destroy(&self, key: &Digest, only: &DestroyCondition, now: u64, remember: u32) -> Result<bool> {
        self.step("destroy", now).await.destroy(key, only, now, remember).await
    }

    async fn destroy_owned(&self, owner: &str, except: Option<&Digest>, now: u64, remember: u32) -> Result<u64> {
        self.step("destroy_owned", now).await.destroy_owned(owner, except, now, remember).await
    }

    async fn cleanup(&self, now: u64, limit: u32) -> Result<u32> {
        self.step("cleanup", now).await.cleanup(now, limit).await
    }
}
