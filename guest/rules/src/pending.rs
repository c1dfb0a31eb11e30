//! One application's variables in a session: what is stored, and what the next save changes.

use alloc::{borrow::ToOwned, format, string::String, vec::Vec};

use crate::{
    Error, Result, Value, codec, name,
    storage::{Stored, Variable, Write},
};

/// The variables of one application.
pub struct Application {
    pub name: String,
    /// Sorted by name.
    variables: Vec<Slot>,
    cleared: bool,
}

/// A variable: its stored value and its change. It has neither when it was removed before it was stored.
struct Slot {
    name: String,
    stored: Option<Stored>,
    change: Option<Change>,
}

enum Change {
    Set(Vec<u8>),
    Delete,
    Add(i64),
}

/// What `get` finds.
pub enum Found {
    Nothing,
    Value(Value),
    /// Stored, but too large to have been loaded.
    InStore,
}

impl Application {
    pub fn new(name: &str, stored: Vec<Variable>) -> Self {
        let mut application =
            Self { name: name.to_owned(), variables: Vec::with_capacity(stored.len()), cleared: false };
        for Variable { name, value } in stored {
            // The store sorts them, so each one is usually appended.
            let index = match application.variables.last() {
                Some(last) if last.name > name => application.index(&name).unwrap_or_else(|index| index),
                _ => application.variables.len(),
            };
            application.variables.insert(index, Slot { name, stored: Some(value), change: None });
        }
        application
    }

    /// Replaces the stored values by those that the store has now; the changes stay.
    pub fn reload(&mut self, stored: Vec<Variable>) {
        let fresh = if self.cleared { Vec::new() } else { Self::new("", stored).variables };
        for slot in core::mem::replace(&mut self.variables, fresh) {
            if slot.change.is_some() {
                self.slot_mut(&slot.name).change = slot.change;
            }
        }
    }

    /// A variable as the application sees it.
    pub fn get(&self, key: &str) -> Result<Found> {
        let Some(slot) = self.slot(key) else { return Ok(Found::Nothing) };
        Ok(match (&slot.change, &slot.stored) {
            (Some(Change::Set(bytes)), _) => Found::Value(codec::decode(bytes)?),
            (Some(Change::Add(delta)), _) => Found::Value(Value::Integer(slot.sum(*delta)?)),
            (Some(Change::Delete), _) | (None, None) => Found::Nothing,
            (None, Some(Stored::Inline(bytes))) => Found::Value(codec::decode(bytes)?),
            (None, Some(Stored::Large(_))) => Found::InStore,
        })
    }

    pub fn has(&self, key: &str) -> bool {
        self.slot(key).is_some_and(Slot::is_there)
    }

    /// Whether the application would have at most `limit` variables after setting `key`.
    pub fn has_room(&self, key: &str, limit: usize) -> bool {
        self.variables.len() < limit || self.has(key) || self.all_names().count() < limit
    }

    /// The names of the application's variables.
    pub fn keys(&self) -> impl Iterator<Item = &String> {
        self.all_names().filter(|name| !name::is_hidden(name))
    }

    /// The names of all variables, also of those that the session keeps for itself.
    pub fn all_names(&self) -> impl Iterator<Item = &String> {
        self.variables.iter().filter(|slot| slot.is_there()).map(|slot| &slot.name)
    }

    /// Sets a variable. Setting it to its stored value is not a change.
    pub fn set(&mut self, key: &str, bytes: Vec<u8>) {
        let slot = self.slot_mut(key);
        let is_stored = matches!(&slot.stored, Some(Stored::Inline(stored)) if *stored == bytes);
        slot.change = (!is_stored).then_some(Change::Set(bytes));
    }

    /// The size of a stored variable that was not loaded.
    pub fn unloaded(&self, key: &str) -> Option<u64> {
        match self.slot(key)?.stored {
            Some(Stored::Large(size)) => Some(size),
            _ => None,
        }
    }

    /// Supplies the stored bytes of a variable that was not loaded before.
    pub fn loaded(&mut self, key: &str, bytes: Vec<u8>) {
        self.slot_mut(key).stored = Some(Stored::Inline(bytes));
    }

    pub fn delete(&mut self, key: &str) -> bool {
        let Ok(index) = self.index(key) else { return false };
        let slot = &mut self.variables[index];
        let was_there = slot.is_there();
        slot.change = slot.stored.as_ref().map(|_| Change::Delete);
        was_there
    }

