use serde::{Serialize, de::DeserializeOwned};

use super::bindings::lemon::session::sessions_async as sessions;
use crate::{
    Headers, Lifetime, Metadata, Options, Request, Result, Value, from_value,
    same_origin::{is_known, without_token},
    session::{of, typed},
    to_value,
};

/// One application's view of a session, as [`crate::Session`] is one in the synchronous API. The documentation of each
/// method there applies here.
///
/// Calls on one session take effect one after the other, in the order in which they are made.
#[derive(Debug)]
pub struct Session(sessions::Session);

impl Options {
    /// Starts the session that the request's cookie names, or a new one, as [`start`](Self::start) does.
    ///
    /// # Errors
    ///
    /// Those of [`start`](Self::start).
    pub async fn start_async(self, request: &impl Request) -> Result<Session> {
        Ok(Session(sessions::start(self.for_request(request)).await?))
    }
}

impl Session {
    /// Starts the session that the request's cookie names, or a new one, with the host's settings.
    ///
    /// # Errors
    ///
    /// Those of [`Options::start_async`].
    pub async fn start(request: &impl Request) -> Result<Self> {
        Options::new().start_async(request).await
    }

    /// The session's [id](crate::Session::id), a secret.
    pub fn id(&self) -> String {
        self.0.id()
    }

    /// The [digest](crate::Session::digest) of the id, not a secret.
    pub fn digest(&self) -> String {
        self.0.digest()
    }

    /// The [application](crate::Session::app) whose variables this handle reads and writes.
    pub fn app(&self) -> String {
        self.0.app()
    }

    /// Whether this start [created](crate::Session::created) the session.
    pub fn created(&self) -> bool {
        self.0.created()
    }

