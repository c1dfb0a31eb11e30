//! Loads and compiles the components of applications and sessions.

use anyhow::{Context as _, Result};
use lemon_session_host::{COMPONENT, compose};
use wasmtime::{Engine, component::Component};

use super::{Cache, Platform, kind::Wasi};
use crate::compose::{Source, Unused, join};

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
    kept(platform.cache.as_ref(), &engine, sources, || {
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
    kept(cache, engine, [COMPONENT].into_iter(), || compile(engine, COMPONENT))
}

fn compile(engine: &Engine, component: &[u8]) -> Result<Component> {
    Ok(Component::new(engine, component)?)
}

/// Reads the component from the cache, or compiles it and stores it there.
fn kept<'a>(
    cache: Option<&Cache>,
    engine: &Engine,
    sources: impl Iterator<Item = &'a [u8]>,
    compile: impl FnOnce() -> Result<Component>,
) -> Result<Component> {
    let Some(cache) = cache else { return compile() };
    let entry = cache.entry(engine, sources);
    if let Some(component) = entry.read(engine) {
        return Ok(component);
    }
    let component = compile()?;
    entry.write(&component);
    Ok(component)
}
