//! Sessions for applications that use pooled instances of the session component instead of being composed with it.
//!
//! A host that instantiates an application for each request then instantiates the application alone. While a session is
//! open, the request holds an instance from the pool. The rules are those of a composed component, as the code is the
//! same, and an instance keeps no data from one request to the next.
//!
//! ```no_run
//! use lemon_session_host::{
//!     Sessions,
//!     sessions::warm::{WarmCtx, WarmCtxView, WarmView, add_to_linker},
//! };
//! use wasmtime::{
//!     Engine, Store,
//!     component::{Component, Linker, ResourceTable},
//! };
//!
//! /// The data of one request.
//! struct Request {
//!     table: ResourceTable,
//!     sessions: WarmCtx,
//! }
//!
//! impl WarmView for Request {
//!     fn sessions(&mut self) -> WarmCtxView<'_> {
//!         WarmCtxView { ctx: &mut self.sessions, table: &mut self.table }
//!     }
//! }
//!
//! # async fn run(engine: Engine, app: Component, sessions: Sessions) -> wasmtime::Result<()> {
//! let mut linker = Linker::<Request>::new(&engine);
//! add_to_linker(&mut linker)?;
//! let app = linker.instantiate_pre(&app)?;
//!
//! // For each request:
//! let request = Request { table: ResourceTable::new(), sessions: WarmCtx::new(sessions) };
//! let mut store = Store::new(&engine, request);
//! let app = app.instantiate_async(&mut store).await?;
//! # Ok(())
//! # }
//! ```

use std::sync::{Arc, Weak};

use wasmtime::{
    Error as Trap,
    component::{HasData, Linker, Resource, ResourceAny, ResourceTable},
};

use super::{
    Error as SessionsError, Sessions,
    pool::{Lease, Pool, call},
    value::check_size,
};
use crate::{
    Caller,
    bindings::{
        application::lemon::session::{
            manager::{self, Entry, Page},
            sessions::{self, HostSession, Lifetime, Metadata, Options},
        },
        lemon::session::types::{Error, Header, Location, Value},
    },
};

/// The sessions of one instance of an application.
pub struct WarmCtx {
    sessions: Sessions,
    caller: Caller,
    /// The session component's instance that holds the open sessions.
    lease: Weak<Lease>,
}

impl WarmCtx {
    /// A context without open sessions.
    pub fn new(sessions: Sessions) -> Self {
        Self { sessions, caller: Caller::default(), lease: Weak::new() }
    }

    /// Uses this caller for the sessions that are started from now on.
    #[must_use]
    pub fn for_caller(self, caller: Caller) -> Self {
        Self { caller, ..self }
    }
}

/// Gives access to the [`WarmCtx`] inside the data of a [`wasmtime::Store`].
pub trait WarmView: Send {
    /// The context, and the table with the application's handles.
    fn sessions(&mut self) -> WarmCtxView<'_>;
}

/// The borrowed view that [`WarmView::sessions`] returns. It implements the interfaces `lemon:session/sessions` and
/// `lemon:session/manager`.
pub struct WarmCtxView<'a> {
    /// The context.
    pub ctx: &'a mut WarmCtx,
    /// The application's handles.
    pub table: &'a mut ResourceTable,
}

/// Tells wasmtime that [`WarmCtxView`] implements the interfaces.
pub struct HasWarm;

impl HasData for HasWarm {
    type Data<'a> = WarmCtxView<'a>;
}

/// Adds the interfaces that an application imports: `lemon:session/sessions` and `lemon:session/manager`.
///
/// # Errors
///
/// Fails when the linker already has these interfaces.
pub fn add_to_linker<T: WarmView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    sessions::add_to_linker::<T, HasWarm>(linker, T::sessions)?;
    manager::add_to_linker::<T, HasWarm>(linker, T::sessions)?;
    crate::bindings::lemon::session::types::add_to_linker::<T, HasWarm>(linker, T::sessions)
}

