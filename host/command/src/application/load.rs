//! Loads and compiles the components of applications and sessions.

use anyhow::{Context as _, Result};
use lemon_session_host::{COMPONENT, compose};
use wasmtime::{Engine, component::Component};

use super::{Cache, Platform};
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
    /// The cheaper way for guests that answer `reuse` requests each.
    pub fn of_reuse(reuse: u32) -> Self {
        if reuse > 1 { Self::Joined } else { Self::Pooled }
    }
}

/// An application with its modules.
pub fn application(
    platform: &Platform,
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
    kept(platform.cache.as_ref(), &platform.engine, sources, || {
        let alone = join(application, modules, unused)?;
        let path = application.path.display();
        // Also refuses applications that were built against another version or import interfaces reserved for the host.
        let joined = match compose::compose(&alone) {
            Ok(composed) if way == Way::Joined => composed,
            Ok(_) | Err(compose::Error::NoSessions) => alone,
            Err(error) => return Err(anyhow::Error::new(error).context(format!("cannot run {path}"))),
        };
        compile(&platform.engine, &joined).with_context(|| format!("cannot compile {path}"))
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
