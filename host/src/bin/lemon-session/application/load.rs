//! The component of an application: joined with what it uses, and compiled.

use anyhow::{Context as _, Result};
use lemon_session_host::{COMPONENT, compose};
use wasmtime::component::Component;

use super::Platform;
use crate::compose::{Source, join};

/// An application with its modules and with sessions, ready to be instantiated.
pub fn component(platform: &Platform, application: &Source, modules: &[Source]) -> Result<Component> {
    let Some(cache) = &platform.cache else { return compile(platform, application, modules) };
    let sources = [&application.bytes[..], COMPONENT].into_iter().chain(modules.iter().map(|module| &module.bytes[..]));
    let entry = cache.entry(&platform.engine, sources);
    if let Some(component) = entry.read(&platform.engine) {
        return Ok(component);
    }
    let component = compile(platform, application, modules)?;
    entry.write(&component);
    Ok(component)
}

fn compile(platform: &Platform, application: &Source, modules: &[Source]) -> Result<Component> {
    let joined = join(application, modules)?;
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
