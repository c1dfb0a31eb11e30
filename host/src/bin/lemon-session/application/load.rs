//! The components of an application and of sessions, compiled.

use anyhow::{Context as _, Result};
use lemon_session_host::{COMPONENT, compose};
use wasmtime::{Engine, component::Component};

use super::{Cache, Platform};
use crate::compose::{Source, Unused, join};

/// An application with its modules.
pub fn application(platform: &Platform, application: &Source, modules: &[Source], unused: Unused) -> Result<Component> {
    // What passed the laxer rule, or fitted other sessions, has not passed yet.
    let rules = [if unused == Unused::Refuse { b"refuse" } else { &b"skip"[..] }, COMPONENT];
    let sources = rules.into_iter().chain([application].into_iter().chain(modules).map(|source| &source.bytes[..]));
    kept(platform.cache.as_ref(), &platform.engine, sources, || {
        let joined = join(application, modules, unused)?;
        let path = application.path.display();
        check(&joined).with_context(|| format!("cannot run {path}"))?;
        compile(&platform.engine, &joined).with_context(|| format!("cannot compile {path}"))
    })
}

/// The session component.
pub fn session_component(cache: Option<&Cache>, engine: &Engine) -> Result<Component> {
    kept(cache, engine, [COMPONENT].into_iter(), || compile(engine, COMPONENT))
}

/// Fails when the application is built against other sessions than these, and when it asks for what is not an application's.
fn check(application: &[u8]) -> Result<(), compose::Error> {
    if compose::imports_sessions(application)? {
        compose::compose(application)?;
    }
    Ok(())
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
