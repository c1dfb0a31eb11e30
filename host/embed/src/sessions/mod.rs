//! Sessions for native Rust servers.
//!
//! They follow the same rules as in WebAssembly, because the session component runs here too: each started session
//! takes an instance from a pool, and returns it when all handles of that session are dropped.
//!
//! ```no_run
//! use lemon_session_host::{SessionCtx, Sessions, sessions::Options};
//! # async fn handle(ctx: SessionCtx, cookies: Vec<Vec<u8>>) -> Result<(), lemon_session_host::sessions::Error> {
//! let sessions = Sessions::new(ctx)?; // once
//!
//! // In each request:
//! let session = sessions.start(Options { cookies, https: true, ..Options::default() }).await?;
//! let visits = session.add("visits", 1).await?;
//! let headers = session.save().await?; // send these with the response
//! # Ok(())
//! # }
//! ```

#[cfg(feature = "concurrent")]
pub mod concurrent;
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

#[cfg(feature = "device-bound")]
use crate::bindings::exports::lemon::session::device_bound::{Answer, Proof, Request};
pub use crate::bindings::exports::lemon::session::sessions::Metadata;
pub use error::{Error, Result};
pub use manager::{Entry, Manager, Page};
pub use options::{Cookie, Lifetime, Location, Options};
pub use pool::PoolOptions;
pub(crate) use pool::memory_bytes;
pub use value::Value;

use crate::{COMPONENT, Caller, SessionCtx, settings::Grant};
use pool::{Lease, Pool, call};

/// A response header: its name in lower case, and its value.
pub type Header = (String, String);

/// Starts sessions on a pool of instances. Clones share the pool.
#[derive(Clone)]
pub struct Sessions {
    pool: Arc<Pool>,
    caller: Caller,
}

impl Sessions {
    /// Sessions on a new engine. Compiles the session component, which takes a moment.
    ///
    /// # Errors
    ///
    /// Fails when the system cannot reserve the address space for the pool of instances.
    pub fn new(ctx: SessionCtx) -> Result<Self> {
        let options = PoolOptions::default();
        let engine = options.engine().map_err(Error::failed)?;
        Self::with(ctx, &engine, options)
    }

    /// Sessions on an existing engine.
    ///
    /// # Errors
    ///
    /// Fails when the engine cannot run the session component.
    pub fn with(ctx: SessionCtx, engine: &Engine, options: PoolOptions) -> Result<Self> {
        let component = Component::from_binary(engine, COMPONENT).map_err(Error::failed)?;
        Self::with_component(ctx, &component, options)
    }

    /// Sessions on [`COMPONENT`], compiled by the caller.
    ///
    /// # Errors
    ///
    /// Fails when `component` is not the session component.
    pub fn with_component(ctx: SessionCtx, component: &Component, options: PoolOptions) -> Result<Self> {
        let caller = Caller { manager: Grant::All, ..Caller::default() };
        Ok(Self { pool: Pool::new(ctx, component, options).map_err(Error::failed)?, caller })
    }

    /// The same pool for the sessions of one request. Without it, requests are not numbered, clients are not limited,
    /// and the [`Manager`] may call everything.
    #[must_use]
    pub fn for_caller(&self, caller: Caller) -> Self {
        Self { caller, ..self.clone() }
    }

    /// The context with the stores and the settings.
    pub fn ctx(&self) -> &SessionCtx {
        self.pool.ctx()
    }

    /// Starts the session that the request's cookie names, or a new one.
    ///
    /// # Errors
    ///
    /// Fails with [`Error::InvalidName`], [`Error::InvalidOption`] or [`Error::Reserved`] for bad parameters, with
    /// [`Error::TooLarge`] when the `Cookie` fields are longer than the settings allow, with [`Error::Storage`] when
    /// the store cannot tell whether the session exists, and with [`Error::Busy`] when all instances are in use for too
    /// long.
    pub async fn start(&self, options: Options) -> Result<Session> {
        let lease = Pool::lease(&self.pool, self.caller.clone()).await?;
        let options = options.into();
        let handle =
            call!(lease, |store, exports| exports.lemon_session_sessions().call_start(store, &options).await)??;
        Ok(Session::new(&lease, handle))
    }

    /// The key that the session of a request is bound to under this identifier.
    #[cfg(feature = "device-bound")]
    pub(crate) async fn call_key(&self, request: &Request, identifier: &str) -> Result<Option<String>> {
        let lease = Pool::lease(&self.pool, self.caller.clone()).await?;
        Ok(call!(lease, |store, exports| exports
            .lemon_session_device_bound()
            .call_key(store, request, identifier)
            .await)??)
    }

