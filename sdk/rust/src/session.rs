use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Error, Headers, Options, Request, Result, Value, bindings::lemon::session::sessions, from_value, to_value,
};

/// One application's view of a session.
///
/// All handles of one start share what they changed, and [`save`](Self::save) on any of them saves it all. Changes that were
/// not saved when the last of them is dropped are discarded. After the session has ended every method answers
/// [`Gone`](Error::Gone).
#[derive(Debug)]
pub struct Session(pub(crate) sessions::Session);

impl Session {
    /// Begins a session, unless the request brings one that exists. [`Options`] has the parameters.
    ///
    /// # Errors
    ///
    /// As [`Options::start`].
    pub fn start(request: &impl Request) -> Result<Self> {
        Options::new().start(request)
    }

    /// The session's id. After [`regenerate_id`](Self::regenerate_id), the new one. A secret: whoever knows it has the session.
    pub fn id(&self) -> String {
        self.0.id()
    }

    /// The SHA-256 digest of the id in hexadecimal: what the store and [`manager`](crate::manager) know the session by. After
    /// [`regenerate_id`](Self::regenerate_id), the digest of the old id until [`save`](Self::save). No secret.
    pub fn digest(&self) -> String {
        self.0.digest()
    }

    /// The application whose variables this handle reads and writes.
    pub fn app(&self) -> String {
        self.0.app()
    }

    /// Whether the start began this session; false when it was there already.
    pub fn created(&self) -> bool {
        self.0.created()
    }

