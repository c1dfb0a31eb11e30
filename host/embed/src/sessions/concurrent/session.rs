//! `lemon:session/sessions-async`.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use wasmtime::{
    Error as Trap,
    component::{Accessor, Resource, ResourceAny},
};

use super::{
    super::{
        pool::{call, called},
        value::check_size,
        warm::{Answer, busy},
    },
    Begun, ConcurrentCtxView, Handle, HasConcurrent, Start,
    apart::apart,
    size::Size as _,
    unfinished::Share,
};
use crate::bindings::{
    application::lemon::session::sessions::{Lifetime, Metadata, Options},
    application_async::lemon::session::sessions_async::{Host, HostSession, HostSessionWithStore, HostWithStore},
    lemon::session::types::{Error, Header, Value},
};

/// A session, and the share of a call on it.
struct Opened {
    session: ResourceAny,
    start: Start,
    share: Share,
}

impl Opened {
    fn new<T>(
        accessor: &Accessor<T, HasConcurrent>,
        handle: &Resource<Handle>,
        bytes: usize,
    ) -> wasmtime::Result<Self> {
        accessor.with(|mut access| {
            let ConcurrentCtxView { ctx, table } = access.get();
            let Handle { session, start } = table.get(handle)?;
            let share = ctx.unfinished.begin(bytes)?;
            Ok(Self { session: *session, start: start.clone(), share })
        })
    }
}

/// Calls a method of a session in its turn. The call's share ends when the guest takes the answer.
macro_rules! method {
    ($accessor:ident, $handle:ident, $bytes:expr, $method:ident $(, $argument:expr)*) => {
        method!($accessor, $handle, $bytes, false, $method $(, $argument)* => |answer, _start| answer)
    };
    (
        $accessor:ident, $handle:ident, $bytes:expr, $writes:literal, $method:ident $(, $argument:expr)*
            => |$answer:ident, $start:ident| $then:expr
    ) => {{
        let Opened { session, start, mut share } = Opened::new($accessor, &$handle, $bytes)?;
        let is_cut = Arc::clone(&start.is_cut);
        let (answer, _share) = apart($writes.then_some(&*is_cut), move |turn| async move {
            let mut instance = turn.begin(start.lease.instance.lock()).await?;
            if start.is_cut.load(Relaxed) {
                return Some((Ok(Err(Error::Gone)), share));
            }
            let answer = called!(instance, |store, exports| {
                exports.lemon_session_sessions().session().$method(store, session $(, $argument)*).await
            });
            drop(instance);
            let $start = start;
            let answer = match answer {
                Ok($answer) => share.grow($answer.size()).map(|()| $then).map_err(Trap::new),
                Err(error) => Err(Trap::new(error)),
            };
            Some((answer, share))
        })
        .await?;
        answer
    }};
}

/// Calls a method that writes to the store. After one that was cancelled, the session is gone.
macro_rules! writing {
    ($accessor:ident, $handle:ident, $method:ident) => {
        method!($accessor, $handle, 0, true, $method => |answer, _start| answer)
    };
}

/// Calls a method that returns another handle of the session.
macro_rules! opening {
    ($accessor:ident, $handle:ident, $bytes:expr, $method:ident $(, $argument:expr)*) => {{
        let opened = method!($accessor, $handle, $bytes, false, $method $(, $argument)*
            => |answer, start| answer.map(|session| Handle::new(session, start)))?;
        kept($accessor, opened)
    }};
}

/// Calls a method that tells what the handle is. It blocks the guest while another call on the session is in progress.
macro_rules! blocking {
    ($self:ident, $handle:ident, $method:ident $(, $argument:expr)*) => {{
        let Handle { session, start } = $self.table.get(&$handle)?;
        call!(start.lease, |store, exports| {
            exports.lemon_session_sessions().session().$method(store, *session $(, $argument)*).await
        })
        .map_err(Trap::new)
    }};
}

/// The limit of a value's size in a session.
fn value_bytes<T>(accessor: &Accessor<T, HasConcurrent>, handle: &Resource<Handle>) -> wasmtime::Result<u32> {
    accessor.with(|mut access| Ok(access.get().table.get(handle)?.start.lease.limits().value_bytes))
}

/// Passes a handle to the guest.
fn kept<T>(accessor: &Accessor<T, HasConcurrent>, opened: Result<Handle, Error>) -> Answer<Resource<Handle>> {
    match opened {
        Ok(handle) => Ok(Ok(accessor.with(|mut access| access.get().table.push(handle))?)),
        Err(error) => Ok(Err(error)),
    }
}

