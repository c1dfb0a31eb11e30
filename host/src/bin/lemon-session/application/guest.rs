//! What a guest is given: WASI without files, network or the environment of this process, HTTP, and sessions.

use std::sync::{Arc, LazyLock};

use lemon_session_host::{
    Caller, SessionCtx, SessionCtxView, SessionView, Sessions,
    sessions::warm::{WarmCtx, WarmCtxView, WarmView},
};
use tokio::sync::OwnedSemaphorePermit;
use wasmtime::{StoreLimits, StoreLimitsBuilder, component::ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{
    DEFAULT_FORBIDDEN_HEADERS, Error, ForbiddenHeaderFilter, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView,
    WasiHttpHooks, WasiHttpView,
};

/// The data of one guest's store.
pub struct Guest {
    table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    hooks: Hooks,
    sessions: Sessions,
    /// For a session component of its own,
    session: SessionCtx,
    /// and for one that is lent.
    warm: WarmCtx,
    pub limits: StoreLimits,
    /// Held for as long as the guest lives.
    _slot: OwnedSemaphorePermit,
}

/// Handles a guest may hold at a time: streams, bodies, timers and the like.
const MAX_HANDLES: usize = 10_000;

impl Guest {
    pub fn new(sessions: Sessions, wasi: WasiCtx, memory: usize, slot: OwnedSemaphorePermit) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_HANDLES);
        Self {
            table,
            wasi,
            http: WasiHttpCtx::new(),
            hooks: Hooks,
            session: sessions.ctx().clone(),
            warm: WarmCtx::new(sessions.clone()),
            sessions,
            limits: StoreLimitsBuilder::new().memory_size(memory).build(),
            _slot: slot,
        }
    }

    /// Has its sessions used on behalf of this caller from now on.
    pub fn answer_for(&mut self, caller: Caller) {
        self.session = self.sessions.ctx().for_caller(caller);
        self.warm = WarmCtx::new(self.sessions.clone()).for_caller(caller);
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for Guest {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: &mut self.hooks }
    }
}

impl SessionView for Guest {
    fn session(&mut self) -> SessionCtxView<'_> {
        SessionCtxView { ctx: &mut self.session }
    }
}

impl WarmView for Guest {
    fn sessions(&mut self) -> WarmCtxView<'_> {
        WarmCtxView { ctx: &mut self.warm, table: &mut self.table }
    }
}

/// Guests answer requests; they make none.
struct Hooks;

static FORBIDDEN: LazyLock<ForbiddenHeaderFilter> =
    LazyLock::new(|| Arc::new(|name| DEFAULT_FORBIDDEN_HEADERS.contains(name)));

impl WasiHttpHooks for Hooks {
    fn forbidden_header_filter(&mut self) -> ForbiddenHeaderFilter {
        FORBIDDEN.clone()
    }

    fn send_request(
        &mut self,
        _request: http::Request<WasiBody>,
        _options: Option<RequestOptions>,
        _done: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Result<Sent, Error>> + Send> {
        Box::new(async { Err(Error::HttpRequestDenied) })
    }
}

type Sent = (http::Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>);
