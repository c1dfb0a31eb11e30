//! What the store gets of a save's writes if values are sealed.

use alloc::{borrow::ToOwned, vec::Vec};

use super::{Core, State};
use crate::{
    Env, Result, Value, codec,
    details::SEAL,
    seal::Seal,
    storage::{DETAILS, Write},
};

/// The writes of a save.
pub(super) struct Writes {
    /// For the store.
    pub stored: Vec<Write>,
    /// The same before they were sealed; `None` if none is.
    pub plain: Option<Vec<Write>>,
    /// The session's key after the save.
    pub seal: Option<Seal>,
    /// Whether the session has the key from this save on.
    pub is_first: bool,
}

impl<E: Env> Core<E> {
    /// What the store gets of `writes` in a save after which the session has the id `id`. Seals values if `seal` is on, and wraps
    /// the key for a new session or id.
    pub(super) fn sealed(&self, state: &State, writes: Vec<Write>, id: &str, is_rotated: bool) -> Result<Writes> {
        let is_on = self.world.settings().seal;
        let is_value = |write: &Write| write.app != DETAILS && write.value.is_some();
        let is_first = is_on && state.seal.is_none() && writes.iter().any(is_value);
        let seal = if is_first { Some(Seal::new(self.random())) } else { state.seal.clone() };
        let Some(key) = &seal else { return Ok(Writes { stored: writes, plain: None, seal, is_first }) };

        let mut stored = writes;
        if is_first || is_rotated {
            let wrapped = codec::encode(&Value::Bytes(key.wrap(id, &self.random())))?;
            stored.push(Write { app: DETAILS.to_owned(), name: SEAL.to_owned(), value: Some(wrapped) });
        }
        let plain = is_on.then(|| stored.clone());
        for Write { app, name, value } in stored.iter_mut().filter(|write| is_on && is_value(write)) {
            *value = value.as_ref().map(|bytes| key.seal(app, name, &self.random(), bytes));
        }
        Ok(Writes { stored, plain, seal, is_first })
    }

    fn random<const N: usize>(&self) -> [u8; N] {
        let mut random = [0; N];
        self.world.env.random(&mut random);
        random
    }
}
