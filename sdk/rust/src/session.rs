use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Error, Headers, Lifetime, Metadata, Options, Request, Result, Value,
    bindings::lemon::session::sessions,
    from_value,
    same_origin::{is_known, without_token},
    to_value,
};

/// One application's view of a session.
///
/// All handles of one start share their changes, and [`save`](Self::save) on any of them saves all of these. Dropping
/// the last handle discards unsaved changes. After the session has ended, every method fails with
/// [`Gone`](Error::Gone).
#[derive(Debug)]
pub struct Session(pub(crate) sessions::Session);

impl Session {
    /// Starts the session that the request's cookie names, or a new one, with the host's settings. [`Options`] has
    /// parameters.
    ///
    /// # Errors
    ///
    /// Those of [`Options::start`].
    pub fn start(request: &impl Request) -> Result<Self> {
        Options::new().start(request)
    }

    /// The session's id; after [`regenerate_id`](Self::regenerate_id), the new one. It is a secret: a client that sends
    /// it has the session.
    pub fn id(&self) -> String {
        self.0.id()
    }

    /// The SHA-256 digest of the id in hexadecimal, which identifies the session to the store and
    /// [`manager`](crate::manager). After [`regenerate_id`](Self::regenerate_id), this is the digest of the old id
    /// until [`save`](Self::save). Not a secret.
    pub fn digest(&self) -> String {
        self.0.digest()
    }

    /// The application whose variables this handle reads and writes.
    pub fn app(&self) -> String {
        self.0.app()
    }

    /// Whether this start created the session.
    pub fn created(&self) -> bool {
        self.0.created()
    }

