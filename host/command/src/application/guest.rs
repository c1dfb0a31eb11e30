//! What a guest is given: WASI without files, network or the environment of this process, HTTP, and sessions.

use std::sync::{Arc, LazyLock};

use lemon_session_host::{
    Caller, SessionCtx, SessionCtxView, SessionView, Sessions,
    sessions::warm::{WarmCtx, WarmCtxView, WarmView},
};
use tokio::sync::OwnedSemaphorePermit;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::{
    DEFAULT_FORBIDDEN_HEADERS, Error, ForbiddenHeaderFilter, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView,
    WasiHttpHooks, WasiHttpView,
};

use super::{
    budget::{Budget, OverBudget},
    memory::Memory,
    metered,
};
use crate::config::Server;

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
    pub memory: Memory,
    budget: Budget,
    /// Held for as long as the guest lives.
    _slot: OwnedSemaphorePermit,
}

impl Guest {
    pub fn new(sessions: Sessions, wasi: WasiCtx, memory: usize, budget: Budget, slot: OwnedSemaphorePermit) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(budget.handles());
        Self {
            table,
            wasi,
            http: WasiHttpCtx::new(),
            hooks: Hooks,
            session: sessions.ctx().clone(),
            warm: WarmCtx::new(sessions.clone()),
            sessions,
            memory: Memory::new(memory),
            budget,
            _slot: slot,
        }
    }

    /// Has its sessions used on behalf of this caller from now on.
    pub fn answer_for(&mut self, caller: Caller) {
        self.session = self.sessions.ctx().for_caller(caller);
        self.warm = WarmCtx::new(self.sessions.clone()).for_caller(caller);
    }

    /// Has the host keep so many bytes more, unless that is more than the guest may have it keep.
    pub fn keep(&mut self, bytes: usize) -> Result<(), OverBudget> {
        let Self { budget, table, .. } = self;
        budget.take(bytes, || metered::held(table))
    }
}

/// WASI for a guest: its standard streams and variables are to be added.
pub fn wasi(settings: &Server) -> WasiCtxBuilder {
    let mut wasi = WasiCtx::builder();
    // A socket is an open file of this process, though no guest may connect it.
    wasi.allow_tcp(false).allow_udp(false).max_random_size(settings.request_memory.into());
    wasi
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

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        metered::PIECE_BYTES
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
