//! Loads and compiles the components of applications and sessions.

use anyhow::{Context as _, Result};
use lemon_session_host::{COMPONENT, compose};
use rayon::ThreadPoolBuilder;
use wasmtime::{Engine, InstanceAllocationStrategy, component::Component};

use super::{Cache, Platform, kind::Wasi};
use crate::{
    compose::{Source, Unused, join},
    progress::Progress,
};

/// How an application gets the session component.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// It is composed with the session component, and both are instantiated together: calls stay within WebAssembly.
    Joined,
    /// It takes an instance from a pool while it has a session open.
    Pooled,
}

impl Way {
    /// The cheaper way for guests that answer `reuse` requests each. With WASI 0.3 there is one way for the synchronous
    /// and the asynchronous interfaces: asynchronous calls of several requests overlap only in instances of their own.
    pub fn new(wasi: Wasi, reuse: u32) -> Self {
        match wasi {
            Wasi::P2 if reuse > 1 => Self::Joined,
            Wasi::P2 | Wasi::P3 => Self::Pooled,
        }
    }
}

/// An application with its modules, compiled for an engine of the application's version of WASI.
pub fn application(
    platform: &Platform,
    wasi: Wasi,
    application: &Source,
    modules: &[Source],
    unused: Unused,
    way: Way,
) -> Result<Component> {
    // Part of the cache key, because these decide whether an application is refused below.
    let rules = [
        if unused == Unused::Refuse { b"refuse" } else { &b"skip"[..] },
        if way == Way::Joined { b"joined" } else { &b"pooled"[..] },
        COMPONENT,
    ];
    let sources = rules.into_iter().chain([application].into_iter().chain(modules).map(|source| &source.bytes[..]));
    let engine = platform.engines.of(wasi)?;
    let name = application.path.file_name().unwrap_or_default().display().to_string();
    kept(platform.cache.as_ref(), &engine, &name, sources, || {
        let alone = join(application, modules, unused)?;
        let path = application.path.display();
        let joined = match wasi {
            Wasi::P2 => match compose::compose(&alone) {
                Ok(composed) if way == Way::Joined => composed,
                Ok(_) | Err(compose::Error::NoSessions) => alone,
                // Also of applications that were built against another version or import interfaces reserved for the host.
                Err(error) => return Err(anyhow::Error::new(error).context(format!("cannot run {path}"))),
            },
            // Such imports are not in the linker of pooled guests.
            Wasi::P3 => alone,
        };
        compile(&engine, &joined).with_context(|| format!("cannot compile {path}"))
    })
}

/// The session component.
pub fn session_component(cache: Option<&Cache>, engine: &Engine) -> Result<Component> {
    kept(cache, engine, "the session component", [COMPONENT].into_iter(), || compile(engine, COMPONENT))
}

/// Compiles a component on an engine and threads that end afterwards: a compiler keeps the memory that it has used for the next
/// component, and so does each thread's cache of the allocator. After a small application this was 15 MB.
fn compile(engine: &Engine, component: &[u8]) -> Result<Vec<u8>> {
    let mut config = engine.config().clone();
    // The other settings decide for which engines the code is.
    config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
    let threads = ThreadPoolBuilder::new().build().context("cannot start the threads of the compiler")?;
    threads.install(|| Ok(Engine::new(&config)?.precompile_component(component)?))
}

/// Reads the component from the cache, or compiles it and stores it there. Compiling takes seconds, so it is announced, with
/// the component's `name`.
fn kept<'a>(
    cache: Option<&Cache>,
    engine: &Engine,
    name: &str,
    sources: impl Iterator<Item = &'a [u8]>,
    compile: impl FnOnce() -> Result<Vec<u8>>,
) -> Result<Component> {
    let entry = cache.map(|cache| cache.entry(engine, sources));
    if let Some(component) = entry.as_ref().and_then(|entry| entry.read(engine)) {
        return Ok(component);
    }
    let is_kept = cache.is_some_and(|cache| !cache.is_read_only());
    let which = if is_kept { " (first start)" } else { "" };
    let progress = Progress::start_or_log(format!("compiling {name}{which}…"));
    let code = compile()?;
    drop(progress);
    // A file is mapped, and its memory shared with other processes that run the same code.
    if let Some(component) = entry.and_then(|entry| entry.write(&code).then(|| entry.read(engine)).flatten()) {
        return Ok(component);
    }
    // SAFETY: this is what wasmtime has just made.
    Ok(unsafe { Component::deserialize(engine, &code) }?)
}