    /// Binds the session of a request to the key of a proof.
    #[cfg(feature = "device-bound")]
    pub(crate) async fn call_register(&self, request: &Request, proof: &Proof) -> Result<Answer> {
        let lease = Pool::lease(&self.pool, self.caller.clone()).await?;
        Ok(call!(lease, |store, exports| exports
            .lemon_session_device_bound()
            .call_register(store, request, proof)
            .await)??)
    }

    /// Refreshes the bound cookie, or asks for a proof.
    #[cfg(feature = "device-bound")]
    pub(crate) async fn call_refresh(
        &self,
        request: &Request,
        identifier: &str,
        proof: Option<&Proof>,
    ) -> Result<Answer> {
        let lease = Pool::lease(&self.pool, self.caller.clone()).await?;
        Ok(call!(lease, |store, exports| exports
            .lemon_session_device_bound()
            .call_refresh(store, request, identifier, proof)
            .await)??)
    }

    /// The functions that manage tables and the sessions of all visitors.
    pub fn manager(&self) -> Manager<'_> {
        Manager::new(&self.pool, self.caller.clone())
    }
}

/// One application's view of a session.
///
/// All handles of one [`start`](Sessions::start) share their changes, and [`save`](Session::save) on any of them saves
/// all of these. Dropping the last handle discards unsaved changes. After the session has ended, every method fails
/// with [`Error::Gone`].
///
/// Dropping the future of a call before it is ready makes the session unusable: unsaved changes are discarded, and all
/// further calls fail with [`Error::Failed`].
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

    /// The session's id; after [`regenerate_id`](Self::regenerate_id), the new one. It is a secret: a client that sends
    /// it has the session.
    ///
    /// # Errors
    ///
    /// Fails only when the session component does.
    pub async fn id(&self) -> Result<String> {
        session_call!(self, call_id)
    }

    /// The SHA-256 digest of the id in hexadecimal, which identifies the session to the store and the [`Manager`].
    /// After [`regenerate_id`](Self::regenerate_id), this is the digest of the old id until [`save`](Self::save). Not a
    /// secret.
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

    /// Whether this start created the session.
    ///
    /// # Errors
    ///
    /// Fails only when the session component does.
    pub async fn created(&self) -> Result<bool> {
        session_call!(self, call_created)
    }

    /// The value of a variable, or `None` if it is not set.
    ///
    /// # Errors
    ///
    /// Fails with [`Error::Unreadable`] when it is stored in a format that this version does not know.
    pub async fn get(&self, key: &str) -> Result<Option<Value>> {
        Ok(session_call!(self, call_get, key)??)
    }

    /// Sets a variable.
    ///
    /// # Errors
    ///
    /// Fails with [`Error::InvalidName`] when the name is empty, longer than the settings allow or contains control
    /// characters, with [`Error::InvalidValue`] for a [`Value::Json`] that is not valid JSON, and with
    /// [`Error::TooLarge`] past a limit.
    pub async fn set(&self, key: &str, value: impl Into<Value>) -> Result<()> {
        let value = value.into();
        value::check_size(key, &value, self.lease.limits().value_bytes)?;
        Ok(session_call!(self, call_set, key, &value)??)
    }

    /// Adds to an integer and returns the sum. A variable that is not set counts as 0. No addition is lost to a
    /// concurrent request.
    ///
    /// # Errors
    ///
    /// Fails with [`Error::InvalidValue`] when the variable is not an integer or the sum does not fit into 64 bits.
    pub async fn add(&self, key: &str, delta: i64) -> Result<i64> {
        Ok(session_call!(self, call_add, key, delta)??)
    }

    /// Removes a variable and returns whether it was set.
    ///
    /// # Errors
    ///
    /// Fails with [`Error::InvalidName`] for an invalid name.
    pub async fn delete(&self, key: &str) -> Result<bool> {
        Ok(session_call!(self, call_delete, key)??)
    }

    /// Whether a variable is set.
    ///
    /// # Errors
    ///
    /// Fails with [`Error::InvalidName`] for an invalid name.
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
    /// Fails with [`Error::Unreadable`] when one is stored in a format that this version does not know.
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

    /// Removes all of the application's variables, including those that concurrent requests set before this change is
    /// saved.
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

    /// Reserves an application name and returns the only handle that can access its variables from now on. A module
    /// built on sessions protects its variables from the application that uses it this way.
    ///
    /// # Errors
    ///
    /// Fails with [`Error::Reserved`] when the name is already reserved and `key` is not the reservation's secret.
    pub async fn reserve(&self, name: &str, key: Option<&str>) -> Result<Session> {
        let handle = session_call!(self, call_reserve, name, key)??;
        Ok(Self::new(&self.lease, handle))
    }

    /// Ends the reservation of a name.
    ///
    /// # Errors
    ///
    /// Fails with [`Error::Reserved`] on any handle other than the one that [`reserve`](Self::reserve) returned for the
    /// name.
    pub async fn release(&self, name: &str) -> Result<()> {
        Ok(session_call!(self, call_release, name)??)
    }

    /// Rotates the session's id: it gets a new one when it is saved, and the old one stops working then. Call this at
    /// each login and each change of privileges.
    ///
    /// # Errors
    ///
    /// Fails with [`Error::Gone`] after the session has ended.
    pub async fn regenerate_id(&self) -> Result<()> {
        Ok(session_call!(self, call_regenerate_id)??)
    }

    /// Sets the session's owner, usually the user who logged in, or removes it.
    ///
    /// # Errors
    ///
    /// Fails with [`Error::InvalidName`] for more than 255 characters.
    pub async fn set_owner(&self, owner: Option<&str>) -> Result<()> {
        Ok(session_call!(self, call_set_owner, owner)??)
    }

    /// The session's owner, if it has one.
    ///
    /// # Errors
    ///
    /// Fails with [`Error::Gone`] after the session has ended.
    pub async fn owner(&self) -> Result<Option<String>> {
        Ok(session_call!(self, call_owner)??)
    }

    /// Ends all other live sessions of this session's owner and returns their number. Call it when a password changes.
    /// The owner is the one given to [`set_owner`](Self::set_owner), or else the stored one. This takes effect
    /// immediately, not with [`save`](Self::save).
    ///
    /// # Errors
    ///
    /// Fails with [`Error::InvalidOption`] when the session has no owner.
    pub async fn destroy_others(&self) -> Result<u64> {
        Ok(session_call!(self, call_destroy_others)??)
    }

    /// Notes that the owner has logged in, now and by this method, such as `password` or `passkey`, and rotates the session's
    /// id: it gets a new one when it is saved. Call this at each login, and each time that the owner has proved again who
    /// it is. With the setting `login-lifetime`, the session's absolute expiry counts from now. With the setting `max-sessions`, the
    /// save ends the owner's session whose login is the oldest, or fails with [`Error::TooMany`], if the owner has too many.
    ///
    /// # Errors
    ///
    /// Fails with [`Error::InvalidName`] for an owner of more than 255 characters, and a method of more than 64.
    pub async fn authenticate(&self, owner: &str, method: &str) -> Result<()> {
        Ok(session_call!(self, call_authenticate, owner, method)??)
    }

    /// Whether the owner has logged in within the last `seconds`: for pages that ask for the password again. False if
    /// nobody has logged in, or if the owner has changed since.
    ///
    /// # Errors
    ///
    /// Fails with [`Error::Gone`] after the session has ended.
    pub async fn fresh_within(&self, seconds: u32) -> Result<bool> {
        Ok(session_call!(self, call_fresh_within, seconds)??)
    }

    /// Sets how long the session lasts, shorter or longer than before, from its next save on. This is stored with the
    /// session and applies to all later requests; a field that is `None` is as the settings say.
    ///
    /// # Errors
    ///
    /// Fails with [`Error::InvalidOption`] if the session would last 0 seconds.
    pub async fn set_lifetime(&self, lifetime: Lifetime) -> Result<()> {
        Ok(session_call!(self, call_set_lifetime, lifetime.into())??)
    }

    /// "Remember me": the session and its cookie last this many seconds after each use, also when the browser is closed.
    ///
    /// # Errors
    ///
    /// Fails as [`set_lifetime`](Self::set_lifetime) does.
    pub async fn remember(&self, seconds: u32) -> Result<()> {
        Ok(session_call!(self, call_remember, seconds)??)
    }

    /// Sets or removes what the owner calls the session, such as the name of the device.
    ///
    /// # Errors
    ///
    /// Fails with [`Error::InvalidName`] for more than 255 characters.
    pub async fn set_label(&self, label: Option<&str>) -> Result<()> {
        Ok(session_call!(self, call_set_label, label)??)
    }

    /// What is known of the session, for its user.
    ///
    /// # Errors
    ///
    /// Fails with [`Error::Gone`] after the session has ended.
    pub async fn metadata(&self) -> Result<Metadata> {
        Ok(session_call!(self, call_metadata)??)
    }

    /// The time at which the session expires unless it is used again, in seconds since 1970-01-01T00:00:00Z. A new lifetime
    /// shows after [`save`](Self::save).
    ///
    /// # Errors
    ///
    /// Fails only when the session component does.
    pub async fn expires_at(&self) -> Result<u64> {
        session_call!(self, call_expires_at)
    }

    /// Stores the changes of all applications in one transaction and returns the headers to send with the response.
    /// Call it in every request, even one that only reads: it extends the session and the cookie, and usually writes
    /// nothing for that.
    ///
    /// # Errors
    ///
    /// Fails with [`Error::Gone`] when the session has ended, with [`Error::Conflict`] when `strict` is set and another
    /// request saved it first, with [`Error::TooLarge`] past a limit, and with [`Error::TooMany`] when the client has
    /// created too many sessions, or the owner has too many: nothing is saved then. After [`Error::Storage`], the changes may or may not have been
    /// saved.
    pub async fn save(&self) -> Result<Vec<Header>> {
        Ok(session_call!(self, call_save)??)
    }

    /// Ends the session immediately and discards unsaved changes. Returns the headers that delete the cookie; none if
    /// the visitor cannot have one.
    ///
    /// # Errors
    ///
    /// Fails with [`Error::Storage`] when the store fails.
    pub async fn destroy(&self) -> Result<Vec<Header>> {
        Ok(session_call!(self, call_destroy)??)
    }

    /// Sets a variable unless it is set already, and returns its value.
    ///
    /// # Errors
    ///
    /// Fails as [`get`](Self::get) and [`set`](Self::set) do.
    pub async fn set_default(&self, key: &str, value: impl Into<Value>) -> Result<Value> {
        let value = value.into();
        value::check_size(key, &value, self.lease.limits().value_bytes)?;
        Ok(session_call!(self, call_set_default, key, &value)??)
    }

    /// Leaves a flash message: a value that waits for the next call of [`flashes`](Self::flashes), in this request or a
    /// later one. Requests that leave messages at the same time keep each other's. At most 100 messages of an application
    /// wait; a further one replaces the oldest.
    ///
    /// # Errors
    ///
    /// Fails as [`set`](Self::set) does.
    pub async fn flash(&self, value: impl Into<Value>) -> Result<()> {
        let value = value.into();
        value::check_size("flash", &value, self.lease.limits().value_bytes)?;
        Ok(session_call!(self, call_flash, &value)??)
    }

    /// Takes all flash messages of the application, oldest first. They are gone once this is saved.
    ///
    /// # Errors
    ///
    /// Fails with [`Error::Gone`] after the session has ended.
    pub async fn flashes(&self) -> Result<Vec<Value>> {
        Ok(session_call!(self, call_flashes)??)
    }

    /// All variables of the application in another session of the same owner, sorted by name: for a login that takes over
    /// what the user's session on another device has. Empty if the owner has no such session.
    ///
    /// # Errors
    ///
    /// Fails with [`Error::InvalidOption`] when this session has no owner, and with [`Error::InvalidName`] for a text
    /// that is not a digest.
    pub async fn entries_of(&self, digest: &str) -> Result<Vec<(String, Value)>> {
        Ok(session_call!(self, call_entries_of, digest)??)
    }

    /// A token against forged requests (CSRF), to be put into a form. The text differs with each call. A token is valid
    /// until [`regenerate_id`](Self::regenerate_id) is saved; after that call, this returns one of the new id.
    ///
    /// # Errors
    ///
    /// Fails with [`Error::Gone`] after the session has ended.
    pub async fn csrf_token(&self) -> Result<String> {
        Ok(session_call!(self, call_csrf_token)??)
    }

    /// Whether a text, which may come from anybody, is a token of this session.
    ///
    /// # Errors
    ///
    /// Fails with [`Error::Gone`] after the session has ended.
    pub async fn check_csrf(&self, token: &str) -> Result<bool> {
        Ok(session_call!(self, call_check_csrf, token)??)
    }

    /// Whether there are changes that [`save`](Self::save) would write: of a variable or message of any application, the
    /// owner or the id.
    ///
    /// # Errors
    ///
    /// Fails only when the session component does.
    pub async fn modified(&self) -> Result<bool> {
        session_call!(self, call_modified)
    }

    /// Whether a variable, message, token or owner was read or changed since the start, with any handle. If not, the
    /// response does not depend on the visitor's session.
    ///
    /// # Errors
    ///
    /// Fails only when the session component does.
    pub async fn accessed(&self) -> Result<bool> {
        session_call!(self, call_accessed)
    }
}