/// An application's handle of a session. Dropping the last one returns the instance to the pool.
pub struct Handle {
    session: ResourceAny,
    lease: Arc<Lease>,
}

/// The result of a call. The outer error traps the application: the session component trapped, or the handle is
/// invalid.
pub(super) type Answer<T> = wasmtime::Result<Result<T, Error>>;

/// Why there is no instance for a session. The application is told if all are in use; any other reason traps it.
pub(super) fn busy(error: SessionsError) -> wasmtime::Result<Error> {
    match error {
        SessionsError::Busy => Ok(Error::Storage(error.to_string())),
        error => Err(Trap::new(error)),
    }
}

impl WarmCtxView<'_> {
    /// The instance that holds the application's sessions, or one from the pool if no session is open.
    async fn lease(&mut self) -> Answer<Arc<Lease>> {
        if let Some(lease) = self.ctx.lease.upgrade() {
            return Ok(Ok(lease));
        }
        match Pool::lease(&self.ctx.sessions.pool, self.ctx.caller.clone()).await {
            Ok(lease) => {
                self.ctx.lease = Arc::downgrade(&lease);
                Ok(Ok(lease))
            }
            Err(error) => busy(error).map(Err),
        }
    }

    fn opened(&mut self, lease: Arc<Lease>, session: ResourceAny) -> wasmtime::Result<Resource<Handle>> {
        lease.keep(session);
        Ok(self.table.push(Handle { session, lease })?)
    }
}

/// Calls a method of a session.
macro_rules! method {
    ($self:ident, $handle:ident, $method:ident $(, $argument:expr)*) => {{
        let Handle { session, lease } = $self.table.get(&$handle)?;
        call!(lease, |store, exports| {
            exports.lemon_session_sessions().session().$method(store, *session $(, $argument)*).await
        })
        .map_err(Trap::new)
    }};
}

/// Calls a function of the manager.
macro_rules! function {
    ($self:ident, $function:ident, |$busy:ident| $refused:expr $(, $argument:expr)*) => {
        match $self.lease().await? {
            Ok(lease) => call!(lease, |store, exports| {
                exports.lemon_session_manager().$function(store $(, $argument)*).await
            })
            .map_err(Trap::new),
            Err($busy) => Ok(Err($refused)),
        }
    };
}

impl sessions::Host for WarmCtxView<'_> {
    async fn start(&mut self, options: Options) -> Answer<Resource<Handle>> {
        let lease = match self.lease().await? {
            Ok(lease) => lease,
            Err(error) => return Ok(Err(error)),
        };
        let options = options.into();
        let started = call!(lease, |store, exports| exports.lemon_session_sessions().call_start(store, &options).await);
        match started.map_err(Trap::new)? {
            Ok(session) => Ok(Ok(self.opened(lease, session)?)),
            Err(error) => Ok(Err(error)),
        }
    }
}

