//! Sessions for applications of WASI 0.3, of which one instance may answer several requests at the same time.
//!
//! The interfaces are `lemon:session/sessions-async` and `lemon:session/manager-async`. While a call waits for the
//! store, the application's instance goes on with other requests. As in [`warm`], sessions are in instances
//! of the session component that are taken from a pool: one for each start, so that calls on different sessions overlap.
//! Calls on one session take effect in the order in which they were made.
//!
//! A call that has begun completes, even if the application cancels it or the host drops the application's instance: a
//! session is saved as a whole or not at all. After a save that was cancelled, the session's handles answer `gone`. A call
//! that was still waiting for an earlier one on the same session does not begin.
//!
//! The application runs on an engine with [`concurrency`](crate::engine::EngineOptions::concurrency), and the sessions
//! on one without, as [`Sessions::new`](super::Sessions::new) makes it.
//!
//! ```no_run
//! use lemon_session_host::{
//!     Caller, Sessions,
//!     sessions::{
//!         concurrent::{ConcurrentCtx, ConcurrentCtxView, ConcurrentView, add_to_linker},
//!         warm::{WarmCtx, WarmCtxView, WarmView},
//!     },
//! };
//! use wasmtime::component::{Linker, ResourceTable};
//!
//! /// The data of one instance of an application.
//! struct Guest {
//!     table: ResourceTable,
//!     sessions: ConcurrentCtx,
//!     /// For applications that use the synchronous interfaces. Their instances must answer one request at a time.
//!     warm: WarmCtx,
//! }
//!
//! impl ConcurrentView for Guest {
//!     fn concurrent_sessions(&mut self) -> ConcurrentCtxView<'_> {
//!         ConcurrentCtxView { ctx: &mut self.sessions, table: &mut self.table }
//!     }
//! }
//!
//! impl WarmView for Guest {
//!     fn sessions(&mut self) -> WarmCtxView<'_> {
//!         WarmCtxView { ctx: &mut self.warm, table: &mut self.table }
//!     }
//! }
//!
//! # fn link(engine: &wasmtime::Engine, sessions: Sessions) -> wasmtime::Result<()> {
//! let mut linker = Linker::<Guest>::new(engine);
//! add_to_linker(&mut linker)?;
//!
//! let guest = Guest {
//!     table: ResourceTable::new(),
//!     sessions: ConcurrentCtx::new(sessions.clone()),
//!     warm: WarmCtx::new(sessions),
//! };
//! # Ok(())
//! # }
//! # /// For each request that the instance answers, before its call is polled:
//! # async fn answer(
//! #     mut store: wasmtime::Store<Guest>,
//! #     handle: wasmtime::component::TypedFunc<(), ()>,
//! #     caller: Caller,
//! # ) -> wasmtime::Result<()> {
//! // For each request, so that the sessions it starts are those of its caller:
//! let call = handle.start_call_concurrent(&mut store, ())?;
//! store.data_mut().sessions.answer_for(call.task(), caller);
//! # Ok(())
//! # }
//! ```

mod apart;
mod manager;
mod session;
mod size;
mod unfinished;
mod visits;

use std::{
    collections::HashMap,
    sync::{Arc, atomic::AtomicBool},
};

use futures::FutureExt as _;
use tokio::runtime;
use wasmtime::{
    AsContextMut as _,
    component::{Accessor, GuestTaskId, HasData, Linker, ResourceAny, ResourceTable},
};

use super::{
    Sessions,
    pool::{Lease, Pool},
    warm::{self, WarmView},
};
use crate::{
    Caller,
    bindings::application_async::lemon::session::{manager_async, sessions_async},
};
use unfinished::{Share, Unfinished};
use visits::{Visit, Visits};

/// The sessions of one instance of an application.
pub struct ConcurrentCtx {
    sessions: Sessions,
    caller: Caller,
    /// The callers of the requests in progress. Tasks that ended are replaced, as their ids are used again.
    callers: HashMap<GuestTaskId, Caller>,
    visits: Visits,
    unfinished: Unfinished,
}

/// The default of [`ConcurrentCtx::limit_unfinished`].
const UNFINISHED_BYTES: usize = 16 * 1024 * 1024;

