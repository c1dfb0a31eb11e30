//! Warm instances of the session component.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};

use futures::FutureExt;
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinHandle,
};
use wasmtime::{
    Engine, ResourceLimiter, Store,
    component::{Component, Linker, ResourceAny, ResourceTable},
};
use wasmtime_wasi::{
    WasiCtx, WasiCtxView, WasiView,
    clocks::{HostWallClock, WasiClocks, WasiClocksView},
    p2::bindings::{clocks::wall_clock, random::random},
    random::WasiRandom,
};

use super::{
    Error, Result,
    idle::{self, Idle},
};
use crate::{
    Caller, SessionCtx, SessionCtxView, SessionView, add_to_linker,
    bindings::{SessionComponent, SessionComponentPre},
    engine::{EngineOptions, engine},
    settings::Limits,
};

/// An instance whose memory has grown beyond this is dropped after use. Memory never shrinks, and few sessions need as
/// much.
const KEPT_MEMORY: usize = 2 * 1024 * 1024;
/// The memory that an instance needs in addition to the session in it, in bytes.
const OWN_MEMORY: usize = 16 * 1024 * 1024;
/// Copies of a session in an instance's memory: as loaded, as changed and as passed to the store, and one to spare.
const COPIES: usize = 4;

/// The memory limit of an instance for sessions of up to `session_bytes` bytes, in bytes.
pub(crate) const fn memory_bytes(session_bytes: u32) -> usize {
    OWN_MEMORY.saturating_add((session_bytes as usize).saturating_mul(COPIES))
}

/// The size of the pool of instances, and how long to wait for one.
#[derive(Clone)]
pub struct PoolOptions {
    /// The number of sessions that can be in use at the same time. Each one uses an instance of the session component.
    pub instances: u32,
    /// How long a start waits for an instance when all are in use, before it fails with [`Error::Busy`].
    pub wait: Duration,
    /// The clock to use instead of the system's.
    pub clock: Option<Clock>,
}

/// Returns the time since 1970-01-01T00:00:00Z.
pub type Clock = Arc<dyn Fn() -> Duration + Send + Sync>;

impl Default for PoolOptions {
    fn default() -> Self {
        Self { instances: 256, wait: Duration::from_secs(5), clock: None }
    }
}

impl PoolOptions {
    /// An engine with room for these instances.
    pub(super) fn engine(&self) -> wasmtime::Result<Engine> {
        engine(&EngineOptions::for_sessions(self.instances))
    }
}

pub(super) struct Pool {
    ctx: SessionCtx,
    component: SessionComponentPre<State>,
    options: PoolOptions,
    memory_bytes: usize,
    free: Arc<Semaphore>,
    warm: Mutex<Warm>,
}

/// The idle instances.
struct Warm {
    idle: Idle<Instance>,
    /// Removes instances that have been idle for too long. Runs while any is idle.
    watch: Option<JoinHandle<()>>,
}

impl Pool {
    pub(super) fn new(ctx: SessionCtx, component: &Component, options: PoolOptions) -> wasmtime::Result<Arc<Self>> {
        let mut linker = Linker::new(component.engine());
        add_to_linker::<State>(&mut linker)?;
        wall_clock::add_to_linker::<State, WasiClocks>(&mut linker, State::clocks)?;
        random::add_to_linker::<State, WasiRandom>(&mut linker, |state| state.ctx().ctx.random())?;
        let component = SessionComponentPre::new(linker.instantiate_pre(component)?)?;
        Ok(Arc::new(Self {
            memory_bytes: memory_bytes(ctx.settings().limits.session_bytes),
            free: Arc::new(Semaphore::new(options.instances as usize)),
            warm: Mutex::new(Warm { idle: Idle::new(), watch: None }),
            ctx,
            component,
            options,
        }))
    }

    pub(super) fn ctx(&self) -> &SessionCtx {
        &self.ctx
    }

    #[cfg(feature = "concurrent")]
    pub(super) fn engine(&self) -> &Engine {
        self.component.engine()
    }

