//! A store that has every call wait: before it takes effect, and before the caller learns the answer.

use std::{
    cell::{Cell, RefCell},
    pin::pin,
    rc::Rc,
    task::Poll,
    time::Duration,
};

use super::Outside;
use crate::{
    Env,
    settings::{Caller, Client, Grant, Notice, Settings},
    storage::{
        Change, CreateOutcome, DestroyCondition, Failure, Listed, LoadOutcome, Location, SessionRecord, UpdateOutcome,
        Write,
    },
};

pub struct Waiting {
    outside: Outside,
    /// Whose calls they are, if several actors share the store: a call then waits once, before it takes effect.
    steps: Option<Rc<Steps>>,
}

/// The storage calls of several actors in the order in which they took effect.
#[derive(Default)]
pub struct Steps {
    /// The actor that is polled.
    pub current: Cell<usize>,
    taken: RefCell<Vec<(usize, &'static str, u64)>>,
}

impl Steps {
    /// Waits until the current actor is polled again, and notes its call.
    pub async fn step(&self, call: &'static str, now: u64) {
        pause().await;
        self.taken.borrow_mut().push((self.current.get(), call, now));
    }

    /// The position and the time of an actor's last call, of this name unless that is empty.
    pub fn last(&self, actor: usize, call: &str) -> Option<(usize, u64)> {
        let taken = self.taken.borrow();
        let mut of_actor = taken.iter().enumerate().rev();
        let (at, (_, _, now)) =
            of_actor.find(|(_, (of, name, _))| *of == actor && (call.is_empty() || *name == call))?;
        Some((at, *now))
    }
}

impl Waiting {
    pub fn new(outside: &Outside) -> Self {
        Self { outside: outside.clone(), steps: None }
    }

    pub fn shared(outside: &Outside, steps: &Rc<Steps>) -> Self {
        Self { outside: outside.clone(), steps: Some(Rc::clone(steps)) }
    }

    async fn slowly<T>(&self, name: &'static str, now: u64, call: impl Future<Output = T>) -> T {
        let call = pin!(call);
        if let Some(steps) = &self.steps {
            steps.step(name, now).await;
            return call.await;
        }
        pause().await;
        let answer = call.await;
        pause().await;
        answer
    }
}

/// Waits until it is polled again.
async fn pause() {
    let mut waited = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut waited, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

impl Env for Waiting {
    fn clock(&self) -> Duration {
        self.outside.clock()
    }

    fn random(&self, bytes: &mut [u8]) {
        self.outside.random(bytes);
    }

    fn defaults(&self) -> Settings {
        self.outside.defaults()
    }

    fn caller(&self) -> Caller {
        match &self.steps {
            Some(steps) => Caller { request: steps.current.get() as u64 + 1, manager: Grant::All },
            None => self.outside.caller(),
        }
    }

    fn client(&self) -> Client {
        self.outside.client()
    }

    fn notify(&self, notice: &Notice) {
        self.outside.notify(notice);
    }

    async fn load(
        &self,
        at: &Location,
        digest: &[u8],
        app: &str,
        now: u64,
        inline: u32,
    ) -> Result<LoadOutcome, Failure> {
        self.slowly("load", now, self.outside.load(at, digest, app, now, inline)).await
    }

    async fn fetch(
        &self,
        at: &Location,
        digest: &[u8],
        app: &str,
        name: &str,
        now: u64,
    ) -> Result<Option<Vec<u8>>, Failure> {
        self.slowly("fetch", now, self.outside.fetch(at, digest, app, name, now)).await
    }

    async fn create(
        &self,
        at: &Location,
        digest: &[u8],
        record: &SessionRecord,
        writes: &[Write],
    ) -> Result<CreateOutcome, Failure> {
        self.slowly("create", record.accessed, self.outside.create(at, digest, record, writes)).await
    }

    async fn update(
        &self,
        at: &Location,
        digest: &[u8],
        change: &Change,
        expected: Option<u64>,
        now: u64,
    ) -> Result<UpdateOutcome, Failure> {
        self.slowly("update", now, self.outside.update(at, digest, change, expected, now)).await
    }

    async fn destroy(
        &self,
        at: &Location,
        digest: &[u8],
        only: &DestroyCondition,
        now: u64,
        remember: u32,
    ) -> Result<bool, Failure> {
        self.slowly("destroy", now, self.outside.destroy(at, digest, only, now, remember)).await
    }

    async fn destroy_owned(
        &self,
        at: &Location,
        owner: &str,
        except: Option<&[u8]>,
        now: u64,
        remember: u32,
    ) -> Result<u64, Failure> {
        self.slowly("destroy_owned", now, self.outside.destroy_owned(at, owner, except, now, remember)).await
    }

    async fn cleanup(&self, at: &Location, now: u64, limit: u32) -> Result<u32, Failure> {
        self.slowly("cleanup", now, self.outside.cleanup(at, now, limit)).await
    }

    fn cleanup_later(&self, at: &Location, now: u64) {
        self.outside.cleanup_later(at, now);
    }

    async fn count(&self, at: &Location, now: u64) -> Result<u64, Failure> {
        self.slowly("count", now, self.outside.count(at, now)).await
    }

    async fn list(
        &self,
        at: &Location,
        now: u64,
        owner: Option<&str>,
        after: Option<&[u8]>,
        limit: u32,
    ) -> Result<Vec<Listed>, Failure> {
        self.slowly("list", now, self.outside.list(at, now, owner, after, limit)).await
    }

    async fn create_tables(&self, at: &Location) -> Result<(), Failure> {
        self.slowly("create_tables", 0, self.outside.create_tables(at)).await
    }

    async fn drop_tables(&self, at: &Location) -> Result<(), Failure> {
        self.slowly("drop_tables", 0, self.outside.drop_tables(at)).await
    }

    async fn tables_exist(&self, at: &Location) -> Result<bool, Failure> {
        self.slowly("tables_exist", 0, self.outside.tables_exist(at)).await
    }
}
