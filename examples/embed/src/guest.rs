//! The data of one request's `wasmtime::Store`: what its instance of the application can use.

use hyper::{Request, Response};
use lemon_session_host::{SessionCtx, SessionCtxView, SessionView};
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView};

/// WASI without files and environment, HTTP, and sessions.
pub struct Guest {
    table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    hooks: Hooks,
    session: SessionCtx,
}

impl Guest {
    pub fn new(session: SessionCtx) -> Self {
        let (table, wasi) = (ResourceTable::new(), WasiCtx::builder().build());
        Self { table, wasi, http: WasiHttpCtx::new(), hooks: Hooks, session }
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

/// Applications cannot send requests.
struct Hooks;

impl WasiHttpHooks for Hooks {
    fn send_request(
        &mut self,
        _request: Request<WasiBody>,
        _options: Option<RequestOptions>,
        _done: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Result<Sent, Error>> + Send> {
        Box::new(async { Err(Error::HttpRequestDenied) })
    }
}

type Sent = (Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>);
