//! The engine that guests run on, and how many there may be.

use std::time::Duration;

use anyhow::{Context as _, Result};
use lemon_session_host::engine::{EngineOptions, engine};
use wasmtime::Engine;

use crate::config::Server;

/// How many guests may be alive at a time: each request in flight has one, and one whose last bytes are on their way may
/// outlive its request for a moment.
pub fn guests(settings: &Server) -> u32 {
    2 * settings.in_flight
}

/// The engines of a process. Guests can be stopped at any time; the session component is trusted to come to its end, and does
/// not count epochs.
pub struct Engines {
    pub guests: Engine,
    pub sessions: Engine,
}

impl Engines {
    /// Engines with room for as many guests as may be alive.
    pub fn for_many(settings: &Server) -> Result<Self> {
        Self::new(settings, true).context("cannot reserve memory for as many instances as [server] in-flight allows")
    }

    /// Engines for one guest.
    pub fn for_one(settings: &Server) -> Result<Self> {
        Self::new(settings, false)
    }

    fn new(settings: &Server, pool: bool) -> Result<Self> {
        let memory_bytes = settings.memory as usize;
        let instances = guests(settings);
        let for_guests = EngineOptions { instances, pool, memory_bytes, epochs: true, ..EngineOptions::default() };
        // After a reload, sessions that are open go on where they are, beside those that are begun.
        let instances = 2 * instances;
        let for_sessions = EngineOptions { pool, ..EngineOptions::for_sessions(instances) };
        Ok(Self { guests: ticking(engine(&for_guests)?), sessions: engine(&for_sessions)? })
    }
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