    /// Takes an instance for the sessions of one caller, or instantiates one.
    pub(super) async fn lease(pool: &Arc<Self>, caller: Caller) -> Result<Arc<Lease>> {
        let permit = Arc::clone(&pool.free).acquire_owned();
        let permit = tokio::time::timeout(pool.options.wait, permit).await;
        let Ok(Ok(permit)) = permit else { return Err(Error::Busy) };
        let warm = pool.warm().idle.take();
        let mut instance = match warm {
            Some(instance) => instance,
            None => pool.instantiate().await.map_err(Error::failed)?,
        };
        instance.store.data_mut().session = pool.ctx.for_caller(caller);
        Ok(Arc::new(Lease {
            instance: tokio::sync::Mutex::new(Some(instance)),
            handles: Mutex::default(),
            pool: Arc::clone(pool),
            _permit: permit,
        }))
    }

    async fn instantiate(&self) -> wasmtime::Result<Instance> {
        let mut wasi = WasiCtx::builder();
        if let Some(clock) = &self.options.clock {
            wasi.wall_clock(WallClock(Arc::clone(clock)));
        }
        let state = State {
            session: self.ctx.clone(),
            wasi: wasi.build(),
            table: ResourceTable::new(),
            memory: Memory { bytes: 0, limit: self.memory_bytes },
        };
        let mut store = Store::new(self.component.engine(), state);
        store.limiter(|state| &mut state.memory);
        // The arguments of a call are copied from the instance's memory, so they are never larger.
        store.set_hostcall_fuel(self.memory_bytes);
        // The session component always terminates.
        store.set_epoch_deadline(u64::MAX / 2);
        let exports = self.component.instantiate_async(&mut store).await?;
        Ok(Instance { store, exports, is_whole: true })
    }

    /// Returns an instance to the pool.
    fn keep(self: &Arc<Self>, instance: Instance) {
        let mut warm = self.warm();
        warm.idle.keep(instance, Instant::now());
        if warm.watch.as_ref().is_none_or(JoinHandle::is_finished) {
            // Outside a tokio runtime nothing can watch: the next return inside one starts the task.
            warm.watch = Handle::try_current().ok().map(|runtime| runtime.spawn(watch(Arc::downgrade(self))));
        }
    }

    /// Removes the instances that have been idle for too long. Returns whether others are idle.
    fn end_old(&self, now: Instant) -> bool {
        let mut warm = self.warm();
        let old = warm.idle.remove_old(now);
        let are_left = warm.idle.len() > 0;
        if !are_left {
            warm.watch = None;
        }
        drop(warm);
        drop(old);
        are_left
    }

    fn warm(&self) -> MutexGuard<'_, Warm> {
        self.warm.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes instances that have been idle for too long, until none is idle.
async fn watch(pool: Weak<Pool>) {
    let mut are_left = true;
    while are_left {
        tokio::time::sleep(idle::PATIENCE / 2).await;
        are_left = pool.upgrade().is_some_and(|pool| pool.end_old(Instant::now()));
    }
}

/// An instance of the session component.
pub(super) struct Instance {
    pub(super) store: Store<State>,
    pub(super) exports: SessionComponent,
    /// False during a call, and from then on if that call trapped or was cancelled.
    pub(super) is_whole: bool,
}

/// An instance in use by the sessions of one request. Returns it to the pool when dropped.
pub(super) struct Lease {
    pub(super) instance: tokio::sync::Mutex<Option<Instance>>,
    handles: Mutex<Vec<ResourceAny>>,
    pool: Arc<Pool>,
    _permit: OwnedSemaphorePermit,
}

impl Lease {
    /// The limits in the settings.
    pub(super) fn limits(&self) -> &Limits {
        &self.pool.ctx.settings().limits
    }

    /// Remembers a handle, to drop it at the end of the lease.
    pub(super) fn keep(&self, handle: ResourceAny) {
        self.handles().push(handle);
    }

    /// Drops a handle before the end of the lease.
    pub(super) async fn drop_handle(&self, handle: ResourceAny) {
        self.handles().retain(|kept| *kept != handle);
        if let Some(instance) = self.instance.lock().await.as_mut()
            && instance.is_whole
        {
            instance.is_whole = false;
            instance.is_whole = handle.resource_drop_async(&mut instance.store).await.is_ok();
        }
    }

