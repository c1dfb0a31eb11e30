//! The capabilities of a guest: HTTP, sessions, and WASI without files, network or this process's environment.

use std::sync::{Arc, LazyLock};

use lemon_session_host::{
    Caller, SessionCtx, SessionCtxView, SessionView, Sessions,
    sessions::{
        concurrent::{ConcurrentCtx, ConcurrentCtxView, ConcurrentView},
        warm::{WarmCtx, WarmCtxView, WarmView},
    },
};
use tokio::sync::OwnedSemaphorePermit;
use wasmtime::component::{GuestTaskId, ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::{
    DEFAULT_FORBIDDEN_HEADERS, Error, ForbiddenHeaderFilter, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView,
    WasiHttpHooks, WasiHttpView,
};

use super::{
    Failure,
    budget::{Budget, OverBudget},
    failure::Reason,
    guest_log::GuestLog,
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
    /// For an application that is composed with the session component.
    session: SessionCtx,
    /// For an application that uses a pooled session component.
    warm: WarmCtx,
    /// For one that calls it asynchronously.
    concurrent: Option<ConcurrentCtx>,
    caller: Caller,
    pub memory: Memory,
    /// What it prints.
    pub log: GuestLog,
    budget: Budget,
    /// Released when the guest ends.
    _slot: OwnedSemaphorePermit,
}

impl Guest {
    pub fn new(
        sessions: Sessions,
        wasi: WasiCtx,
        log: GuestLog,
        memory: usize,
        budget: Budget,
        slot: OwnedSemaphorePermit,
    ) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(budget.handles());
        Self {
            table,
            wasi,
            http: WasiHttpCtx::new(),
            hooks: Hooks,
            session: sessions.ctx().clone(),
            warm: WarmCtx::new(sessions.clone()),
            concurrent: None,
            caller: Caller::default(),
            sessions,
            memory: Memory::new(memory),
            log,
            budget,
            _slot: slot,
        }
    }

    /// Uses this caller for the guest's sessions from now on.
    pub fn answer_for(&mut self, caller: Caller) {
        self.session = self.sessions.ctx().for_caller(caller.clone());
        self.warm = WarmCtx::new(self.sessions.clone()).for_caller(caller.clone());
        self.caller = caller;
    }

    /// Uses this caller for the sessions that a request starts, of several that the guest answers at the same time.
    pub fn answer_in(&mut self, task: GuestTaskId, caller: Caller) {
        self.concurrent_sessions().ctx.answer_for(task, caller);
    }

    /// Adds what the guest printed about its failure, and whether it had reached its memory.
    pub fn explained(&self, failure: Failure) -> Failure {
        match failure {
            Failure::Failed(mut error) => {
                if let Some(report) = self.log.report() {
                    error = error.context(report);
                }
                if self.memory.is_exhausted {
                    error = error.context(Reason::Memory);
                }
                Failure::Failed(error)
            }
            failure => failure,
        }
    }

    /// Accounts for memory of the host, in bytes. Fails if that exceeds the guest's budget.
    pub fn keep(&mut self, bytes: usize) -> Result<(), OverBudget> {
        let Self { budget, table, .. } = self;
        budget.take(bytes, || metered::held(table))
    }
}

/// WASI for a guest, without standard streams and environment variables, which the caller adds.
pub fn wasi(settings: &Server) -> WasiCtxBuilder {
    let mut wasi = WasiCtx::builder();
    // Guests cannot connect sockets, but each socket would be an open file of this process.
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

impl ConcurrentView for Guest {
    fn concurrent_sessions(&mut self) -> ConcurrentCtxView<'_> {
        let Self { concurrent, sessions, caller, budget, table, .. } = self;
        let ctx = concurrent.get_or_insert_with(|| {
            let session_bytes = sessions.ctx().settings().limits.session_bytes as usize;
            let unfinished = budget.calls().saturating_add(session_bytes);
            ConcurrentCtx::new(sessions.clone()).for_caller(caller.clone()).limit_unfinished(unfinished)
        });
        ConcurrentCtxView { ctx, table }
    }
}

impl WarmView for Guest {
    fn sessions(&mut self) -> WarmCtxView<'_> {
        WarmCtxView { ctx: &mut self.warm, table: &mut self.table }
    }
}

/// Guests cannot send requests.
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

    fn p3_outgoing_body_chunk_size(&mut self) -> usize {
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