    /// The value of a variable, or `None` if it is not set.
    ///
    /// # Errors
    ///
    /// Those of [`Session::get`](crate::Session::get).
    pub async fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        self.get_value(key).await?.map(|value| typed(key, value)).transpose()
    }

    /// The stored value of a variable without conversion, or `None` if it is not set.
    ///
    /// # Errors
    ///
    /// Those of [`Session::get_value`](crate::Session::get_value).
    pub async fn get_value(&self, key: &str) -> Result<Option<Value>> {
        Ok(self.0.get(key.to_owned()).await?)
    }

    /// Sets a variable.
    ///
    /// # Errors
    ///
    /// Those of [`Session::set`](crate::Session::set).
    pub async fn set<T: Serialize + ?Sized>(&self, key: &str, value: &T) -> Result<()> {
        self.set_value(key, to_value(value).map_err(|error| of(key, error))?).await
    }

    /// Sets a variable without conversion.
    ///
    /// # Errors
    ///
    /// Those of [`Session::set_value`](crate::Session::set_value).
    pub async fn set_value(&self, key: &str, value: Value) -> Result<()> {
        Ok(self.0.set(key.to_owned(), value).await?)
    }

    /// Adds to an integer and returns the sum. [No addition is lost](crate::Session::add) to a concurrent request.
    ///
    /// # Errors
    ///
    /// Those of [`Session::add`](crate::Session::add).
    pub async fn add(&self, key: &str, delta: i64) -> Result<i64> {
        Ok(self.0.add(key.to_owned(), delta).await?)
    }

    /// Removes a variable and returns whether it was set.
    ///
    /// # Errors
    ///
    /// Those of [`Session::delete`](crate::Session::delete).
    pub async fn delete(&self, key: &str) -> Result<bool> {
        Ok(self.0.delete(key.to_owned()).await?)
    }

    /// Whether a variable is set.
    ///
    /// # Errors
    ///
    /// Those of [`Session::has_key`](crate::Session::has_key).
    pub async fn has_key(&self, key: &str) -> Result<bool> {
        Ok(self.0.has_key(key.to_owned()).await?)
    }

    /// The names of all variables, sorted.
    ///
    /// # Errors
    ///
    /// Those of [`Session::keys`](crate::Session::keys).
    pub async fn keys(&self) -> Result<Vec<String>> {
        Ok(self.0.keys().await?)
    }

    /// All variables, sorted by name.
    ///
    /// # Errors
    ///
    /// Those of [`Session::entries`](crate::Session::entries).
    pub async fn entries(&self) -> Result<Vec<(String, Value)>> {
        Ok(self.0.entries().await?)
    }

    /// Reads a variable and [removes](crate::Session::take) it.
    ///
    /// # Errors
    ///
    /// Those of [`Session::take`](crate::Session::take).
    pub async fn take<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        let value = self.get(key).await?;
        if value.is_some() {
            self.delete(key).await?;
        }
        Ok(value)
    }

    /// [Removes](crate::Session::clear) all of the application's variables.
    ///
    /// # Errors
    ///
    /// Those of [`Session::clear`](crate::Session::clear).
    pub async fn clear(&self) -> Result<()> {
        Ok(self.0.clear().await?)
    }

    /// The same session, with the variables of another application.
    ///
    /// # Errors
    ///
    /// Those of [`Session::application`](crate::Session::application).
    pub async fn application(&self, name: &str) -> Result<Self> {
        Ok(Self(self.0.application(name.to_owned()).await?))
    }

    /// [Reserves](crate::Session::reserve) an application name.
    ///
    /// # Errors
    ///
    /// Those of [`Session::reserve`](crate::Session::reserve).
    pub async fn reserve(&self, name: &str, secret: Option<&str>) -> Result<Self> {
        Ok(Self(self.0.reserve(name.to_owned(), secret.map(str::to_owned)).await?))
    }

    /// Ends the [reservation](crate::Session::release) of a name.
    ///
    /// # Errors
    ///
    /// Those of [`Session::release`](crate::Session::release).
    pub async fn release(&self, name: &str) -> Result<()> {
        Ok(self.0.release(name.to_owned()).await?)
    }

    /// [Rotates](crate::Session::regenerate_id) the session's id when it is saved.
    ///
    /// # Errors
    ///
    /// Those of [`Session::regenerate_id`](crate::Session::regenerate_id).
    pub async fn regenerate_id(&self) -> Result<()> {
        Ok(self.0.regenerate_id().await?)
    }

    /// Sets the session's [owner](crate::Session::set_owner), or removes it.
    ///
    /// # Errors
    ///
    /// Those of [`Session::set_owner`](crate::Session::set_owner).
    pub async fn set_owner(&self, owner: Option<&str>) -> Result<()> {
        Ok(self.0.set_owner(owner.map(str::to_owned)).await?)
    }

    /// The session's owner, if it has one.
    ///
    /// # Errors
    ///
    /// Those of [`Session::owner`](crate::Session::owner).
    pub async fn owner(&self) -> Result<Option<String>> {
        Ok(self.0.owner().await?)
    }

    /// Ends all [other sessions](crate::Session::destroy_others) of this session's owner at once, and returns their number.
    ///
    /// # Errors
    ///
    /// Those of [`Session::destroy_others`](crate::Session::destroy_others).
    pub async fn destroy_others(&self) -> Result<u64> {
        Ok(self.0.destroy_others().await?)
    }

    /// Notes that the owner has [logged in](crate::Session::authenticate), and rotates the session's id.
    ///
    /// # Errors
    ///
    /// Those of [`authenticate`](crate::Session::authenticate).
    pub async fn authenticate(&self, owner: &str, method: &str) -> Result<()> {
        Ok(self.0.authenticate(owner.to_owned(), method.to_owned()).await?)
    }

    /// Whether the owner has logged in [within the last `seconds`](crate::Session::fresh_within).
    ///
    /// # Errors
    ///
    /// Those of [`fresh_within`](crate::Session::fresh_within).
    pub async fn fresh_within(&self, seconds: u32) -> Result<bool> {
        Ok(self.0.fresh_within(seconds).await?)
    }

    /// Sets how long the session [lasts](crate::Session::set_lifetime).
    ///
    /// # Errors
    ///
    /// Those of [`set_lifetime`](crate::Session::set_lifetime).
    pub async fn set_lifetime(&self, lifetime: Lifetime) -> Result<()> {
        Ok(self.0.set_lifetime(lifetime).await?)
    }

    /// ["Remember me"](crate::Session::remember).
    ///
    /// # Errors
    ///
    /// Those of [`remember`](crate::Session::remember).
    pub async fn remember(&self, seconds: u32) -> Result<()> {
        Ok(self.0.remember(seconds).await?)
    }

    /// Sets or removes what the owner [calls](crate::Session::set_label) the session.
    ///
    /// # Errors
    ///
    /// Those of [`set_label`](crate::Session::set_label).
    pub async fn set_label(&self, label: Option<&str>) -> Result<()> {
        Ok(self.0.set_label(label.map(str::to_owned)).await?)
    }

    /// What is [known](crate::Session::metadata) of the session.
    ///
    /// # Errors
    ///
    /// Those of [`metadata`](crate::Session::metadata).
    pub async fn metadata(&self) -> Result<Metadata> {
        Ok(self.0.metadata().await?)
    }

    /// The time at which the session [expires](crate::Session::expires_at) unless it is used again.
    pub fn expires_at(&self) -> u64 {
        self.0.expires_at()
    }

    /// Stores the changes of all applications in one transaction and returns the headers to send with the response.
    /// [Every request](crate::Session::save) calls it, before its response starts.
    ///
    /// # Errors
    ///
    /// Those of [`Session::save`](crate::Session::save).
    pub async fn save(&self) -> Result<Headers> {
        Ok(Headers(self.0.save().await?))
    }

    /// Ends the session immediately and discards unsaved changes. Returns the headers that
    /// [delete the cookie](crate::Session::destroy).
    ///
    /// # Errors
    ///
    /// Those of [`Session::destroy`](crate::Session::destroy).
    pub async fn destroy(&self) -> Result<Headers> {
        Ok(Headers(self.0.destroy().await?))
    }

    /// Sets a variable unless it is [set already](crate::Session::set_default), and returns its value.
    ///
    /// # Errors
    ///
    /// Those of [`Session::set_default`](crate::Session::set_default).
    pub async fn set_default<T: Serialize + DeserializeOwned>(&self, key: &str, default: &T) -> Result<T> {
        let default = to_value(default).map_err(|error| of(key, error))?;
        typed(key, self.0.set_default(key.to_owned(), default).await?)
    }

    /// Leaves a [flash message](crate::Session::flash) for the next call of [`flashes`](Self::flashes).
    ///
    /// # Errors
    ///
    /// Those of [`Session::flash`](crate::Session::flash).
    pub async fn flash<T: Serialize + ?Sized>(&self, message: &T) -> Result<()> {
        Ok(self.0.flash(to_value(message).map_err(|error| of("flash", error))?).await?)
    }

    /// Takes [all flash messages](crate::Session::flashes) of the application, oldest first.
    ///
    /// # Errors
    ///
    /// Those of [`Session::flashes`](crate::Session::flashes).
    pub async fn flashes<T: DeserializeOwned>(&self) -> Result<Vec<T>> {
        Ok(self.0.flashes().await?.into_iter().filter_map(|message| from_value(message).ok()).collect())
    }

    /// All variables of the application in [another session](crate::Session::entries_of) of the same owner.
    ///
    /// # Errors
    ///
    /// Those of [`Session::entries_of`](crate::Session::entries_of).
    pub async fn entries_of(&self, digest: &str) -> Result<Vec<(String, Value)>> {
        Ok(self.0.entries_of(digest.to_owned()).await?)
    }

    /// A [token](crate::Session::csrf_token) against forged requests.
    ///
    /// # Errors
    ///
    /// Those of [`Session::csrf_token`](crate::Session::csrf_token).
    pub async fn csrf_token(&self) -> Result<String> {
        Ok(self.0.csrf_token().await?)
    }

    /// Refuses a [forged request](crate::Session::check_csrf), and one that cannot be told from it without a token.
    ///
    /// # Errors
    ///
    /// Those of [`Session::check_csrf`](crate::Session::check_csrf).
    pub async fn check_csrf(&self, request: &impl Request, token: Option<&str>) -> Result<()> {
        let is_valid = is_known(request)? || self.0.check_csrf(token.unwrap_or_default().to_owned()).await?;
        if is_valid { Ok(()) } else { Err(without_token()) }
    }

    /// Whether there are [changes](crate::Session::modified) that [`save`](Self::save) would write.
    pub fn modified(&self) -> bool {
        self.0.modified()
    }

    /// Whether anything of the session was [read or changed](crate::Session::accessed) since the start.
    pub fn accessed(&self) -> bool {
        self.0.accessed()
    }
}

impl From<sessions::Session> for Session {
    fn from(handle: sessions::Session) -> Self {
        Self(handle)
    }
}

impl AsRef<sessions::Session> for Session {
    fn as_ref(&self) -> &sessions::Session {
        &self.0
    }
}
