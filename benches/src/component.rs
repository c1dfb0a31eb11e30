//! The size of the session component, and what it adds to the instantiation of an application.

use std::{path::PathBuf, sync::Arc};

use anyhow::{Context as _, Result};
use lemon_session_host::{
    COMPONENT, SessionCtx, SessionCtxView, SessionView, compose,
    driver::memory::Memory,
    engine::{EngineOptions, engine},
};
use wasmtime::{
    Store,
    component::{Component, InstancePre, Linker, ResourceTable},
};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView, default_hooks};

use crate::harness::{Comparison, Goal, ROUNDS, compare, microseconds, report};

pub async fn measure() -> Result<()> {
    let size = COMPONENT.len() as f64 / 1000.0;
    let measured = Comparison { ours: size, floor: 1.0, ratio: size };
    report("size", "the session component", "", "KB", Some(Goal::AtMost(130.0)), &measured);

    let file = std::env::var_os("COUNTER_WASM").map(PathBuf::from);
    let file = file.unwrap_or_else(|| "target/wasm32-wasip2/component/counter.wasm".into());
    let counter = std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let engine = engine(&EngineOptions::default())?;
    let mut linker = Linker::<State>::new(&engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    lemon_session_host::add_to_linker(&mut linker)?;
    let composed = Component::new(&engine, compose::compose(&counter)?)?;
    let composed = linker.instantiate_pre(&composed)?;
    let alone = Component::new(&engine, counter)?;
    // It is instantiated, not called.
    linker.define_unknown_imports_as_traps(&alone)?;
    let alone = linker.instantiate_pre(&alone)?;

    let session = SessionCtx::new(Arc::new(Memory::new()));
    let measured = compare(
        ROUNDS,
        async || microseconds(2_000, async || instantiate(&composed, &session).await).await,
        async || microseconds(2_000, async || instantiate(&alone, &session).await).await,
    )
    .await?;
    let what = "instantiate, an application composed with the session component";
    report("instantiate", what, "the same application alone", "µs", Some(Goal::AtMost(25.0 / 15.0)), &measured);
    Ok(())
}

async fn instantiate(component: &InstancePre<State>, session: &SessionCtx) -> Result<()> {
    let state = State {
        session: session.clone(),
        wasi: WasiCtx::builder().build(),
        http: WasiHttpCtx::new(),
        table: ResourceTable::new(),
        hooks: default_hooks(),
    };
    let mut store = Store::new(component.engine(), state);
    store.set_epoch_deadline(1_000_000);
    component.instantiate_async(&mut store).await?;
    Ok(())
}

struct State {
    session: SessionCtx,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    table: ResourceTable,
    hooks: &'static mut dyn WasiHttpHooks,
}

impl SessionView for State {
    fn session(&mut self) -> SessionCtxView<'_> {
        SessionCtxView { ctx: &mut self.session }
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: self.hooks }
    }
}