impl ConcurrentCtx {
    /// A context without open sessions.
    pub fn new(sessions: Sessions) -> Self {
        Self {
            sessions,
            caller: Caller::default(),
            callers: HashMap::new(),
            visits: Visits::default(),
            unfinished: Unfinished::new(UNFINISHED_BYTES),
        }
    }

    /// Uses this caller for the sessions of requests without one of their own.
    #[must_use]
    pub fn for_caller(self, caller: Caller) -> Self {
        Self { caller, ..self }
    }

    /// Limits the arguments and results of all calls that have not completed, in bytes. An application that exceeds it
    /// is trapped. The default is 16 MiB.
    #[must_use]
    pub fn limit_unfinished(self, bytes: usize) -> Self {
        Self { unfinished: Unfinished::new(bytes), ..self }
    }

    /// Uses this caller for the sessions that a request starts from now on. `task` is the call that passed the request
    /// to the application, of
    /// [`start_call_concurrent`](wasmtime::component::TypedFunc::start_call_concurrent).
    pub fn answer_for(&mut self, task: GuestTaskId, caller: Caller) {
        self.callers.insert(task, caller);
    }
}

/// Gives access to the [`ConcurrentCtx`] inside the data of a [`wasmtime::Store`].
pub trait ConcurrentView: Send {
    /// The context, and the table with the application's handles.
    fn concurrent_sessions(&mut self) -> ConcurrentCtxView<'_>;
}

/// The borrowed view that [`ConcurrentView::concurrent_sessions`] returns. It implements the functions that never wait
/// for the store.
pub struct ConcurrentCtxView<'a> {
    /// The context.
    pub ctx: &'a mut ConcurrentCtx,
    /// The application's handles.
    pub table: &'a mut ResourceTable,
}

/// Implements the functions that may wait for the store.
pub struct HasConcurrent;

impl HasData for HasConcurrent {
    type Data<'a> = ConcurrentCtxView<'a>;
}

/// Adds the interfaces that an application of WASI 0.3 imports: `lemon:session/sessions-async` and
/// `lemon:session/manager-async`, and also `sessions` and `manager`, for applications whose instances answer one request
/// at a time. While a call of one of those waits for the store, the instance does nothing else.
///
/// # Errors
///
/// Fails when the linker already has these interfaces.
pub fn add_to_linker<T: ConcurrentView + WarmView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    sessions_async::add_to_linker::<T, HasConcurrent>(linker, T::concurrent_sessions)?;
    manager_async::add_to_linker::<T, HasConcurrent>(linker, T::concurrent_sessions)?;
    warm::add_to_linker(linker)
}

/// An application's handle of a session. Dropping the last one returns the instance to the pool.
pub struct Handle {
    session: ResourceAny,
    start: Start,
}

/// What the handles of one start share.
#[derive(Clone)]
struct Start {
    lease: Arc<Lease>,
    _visit: Arc<Visit>,
    /// Whether a call that wrote was cancelled. As the guest cannot know what it did, the session is gone for it.
    is_cut: Arc<AtomicBool>,
}

impl Handle {
    fn new(session: ResourceAny, start: Start) -> Self {
        start.lease.keep(session);
        Self { session, start }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let (session, lease) = (self.session, Arc::clone(&self.start.lease));
        let mut dropping = Box::pin(async move { lease.drop_handle(session).await });
        // It waits only for calls that are in progress. Those have a runtime.
        if dropping.as_mut().now_or_never().is_none()
            && let Ok(runtime) = runtime::Handle::try_current()
        {
            runtime.spawn(dropping);
        }
    }
}

/// What a call that opens a session or manages them begins with.
struct Begun {
    pool: Arc<Pool>,
    task: Option<GuestTaskId>,
    caller: Caller,
    share: Share,
}

impl Begun {
    /// Before the first await, as only then the guest's call is on the stack.
    fn new<T>(accessor: &Accessor<T, HasConcurrent>, bytes: usize) -> wasmtime::Result<Self> {
        accessor.with(|mut access| {
            // The last one is the call that passed the request to the application.
            let task = access.as_context_mut().async_call_stack()?.last();
            let ctx = access.get().ctx;
            let caller = task.and_then(|task| ctx.callers.get(&task)).unwrap_or(&ctx.caller).clone();
            let share = ctx.unfinished.begin(bytes)?;
            Ok(Self { pool: Arc::clone(&ctx.sessions.pool), task, caller, share })
        })
    }
}
