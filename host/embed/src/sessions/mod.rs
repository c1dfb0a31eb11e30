//! Sessions for servers that are native Rust programs themselves.
//!
//! The rules are those of the session component, which runs here in a pool of warm instances: one is taken when a session is
//! started, and goes back when all handles of that session are dropped.
//!
//! ```no_run
//! use lemon_session_host::{SessionCtx, Sessions, sessions::Options};
//! # async fn handle(ctx: SessionCtx, cookies: Vec<Vec<u8>>) -> Result<(), lemon_session_host::sessions::Error> {
//! let sessions = Sessions::new(ctx)?; // once
//!
//! // In each request:
//! let session = sessions.start(Options { cookies, https: true, ..Options::default() }).await?;
//! let visits = session.add("visits", 1).await?;
//! let headers = session.save().await?; // to be sent with the response
//! # Ok(())
//! # }
//! ```

mod error;
mod idle;
mod manager;
mod options;
mod pool;
mod value;
pub mod warm;

use std::sync::Arc;

use wasmtime::{
    Engine,
    component::{Component, ResourceAny},
};

pub use error::{Error, Result};
pub use manager::{Entry, Manager, Page};
pub use options::{Cookie, Location, Options};
pub use pool::PoolOptions;
pub(crate) use pool::memory_bytes;
pub use value::Value;

use crate::{COMPONENT, Caller, SessionCtx, settings::Grant};
use pool::{Lease, Pool, call};

/// A response header: its name in lower case, and its value.
pub type Header = (String, String);

/// Starts sessions. A clone is the same pool.
#[derive(Clone)]
pub struct Sessions {
    pool: Arc<Pool>,
    caller: Caller,
}

impl Sessions {
    /// Sessions on an engine of their own. Compiles the session component, which takes a moment.
    ///
    /// # Errors
    ///
    /// Fails when the system does not have the address space for a pool of instances.
    pub fn new(ctx: SessionCtx) -> Result<Self> {
        let options = PoolOptions::default();
        let engine = options.engine().map_err(Error::failed)?;
        Self::with(ctx, &engine, options)
    }

    /// Sessions on an engine that is there already.
    ///
    /// # Errors
    ///
    /// Fails when the engine cannot run the session component.
    pub fn with(ctx: SessionCtx, engine: &Engine, options: PoolOptions) -> Result<Self> {
        let component = Component::from_binary(engine, COMPONENT).map_err(Error::failed)?;
        Self::with_component(ctx, &component, options)
    }

    /// Sessions on the session component, [`COMPONENT`], as it was compiled before.
    ///
    /// # Errors
    ///
    /// Fails when it is another component.
    pub fn with_component(ctx: SessionCtx, component: &Component, options: PoolOptions) -> Result<Self> {
        let caller = Caller { manager: Grant::All, ..Caller::default() };
        Ok(Self { pool: Pool::new(ctx, component, options).map_err(Error::failed)?, caller })
    }

    /// The same pool on behalf of a caller: for a request whose number and client are known. Without it, requests are not
    /// told apart, and the [`Manager`] does everything.
    #[must_use]
    pub fn for_caller(&self, caller: Caller) -> Self {
        Self { caller, ..self.clone() }
    }

    /// The context that the sessions are kept by.
    pub fn ctx(&self) -> &SessionCtx {
        self.pool.ctx()
    }

    /// Begins a session, unless the request brings one that exists.
    ///
    /// # Errors
    ///
    /// Fails with [`Error::InvalidName`], [`Error::InvalidOption`] or [`Error::Reserved`] for bad parameters, with
    /// [`Error::TooLarge`] when the `Cookie` fields are longer than the settings allow, with [`Error::Storage`] when the
    /// store cannot tell whether the session exists, and with [`Error::Busy`] when all instances are in use for too long.
    pub async fn start(&self, options: Options) -> Result<Session> {
        let lease = Pool::lease(&self.pool, self.caller).await?;
        let options = options.into();
        let handle =
            call!(lease, |store, exports| exports.lemon_session_sessions().call_start(store, &options).await)??;
        Ok(Session::new(&lease, handle))
    }

    /// Sets up what sessions are stored in, and manages all of them.
    pub fn manager(&self) -> Manager<'_> {
        Manager::new(&self.pool, self.caller)
    }
}