    /// The value of a variable, or none.
    ///
    /// # Errors
    ///
    /// [`WrongType`](Error::WrongType) when the variable is no `T`, and [`Unreadable`](Error::Unreadable) when it was stored
    /// in a format this version does not know.
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        self.0.get(key)?.map(|value| typed(key, value)).transpose()
    }

    /// The value of a variable as it is stored, or none.
    ///
    /// # Errors
    ///
    /// [`Unreadable`](Error::Unreadable) when it was stored in a format this version does not know.
    pub fn get_value(&self, key: &str) -> Result<Option<Value>> {
        Ok(self.0.get(key)?)
    }

    /// Sets a variable.
    ///
    /// # Errors
    ///
    /// [`InvalidName`](Error::InvalidName) when the key is empty, longer than the settings allow (32 characters) or holds
    /// control characters, [`InvalidValue`](Error::InvalidValue) for what cannot be stored, and
    /// [`TooLarge`](Error::TooLarge) past a limit.
    pub fn set<T: Serialize + ?Sized>(&self, key: &str, value: &T) -> Result<()> {
        self.set_value(key, &to_value(value).map_err(|error| of(key, error))?)
    }

    /// Sets a variable to a value as it is to be stored.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set).
    pub fn set_value(&self, key: &str, value: &Value) -> Result<()> {
        Ok(self.0.set(key, value)?)
    }

    /// Adds to an integer and returns the sum; a variable that is not there counts as 0.
    ///
    /// Unlike [`get`](Self::get) and [`set`](Self::set), concurrent requests never lose an addition: when somebody else saved
    /// in between, [`save`](Self::save) adds to what they stored. The sum returned here can then differ from the one that is
    /// stored.
    ///
    /// # Errors
    ///
    /// [`InvalidValue`](Error::InvalidValue) when the variable is no integer or the sum does not fit 64 bits.
    pub fn add(&self, key: &str, delta: i64) -> Result<i64> {
        Ok(self.0.add(key, delta)?)
    }

    /// Removes a variable; tells whether it was there.
    ///
    /// # Errors
    ///
    /// [`InvalidName`](Error::InvalidName) for a key that no variable can have.
    pub fn delete(&self, key: &str) -> Result<bool> {
        Ok(self.0.delete(key)?)
    }

    /// Whether there is such a variable.
    ///
    /// # Errors
    ///
    /// [`InvalidName`](Error::InvalidName) for a key that no variable can have.
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

    /// All variables, sorted by name. [`from_value`] makes a value what it was.
    ///
    /// # Errors
    ///
    /// [`Unreadable`](Error::Unreadable) when one was stored in a format this version does not know.
    pub fn entries(&self) -> Result<Vec<(String, Value)>> {
        Ok(self.0.entries()?)
    }

    /// Reads a variable and removes it: for messages that are shown once.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get). A variable of the wrong type stays.
    pub fn take<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        let value = self.get(key)?;
        if value.is_some() {
            self.delete(key)?;
        }
        Ok(value)
    }

    /// Removes all of the application's variables, also those that concurrent requests set before this is saved.
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

    /// Reserves an application name, and returns the one handle that reads and writes its variables from now on. For
    /// modules built on sessions, which keep what is theirs from the application that uses them.
    ///
    /// A reservation stands until [`release`](Self::release), for every handle of this session in this instance. Whoever has
    /// the `key` it was made with can take it again; one made without a key cannot be taken twice. A name that the settings
    /// reserve is given only for the key whose SHA-256 hash stands there.
    ///
    /// # Errors
    ///
    /// [`Reserved`](Error::Reserved) when the key does not fit.
    pub fn reserve(&self, name: &str, key: Option<&str>) -> Result<Self> {
        Ok(Self(self.0.reserve(name, key)?))
    }

    /// Ends the reservation of a name. Only a handle that [`reserve`](Self::reserve) returned for it can.
    ///
    /// # Errors
    ///
    /// [`Reserved`](Error::Reserved) on any other handle.
    pub fn release(&self, name: &str) -> Result<()> {
        Ok(self.0.release(name)?)
    }

    /// Gives the session a new id when it is saved, in the same transaction as all other changes; all variables of all
    /// applications stay. To be called at each login and each change of rights. The old id is dead at once.
    ///
    /// # Errors
    ///
    /// [`Gone`](Error::Gone).
    pub fn regenerate_id(&self) -> Result<()> {
        Ok(self.0.regenerate_id()?)
    }

    /// Says whose session this is, or that it is nobody's, so that all sessions of an owner can be listed and ended. At most
    /// 255 characters.
    ///
    /// # Errors
    ///
    /// [`InvalidName`](Error::InvalidName) for a name that is too long.
    pub fn set_owner(&self, owner: Option<&str>) -> Result<()> {
        Ok(self.0.set_owner(owner)?)
    }

    /// Whose session this is.
    ///
    /// # Errors
    ///
    /// [`Gone`](Error::Gone).
    pub fn owner(&self) -> Result<Option<String>> {
        Ok(self.0.owner()?)
    }

    /// Ends all other live sessions of this session's owner, and returns how many: to be called when a password changes. The
    /// owner is the one given to [`set_owner`](Self::set_owner), or else the stored one. Takes effect at once, not with
    /// [`save`](Self::save).
    ///
    /// # Errors
    ///
    /// [`InvalidOption`](Error::InvalidOption) when the session has no owner.
    pub fn destroy_others(&self) -> Result<u64> {
        Ok(self.0.destroy_others()?)
    }

    /// When the session expires unless it is used again, in seconds since 1970-01-01T00:00:00Z.
    pub fn expires_at(&self) -> u64 {
        self.0.expires_at()
    }

    /// Stores all changes, of all applications, in one transaction, and returns the headers to send with the response.
    /// Every request calls this, also one that only read: it keeps session and cookie alive, and mostly writes nothing.
    ///
    /// May be called again after more changes; headers that were returned once are not returned again.
    ///
    /// # Errors
    ///
    /// [`Gone`](Error::Gone) when the session has ended meanwhile (a save never brings one back),
    /// [`Conflict`](Error::Conflict) when `strict` is set and somebody else saved it, [`TooLarge`](Error::TooLarge) past a
    /// limit, [`TooMany`](Error::TooMany) when the visitor's address has begun too many sessions, and
    /// [`Storage`](Error::Storage). Nothing is saved then.
    pub fn save(&self) -> Result<Headers> {
        Ok(Headers(self.0.save()?))
    }

    /// Ends the session at once and discards all changes. Returns the headers that delete the cookie, if the visitor may have
    /// one.
    ///
    /// # Errors
    ///
    /// [`Storage`](Error::Storage) when the store cannot be reached: the session may then still be live.
    pub fn destroy(&self) -> Result<Headers> {
        Ok(Headers(self.0.destroy()?))
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

fn typed<T: DeserializeOwned>(key: &str, value: Value) -> Result<T> {
    from_value(value).map_err(|error| of(key, error))
}

/// The error, with the name of the variable it is about.
fn of(key: &str, error: Error) -> Error {
    match error {
        Error::InvalidValue(why) => Error::InvalidValue(format!("{key}: {why}")),
        Error::WrongType(why) => Error::WrongType(format!("{key}: {why}")),
        error => error,
    }
}
