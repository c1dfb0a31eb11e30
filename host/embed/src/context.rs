use std::{net::IpAddr, sync::Arc};

use wasmtime::component::{HasData, Linker};

use crate::{
    Settings, Stores,
    bindings::lemon::session::{settings, storage},
    new_sessions::NewSessions,
    settings::{Grant, InvalidSettings},
    store::{self, Store},
};

/// What the session component is given by its host: the stores and the settings.
///
/// One context serves all requests; a clone costs next to nothing and belongs into each [`wasmtime::Store`].
#[derive(Clone)]
pub struct SessionCtx {
    pub(crate) shared: Arc<Shared>,
    caller: Caller,
}

/// On whose behalf sessions are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// A number that no other request of this host has; 0 where requests are not told apart.
    ///
    /// By it, a request that starts a session twice gets one session, and the log tells which request lost changes.
    pub request: u64,
    /// The address of the client, if it is known.
    pub client: Option<IpAddr>,
    /// What the application may call of `lemon:session/manager`.
    pub manager: Grant,
}

impl Default for Caller {
    /// Requests are not told apart, and an application manages the sessions of an owner alone.
    fn default() -> Self {
        Self { request: 0, client: None, manager: Grant::Owners }
    }
}

pub(crate) struct Shared {
    pub(crate) stores: Arc<Stores>,
    pub(crate) settings: Settings,
    pub(crate) new_sessions: NewSessions,
}

impl SessionCtx {
    /// A context that keeps all sessions in one store, with the default settings.
    pub fn new(driver: Arc<dyn Store>) -> Self {
        Self::of(Arc::new(Stores::single(driver)), Settings::default())
    }

    /// A context of these stores and settings.
    ///
    /// # Errors
    ///
    /// Fails when a setting is impossible, and names all that are.
    pub fn with(stores: Stores, settings: Settings) -> Result<Self, InvalidSettings> {
        settings.validate()?;
        Ok(Self::of(Arc::new(stores), settings))
    }

    /// The same stores with other settings, for sessions that are started from now on.
    ///
    /// # Errors
    ///
    /// Fails when a setting is impossible, and names all that are.
    pub fn with_settings(&self, settings: Settings) -> Result<Self, InvalidSettings> {
        settings.validate()?;
        Ok(self.sharing(settings, self.shared.new_sessions.clone()))
    }

    /// The same, where one client begins at most so many sessions a minute; 0: any number. A client is known by
    /// [`Caller::client`], of IPv6 by the network of 64 bits; one that is not known is not limited.
    ///
    /// What was counted before goes on to count.
    #[must_use]
    pub fn limit_new_sessions(&self, per_minute: u32) -> Self {
        self.sharing(self.shared.settings.clone(), self.shared.new_sessions.with_limit(per_minute))
    }

    fn of(stores: Arc<Stores>, settings: Settings) -> Self {
        let shared = Shared { stores, settings, new_sessions: NewSessions::default() };
        Self { shared: Arc::new(shared), caller: Caller::default() }
    }

    fn sharing(&self, settings: Settings, new_sessions: NewSessions) -> Self {
        let stores = Arc::clone(&self.shared.stores);
        Self { shared: Arc::new(Shared { stores, settings, new_sessions }), caller: self.caller }
    }

    /// The same context on behalf of another caller: for each request, before its guest is called.
    #[must_use]
    pub fn for_caller(&self, caller: Caller) -> Self {
        Self { caller, ..self.clone() }
    }

    /// On whose behalf sessions are used.
    pub fn caller(&self) -> Caller {
        self.caller
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    /// The stores.
    pub fn stores(&self) -> &Stores {
        &self.shared.stores
    }

    /// Waits for cleanups that run in the background, then closes the stores. To be called once, last.
    ///
    /// # Errors
    ///
    /// Fails when a store cannot write out what it holds in memory.
    pub async fn close(&self) -> store::Result<()> {
        self.shared.stores.close().await
    }
}

/// Gives access to the [`SessionCtx`] inside the data of a [`wasmtime::Store`].
pub trait SessionView: Send {
    /// The context.
    fn session(&mut self) -> SessionCtxView<'_>;
}

/// What [`SessionView::session`] returns. The interfaces `lemon:session/storage` and `lemon:session/settings` are
/// implemented on it.
pub struct SessionCtxView<'a> {
    /// The context.
    pub ctx: &'a mut SessionCtx,
}

/// Tells wasmtime that the interfaces are implemented on [`SessionCtxView`]. For use with the `add_to_linker` of the
/// modules in [`bindings`](crate::bindings), where [`add_to_linker`] does not fit.
pub struct HasSession;

impl HasData for HasSession {
    type Data<'a> = SessionCtxView<'a>;
}

/// Adds what the session component imports beside WASI: `lemon:session/storage` and `lemon:session/settings`.
///
/// Whoever imports `lemon:session/storage` reads and writes every session of every visitor. Applications are not to: only
/// instantiate what [`compose`](crate::compose::compose) returned, which refuses an application that imports it.
///
/// # Errors
///
/// Fails when the linker has these interfaces already.
pub fn add_to_linker<T: SessionView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    storage::add_to_linker::<T, HasSession>(linker, T::session)?;
    settings::add_to_linker::<T, HasSession>(linker, T::session)
}