impl<T> HostWithStore<T> for HasConcurrent {
    async fn start(accessor: &Accessor<T, Self>, options: Options) -> Answer<Resource<Handle>> {
        let Begun { pool, task, caller, share } = Begun::new(accessor, options.size())?;
        let visit = accessor.with(|mut access| access.get().ctx.visits.of_start(task, caller.clone(), &options));
        let (started, _share) = apart(None, move |mut turn| async move {
            let lease = match turn.wait(visit.lease(&pool, caller)).await? {
                Ok(lease) => Arc::clone(lease),
                Err(error) => return Some((busy(error).map(Err), share)),
            };
            let options = options.into();
            let mut instance = turn.begin(lease.instance.lock()).await?;
            let started =
                called!(instance, |store, exports| exports.lemon_session_sessions().call_start(store, &options).await);
            drop(instance);
            let started = started.map(|started| {
                started.map(|session| {
                    let start = Start { lease, _visit: visit, is_cut: Arc::default() };
                    Handle::new(session, start)
                })
            });
            Some((started.map_err(Trap::new), share))
        })
        .await?;
        kept(accessor, started?)
    }
}

impl<T> HostSessionWithStore<T> for HasConcurrent {
    async fn get(accessor: &Accessor<T, Self>, handle: Resource<Handle>, name: String) -> Answer<Option<Value>> {
        method!(accessor, handle, name.size(), call_get, &name)
    }

    async fn set(accessor: &Accessor<T, Self>, handle: Resource<Handle>, name: String, value: Value) -> Answer<()> {
        if let Err(error) = check_size(&name, &value, value_bytes(accessor, &handle)?) {
            return Ok(Err(error));
        }
        method!(accessor, handle, name.size() + value.size(), call_set, &name, &value)
    }

    async fn add(accessor: &Accessor<T, Self>, handle: Resource<Handle>, name: String, delta: i64) -> Answer<i64> {
        method!(accessor, handle, name.size(), call_add, &name, delta)
    }

    async fn delete(accessor: &Accessor<T, Self>, handle: Resource<Handle>, name: String) -> Answer<bool> {
        method!(accessor, handle, name.size(), call_delete, &name)
    }

    async fn has_key(accessor: &Accessor<T, Self>, handle: Resource<Handle>, name: String) -> Answer<bool> {
        method!(accessor, handle, name.size(), call_has_key, &name)
    }

    async fn keys(accessor: &Accessor<T, Self>, handle: Resource<Handle>) -> Answer<Vec<String>> {
        method!(accessor, handle, 0, call_keys)
    }

    async fn entries(accessor: &Accessor<T, Self>, handle: Resource<Handle>) -> Answer<Vec<(String, Value)>> {
        method!(accessor, handle, 0, call_entries)
    }

    async fn take(accessor: &Accessor<T, Self>, handle: Resource<Handle>, name: String) -> Answer<Option<Value>> {
        method!(accessor, handle, name.size(), call_take, &name)
    }

    async fn clear(accessor: &Accessor<T, Self>, handle: Resource<Handle>) -> Answer<()> {
        method!(accessor, handle, 0, call_clear)
    }

    async fn application(
        accessor: &Accessor<T, Self>,
        handle: Resource<Handle>,
        name: String,
    ) -> Answer<Resource<Handle>> {
        opening!(accessor, handle, name.size(), call_application, &name)
    }

    async fn reserve(
        accessor: &Accessor<T, Self>,
        handle: Resource<Handle>,
        name: String,
        secret: Option<String>,
    ) -> Answer<Resource<Handle>> {
        opening!(accessor, handle, name.size() + secret.size(), call_reserve, &name, secret.as_deref())
    }

    async fn release(accessor: &Accessor<T, Self>, handle: Resource<Handle>, name: String) -> Answer<()> {
        method!(accessor, handle, name.size(), call_release, &name)
    }

    async fn regenerate_id(accessor: &Accessor<T, Self>, handle: Resource<Handle>) -> Answer<()> {
        method!(accessor, handle, 0, call_regenerate_id)
    }

    async fn set_owner(accessor: &Accessor<T, Self>, handle: Resource<Handle>, owner: Option<String>) -> Answer<()> {
        method!(accessor, handle, owner.size(), call_set_owner, owner.as_deref())
    }

    async fn owner(accessor: &Accessor<T, Self>, handle: Resource<Handle>) -> Answer<Option<String>> {
        method!(accessor, handle, 0, call_owner)
    }

    async fn destroy_others(accessor: &Accessor<T, Self>, handle: Resource<Handle>) -> Answer<u64> {
        method!(accessor, handle, 0, call_destroy_others)
    }