/// One application's view of a session.
///
/// All handles of one [`start`](Sessions::start) share what they changed, and [`save`](Session::save) on any of them saves
/// it all. Changes that were not saved when the last of them is dropped are discarded. After the session has ended every
/// method fails with [`Error::Gone`].
///
/// A call whose future is dropped before it is ready ends the use of the session: whatever was not saved is discarded, and
/// all further calls fail with [`Error::Failed`].
pub struct Session {
    lease: Arc<Lease>,
    handle: ResourceAny,
}

macro_rules! session_call {
    ($self:ident, $method:ident $(, $argument:expr)*) => {
        call!($self.lease, |store, exports| exports
            .lemon_session_sessions()
            .session()
            .$method(store, $self.handle $(, $argument)*)
            .await)
    };
}

impl Session {
    fn new(lease: &Arc<Lease>, handle: ResourceAny) -> Self {
        lease.keep(handle);
        Self { lease: Arc::clone(lease), handle }
    }

    /// The session's id. After [`regenerate_id`](Self::regenerate_id), the new one. A secret: whoever knows it has the
    /// session.
    ///
    /// # Errors
    ///
    /// Fails only when the session component does.
    pub async fn id(&self) -> Result<String> {
        session_call!(self, call_id)
    }

    /// The SHA-256 digest of the id in hexadecimal: what the store and the [`Manager`] know the session by. After
    /// [`regenerate_id`](Self::regenerate_id), the digest of the old id until [`save`](Self::save). No secret.
    ///
    /// # Errors
    ///
    /// Fails only when the session component does.
    pub async fn digest(&self) -> Result<String> {
        session_call!(self, call_digest)
    }

    /// The application whose variables this handle reads and writes.
    ///
    /// # Errors
    ///
    /// Fails only when the session component does.
    pub async fn app(&self) -> Result<String> {
        session_call!(self, call_app)
    }

    /// Whether this start began the session; false when it was there already.
    ///
    /// # Errors
    ///
    /// Fails only when the session component does.
    pub async fn created(&self) -> Result<bool> {
        session_call!(self, call_created)
    }

    /// The value of a variable, or none.
    ///
    /// # Errors
    ///
    /// Fails with [`Error::Unreadable`] when it was stored in a format this version does not know.
    pub async fn get(&self, key: &str) -> Result<Option<Value>> {
        Ok(session_call!(self, call_get, key)??)
    }

    /// Sets a variable.
    ///
    /// # Errors
    ///
    /// Fails with [`Error::InvalidName`] when the key is empty, longer than the settings allow or holds control characters,
    /// with [`Error::InvalidValue`] for [`Value::Json`] that is no JSON, and with [`Error::TooLarge`] past a limit.
    pub async fn set(&self, key: &str, value: impl Into<Value>) -> Result<()> {
        let value = value.into();
        value::check_size(key, &value, self.lease.limits().value_bytes)?;
        Ok(session_call!(self, call_set, key, &value)??)
    }

    /// Adds to an integer and returns the sum; a variable that is not there counts as 0. Concurrent requests never lose an
    /// addition.
    ///
    /// # Errors
    ///
    /// Fails with [`Error::InvalidValue`] when the variable is no integer or the sum does not fit 64 bits.
    pub async fn add(&self, key: &str, delta: i64) -> Result<i64> {
        Ok(session_call!(self, call_add, key, delta)??)
    }

    /// Removes a variable; tells whether it was there.
    ///
    /// # Errors
    ///
    /// Fails with [`Error::InvalidName`] for a key that cannot be.
    pub async fn delete(&self, key: &str) -> Result<bool> {
        Ok(session_call!(self, call_delete, key)??)
    }

    /// Whether there is such a variable.
    ///
    /// # Errors
    ///
    /// Fails with [`Error::InvalidName`] for a key that cannot be.
    pub async fn has_key(&self, key: &str) -> Result<bool> {
        Ok(session_call!(self, call_has_key, key)??)
    }

    /// The names of all variables, sorted.
    ///
    /// # Errors
    ///
    /// Fails with [`Error::Gone`] after the session has ended.
    pub async fn keys(&self) -> Result<Vec<String>> {
        Ok(session_call!(self, call_keys)??)
    }

    /// All variables, sorted by name.
    ///
    /// # Errors
    ///
    /// Fails with [`Error::Unreadable`] when one was stored in a format this version does not know.
    pub async fn entries(&self) -> Result<Vec<(String, Value)>> {
        Ok(session_call!(self, call_entries)??)
    }