impl HostSession for WarmCtxView<'_> {
    async fn id(&mut self, handle: Resource<Handle>) -> wasmtime::Result<String> {
        method!(self, handle, call_id)
    }

    async fn digest(&mut self, handle: Resource<Handle>) -> wasmtime::Result<String> {
        method!(self, handle, call_digest)
    }

    async fn app(&mut self, handle: Resource<Handle>) -> wasmtime::Result<String> {
        method!(self, handle, call_app)
    }

    async fn created(&mut self, handle: Resource<Handle>) -> wasmtime::Result<bool> {
        method!(self, handle, call_created)
    }

    async fn get(&mut self, handle: Resource<Handle>, key: String) -> Answer<Option<Value>> {
        method!(self, handle, call_get, &key)
    }

    async fn set(&mut self, handle: Resource<Handle>, key: String, value: Value) -> Answer<()> {
        let limit = self.table.get(&handle)?.lease.limits().value_bytes;
        if let Err(error) = check_size(&key, &value, limit) {
            return Ok(Err(error));
        }
        method!(self, handle, call_set, &key, &value)
    }

    async fn add(&mut self, handle: Resource<Handle>, key: String, delta: i64) -> Answer<i64> {
        method!(self, handle, call_add, &key, delta)
    }

    async fn delete(&mut self, handle: Resource<Handle>, key: String) -> Answer<bool> {
        method!(self, handle, call_delete, &key)
    }

    async fn has_key(&mut self, handle: Resource<Handle>, key: String) -> Answer<bool> {
        method!(self, handle, call_has_key, &key)
    }

    async fn keys(&mut self, handle: Resource<Handle>) -> Answer<Vec<String>> {
        method!(self, handle, call_keys)
    }

    async fn entries(&mut self, handle: Resource<Handle>) -> Answer<Vec<(String, Value)>> {
        method!(self, handle, call_entries)
    }

    async fn take(&mut self, handle: Resource<Handle>, key: String) -> Answer<Option<Value>> {
        method!(self, handle, call_take, &key)
    }

    async fn clear(&mut self, handle: Resource<Handle>) -> Answer<()> {
        method!(self, handle, call_clear)
    }

    async fn application(&mut self, handle: Resource<Handle>, name: String) -> Answer<Resource<Handle>> {
        let lease = Arc::clone(&self.table.get(&handle)?.lease);
        match method!(self, handle, call_application, &name)? {
            Ok(session) => Ok(Ok(self.opened(lease, session)?)),
            Err(error) => Ok(Err(error)),
        }
    }

    async fn reserve(
        &mut self,
        handle: Resource<Handle>,
        name: String,
        key: Option<String>,
    ) -> Answer<Resource<Handle>> {
        let lease = Arc::clone(&self.table.get(&handle)?.lease);
        match method!(self, handle, call_reserve, &name, key.as_deref())? {
            Ok(session) => Ok(Ok(self.opened(lease, session)?)),
            Err(error) => Ok(Err(error)),
        }
    }

    async fn release(&mut self, handle: Resource<Handle>, name: String) -> Answer<()> {
        method!(self, handle, call_release, &name)
    }

    async fn regenerate_id(&mut self, handle: Resource<Handle>) -> Answer<()> {
        method!(self, handle, call_regenerate_id)
    }

    async fn set_owner(&mut self, handle: Resource<Handle>, owner: Option<String>) -> Answer<()> {
        method!(self, handle, call_set_owner, owner.as_deref())
    }

    async fn owner(&mut self, handle: Resource<Handle>) -> Answer<Option<String>> {
        method!(self, handle, call_owner)
    }

    async fn destroy_others(&mut self, handle: Resource<Handle>) -> Answer<u64> {
        method!(self, handle, call_destroy_others)
    }

    async fn authenticate(&mut self, handle: Resource<Handle>, owner: String, by: String) -> Answer<()> {
        method!(self, handle, call_authenticate, &owner, &by)
    }

    async fn fresh_within(&mut self, handle: Resource<Handle>, seconds: u32) -> Answer<bool> {
        method!(self, handle, call_fresh_within, seconds)
    }

    async fn set_lifetime(&mut self, handle: Resource<Handle>, lifetime: Lifetime) -> Answer<()> {
        method!(self, handle, call_set_lifetime, lifetime.into())
    }

    async fn remember(&mut self, handle: Resource<Handle>, seconds: u32) -> Answer<()> {
        method!(self, handle, call_remember, seconds)
    }

    async fn set_label(&mut self, handle: Resource<Handle>, label: Option<String>) -> Answer<()> {
        method!(self, handle, call_set_label, label.as_deref())
    }

    async fn metadata(&mut self, handle: Resource<Handle>) -> Answer<Metadata> {
        Ok(method!(self, handle, call_metadata)?.map(Metadata::from))
    }

    async fn expires_at(&mut self, handle: Resource<Handle>) -> wasmtime::Result<u64> {
        method!(self, handle, call_expires_at)
    }

    async fn save(&mut self, handle: Resource<Handle>) -> Answer<Vec<Header>> {
        method!(self, handle, call_save)
    }

    async fn destroy(&mut self, handle: Resource<Handle>) -> Answer<Vec<Header>> {
        method!(self, handle, call_destroy)
    }

    async fn set_default(&mut self, handle: Resource<Handle>, key: String, value: Value) -> Answer<Value> {
        let limit = self.table.get(&handle)?.lease.limits().value_bytes;
        if let Err(error) = check_size(&key, &value, limit) {
            return Ok(Err(error));
        }
        method!(self, handle, call_set_default, &key, &value)
    }

    async fn flash(&mut self, handle: Resource<Handle>, value: Value) -> Answer<()> {
        let limit = self.table.get(&handle)?.lease.limits().value_bytes;
        if let Err(error) = check_size("flash", &value, limit) {
            return Ok(Err(error));
        }
        method!(self, handle, call_flash, &value)
    }

    async fn flashes(&mut self, handle: Resource<Handle>) -> Answer<Vec<Value>> {
        method!(self, handle, call_flashes)
    }

    async fn entries_of(&mut self, handle: Resource<Handle>, digest: String) -> Answer<Vec<(String, Value)>> {
        method!(self, handle, call_entries_of, &digest)
    }

    async fn csrf_token(&mut self, handle: Resource<Handle>) -> Answer<String> {
        method!(self, handle, call_csrf_token)
    }

    async fn check_csrf(&mut self, handle: Resource<Handle>, token: String) -> Answer<bool> {
        method!(self, handle, call_check_csrf, &token)
    }

    async fn modified(&mut self, handle: Resource<Handle>) -> wasmtime::Result<bool> {
        method!(self, handle, call_modified)
    }

    async fn accessed(&mut self, handle: Resource<Handle>) -> wasmtime::Result<bool> {
        method!(self, handle, call_accessed)
    }

    async fn drop(&mut self, handle: Resource<Handle>) -> wasmtime::Result<()> {
        let Handle { session, lease } = self.table.delete(handle)?;
        lease.drop_handle(session).await;
        Ok(())
    }
}

