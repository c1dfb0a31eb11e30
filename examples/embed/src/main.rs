//! A custom runtime: it serves a component of wasi:http with sessions, which a custom driver stores.
//!
//! ```sh
//! cargo build --profile component --target wasm32-wasip2 -p visits
//! cargo run -p embed -- target/wasm32-wasip2/component/visits.wasm 127.0.0.1:8080 sessions.json
//! ```
//!
//! `lemon-session serve` is this with limits for time, memory and connections, with answers where an application fails,
//! and with proxies that are trusted.

mod driver;

use std::{env, sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use lemon_session_host::{
    SessionCtx, SessionCtxView, SessionView, add_to_linker, compose,
    engine::{EngineOptions, engine},
    store::Schema as _,
};
use tokio::{net::TcpListener, sync::oneshot, time::sleep};
use wasmtime::{
    Store,
    component::{Component, Linker, ResourceTable},
};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{
    Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView,
    io::TokioIo,
    p2::{
        bindings::{ProxyPre, http::types::Scheme},
        body::HyperOutgoingBody,
    },
};

use driver::JsonFile;

/// The data of one request.
struct Guest {
    table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    hooks: Hooks,
    session: SessionCtx,
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

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = env::args().skip(1);
    let application = arguments.next().context("usage: embed APP.wasm [ADDRESS] [SESSIONS.json]")?;
    let address = arguments.next().unwrap_or("127.0.0.1:8080".to_owned());
    let file = arguments.next().unwrap_or("sessions.json".to_owned());

    // Where the sessions are kept,
    let driver = Arc::new(JsonFile::new(file));
    driver.create_tables().await?;
    let session = SessionCtx::new(driver);

    // and the application, joined with the session component.
    let engine = engine(&EngineOptions { epochs: false, ..EngineOptions::default() })?;
    let component = std::fs::read(&application).with_context(|| format!("cannot read {application}"))?;
    let component = Component::new(&engine, compose::compose(&component)?)?;
    let mut linker = Linker::<Guest>::new(&engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    add_to_linker(&mut linker)?;
    let application = ProxyPre::new(linker.instantiate_pre(&component)?)?;

    let listener = TcpListener::bind(&address).await.with_context(|| format!("cannot listen on {address}"))?;
    println!("Serving on http://{}", listener.local_addr()?);
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Usually too many open files, which is temporary.
            sleep(Duration::from_millis(50)).await;
            continue;
        };
        let (application, session) = (application.clone(), session.clone());
        tokio::spawn(async move {
            let service = service_fn(|request| answer(application.clone(), session.clone(), request));
            if let Err(error) = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await {
                eprintln!("{error:?}");
            }
        });
    }
}

/// Answers a request with a fresh instance of the application.
async fn answer(
    application: ProxyPre<Guest>,
    session: SessionCtx,
    mut request: Request<Incoming>,
) -> Result<Response<HyperOutgoingBody>> {
    // Applications believe it: there is no proxy here that could say the visitor came over HTTPS.
    request.headers_mut().remove("x-forwarded-proto");

    let guest = Guest {
        table: ResourceTable::new(),
        wasi: WasiCtx::builder().build(),
        http: WasiHttpCtx::new(),
        hooks: Hooks,
        session,
    };
    let mut store = Store::new(application.engine(), guest);
    let (sender, response) = oneshot::channel();
    let request = store.data_mut().http().new_incoming_request(Scheme::Http, request)?;
    let out = store.data_mut().http().new_response_outparam(sender)?;

    // The application may go on after the head of its response.
    let running = tokio::spawn(async move {
        let instance = application.instantiate_async(&mut store).await?;
        instance.wasi_http_incoming_handler().call_handle(&mut store, request, out).await
    });
    match response.await {
        Ok(response) => Ok(response?),
        Err(_) => {
            running.await??;
            anyhow::bail!("the application gave no answer")
        }
    }
}
