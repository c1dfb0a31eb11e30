//! The engine that guests run on, and how many there may be.

use std::time::Duration;

use anyhow::{Context as _, Result};
use lemon_session_host::{
    config::Server,
    engine::{EngineOptions, engine},
};
use wasmtime::Engine;

/// How many guests may be alive at a time: each request in flight has one, and one whose last bytes are on their way may
/// outlive its request for a moment.
pub fn guests(settings: &Server) -> u32 {
    2 * settings.in_flight
}

/// An engine with room for as many guests as may be alive.
pub fn for_many(settings: &Server) -> Result<Engine> {
    let options = EngineOptions { instances: guests(settings), ..options(settings) };
    let engine = engine(&options)
        .map_err(anyhow::Error::from)
        .context("cannot reserve memory for as many instances as [server] in-flight allows")?;
    Ok(ticking(engine))
}

/// An engine for one guest.
pub fn for_one(settings: &Server) -> Result<Engine> {
    Ok(ticking(engine(&EngineOptions { pool: false, ..options(settings) })?))
}

fn options(settings: &Server) -> EngineOptions {
    EngineOptions { memory_bytes: settings.memory as usize, epochs: true, ..EngineOptions::default() }
}

fn ticking(engine: Engine) -> Engine {
    let clock = engine.weak();
    std::thread::spawn(move || {
        while let Some(engine) = clock.upgrade() {
            engine.increment_epoch();
            drop(engine);
            std::thread::sleep(TICK);
        }
    });
    engine
}

/// How often guests that compute let others go first.
const TICK: Duration = Duration::from_millis(10);