    /// Adds to an integer; returns the sum with the stored value that was last read.
    pub fn add(&mut self, key: &str, delta: i64) -> Result<i64> {
        let slot = self.slot_mut(key);
        let pending = match slot.change {
            Some(Change::Add(pending)) => pending,
            None => 0,
            Some(Change::Set(_) | Change::Delete) => {
                let before = match &slot.change {
                    Some(Change::Set(bytes)) => integer(key, bytes)?,
                    _ => 0,
                };
                let after = sum(key, before, delta)?;
                self.set(key, codec::encode(&Value::Integer(after))?);
                return Ok(after);
            }
        };
        let delta = sum(key, pending, delta)?;
        let after = slot.sum(delta)?;
        // Adding 0 to a stored value is not a change.
        slot.change = (delta != 0 || slot.stored.is_none()).then_some(Change::Add(delta));
        Ok(after)
    }

    pub fn clear(&mut self) {
        self.cleared = true;
        self.variables.clear();
    }

    pub fn is_cleared(&self) -> bool {
        self.cleared
    }

    /// Whether a save would write anything.
    pub fn is_changed(&self) -> bool {
        self.cleared || self.variables.iter().any(|slot| slot.change.is_some())
    }

    pub fn adds(&self) -> bool {
        self.variables.iter().any(|slot| matches!(slot.change, Some(Change::Add(_))))
    }

    /// What a save writes. Additions become sums with the stored values that were last read.
    pub fn writes(&self, writes: &mut Vec<Write>) -> Result<()> {
        for slot in &self.variables {
            let value = match &slot.change {
                None => continue,
                Some(Change::Set(bytes)) => Some(bytes.clone()),
                Some(Change::Delete) => None,
                Some(Change::Add(delta)) => Some(codec::encode(&Value::Integer(slot.sum(*delta)?))?),
            };
            writes.push(Write { app: self.name.clone(), name: slot.name.clone(), value });
        }
        Ok(())
    }

    /// A save has stored this value.
    pub fn committed(&mut self, name: &str, value: Option<Vec<u8>>) {
        let slot = self.slot_mut(name);
        slot.stored = value.map(Stored::Inline);
        slot.change = None;
    }

    /// A save has removed the cleared variables from the store.
    pub fn clears_committed(&mut self) {
        self.cleared = false;
    }

    fn index(&self, key: &str) -> Result<usize, usize> {
        self.variables.binary_search_by(|slot| slot.name.as_str().cmp(key))
    }

    fn slot(&self, key: &str) -> Option<&Slot> {
        self.index(key).ok().map(|index| &self.variables[index])
    }

    fn slot_mut(&mut self, key: &str) -> &mut Slot {
        let index = self.index(key).unwrap_or_else(|index| {
            self.variables.insert(index, Slot { name: key.to_owned(), stored: None, change: None });
            index
        });
        &mut self.variables[index]
    }
}

impl Slot {
    fn is_there(&self) -> bool {
        match self.change {
            Some(Change::Set(_) | Change::Add(_)) => true,
            Some(Change::Delete) => false,
            None => self.stored.is_some(),
        }
    }

    /// The stored value plus `delta`.
    fn sum(&self, delta: i64) -> Result<i64> {
        let stored = match &self.stored {
            None => 0,
            Some(Stored::Inline(bytes)) => integer(&self.name, bytes)?,
            Some(Stored::Large(_)) => return Err(not_integer(&self.name)),
        };
        sum(&self.name, stored, delta)
    }
}

fn integer(key: &str, bytes: &[u8]) -> Result<i64> {
    match codec::decode(bytes)? {
        Value::Integer(value) => Ok(value),
        _ => Err(not_integer(key)),
    }
}

fn not_integer(key: &str) -> Error {
    Error::InvalidValue(format!("'{key}' is not an integer: only integers can be added to"))
}

fn sum(key: &str, a: i64, b: i64) -> Result<i64> {
    a.checked_add(b)
        .ok_or_else(|| Error::InvalidValue(format!("the sum for '{key}' does not fit into an integer of 64 bits")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_found_and_sorted_in_whatever_order_the_store_has_them() {
        let names = ["b", "d", "a", "c"];
        let stored = names.map(|name| Variable { name: name.into(), value: Stored::Inline(Vec::from(name)) });
        let application = Application::new("shop", stored.into());
        assert_eq!(application.keys().collect::<Vec<_>>(), ["a", "b", "c", "d"]);
        assert!(names.iter().all(|name| application.has(name)));
    }
}
