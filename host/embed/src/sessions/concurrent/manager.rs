//! `lemon:session/manager-async`.

use wasmtime::{Error as Trap, component::Accessor};

use super::{
    super::{
        pool::called,
        warm::{Answer, busy},
    },
    Begun, ConcurrentCtxView, HasConcurrent,
    apart::apart,
    size::Size as _,
    visits::lease,
};
use crate::bindings::{
    application::lemon::session::manager::{Entry, Page},
    application_async::lemon::session::manager_async::{Host, HostWithStore},
    lemon::session::types::{Error, Location},
};

/// Calls a function of the manager.
macro_rules! function {
    ($accessor:ident, $bytes:expr, $function:ident, |$busy:ident| $refused:expr $(, $argument:expr)*) => {{
        let Begun { pool, caller, mut share, .. } = Begun::new($accessor, $bytes)?;
        let (answer, _share) = apart(None, move |mut turn| async move {
            let lease = match turn.wait(lease(&pool, caller)).await? {
                Ok(lease) => lease,
                Err(error) => return Some((busy(error).map(|$busy| Err($refused)), share)),
            };
            let mut instance = turn.begin(lease.instance.lock()).await?;
            let answer = called!(instance, |store, exports| {
                exports.lemon_session_manager().$function(store $(, $argument)*).await
            });
            drop(instance);
            let answer = match answer {
                Ok(answer) => share.grow(answer.size()).map(|()| answer).map_err(Trap::new),
                Err(error) => Err(Trap::new(error)),
            };
            Some((answer, share))
        })
        .await?;
        answer
    }};
}

impl<T> HostWithStore<T> for HasConcurrent {
    async fn create_tables(
        accessor: &Accessor<T, Self>,
        location: Location,
    ) -> wasmtime::Result<Result<(), Vec<Error>>> {
        function!(accessor, location.size(), call_create_tables, |busy| vec![busy], &location)
    }

    async fn drop_tables(accessor: &Accessor<T, Self>, location: Location) -> wasmtime::Result<Result<(), Vec<Error>>> {
        function!(accessor, location.size(), call_drop_tables, |busy| vec![busy], &location)
    }

    async fn tables_exist(accessor: &Accessor<T, Self>, location: Location) -> Answer<bool> {
        function!(accessor, location.size(), call_tables_exist, |busy| busy, &location)
    }

    async fn cleanup(accessor: &Accessor<T, Self>, location: Location, limit: u32) -> Answer<u32> {
        function!(accessor, location.size(), call_cleanup, |busy| busy, &location, limit)
    }

    async fn count(accessor: &Accessor<T, Self>, location: Location) -> Answer<u64> {
        function!(accessor, location.size(), call_count, |busy| busy, &location)
    }

    async fn list(
        accessor: &Accessor<T, Self>,
        location: Location,
        owner: Option<String>,
        after: Option<String>,
        limit: u32,
    ) -> Answer<Page> {
        let bytes = location.size() + owner.size() + after.size();
        let page =
            function!(accessor, bytes, call_list, |busy| busy, &location, owner.as_deref(), after.as_deref(), limit)?;
        Ok(page.map(Page::from))
    }

    async fn get(
        accessor: &Accessor<T, Self>,
        location: Location,
        digest: String,
        owner: Option<String>,
    ) -> Answer<Option<Entry>> {
        let bytes = location.size() + digest.size() + owner.size();
        let entry = function!(accessor, bytes, call_get, |busy| busy, &location, &digest, owner.as_deref())?;
        Ok(entry.map(|entry| entry.map(Entry::from)))
    }

    async fn destroy(
        accessor: &Accessor<T, Self>,
        location: Location,
        digest: String,
        owner: Option<String>,
    ) -> Answer<bool> {
        let bytes = location.size() + digest.size() + owner.size();
        function!(accessor, bytes, call_destroy, |busy| busy, &location, &digest, owner.as_deref())
    }

    async fn destroy_owned(
        accessor: &Accessor<T, Self>,
        location: Location,
        owner: String,
        except: Option<String>,
    ) -> Answer<u64> {
        let bytes = location.size() + owner.size() + except.size();
        function!(accessor, bytes, call_destroy_owned, |busy| busy, &location, &owner, except.as_deref())
    }
}

impl Host for ConcurrentCtxView<'_> {}
