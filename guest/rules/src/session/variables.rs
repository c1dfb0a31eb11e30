//! One application's variables.

use alloc::{format, string::String, vec::Vec};
use core::cell::{Ref, RefMut};

use super::Session;
use crate::{
    Env, Error, Result, Value, codec, id, name,
    pending::{Application, Found},
    seal,
    start::INLINE_BYTES,
    storage::LoadOutcome,
};

impl<E: Env> Session<E> {
    /// The value of a variable.
    pub async fn get(&self, name: &str) -> Result<Option<Value>> {
        self.check_name(name)?;
        self.read(name).await
    }

    /// The value of a variable, whose name may be one that the session keeps for itself.
    pub(super) async fn read(&self, name: &str) -> Result<Option<Value>> {
        let mut found = self.application()?.get(name)?;
        if matches!(found, Found::InStore) && self.fetch(name).await? {
            found = self.application()?.get(name)?;
        }
        match found {
            Found::Value(value) => Ok(Some(value)),
            Found::Nothing | Found::InStore => Ok(None),
        }
    }

    /// Sets a variable.
    pub async fn set(&self, name: &str, value: &Value) -> Result<()> {
        self.check_name(name)?;
        // Before encoding makes a second copy of it.
        self.check_value(name, codec::length(value))?;
        let bytes = codec::encode(value)?;
        self.check_value(name, bytes.len())?;
        // The stored value may be the same, and setting it is then not a change. If it cannot be fetched, it is set.
        let unloaded = self.application()?.unloaded(name);
        if unloaded.is_some_and(|size| [bytes.len(), bytes.len() + seal::OVERHEAD].contains(&(size as usize))) {
            _ = self.fetch(name).await;
        }
        let mut application = self.application_mut()?;
        self.check_room(&application, name)?;
        application.set(name, bytes);
        Ok(())
    }

    /// The value of a variable, which is set if it is not there.
    pub async fn set_default(&self, name: &str, value: &Value) -> Result<Value> {
        if let Some(value) = self.get(name).await? {
            return Ok(value);
        }
        self.set(name, value).await?;
        Ok(value.clone())
    }

    /// Adds to an integer; returns the sum.
    pub fn add(&self, name: &str, delta: i64) -> Result<i64> {
        self.check_name(name)?;
        let mut application = self.application_mut()?;
        self.check_room(&application, name)?;
        application.add(name, delta)
    }

    /// Removes a variable; returns whether it existed.
    pub fn delete(&self, name: &str) -> Result<bool> {
        self.check_name(name)?;
        Ok(self.application_mut()?.delete(name))
    }

    /// Whether the variable exists.
    pub fn has_key(&self, name: &str) -> Result<bool> {
        self.check_name(name)?;
        Ok(self.application()?.has(name))
    }

    /// The names of all variables, sorted.
    pub fn keys(&self) -> Result<Vec<String>> {
        Ok(self.application()?.keys().cloned().collect())
    }

    /// All variables, sorted by name.
    pub async fn entries(&self) -> Result<Vec<(String, Value)>> {
        let mut entries = Vec::new();
        for name in self.keys()? {
            if let Some(value) = self.get(&name).await? {
                entries.push((name, value));
            }
        }
        Ok(entries)
    }

    /// All variables of this application in another session of this session's owner, sorted by name; none if there is no such
    /// session.
    pub async fn entries_of(&self, digest: &str) -> Result<Vec<(String, Value)>> {
        drop(self.application()?);
        let owner = self.owner()?.ok_or_else(|| {
            Error::InvalidOption(String::from("entries-of needs the session's owner: call set-owner first"))
        })?;
        let digest = id::parse_digest(digest)?;
        let (world, location, app) = (&self.core.world, &self.core.parameters.location, self.app());
        let env = &world.env;
        let loaded = match world.load(location, &digest, &app, env.now(), INLINE_BYTES).await? {
            LoadOutcome::Found(loaded) if loaded.record.owner.as_ref() == Some(&owner) => loaded,
            _ => return Ok(Vec::new()),
        };
        let stored = Application::new(&app, loaded.variables);
        let mut entries = Vec::new();
        for name in stored.keys() {
            let value = match stored.get(name)? {
                Found::Value(value) => Some(value),
                Found::Nothing => None,
                Found::InStore => {
                    let bytes = env.fetch(location, &digest, &app, name, env.now()).await?;
                    bytes.as_deref().map(codec::decode).transpose()?
                }
            };
            entries.extend(value.map(|value| (name.clone(), value)));
        }
        Ok(entries)
    }

    /// Reads a variable and removes it.
    pub async fn take(&self, name: &str) -> Result<Option<Value>> {
        let value = self.get(name).await?;
        self.delete(name)?;
        Ok(value)
    }

    /// Removes all of the application's variables.
    pub fn clear(&self) -> Result<()> {
        self.application_mut()?.clear();
        Ok(())
    }

    /// The application's variables, if this handle may see them.
    pub(super) fn application(&self) -> Result<Ref<'_, Application>> {
        let application = self.permitted()?;
        self.core.state.borrow().accessed.set(true);
        Ok(application)
    }

    /// As `application`, but without access to them.
    pub(super) fn permitted(&self) -> Result<Ref<'_, Application>> {
        let state = self.live()?;
        self.core.world.reservations().check(&state.digest, &state.applications[self.app].name, self.token)?;
        Ok(Ref::map(state, |state| &state.applications[self.app]))
    }

    pub(super) fn application_mut(&self) -> Result<RefMut<'_, Application>> {
        drop(self.application()?);
        Ok(RefMut::map(self.live_mut()?, |state| &mut state.applications[self.app]))
    }

    fn check_name(&self, name: &str) -> Result<()> {
        name::check("the variable's name", name, self.core.world.settings().limits.key_length)
    }

    pub(super) fn check_value(&self, name: &str, length: usize) -> Result<()> {
        let limit = self.core.world.settings().limits.value_bytes;
        if length > limit as usize {
            return Err(Error::TooLarge(format!(
                "the value of '{name}' has {length} bytes; the limit value-bytes is {limit}"
            )));
        }
        Ok(())
    }

    pub(super) fn check_room(&self, application: &Application, name: &str) -> Result<()> {
        let limit = self.core.world.settings().limits.variables;
        if !application.has_room(name, limit as usize) {
            return Err(Error::TooLarge(format!(
                "the application has {limit} variables already; the limit variables is {limit}"
            )));
        }
        Ok(())
    }

    /// Loads a variable that was too large for the first load; returns whether it still exists.
    async fn fetch(&self, name: &str) -> Result<bool> {
        let digest = self.live()?.digest;
        let (env, location) = (&self.core.world.env, &self.core.parameters.location);
        let bytes = env.fetch(location, &digest, &self.app(), name, env.now()).await?;
        let is_there = bytes.is_some();
        if let Some(bytes) = bytes {
            let app = self.app();
            let state = &mut *self.core.state.borrow_mut();
            let opened = state.opened_value(&app, name, &bytes);
            state.applications[self.app].loaded(name, opened.unwrap_or(bytes));
        }
        Ok(is_there)
    }
}
