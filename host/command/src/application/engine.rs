//! The engines of guests and of the session component, and the number of guests.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result};
use lemon_session_host::engine::{EngineOptions, engine};
use wasmtime::Engine;

use super::kind::Wasi;
use crate::config::Server;

/// The maximum number of live guests: one for each request in flight, and some spare ones, because a guest can outlive
/// its request for a moment.
pub fn guests(settings: &Server) -> u32 {
    2 * settings.in_flight
}

/// The sessions that the command itself uses at the same time, those of the console.
pub const OWN_SESSIONS: u32 = 8;

/// The engines of a process. Those of guests check epochs, so that a guest can be stopped. That of the session component
/// does not, because the component always terminates.
pub struct Engines {
    pub guests: GuestEngines,
    pub sessions: Engine,
}

/// The engines of guests: one for each version of WASI, because support for the concurrent calls of 0.3 makes every call
/// dearer.
#[derive(Clone)]
pub struct GuestEngines {
    p2: Engine,
    /// Made when the first application of WASI 0.3 is loaded, as it reserves as much address space as the other one.
    p3: Arc<Mutex<Option<Engine>>>,
    p3_options: EngineOptions,
}

impl GuestEngines {
    fn new(options: EngineOptions) -> Result<Self> {
        let p3_options = EngineOptions { concurrency: true, ..options.clone() };
        Ok(Self { p2: ticking(engine(&options)?), p3: Arc::default(), p3_options })
    }

    /// The engine for components of this version.
    pub fn of(&self, wasi: Wasi) -> Result<Engine> {
        match wasi {
            Wasi::P2 => Ok(self.p2.clone()),
            Wasi::P3 => {
                let mut p3 = self.p3.lock().unwrap_or_else(PoisonError::into_inner);
                match &*p3 {
                    Some(engine) => Ok(engine.clone()),
                    None => {
                        let made = engine(&self.p3_options).map_err(anyhow::Error::from);
                        let made = made.context("cannot make an engine for applications of WASI 0.3")?;
                        Ok(p3.insert(ticking(made)).clone())
                    }
                }
            }
        }
    }
}

impl Engines {
    /// Engines with room for the maximum number of guests.
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
        // After a reload, open sessions keep their instances in the old pool, in addition to those of the new pool.
        let instances = 2 * instances + OWN_SESSIONS;
        let for_sessions = EngineOptions { pool, ..EngineOptions::for_sessions(instances) };
        Ok(Self { guests: GuestEngines::new(for_guests)?, sessions: engine(&for_sessions)? })
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

/// The interval at which a computing guest yields to other tasks.
const TICK: Duration = Duration::from_millis(10);
