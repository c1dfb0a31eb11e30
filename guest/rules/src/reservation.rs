//! Reserved application names: a module built on sessions keeps what is its own from the application that uses it.
//!
//! Two kinds. A name that the settings reserve is closed in every session, and opens only for the key whose hash stands
//! beside it. A name that [`reserve`](crate::Session::reserve) closes is closed for all handles of that session in this
//! instance, until it is released or the last handle is gone.

use alloc::{format, string::String, vec::Vec};
use core::cell::RefCell;

use crate::{
    Error, Result,
    bindings::settings::Reservation,
    id::{Key, from_hex, sha256},
};

/// Proof that a handle holds a reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token(u64);

/// The reservations of all sessions that are open in this instance.
#[derive(Default)]
pub struct Reservations {
    site: Vec<(String, Option<Key>)>,
    open: RefCell<Vec<Open>>,
    tokens: core::cell::Cell<u64>,
}

/// An open session.
struct Open {
    key: Key,
    starts: usize,
    held: Vec<Held>,
}

/// A name that is reserved in a session, and who holds it.
struct Held {
    name: String,
    key_hash: Option<Key>,
    tokens: Vec<Token>,
}

impl Reservations {
    /// Begins with the names that the settings reserve. One whose hash is malformed opens for no key.
    pub fn new(site: &[Reservation]) -> Self {
        let site = site.iter().map(|entry| (entry.name.clone(), from_hex(&entry.key_hash))).collect();
        Self { site, ..Self::default() }
    }

    /// A start opened the session of this key.
    pub fn opened(&self, key: &Key) {
        let mut open = self.open.borrow_mut();
        match open.iter_mut().find(|session| session.key == *key) {
            Some(session) => session.starts += 1,
            None => open.push(Open { key: *key, starts: 1, held: Vec::new() }),
        }
    }

    /// The last handle of a start is gone; with the last start of the session its reservations end.
    pub fn closed(&self, key: &Key) {
        let mut open = self.open.borrow_mut();
        if let Some(index) = open.iter().position(|session| session.key == *key) {
            open[index].starts -= 1;
            if open[index].starts == 0 {
                open.swap_remove(index);
            }
        }
    }

    /// A start's session has another key now. What was reserved under the old one stays reserved under both.
    pub fn renamed(&self, old: &Key, new: &Key) {
        if old == new {
            return;
        }
        self.opened(new);
        {
            let mut open = self.open.borrow_mut();
            let held: Vec<Held> = open
                .iter()
                .filter(|session| session.key == *old)
                .flat_map(|session| &session.held)
                .map(|held| Held { name: held.name.clone(), key_hash: held.key_hash, tokens: held.tokens.clone() })
                .collect();
            if let Some(session) = open.iter_mut().find(|session| session.key == *new) {
                let new = held.into_iter().filter(|held| !session.held.iter().any(|known| known.name == held.name));
                session.held.extend(new.collect::<Vec<_>>());
            }
        }
        self.closed(old);
    }

    /// Whether the holder of `token`, if any, may read and write the variables of an application.
    pub fn check(&self, key: &Key, name: &str, token: Option<Token>) -> Result<()> {
        let open = self.open.borrow();
        // Most sessions hold nothing: to look at that first spares comparing their keys.
        let open = open.iter().filter(|session| !session.held.is_empty() && session.key == *key);
        let mut closed = self.site.iter().any(|(reserved, _)| reserved == name);
        for held in open.flat_map(|session| &session.held).filter(|held| held.name == name) {
            if token.is_some_and(|token| held.tokens.contains(&token)) {
                return Ok(());
            }
            closed = true;
        }
        if closed { Err(reserved(name)) } else { Ok(()) }
    }

    /// Reserves a name in a session for the holder of the token that is returned.
    pub fn reserve(&self, session: &Key, name: &str, key: Option<&str>) -> Result<Token> {
        let key_hash = key.map(|key| sha256(&[key.as_bytes()]));
        if let Some((_, expected)) = self.site.iter().find(|(reserved, _)| reserved == name)
            && (expected.is_none() || *expected != key_hash)
        {
            return Err(reserved(name));
        }
        let mut open = self.open.borrow_mut();
        let Some(session) = open.iter_mut().find(|open| open.key == *session) else {
            return Err(Error::Gone);
        };
        let token = Token(self.tokens.get() + 1);
        match session.held.iter_mut().find(|held| held.name == name) {
            Some(held) if held.key_hash.is_some() && held.key_hash == key_hash => held.tokens.push(token),
            Some(_) => return Err(reserved(name)),
            None => session.held.push(Held { name: name.into(), key_hash, tokens: Vec::from([token]) }),
        }
        self.tokens.set(token.0);
        Ok(token)
    }

    /// Ends the reservation of a name that the holder of `token` holds.
    pub fn release(&self, session: &Key, name: &str, token: Option<Token>) -> Result<()> {
        let mut open = self.open.borrow_mut();
        let held = open.iter_mut().find(|open| open.key == *session).map(|open| &mut open.held);
        if let (Some(held), Some(token)) = (held, token)
            && let Some(index) = held.iter().position(|held| held.name == name && held.tokens.contains(&token))
        {
            held.swap_remove(index);
            return Ok(());
        }
        Err(Error::Reserved(format!("'{name}' is not reserved by this handle")))
    }
}

fn reserved(name: &str) -> Error {
    Error::Reserved(format!("the application name '{name}' is reserved"))
}