impl manager::Host for WarmCtxView<'_> {
    async fn create_tables(&mut self, location: Location) -> wasmtime::Result<Result<(), Vec<Error>>> {
        function!(self, call_create_tables, |busy| vec![busy], &location)
    }

    async fn drop_tables(&mut self, location: Location) -> wasmtime::Result<Result<(), Vec<Error>>> {
        function!(self, call_drop_tables, |busy| vec![busy], &location)
    }

    async fn tables_exist(&mut self, location: Location) -> Answer<bool> {
        function!(self, call_tables_exist, |busy| busy, &location)
    }

    async fn cleanup(&mut self, location: Location, limit: u32) -> Answer<u32> {
        function!(self, call_cleanup, |busy| busy, &location, limit)
    }

    async fn count(&mut self, location: Location) -> Answer<u64> {
        function!(self, call_count, |busy| busy, &location)
    }

    async fn list(
        &mut self,
        location: Location,
        owner: Option<String>,
        after: Option<String>,
        limit: u32,
    ) -> Answer<Page> {
        let page = function!(self, call_list, |busy| busy, &location, owner.as_deref(), after.as_deref(), limit)?;
        Ok(page.map(Page::from))
    }

    async fn get(&mut self, location: Location, digest: String, owner: Option<String>) -> Answer<Option<Entry>> {
        let entry = function!(self, call_get, |busy| busy, &location, &digest, owner.as_deref())?;
        Ok(entry.map(|entry| entry.map(Entry::from)))
    }

    async fn destroy(&mut self, location: Location, digest: String, owner: Option<String>) -> Answer<bool> {
        function!(self, call_destroy, |busy| busy, &location, &digest, owner.as_deref())
    }

    async fn destroy_owned(&mut self, location: Location, owner: String, except: Option<String>) -> Answer<u64> {
        function!(self, call_destroy_owned, |busy| busy, &location, &owner, except.as_deref())
    }
}

impl crate::bindings::lemon::session::types::Host for WarmCtxView<'_> {}
