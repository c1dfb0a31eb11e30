use std::{sync::Arc, time::Duration};

use lemon_session_host::{
    SessionCtx, Sessions,
    sessions::{PoolOptions, warm},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use wasmtime::{
    Engine, Result, Store,
    component::{Component, Linker},
};
use wasmtime_wasi::WasiCtx;

use super::{
    Cache,
    budget::Budget,
    engine::{Engines, guests},
    failure::NoSlot,
    guest::Guest,
    load::{self, Way},
    metered,
};
use crate::config::Server;

/// What all applications of this process share.
#[derive(Clone)]
pub struct Platform {
    pub engine: Engine,
    pub sessions: Sessions,
    pub settings: Arc<Server>,
    /// Where compiled code is kept for the next run.
    pub cache: Option<Cache>,
    /// One for each request that may be in flight.
    pub in_flight: Arc<Semaphore>,
    /// One for each guest that may be alive.
    slots: Arc<Semaphore>,
    session_component: Component,
}

impl Platform {
    pub fn new(
        engines: Engines,
        session: SessionCtx,
        settings: Arc<Server>,
        cache: Option<Cache>,
    ) -> anyhow::Result<Self> {
        let session_component = load::session_component(cache.as_ref(), &engines.sessions)?;
        Ok(Self {
            sessions: sessions(session, &session_component, &settings)?,
            session_component,
            in_flight: Arc::new(Semaphore::new(settings.in_flight as usize)),
            slots: Arc::new(Semaphore::new(guests(&settings) as usize)),
            engine: engines.guests,
            settings,
            cache,
        })
    }

    /// The same, and the same room for requests and guests, with other settings of sessions.
    pub fn with_session(&self, session: SessionCtx) -> anyhow::Result<Self> {
        let sessions = sessions(session, &self.session_component, &self.settings)?;
        Ok(Self { sessions, ..self.clone() })
    }

    /// The settings of sessions, and their stores.
    pub fn session(&self) -> &SessionCtx {
        self.sessions.ctx()
    }

    /// How many guests are alive.
    pub fn guests(&self) -> usize {
        guests(&self.settings) as usize - self.slots.available_permits()
    }

    /// All that a guest may import. No application is loaded that imports what is the session component's.
    pub fn linker(&self, way: Way) -> Result<Linker<Guest>> {
        let mut linker = Linker::new(&self.engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        metered::add_to_linker(&mut linker)?;
        match way {
            Way::Joined => lemon_session_host::add_to_linker(&mut linker)?,
            Way::Lent => warm::add_to_linker(&mut linker)?,
        }
        Ok(linker)
    }

    /// The right to have one more guest.
    pub async fn slot(&self) -> Result<OwnedSemaphorePermit> {
        Ok(timeout(self.settings.queue_time, self.slots.clone().acquire_owned()).await.map_err(|_| NoSlot)??)
    }

    /// What one guest may have the host keep.
    pub fn budget(&self) -> Budget {
        Budget::new(self.settings.request_memory as usize)
    }

    /// Where a guest lives.
    pub fn store(&self, wasi: WasiCtx, budget: Budget, slot: OwnedSemaphorePermit) -> Store<Guest> {
        let guest = Guest::new(self.sessions.clone(), wasi, self.settings.memory as usize, budget, slot);
        let mut store = Store::new(&self.engine, guest);
        store.limiter(|guest| &mut guest.memory);
        // What one call hands over, which is a whole session where a session component of its own saves it.
        let session_bytes = self.session().settings().limits.session_bytes as usize;
        store.set_hostcall_fuel(session_bytes.saturating_add(self.settings.request_memory as usize));
        // Each has its place in the tables of the guest and of the session component.
        store.set_max_component_handles(2 * budget.handles());
        // At every tick a guest that computes lets others go first; that is also when one that overran its time is stopped.
        store.set_epoch_deadline(1);
        store.epoch_deadline_async_yield_and_update(1);
        store
    }

    /// Waits until no guest is alive any more, but not longer than `limit`.
    pub async fn quiet(&self, limit: Duration) {
        let _ = timeout(limit, self.slots.acquire_many(guests(&self.settings))).await;
    }
}

/// As many sessions may be open as there may be guests.
fn sessions(session: SessionCtx, component: &Component, settings: &Server) -> anyhow::Result<Sessions> {
    let options = PoolOptions { instances: guests(settings), wait: settings.queue_time, ..PoolOptions::default() };
    Ok(Sessions::with_component(session, component, options)?)
}