    async fn authenticate(
        accessor: &Accessor<T, Self>,
        handle: Resource<Handle>,
        owner: String,
        by: String,
    ) -> Answer<()> {
        method!(accessor, handle, owner.size() + by.size(), call_authenticate, &owner, &by)
    }

    async fn fresh_within(accessor: &Accessor<T, Self>, handle: Resource<Handle>, seconds: u32) -> Answer<bool> {
        method!(accessor, handle, 0, call_fresh_within, seconds)
    }

    async fn set_lifetime(accessor: &Accessor<T, Self>, handle: Resource<Handle>, lifetime: Lifetime) -> Answer<()> {
        method!(accessor, handle, 0, call_set_lifetime, lifetime.into())
    }

    async fn remember(accessor: &Accessor<T, Self>, handle: Resource<Handle>, seconds: u32) -> Answer<()> {
        method!(accessor, handle, 0, call_remember, seconds)
    }

    async fn set_label(accessor: &Accessor<T, Self>, handle: Resource<Handle>, label: Option<String>) -> Answer<()> {
        method!(accessor, handle, label.size(), call_set_label, label.as_deref())
    }

    async fn metadata(accessor: &Accessor<T, Self>, handle: Resource<Handle>) -> Answer<Metadata> {
        Ok(method!(accessor, handle, 0, call_metadata)?.map(Metadata::from))
    }

    async fn save(accessor: &Accessor<T, Self>, handle: Resource<Handle>) -> Answer<Vec<Header>> {
        writing!(accessor, handle, call_save)
    }

    async fn destroy(accessor: &Accessor<T, Self>, handle: Resource<Handle>) -> Answer<Vec<Header>> {
        writing!(accessor, handle, call_destroy)
    }

    async fn set_default(
        accessor: &Accessor<T, Self>,
        handle: Resource<Handle>,
        name: String,
        value: Value,
    ) -> Answer<Value> {
        if let Err(error) = check_size(&name, &value, value_bytes(accessor, &handle)?) {
            return Ok(Err(error));
        }
        method!(accessor, handle, name.size() + value.size(), call_set_default, &name, &value)
    }

    async fn flash(accessor: &Accessor<T, Self>, handle: Resource<Handle>, value: Value) -> Answer<()> {
        if let Err(error) = check_size("flash", &value, value_bytes(accessor, &handle)?) {
            return Ok(Err(error));
        }
        method!(accessor, handle, value.size(), call_flash, &value)
    }

    async fn flashes(accessor: &Accessor<T, Self>, handle: Resource<Handle>) -> Answer<Vec<Value>> {
        method!(accessor, handle, 0, call_flashes)
    }

    async fn entries_of(
        accessor: &Accessor<T, Self>,
        handle: Resource<Handle>,
        digest: String,
    ) -> Answer<Vec<(String, Value)>> {
        method!(accessor, handle, digest.size(), call_entries_of, &digest)
    }

    async fn csrf_token(accessor: &Accessor<T, Self>, handle: Resource<Handle>) -> Answer<String> {
        method!(accessor, handle, 0, call_csrf_token)
    }

    async fn check_csrf(accessor: &Accessor<T, Self>, handle: Resource<Handle>, token: String) -> Answer<bool> {
        method!(accessor, handle, token.size(), call_check_csrf, &token)
    }
}

impl Host for ConcurrentCtxView<'_> {}

impl HostSession for ConcurrentCtxView<'_> {
    async fn id(&mut self, handle: Resource<Handle>) -> wasmtime::Result<String> {
        blocking!(self, handle, call_id)
    }

    async fn digest(&mut self, handle: Resource<Handle>) -> wasmtime::Result<String> {
        blocking!(self, handle, call_digest)
    }

    async fn app(&mut self, handle: Resource<Handle>) -> wasmtime::Result<String> {
        blocking!(self, handle, call_app)
    }

    async fn created(&mut self, handle: Resource<Handle>) -> wasmtime::Result<bool> {
        blocking!(self, handle, call_created)
    }

    async fn expires_at(&mut self, handle: Resource<Handle>) -> wasmtime::Result<u64> {
        blocking!(self, handle, call_expires_at)
    }

    async fn modified(&mut self, handle: Resource<Handle>) -> wasmtime::Result<bool> {
        blocking!(self, handle, call_modified)
    }

    async fn accessed(&mut self, handle: Resource<Handle>) -> wasmtime::Result<bool> {
        blocking!(self, handle, call_accessed)
    }

    fn drop(&mut self, handle: Resource<Handle>) -> wasmtime::Result<()> {
        self.table.delete(handle)?;
        Ok(())
    }
}
