//! The component of an application: joined with what it uses, and compiled.

use anyhow::{Context as _, Result};
use lemon_session_host::{COMPONENT, compose};
use wasmtime::component::Component;

use super::Platform;
use crate::compose::{Source, Unused, join};

/// An application with its modules and with sessions, ready to be instantiated.
pub fn component(platform: &Platform, application: &Source, modules: &[Source], unused: Unused) -> Result<Component> {
    let Some(cache) = &platform.cache else { return compile(platform, application, modules, unused) };
    // What was made by the laxer rule is not found by the stricter one.
    let rule: &[u8] = if unused == Unused::Refuse { b"refuse" } else { b"skip" };
    let sources =
        [rule, &application.bytes[..], COMPONENT].into_iter().chain(modules.iter().map(|module| &module.bytes[..]));
    let entry = cache.entry(&platform.engine, sources);
    if let Some(component) = entry.read(&platform.engine) {
        return Ok(component);
    }
    let component = compile(platform, application, modules, unused)?;
    entry.write(&component);
    Ok(component)
}

fn compile(platform: &Platform, application: &Source, modules: &[Source], unused: Unused) -> Result<Component> {
    let joined = join(application, modules, unused)?;
    let path = application.path.display();
    let composed = match compose::imports_sessions(&joined) {
        Ok(true) => compose::compose(&joined),
        Ok(false) => Ok(joined),
        Err(error) => Err(error),
    };
    let composed = composed.with_context(|| format!("cannot run {path}"))?;
    Component::new(&platform.engine, composed)
        .map_err(anyhow::Error::from)
        .with_context(|| format!("cannot compile {path}"))
}