    /// Reads a variable and removes it: for messages that are shown once.
    ///
    /// # Errors
    ///
    /// Fails as [`get`](Self::get) does.
    pub async fn take(&self, key: &str) -> Result<Option<Value>> {
        Ok(session_call!(self, call_take, key)??)
    }

    /// Removes all of the application's variables, also those that concurrent requests set before this is saved.
    ///
    /// # Errors
    ///
    /// Fails with [`Error::Gone`] after the session has ended.
    pub async fn clear(&self) -> Result<()> {
        Ok(session_call!(self, call_clear)??)
    }

    /// The same session, with the variables of another application.
    ///
    /// # Errors
    ///
    /// Fails with [`Error::Reserved`] when that name is reserved.
    pub async fn application(&self, name: &str) -> Result<Session> {
        let handle = session_call!(self, call_application, name)??;
        Ok(Self::new(&self.lease, handle))
    }

    /// Reserves an application name, and returns the one handle that reads and writes its variables from now on. For modules
    /// built on sessions, which keep what is theirs from the application that uses them.
    ///
    /// # Errors
    ///
    /// Fails with [`Error::Reserved`] when the name is reserved and `key` does not fit.
    pub async fn reserve(&self, name: &str, key: Option<&str>) -> Result<Session> {
        let handle = session_call!(self, call_reserve, name, key)??;
        Ok(Self::new(&self.lease, handle))
    }

    /// Ends the reservation of a name.
    ///
    /// # Errors
    ///
    /// Fails with [`Error::Reserved`] on any handle but the one that [`reserve`](Self::reserve) returned for it.
    pub async fn release(&self, name: &str) -> Result<()> {
        Ok(session_call!(self, call_release, name)??)
    }

    /// Gives the session a new id when it is saved. To be called at each login and each change of rights. The old id is dead
    /// at once.
    ///
    /// # Errors
    ///
    /// Fails with [`Error::Gone`] after the session has ended.
    pub async fn regenerate_id(&self) -> Result<()> {
        Ok(session_call!(self, call_regenerate_id)??)
    }

    /// Says whose session this is, or that it is nobody's.
    ///
    /// # Errors
    ///
    /// Fails with [`Error::InvalidName`] for more than 255 characters.
    pub async fn set_owner(&self, owner: Option<&str>) -> Result<()> {
        Ok(session_call!(self, call_set_owner, owner)??)
    }

    /// Whose session this is.
    ///
    /// # Errors
    ///
    /// Fails with [`Error::Gone`] after the session has ended.
    pub async fn owner(&self) -> Result<Option<String>> {
        Ok(session_call!(self, call_owner)??)
    }

    /// Ends all other live sessions of this session's owner, and returns how many: to be called when a password changes. The
    /// owner is the one given to [`set_owner`](Self::set_owner), or else the stored one. Takes effect at once, not with
    /// [`save`](Self::save).
    ///
    /// # Errors
    ///
    /// Fails with [`Error::InvalidOption`] when the session has no owner.
    pub async fn destroy_others(&self) -> Result<u64> {
        Ok(session_call!(self, call_destroy_others)??)
    }

    /// When the session expires unless it is used again, in seconds since 1970-01-01T00:00:00Z.
    ///
    /// # Errors
    ///
    /// Fails only when the session component does.
    pub async fn expires_at(&self) -> Result<u64> {
        session_call!(self, call_expires_at)
    }

    /// Stores all changes, of all applications, in one transaction, and returns the headers to send with the response. Every
    /// request calls this, also one that only read: it keeps session and cookie alive, and mostly writes nothing.
    ///
    /// # Errors
    ///
    /// Fails with [`Error::Gone`] when the session has ended meanwhile, with [`Error::Conflict`] when `strict` is set and
    /// somebody else saved it, with [`Error::TooLarge`] past a limit, with [`Error::TooMany`] when the client's address has
    /// begun too many sessions, and with [`Error::Storage`]. Nothing is saved then.
    pub async fn save(&self) -> Result<Vec<Header>> {
        Ok(session_call!(self, call_save)??)
    }

    /// Ends the session at once and discards all changes. Returns the headers that delete the cookie, if the visitor may have
    /// one.
    ///
    /// # Errors
    ///
    /// Fails with [`Error::Storage`] when the store is in trouble.
    pub async fn destroy(&self) -> Result<Vec<Header>> {
        Ok(session_call!(self, call_destroy)??)
    }
}