    fn handles(&self) -> MutexGuard<'_, Vec<ResourceAny>> {
        self.handles.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(mut instance) = self.instance.get_mut().take() else { return };
        let handles = std::mem::take(self.handles.get_mut().unwrap_or_else(PoisonError::into_inner));
        for handle in handles {
            if !instance.is_whole {
                return;
            }
            // The component's destructors call no import, so they never wait.
            let dropped = handle.resource_drop_async(&mut instance.store).now_or_never();
            instance.is_whole = matches!(dropped, Some(Ok(())));
        }
        if instance.is_whole && instance.store.data().memory.bytes <= KEPT_MEMORY {
            self.pool.keep(instance);
        }
    }
}

/// Calls an export of an instance, given the lock on it. An instance whose call trapped or was cancelled is not used again.
macro_rules! called {
    ($turn:expr, |$store:ident, $exports:ident| $call:expr) => {
        match $turn.as_mut() {
            Some(instance) if instance.is_whole => {
                instance.is_whole = false;
                let $store = &mut instance.store;
                let $exports = &instance.exports;
                match $call {
                    Ok(answer) => {
                        instance.is_whole = true;
                        Ok(answer)
                    }
                    Err(error) => Err($crate::sessions::Error::failed(error)),
                }
            }
            _ => Err($crate::sessions::Error::given_up()),
        }
    };
}
pub(super) use called;

/// Calls an export of a lease's instance, after the earlier calls.
macro_rules! call {
    ($lease:expr, |$store:ident, $exports:ident| $call:expr) => {
        $crate::sessions::pool::called!($lease.instance.lock().await, |$store, $exports| $call)
    };
}
pub(super) use call;

/// The store data of an instance.
pub(super) struct State {
    session: SessionCtx,
    wasi: WasiCtx,
    table: ResourceTable,
    memory: Memory,
}

impl SessionView for State {
    fn session(&mut self) -> SessionCtxView<'_> {
        SessionCtxView { ctx: &mut self.session }
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

/// Limits an instance's memory and records its size.
struct Memory {
    bytes: usize,
    limit: usize,
}

impl ResourceLimiter for Memory {
    fn memory_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let is_allowed = desired <= self.limit;
        if is_allowed {
            self.bytes = desired;
        }
        Ok(is_allowed)
    }

    fn table_growing(&mut self, _current: usize, _desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(true)
    }
}

struct WallClock(Clock);

impl HostWallClock for WallClock {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(1)
    }

    fn now(&self) -> Duration {
        (self.0)()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        sessions::{Options, Sessions},
        store,
    };

    fn sessions() -> Sessions {
        Sessions::new(SessionCtx::new(Arc::new(store::memory::Memory::new()))).unwrap()
    }

    fn waiting(sessions: &Sessions) -> usize {
        sessions.pool.warm().idle.len()
    }

    #[tokio::test]
    async fn after_a_peak_no_more_instances_wait_than_were_needed_lately() {
        let sessions = sessions();
        let open = futures::future::join_all((0..8).map(|_| sessions.start(Options::default()))).await;
        drop(open);
        assert_eq!(waiting(&sessions), 8);
        assert!(!sessions.pool.end_old(Instant::now() + idle::PATIENCE), "no instance was needed since");
        assert_eq!(waiting(&sessions), 0);
        drop(sessions.start(Options::default()).await.unwrap());
        assert_eq!(waiting(&sessions), 1);
    }

    #[tokio::test]
    async fn an_instance_that_held_a_large_session_is_not_kept() {
        let sessions = sessions();
        for (bytes, kept) in [(1_000_000, 0), (10_000, 1)] {
            let session = sessions.start(Options::default()).await.unwrap();
            session.set("k", vec![1; bytes]).await.unwrap();
            drop(session);
            assert_eq!(waiting(&sessions), kept, "{bytes} bytes");
        }
    }
}