    /// The value of a variable, or `None` if it is not set.
    ///
    /// # Errors
    ///
    /// [`WrongType`](Error::WrongType) when the value is not a `T`, and [`Unreadable`](Error::Unreadable) when it is
    /// stored in a format that this version does not know.
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        self.0.get(key)?.map(|value| typed(key, value)).transpose()
    }

    /// The stored value of a variable without conversion, or `None` if it is not set.
    ///
    /// # Errors
    ///
    /// [`Unreadable`](Error::Unreadable) when it is stored in a format that this version does not know.
    pub fn get_value(&self, key: &str) -> Result<Option<Value>> {
        Ok(self.0.get(key)?)
    }

    /// Sets a variable.
    ///
    /// # Errors
    ///
    /// [`InvalidName`](Error::InvalidName) when the name is empty, longer than the settings allow (by default 32
    /// characters) or contains control characters, [`InvalidValue`](Error::InvalidValue) for a value that cannot be
    /// stored, and [`TooLarge`](Error::TooLarge) past a limit.
    pub fn set<T: Serialize + ?Sized>(&self, key: &str, value: &T) -> Result<()> {
        self.set_value(key, &to_value(value).map_err(|error| of(key, error))?)
    }

    /// Sets a variable without conversion.
    ///
    /// # Errors
    ///
    /// Those of [`set`](Self::set).
    pub fn set_value(&self, key: &str, value: &Value) -> Result<()> {
        Ok(self.0.set(key, value)?)
    }

    /// Adds to an integer and returns the sum. A variable that is not set counts as 0.
    ///
    /// Unlike with [`get`](Self::get) and [`set`](Self::set), no addition is lost to a concurrent request: if another
    /// request saved first, [`save`](Self::save) adds to the value that it stored. The stored sum can then differ from
    /// the one returned here.
    ///
    /// # Errors
    ///
    /// [`InvalidValue`](Error::InvalidValue) when the variable is not an integer or the sum does not fit into 64 bits.
    pub fn add(&self, key: &str, delta: i64) -> Result<i64> {
        Ok(self.0.add(key, delta)?)
    }

    /// Removes a variable and returns whether it was set.
    ///
    /// # Errors
    ///
    /// [`InvalidName`](Error::InvalidName) for an invalid name.
    pub fn delete(&self, key: &str) -> Result<bool> {
        Ok(self.0.delete(key)?)
    }

    /// Whether a variable is set.
    ///
    /// # Errors
    ///
    /// [`InvalidName`](Error::InvalidName) for an invalid name.
    pub fn has_key(&self, key: &str) -> Result<bool> {
        Ok(self.0.has_key(key)?)
    }

    /// The names of all variables, sorted.
    ///
    /// # Errors
    ///
    /// [`Gone`](Error::Gone).
    pub fn keys(&self) -> Result<Vec<String>> {
        Ok(self.0.keys()?)
    }

    /// All variables, sorted by name. [`from_value`] converts a value to a type.
    ///
    /// # Errors
    ///
    /// [`Unreadable`](Error::Unreadable) when one is stored in a format that this version does not know.
    pub fn entries(&self) -> Result<Vec<(String, Value)>> {
        Ok(self.0.entries()?)
    }

    /// Reads a variable and removes it: for messages that are shown once.
    ///
    /// # Errors
    ///
    /// Those of [`get`](Self::get). A variable of the wrong type is not removed.
    pub fn take<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        let value = self.get(key)?;
        if value.is_some() {
            self.delete(key)?;
        }
        Ok(value)
    }

    /// Removes all of the application's variables, including those that concurrent requests set before this change is
    /// saved.
    ///
    /// # Errors
    ///
    /// [`Gone`](Error::Gone).
    pub fn clear(&self) -> Result<()> {
        Ok(self.0.clear()?)
    }

    /// The same session, with the variables of another application.
    ///
    /// # Errors
    ///
    /// [`Reserved`](Error::Reserved) when that name is reserved.
    pub fn application(&self, name: &str) -> Result<Self> {
        Ok(Self(self.0.application(name)?))
    }

    /// Reserves an application name and returns the only handle that can access its variables from now on. A module
    /// built on sessions protects its variables from the application that uses it this way.
    ///
    /// A reservation applies to every handle of this session in this instance, until [`release`](Self::release). `key`
    /// is its secret: a caller with the same secret can reserve the name again, while a reservation without one cannot
    /// be repeated. A name that the host's settings reserve requires the secret whose SHA-256 hash the settings
    /// contain.
    ///
    /// # Errors
    ///
    /// [`Reserved`](Error::Reserved) when the secret is wrong or missing.
    pub fn reserve(&self, name: &str, secret: Option<&str>) -> Result<Self> {
        Ok(Self(self.0.reserve(name, secret)?))
    }

    /// Ends the reservation of a name. Only a handle that [`reserve`](Self::reserve) returned for it can do this.
    ///
    /// # Errors
    ///
    /// [`Reserved`](Error::Reserved) on any other handle.
    pub fn release(&self, name: &str) -> Result<()> {
        Ok(self.0.release(name)?)
    }

    /// Rotates the session's id: it gets a new one when it is saved, in the same transaction as all other changes, and
    /// the old one stops working then. The variables of all applications are kept. Call this at each login and each
    /// change of privileges.
    ///
    /// # Errors
    ///
    /// [`Gone`](Error::Gone).
    pub fn regenerate_id(&self) -> Result<()> {
        Ok(self.0.regenerate_id()?)
    }

    /// Sets the session's owner, usually the user who logged in, or removes it. All sessions of an owner can be listed
    /// and ended together. At most 255 characters.
    ///
    /// # Errors
    ///
    /// [`InvalidName`](Error::InvalidName) for a name that is too long.
    pub fn set_owner(&self, owner: Option<&str>) -> Result<()> {
        Ok(self.0.set_owner(owner)?)
    }

    /// The session's owner, if it has one.
    ///
    /// # Errors
    ///
    /// [`Gone`](Error::Gone).
    pub fn owner(&self) -> Result<Option<String>> {
        Ok(self.0.owner()?)
    }

    /// Ends all other live sessions of this session's owner and returns their number. Call it when a password changes.
    /// The owner is the one given to [`set_owner`](Self::set_owner), or else the stored one. This takes effect
    /// immediately, not with [`save`](Self::save).
    ///
    /// # Errors
    ///
    /// [`InvalidOption`](Error::InvalidOption) when the session has no owner.
    pub fn destroy_others(&self) -> Result<u64> {
        Ok(self.0.destroy_others()?)
    }

    /// Notes that the owner has logged in, now and by this method, such as `password` or `passkey`, and rotates the
    /// session's id: it gets a new one when it is saved. Call this at each login, and each time that the owner has proved
    /// again who it is. With the setting `login-lifetime`, the session's absolute expiry counts from now. With the setting
    /// `max-sessions`, the save ends the owner's session whose login is the oldest, or fails with
    /// [`TooMany`](Error::TooMany), if the owner has too many.
    ///
    /// # Errors
    ///
    /// [`InvalidName`](Error::InvalidName) for an owner of more than 255 characters, and a method of more than 64.
    pub fn authenticate(&self, owner: &str, method: &str) -> Result<()> {
        Ok(self.0.authenticate(owner, method)?)
    }

    /// Whether the owner has logged in within the last `seconds`: for pages that ask for the password again. False if
    /// nobody has logged in, or if the owner has changed since.
    ///
    /// # Errors
    ///
    /// [`Gone`](Error::Gone).
    pub fn fresh_within(&self, seconds: u32) -> Result<bool> {
        Ok(self.0.fresh_within(seconds)?)
    }

    /// Sets how long the session lasts, shorter or longer than before, from its next save on. This is stored with the
    /// session and applies to all later requests; a field that is `None` is as the host's settings say.
    ///
    /// # Errors
    ///
    /// [`InvalidOption`](Error::InvalidOption) if the session would last 0 seconds.
    pub fn set_lifetime(&self, lifetime: Lifetime) -> Result<()> {
        Ok(self.0.set_lifetime(lifetime)?)
    }

    /// "Remember me": the session and its cookie last this many seconds after each use, also when the browser is closed.
    ///
    /// # Errors
    ///
    /// Those of [`set_lifetime`](Self::set_lifetime).
    pub fn remember(&self, seconds: u32) -> Result<()> {
        Ok(self.0.remember(seconds)?)
    }

    /// Sets or removes what the owner calls the session, such as the name of the device.
    ///
    /// # Errors
    ///
    /// [`InvalidName`](Error::InvalidName) for more than 255 characters.
    pub fn set_label(&self, label: Option<&str>) -> Result<()> {
        Ok(self.0.set_label(label)?)
    }

    /// What is known of the session, for its user.
    ///
    /// # Errors
    ///
    /// [`Gone`](Error::Gone).
    pub fn metadata(&self) -> Result<Metadata> {
        Ok(self.0.metadata()?)
    }

    /// The time at which the session expires unless it is used again, in seconds since 1970-01-01T00:00:00Z. A new
    /// lifetime shows after [`save`](Self::save).
    pub fn expires_at(&self) -> u64 {
        self.0.expires_at()
    }

    /// Stores the changes of all applications in one transaction and returns the headers to send with the response.
    /// Call it in every request, even one that only reads: it extends the session and the cookie, and usually writes
    /// nothing for that.
    ///
    /// It can be called again after more changes; headers that were returned once are not returned again.
    ///
    /// # Errors
    ///
    /// [`Gone`](Error::Gone) when the session has ended (a save never revives one), [`Conflict`](Error::Conflict) when
    /// `strict` is set and another request saved it first, [`TooLarge`](Error::TooLarge) past a limit, and
    /// [`TooMany`](Error::TooMany) when the visitor's address has created too many sessions, or the owner has too
    /// many: nothing is saved then.
    /// After [`Storage`](Error::Storage), the changes may or may not have been saved.
    pub fn save(&self) -> Result<Headers> {
        Ok(Headers(self.0.save()?))
    }

    /// Ends the session immediately and discards unsaved changes. Returns the headers that delete the cookie; none if
    /// the visitor cannot have one.
    ///
    /// # Errors
    ///
    /// [`Storage`](Error::Storage) when the store fails: the session may then still be live.
    pub fn destroy(&self) -> Result<Headers> {
        Ok(Headers(self.0.destroy()?))
    }

    /// Sets a variable unless it is set already, and returns its value. Of two requests that both set it, the last save
    /// decides.
    ///
    /// # Errors
    ///
    /// Those of [`get`](Self::get) and [`set`](Self::set).
    pub fn set_default<T: Serialize + DeserializeOwned>(&self, key: &str, default: &T) -> Result<T> {
        let default = to_value(default).map_err(|error| of(key, error))?;
        typed(key, self.0.set_default(key, &default)?)
    }

    /// Leaves a flash message: a value that waits for the next call of [`flashes`](Self::flashes), in this request or a
    /// later one.
    ///
    /// Requests that leave messages at the same time keep each other's. At most 100 messages of an application wait; a
    /// further one replaces the oldest. They count for the limits of variables and of the session, [`clear`](Self::clear)
    /// removes them, and no other method shows them.
    ///
    /// # Errors
    ///
    /// [`InvalidValue`](Error::InvalidValue) for a value that cannot be stored, and [`TooLarge`](Error::TooLarge) past a
    /// limit.
    pub fn flash<T: Serialize + ?Sized>(&self, message: &T) -> Result<()> {
        Ok(self.0.flash(&to_value(message).map_err(|error| of("flash", error))?)?)
    }

    /// Takes all flash messages of the application, oldest first. They are gone once this is saved; two requests that take
    /// them at the same time both get them. A message that is not a `T`, such as one that an older version of the
    /// application left, is dropped.
    ///
    /// # Errors
    ///
    /// [`Gone`](Error::Gone), and [`Storage`](Error::Storage) for a large message that cannot be loaded.
    pub fn flashes<T: DeserializeOwned>(&self) -> Result<Vec<T>> {
        Ok(self.0.flashes()?.into_iter().filter_map(|message| from_value(message).ok()).collect())
    }

    /// All variables of the application in another session of the same owner, sorted by name; empty if the owner has no such
    /// session. A login takes over with it what the user's session on another device has.
    ///
    /// # Errors
    ///
    /// [`InvalidOption`](Error::InvalidOption) when this session has no owner, and [`InvalidName`](Error::InvalidName) for
    /// a text that is not a digest.
    pub fn entries_of(&self, digest: &str) -> Result<Vec<(String, Value)>> {
        Ok(self.0.entries_of(digest)?)
    }

    /// A token against forged requests, to be put into a form or a header for [`check_csrf`](Self::check_csrf). The text
    /// differs with each call. It is valid until the session ends or [`regenerate_id`](Self::regenerate_id) is saved; after
    /// that call, this returns a token of the new id.
    ///
    /// # Errors
    ///
    /// [`Gone`](Error::Gone).
    pub fn csrf_token(&self) -> Result<String> {
        Ok(self.0.csrf_token()?)
    }

    /// Refuses a request that another site made the visitor's browser send, as
    /// [`check_same_origin`](crate::check_same_origin) does, and a request with neither `Sec-Fetch-Site` nor `Origin` unless
    /// it brings a [token](Self::csrf_token) of this session. Browsers that are older than these headers are covered too.
    ///
    /// # Errors
    ///
    /// [`CrossSite`](Error::CrossSite), whose status is 403.
    pub fn check_csrf(&self, request: &impl Request, token: Option<&str>) -> Result<()> {
        if is_known(request)? || self.0.check_csrf(token.unwrap_or_default())? { Ok(()) } else { Err(without_token()) }
    }

    /// Whether there are changes that [`save`](Self::save) would write: of a variable or message of any application, the
    /// owner or the id. That a use of the session extends it is no such change.
    pub fn modified(&self) -> bool {
        self.0.modified()
    }

    /// Whether a variable, message, token or owner was read or changed since the start, with any handle. If not, the
    /// response does not depend on the visitor's session.
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

pub(crate) fn typed<T: DeserializeOwned>(key: &str, value: Value) -> Result<T> {
    from_value(value).map_err(|error| of(key, error))
}

/// Adds the variable's name to an error.
pub(crate) fn of(key: &str, error: Error) -> Error {
    match error {
        Error::InvalidValue(why) => Error::InvalidValue(format!("{key}: {why}")),
        Error::WrongType(why) => Error::WrongType(format!("{key}: {why}")),
        error => error,
    }
}
