//! A custom runtime: it serves a component of wasi:http with sessions, in SQLite or in the driver of `examples/driver`.
//!
//! ```sh
//! cargo build --profile component --target wasm32-wasip2 -p visits
//! cargo run -p embed -- target/wasm32-wasip2/component/visits.wasm 127.0.0.1:8080 sqlite:sessions.db
//! ```
//!
//! `lemon-session serve` adds limits for time, memory and connections, answers for failures, and trusted proxies.

mod guest;

use anyhow::{Context as _, Result, bail};
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use lemon_session_host::{
    SessionCtx, add_to_linker, compose,
    engine::{EngineOptions, engine},
    store::{Registry, StorageOptions},
};
use tokio::{net::TcpListener, sync::oneshot};
use wasmtime::{
    Store,
    component::{Component, Linker},
};
use wasmtime_wasi_http::{
    WasiHttpView as _,
    io::TokioIo,
    p2::{
        bindings::{ProxyPre, http::types::Scheme},
        body::HyperOutgoingBody,
    },
};

use guest::Guest;

#[tokio::main]
async fn main() -> Result<()> {
    let [application, address, url] = &std::env::args().skip(1).collect::<Vec<_>>()[..] else {
        bail!("usage: embed APP.wasm ADDRESS URL; such as embed visits.wasm 127.0.0.1:8080 sqlite:sessions.db")
    };

    // Where the sessions are kept,
    let mut drivers = Registry::new();
    drivers.register(&lemon_session_sqlite::SCHEMES)?;
    drivers.register(&example_driver::SCHEMES)?;
    let driver = drivers.open(StorageOptions::new(url.as_str())).await?;
    driver.set_up().await?;
    let session = SessionCtx::new(driver);

    // and the application, joined with the session component.
    let engine = engine(&EngineOptions { epochs: false, ..EngineOptions::default() })?;
    let component = std::fs::read(application).with_context(|| format!("cannot read {application}"))?;
    let component = Component::new(&engine, compose::compose(&component)?)?;
    let mut linker = Linker::<Guest>::new(&engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    add_to_linker(&mut linker)?;
    let application = ProxyPre::new(linker.instantiate_pre(&component)?)?;

    let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
    println!("Serving on http://{}", listener.local_addr()?);
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Usually too many open files, which is temporary.
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
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

    let mut store = Store::new(application.engine(), Guest::new(session));
    let (sender, response) = oneshot::channel();
    let request = store.data_mut().http().new_incoming_request(Scheme::Http, request)?;
    let out = store.data_mut().http().new_response_outparam(sender)?;
    // The application may go on after the head of its response.
    let running = tokio::spawn(async move {
        let instance = application.instantiate_async(&mut store).await?;
        instance.wasi_http_incoming_handler().call_handle(&mut store, request, out).await
    });
    if let Ok(response) = response.await {
        return Ok(response?);
    }
    running.await??;
    bail!("the application gave no answer")
}
