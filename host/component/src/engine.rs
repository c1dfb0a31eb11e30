//! The engine of all instances, and the components.

use std::{
    collections::HashMap,
    path::Path,
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use lemon_session_store::{Error, Result};
use sha2::{Digest as _, Sha256};
use wasmtime::{
    Config, Engine,
    component::{Component, types::ComponentItem},
};

/// The interval at which a computing instance yields to other tasks, and its time limit is checked.
const TICK: Duration = Duration::from_millis(10);

/// The interface that a provider exports.
const STORAGE: &str = "lemon:session/storage@0.1.0";

/// The packages and interfaces that a provider may import. What they give access to is granted by the options.
const IMPORTS: [&str; 7] = [
    "wasi:cli/",
    "wasi:clocks/",
    "wasi:filesystem/",
    "wasi:io/",
    "wasi:random/",
    "wasi:sockets/",
    // Types alone.
    "lemon:session/types@",
];

/// The engine of this process, and what was compiled for it.
struct Compiled {
    engine: Engine,
    /// By the SHA-256 of their bytes.
    components: HashMap<[u8; 32], Component>,
}

/// Several tables are several stores, whose component is compiled once.
static COMPILED: Mutex<Option<Compiled>> = Mutex::new(None);

/// An engine whose instances yield, so that their time can be limited.
fn engine() -> wasmtime::Result<Engine> {
    let mut config = Config::new();
    // Only the asynchronous functions of WASI 0.3 need concurrency, and it makes each call dearer.
    config.epoch_interruption(true).concurrency_support(false);
    let engine = Engine::new(&config)?;
    let clock = engine.weak();
    thread::spawn(move || {
        while let Some(engine) = clock.upgrade() {
            engine.increment_epoch();
            drop(engine);
            thread::sleep(TICK);
        }
    });
    Ok(engine)
}

/// Reads and compiles the provider in `file`.
pub fn load(file: &Path) -> Result<Component> {
    let name = file.display();
    let bytes = std::fs::read(file).map_err(|error| Error::invalid(format!("cannot read {name}: {error}")))?;
    let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    let compiled = match &mut *compiled {
        Some(compiled) => compiled,
        none => none.insert(Compiled {
            engine: engine().map_err(|error| Error::unavailable(format!("no engine for components: {error:#}")))?,
            components: HashMap::new(),
        }),
    };
    let digest = Sha256::digest(&bytes).into();
    if let Some(component) = compiled.components.get(&digest) {
        return Ok(component.clone());
    }
    let component = compile(&compiled.engine, file, &bytes)?;
    compiled.components.insert(digest, component.clone());
    Ok(component)
}

fn compile(engine: &Engine, file: &Path, bytes: &[u8]) -> Result<Component> {
    let name = file.display();
    if !bytes.starts_with(b"\0asm") {
        return Err(Error::invalid(format!("{name} is not a WebAssembly component")));
    }
    let begun = Instant::now();
    let component = Component::new(engine, bytes).map_err(|error| {
        Error::invalid(format!("{name} is not a WebAssembly component that can be compiled: {}", error.root_cause()))
    })?;
    tracing::debug!("compiled {name} in {:.1?}", begun.elapsed());

    let types = component.component_type();
    let is_allowed = |import: &str| IMPORTS.iter().any(|allowed| import.starts_with(allowed));
    if let Some((import, _)) = types.imports(engine).find(|(import, _)| !is_allowed(import)) {
        return Err(Error::invalid(format!(
            "{name} imports {import}, which a store does not get: only wasi:cli, wasi:clocks, wasi:filesystem, wasi:io, \
             wasi:random and wasi:sockets"
        )));
    }
    let is_provider = types
        .exports(engine)
        .any(|(export, item)| export == STORAGE && matches!(item.ty, ComponentItem::ComponentInstance(_)));
    if !is_provider {
        return Err(Error::invalid(format!("{name} is not a provider: it does not export {STORAGE}")));
    }
    Ok(component)
}
