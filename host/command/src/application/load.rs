//! The components of an application and of sessions, compiled.

use anyhow::{Context as _, Result};
use lemon_session_host::{COMPONENT, compose};
use wasmtime::{Engine, component::Component};

use super::{Cache, Platform};
use crate::compose::{Source, Unused, join};

/// How an application comes by the session component.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// It is joined with one of its own, which is instantiated with it: calls stay within WebAssembly.
    Joined,
    /// It is lent an instance that is there already, for as long as it has a session open.
    Lent,
}

impl Way {
    /// The cheaper way for guests that answer so many requests each.
    pub fn of_reuse(reuse: u32) -> Self {
        if reuse > 1 { Self::Joined } else { Self::Lent }
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
    // What passed the laxer rule, or fitted other sessions, has not passed yet.
    let rules = [
        if unused == Unused::Refuse { b"refuse" } else { &b"skip"[..] },
        if way == Way::Joined { b"joined" } else { &b"lent"[..] },
        COMPONENT,
    ];
    let sources = rules.into_iter().chain([application].into_iter().chain(modules).map(|source| &source.bytes[..]));
    kept(platform.cache.as_ref(), &platform.engine, sources, || {
        let alone = join(application, modules, unused)?;
        let path = application.path.display();
        // Refuses what is built against other sessions than these, and what asks for what is not an application's.
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

/// What the cache keeps, or what is compiled now and kept for the next time.
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
