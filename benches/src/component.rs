//! The size of the session component, and the time that it adds to the instantiation of an application.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use lemon_session_host::{
    COMPONENT, compose,
    engine::{EngineOptions, engine},
};
use wasmtime::{
    Engine, Store,
    component::{Component, InstancePre, Linker},
};

use crate::harness::{Comparison, Goal, ROUNDS, compare, microseconds, report};

pub async fn measure() -> Result<()> {
    let size = COMPONENT.len() as f64 / 1000.0;
    let measured = Comparison { ours: size, floor: 1.0, ratio: size };
    report("size", "the session component", "", "KB", Some(Goal::AtMost(130.0)), &measured);

    let file = std::env::var_os("COUNTER_WASM").map(PathBuf::from);
    let file = file.unwrap_or_else(|| "target/wasm32-wasip2/component/counter.wasm".into());
    let counter = std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let engine = engine(&EngineOptions::default())?;
    let composed = prepare(&engine, &compose::compose(&counter)?)?;
    let alone = prepare(&engine, &counter)?;
    let measured = compare(
        ROUNDS,
        async || microseconds(2_000, async || instantiate(&composed).await).await,
        async || microseconds(2_000, async || instantiate(&alone).await).await,
    )
    .await?;
    let what = "instantiate, an application composed with the session component";
    report("instantiate", what, "the same application alone", "µs", Some(Goal::AtMost(25.0 / 15.0)), &measured);
    Ok(())
}

/// A component that is instantiated but not called, so its imports can be traps.
fn prepare(engine: &Engine, component: &[u8]) -> Result<InstancePre<()>> {
    let component = Component::new(engine, component)?;
    let mut linker = Linker::new(engine);
    linker.define_unknown_imports_as_traps(&component)?;
    Ok(linker.instantiate_pre(&component)?)
}

async fn instantiate(component: &InstancePre<()>) -> Result<()> {
    let mut store = Store::new(component.engine(), ());
    store.set_epoch_deadline(1_000_000);
    component.instantiate_async(&mut store).await?;
    Ok(())
}
