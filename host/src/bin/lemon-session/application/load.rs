//! The component of an application: read, joined with what it uses, compiled.

use std::path::Path;

use anyhow::{Context as _, Result};
use lemon_session_host::compose;
use wasmtime::{Engine, component::Component};

use crate::compose::Modules;

/// The component at `path`, with its modules and sessions, ready to be instantiated.
pub fn component(engine: &Engine, path: &Path, modules: &Modules) -> Result<Component> {
    let component = read(path, modules)?;
    Component::new(engine, component)
        .map_err(anyhow::Error::from)
        .with_context(|| format!("cannot compile {}", path.display()))
}

/// The component at `path`, joined with its modules, and with the session component if it imports sessions.
fn read(path: &Path, modules: &Modules) -> Result<Vec<u8>> {
    let application = modules.plug_into(path)?;
    let composed = match compose::imports_sessions(&application) {
        Ok(true) => compose::compose(&application),
        Ok(false) => Ok(application),
        Err(error) => Err(error),
    };
    composed.with_context(|| format!("cannot serve {}", path.display()))
}
