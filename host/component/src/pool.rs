//! The instances of a component.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::future::BoxFuture;
use lemon_session_store::{Error, Result};
use tokio::{runtime::Handle, sync::Semaphore, time::timeout};
use wasmtime::{Engine, Store, component::Component};

use crate::{
    bindings::{
        StorageProvider, StorageProviderPre,
        exports::lemon::session::storage::{Failure, Guest},
    },
    convert,
    grants::{Grants, State, linker},
    log::Log,
    options::Limits,
};

/// How much longer than its limit a call may take that does not return to the host: one that waits for the disk.
const GRACE: Duration = Duration::from_secs(1);

/// A call of one function of a component.
pub type Call<'a, T> = BoxFuture<'a, wasmtime::Result<Result<T, Failure>>>;

/// The instances of a component: those in use, and those that wait for their next call.
pub struct Pool(Arc<Shared>);

struct Shared {
    name: Arc<str>,
    engine: Engine,
    component: StorageProviderPre<State>,
    grants: Grants,
    limits: Limits,
    log: Log,
    /// A permit for each instance.
    free: Arc<Semaphore>,
    idle: Mutex<Vec<Instance>>,
}

struct Instance {
    store: Store<State>,
    exports: StorageProvider,
}

impl Pool {
    /// A pool of instances of `component`, which errors call `name`.
    pub fn new(name: Arc<str>, component: &Component, grants: Grants, limits: Limits) -> Result<Self> {
        let unusable = |error: wasmtime::Error| Error::invalid(format!("{name} cannot be linked: {error:#}"));
        let component = linker(component.engine())
            .and_then(|linker| StorageProviderPre::new(linker.instantiate_pre(component)?))
            .map_err(unusable)?;
        Ok(Self(Arc::new(Shared {
            engine: component.engine().clone(),
            component,
            log: Log::new(Arc::clone(&name)),
            free: Arc::new(Semaphore::new(limits.instances as usize)),
            idle: Mutex::default(),
            name,
            grants,
            limits,
        })))
    }

    /// What a component is granted.
    pub fn grants(&self) -> &Grants {
        &self.0.grants
    }

    /// How long a call of one session may take.
    pub fn timeout(&self) -> Duration {
        self.0.limits.timeout
    }

    /// Calls an instance. It is used again if it answers within `limit`; one that does not, or traps, is dropped.
    ///
    /// The call goes on if its caller is dropped: the instance is then whole for the next one, and what it began is not
    /// left half done.
    pub async fn call<T: Send + 'static>(
        &self,
        limit: Duration,
        call: impl for<'a> FnOnce(&'a Guest, &'a mut Store<State>) -> Call<'a, T> + Send + 'static,
    ) -> Result<T> {
        let shared = Arc::clone(&self.0);
        let permit = timeout(self.timeout(), Arc::clone(&shared.free).acquire_owned()).await;
        let permit = match permit {
            Ok(Ok(permit)) => permit,
            Ok(Err(_)) => return Err(shared.unavailable("the store is closed")),
            Err(_) => {
                let instances = shared.limits.instances;
                return Err(shared.unavailable(format_args!("all {instances} instances are in use")));
            }
        };
        let late = format!("took longer than {} seconds and was stopped", limit.as_secs());
        let (is_blocking, ended) = (shared.grants.directory.is_some(), Arc::clone(&shared));
        let stopped = late.clone();
        let task = async move {
            let answer = timeout(limit, shared.call(call)).await;
            drop(permit);
            answer.unwrap_or_else(|_| Err(shared.unavailable(stopped)))
        };
        let task = if is_blocking {
            tokio::task::spawn_blocking(move || Handle::current().block_on(task))
        } else {
            tokio::spawn(task)
        };
        match timeout(limit + GRACE, task).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => Err(ended.unavailable("a call has ended early").with_source(error)),
            Err(_) => Err(ended.unavailable(late)),
        }
    }

    /// Waits until no instance is in use, and drops them all.
    pub async fn close(&self) {
        let _ = timeout(self.timeout() + GRACE, self.0.free.acquire_many(self.0.limits.instances)).await;
        self.0.free.close();
        self.0.idle().clear();
    }
}

impl Shared {
    async fn call<T>(&self, call: impl for<'a> FnOnce(&'a Guest, &'a mut Store<State>) -> Call<'a, T>) -> Result<T> {
        let warm = self.idle().pop();
        let mut instance = match warm {
            Some(instance) => instance,
            None => self.instantiate().await?,
        };
        let answer = call(instance.exports.lemon_session_storage(), &mut instance.store).await;
        let answer = answer.map_err(|error| self.unavailable(format_args!("has stopped: {}", error.root_cause())))?;
        self.idle().push(instance);
        answer.map_err(|failure| convert::failure(&self.name, failure))
    }

    async fn instantiate(&self) -> Result<Instance> {
        let mut store = State::store(&self.engine, &self.grants, &self.limits, &self.log)?;
        let exports = self.component.instantiate_async(&mut store).await;
        let exports = exports
            .map_err(|error| self.unavailable(format_args!("cannot be instantiated: {}", error.root_cause())))?;
        Ok(Instance { store, exports })
    }

    fn unavailable(&self, why: impl std::fmt::Display) -> Error {
        Error::unavailable(format!("{}: {}", self.name, convert::line(&why.to_string())))
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Instance>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
