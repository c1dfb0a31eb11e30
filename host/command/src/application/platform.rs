use std::{sync::Arc, time::Duration};

use lemon_session_host::{
    SessionCtx, Sessions,
    sessions::{PoolOptions, concurrent, warm},
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
    engine::{Engines, GuestEngines, OWN_SESSIONS, guests},
    failure::NoSlot,
    guest::{self, Guest},
    guest_log::GuestLog,
    kind::Wasi,
    load::{self, Way},
    metered,
};
use crate::config::Server;

/// The resources that all applications of this process share.
#[derive(Clone)]
pub struct Platform {
    pub engines: GuestEngines,
    pub sessions: Sessions,
    pub settings: Arc<Server>,
    /// The cache of compiled code.
    pub cache: Option<Cache>,
    /// A permit for each request in flight.
    pub in_flight: Arc<Semaphore>,
    /// A permit for each live guest.
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
            engines: engines.guests,
            settings,
            cache,
        })
    }

    /// The same platform with other settings of sessions. Both share the permits for requests and guests.
    pub fn with_session(&self, session: SessionCtx) -> anyhow::Result<Self> {
        let sessions = sessions(session, &self.session_component, &self.settings)?;
        Ok(Self { sessions, ..self.clone() })
    }

    /// Sessions of the command itself, with their own settings and store. [`Engines`] has room for them.
    pub fn own_sessions(&self, ctx: SessionCtx) -> anyhow::Result<Sessions> {
        let options = PoolOptions { instances: OWN_SESSIONS, ..PoolOptions::default() };
        Ok(Sessions::with_component(ctx, &self.session_component, options)?)
    }

    /// The same platform, which stores no more compiled code.
    #[must_use]
    pub fn with_read_only_cache(self) -> Self {
        Self { cache: self.cache.map(Cache::read_only), ..self }
    }

    /// The settings of sessions, and their stores.
    pub fn session(&self) -> &SessionCtx {
        self.sessions.ctx()
    }

    /// The number of live guests.
    pub fn guests(&self) -> usize {
        guests(&self.settings) as usize - self.slots.available_permits()
    }

    /// Everything that a guest can import. Loading refuses applications that import interfaces of the session
    /// component.
    pub fn linker(&self, engine: &Engine, wasi: Wasi, way: Way) -> Result<Linker<Guest>> {
        let mut linker = Linker::new(engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        metered::add_to_linker(&mut linker)?;
        match (wasi, way) {
            (Wasi::P2, Way::Joined) => lemon_session_host::add_to_linker(&mut linker)?,
            (Wasi::P2, Way::Pooled) => warm::add_to_linker(&mut linker)?,
            // Languages use 0.2 as well, for what their standard libraries need.
            (Wasi::P3, _) => {
                wasmtime_wasi::p3::add_to_linker(&mut linker)?;
                metered::p3::add_to_linker(&mut linker)?;
                concurrent::add_to_linker(&mut linker)?;
            }
        }
        Ok(linker)
    }

    /// Waits for a permit for one more guest.
    pub async fn slot(&self) -> Result<OwnedSemaphorePermit> {
        Ok(timeout(self.settings.queue_time, self.slots.clone().acquire_owned()).await.map_err(|_| NoSlot)??)
    }

    /// The host's memory budget for a guest that answers up to `requests` requests at the same time.
    pub fn budget(&self, wasi: Wasi, requests: u32) -> Budget {
        let budget = Budget::new((self.settings.request_memory as usize).saturating_mul(requests as usize));
        match wasi {
            Wasi::P2 => budget,
            Wasi::P3 => budget.with_calls(),
        }
    }

    /// The store of a guest of wasi:http that answers up to `requests` requests at the same time, and whose output is
    /// logged. Waits for a permit.
    pub async fn http_store(
        &self,
        engine: &Engine,
        wasi: Wasi,
        requests: u32,
        application: Arc<str>,
    ) -> Result<Store<Guest>> {
        let slot = self.slot().await?;
        let log = GuestLog::new(application);
        let ctx = guest::wasi(&self.settings).stdout(log.stdout()).stderr(log.stderr()).build();
        Ok(self.store(engine, ctx, log, self.budget(wasi, requests), slot))
    }

    /// The store of one guest.
    pub fn store(
        &self,
        engine: &Engine,
        wasi: WasiCtx,
        log: GuestLog,
        budget: Budget,
        slot: OwnedSemaphorePermit,
    ) -> Store<Guest> {
        let guest = Guest::new(self.sessions.clone(), wasi, log, self.settings.memory as usize, budget, slot);
        let mut store = Store::new(engine, guest);
        store.limiter(|guest| &mut guest.memory);
        // The most data that one call can pass. A composed session component saves a whole session in one call.
        let session_bytes = self.session().settings().limits.session_bytes as usize;
        store.set_hostcall_fuel(session_bytes.saturating_add(self.settings.request_memory as usize));
        // Each handle counts twice: for the guest and for the composed session component.
        store.set_max_component_handles(2 * budget.handles());
        // What a guest of WASI 0.3 waits for: each stream is three of these.
        if let Some(waitables) = store.concurrent_resource_table() {
            waitables.set_max_capacity(4 * budget.handles());
        }
        // At every tick a computing guest yields, which also allows its timeout to stop it.
        store.set_epoch_deadline(1);
        store.epoch_deadline_async_yield_and_update(1);
        store
    }

    /// Waits up to `limit` until all guests have ended.
    pub async fn quiet(&self, limit: Duration) {
        let _ = timeout(limit, self.slots.acquire_many(guests(&self.settings))).await;
    }
}

/// A pool with a session component's instance for each guest.
fn sessions(session: SessionCtx, component: &Component, settings: &Server) -> anyhow::Result<Sessions> {
    let options = PoolOptions { instances: guests(settings), wait: settings.queue_time, ..PoolOptions::default() };
    Ok(Sessions::with_component(session, component, options)?)
}
