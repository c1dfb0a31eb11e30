//! The engine that guests run on, and how many there may be.

use std::time::Duration;

use anyhow::{Context as _, Result};
use lemon_session_host::{config::Server, engine::EngineOptions};
use wasmtime::{Cache, Engine};

/// How many guests may be alive at a time: each request in flight has one, and one whose last bytes are on their way may
/// outlive its request for a moment.
pub fn guests(settings: &Server) -> u32 {
    2 * settings.in_flight
}

/// An engine with room for as many guests as may be alive.
pub fn engine(settings: &Server) -> Result<Engine> {
    let cache = Cache::from_file(None)
        .inspect_err(|error| tracing::warn!("every start compiles anew, as compiled code cannot be kept: {error:#}"));
    let options = EngineOptions {
        instances: guests(settings),
        memory_bytes: settings.memory as usize,
        epochs: true,
        cache: cache.ok(),
        ..EngineOptions::default()
    };
    let engine = lemon_session_host::engine::engine(&options)
        .map_err(anyhow::Error::from)
        .context("cannot reserve memory for as many instances as [server] in-flight allows")?;

    let clock = engine.weak();
    std::thread::spawn(move || {
        while let Some(engine) = clock.upgrade() {
            engine.increment_epoch();
            drop(engine);
            std::thread::sleep(TICK);
        }
    });
    Ok(engine)
}

/// How often guests that compute let others go first.
const TICK: Duration = Duration::from_millis(10);
