use std::{net::IpAddr, sync::Arc};

use wasmtime::component::{HasData, Linker};

use crate::{
    Observer, Settings, Stores,
    bindings::lemon::session::{settings, storage},
    new_sessions::NewSessions,
    settings::{Grant, InvalidSettings},
    store::{self, Store},
};

/// The host's side of the session component: the stores and the settings.
///
/// One context serves all requests. Cloning is cheap: put a clone into each [`wasmtime::Store`].
#[derive(Clone)]
pub struct SessionCtx {
    pub(crate) shared: Arc<Shared>,
    caller: Caller,
}

/// The request on whose behalf sessions are used, and its rights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// A number that is unique among the requests of this host, or 0 if the host does not number its requests.
    ///
    /// With it, a request that starts a session twice gets the same session, and log lines about lost changes name the
    /// request.
    pub request: u64,
    /// The address of the client, if it is known.
    pub client: Option<IpAddr>,
    /// The request's `User-Agent`, if it has one. Needed only with the setting `client-user-agent`.
    pub user_agent: Option<Arc<str>>,
    /// The functions of `lemon:session/manager` that the application may call.
    pub manager: Grant,
}

impl Default for Caller {
    /// Requests are not numbered, and an application manages only the sessions of a given owner.
    fn default() -> Self {
        Self { request: 0, client: None, user_agent: None, manager: Grant::Owners }
    }
}

pub(crate) struct Shared {
    pub(crate) stores: Arc<Stores>,
    pub(crate) settings: Settings,
    pub(crate) new_sessions: NewSessions,
}

impl SessionCtx {
    /// A context with one store for all sessions and the default settings.
    pub fn new(driver: Arc<dyn Store>) -> Self {
        SessionCtxBuilder::new(Stores::single(driver)).context()
    }

    /// Begins a context with these stores, whose settings have their defaults unless the builder is told others.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use lemon_session_host::{SessionCtx, Settings, Stores, store::memory::Memory};
    /// let settings = Settings { expires: 7200, lazy: true, ..Settings::default() };
    /// let stores = Stores::single(Arc::new(Memory::new()));
    /// let session = SessionCtx::builder(stores).settings(settings).limit_new_sessions(60).build()?;
    /// assert_eq!(session.settings().expires, 7200);
    /// # Ok::<(), lemon_session_host::settings::InvalidSettings>(())
    /// ```
    pub fn builder(stores: Stores) -> SessionCtxBuilder {
        SessionCtxBuilder::new(stores)
    }

    /// A context with the same stores and other settings, for sessions that are started with it.
    ///
    /// # Errors
    ///
    /// Fails when settings are invalid, and names each of them.
    pub fn with_settings(&self, settings: Settings) -> Result<Self, InvalidSettings> {
        settings.validate()?;
        Ok(self.sharing(settings, self.shared.new_sessions.clone()))
    }

    /// A context in which one client creates at most `per_minute` sessions a minute; 0 means no limit. A client is the
    /// address in [`Caller::client`], or its /64 network for IPv6. Requests without an address are not limited.
    ///
    /// Sessions that were counted under the previous limit still count.
    #[must_use]
    pub fn limit_new_sessions(&self, per_minute: u32) -> Self {
        self.sharing(self.shared.settings.clone(), self.shared.new_sessions.with_limit(per_minute))
    }

    fn sharing(&self, settings: Settings, new_sessions: NewSessions) -> Self {
        let stores = Arc::clone(&self.shared.stores);
        Self { shared: Arc::new(Shared { stores, settings, new_sessions }), caller: self.caller.clone() }
    }

    /// The same context for another caller. Call it for each request, before its guest runs.
    #[must_use]
    pub fn for_caller(&self, caller: Caller) -> Self {
        Self { caller, ..self.clone() }
    }

    /// The caller on whose behalf sessions are used.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    /// The stores.
    pub fn stores(&self) -> &Stores {
        &self.shared.stores
    }

    /// Ends background cleanups, then closes the stores. Call it once, when no request uses the context any more.
    ///
    /// # Errors
    ///
    /// Fails when a store cannot flush its pending writes.
    pub async fn close(&self) -> store::Result<()> {
        self.shared.stores.close().await
    }
}

/// Makes a [`SessionCtx`]: [`SessionCtx::builder`].
#[must_use]
pub struct SessionCtxBuilder {
    stores: Stores,
    settings: Settings,
    new_sessions: NewSessions,
}

impl SessionCtxBuilder {
    fn new(stores: Stores) -> Self {
        Self { stores, settings: Settings::default(), new_sessions: NewSessions::default() }
    }

    /// The settings of all sessions.
    pub fn settings(self, settings: Settings) -> Self {
        Self { settings, ..self }
    }

    /// Receives every storage operation, for metrics.
    pub fn observer(self, observer: Arc<dyn Observer>) -> Self {
        Self { stores: self.stores.observed(observer), ..self }
    }

    /// As [`SessionCtx::limit_new_sessions`].
    pub fn limit_new_sessions(self, per_minute: u32) -> Self {
        Self { new_sessions: self.new_sessions.with_limit(per_minute), ..self }
    }

    /// The context.
    ///
    /// # Errors
    ///
    /// Fails when settings are invalid, and names each of them.
    pub fn build(self) -> Result<SessionCtx, InvalidSettings> {
        self.settings.validate()?;
        Ok(self.context())
    }

    fn context(self) -> SessionCtx {
        let Self { stores, settings, new_sessions } = self;
        let shared = Shared { stores: Arc::new(stores), settings, new_sessions };
        SessionCtx { shared: Arc::new(shared), caller: Caller::default() }
    }
}

/// Gives access to the [`SessionCtx`] inside the data of a [`wasmtime::Store`].
pub trait SessionView: Send {
    /// The context.
    fn session(&mut self) -> SessionCtxView<'_>;
}

/// The borrowed view that [`SessionView::session`] returns. It implements the interfaces `lemon:session/storage` and
/// `lemon:session/settings`.
pub struct SessionCtxView<'a> {
    /// The context.
    pub ctx: &'a mut SessionCtx,
}

/// Tells wasmtime that [`SessionCtxView`] implements the interfaces. Needed only with the `add_to_linker` functions of
/// the modules in [`bindings`](crate::bindings), for hosts that [`add_to_linker`] does not suit.
pub struct HasSession;

impl HasData for HasSession {
    type Data<'a> = SessionCtxView<'a>;
}

/// Adds the session component's imports other than WASI: `lemon:session/storage` and `lemon:session/settings`.
///
/// A component that imports `lemon:session/storage` can read and write every session of every visitor. Only instantiate
/// components that [`compose`](crate::compose::compose) returned: it refuses applications that import this interface.
///
/// # Errors
///
/// Fails when the linker already has these interfaces.
pub fn add_to_linker<T: SessionView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    storage::add_to_linker::<T, HasSession>(linker, T::session)?;
    settings::add_to_linker::<T, HasSession>(linker, T::session)
}
