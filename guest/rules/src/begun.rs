//! The sessions that a request has begun. Another start in the same request joins them, so a page and a module that each start
//! the session of a new visitor get one session.

use alloc::{
    rc::{Rc, Weak},
    string::String,
    vec::Vec,
};
use core::cell::RefCell;

use crate::{Env, session::Core, storage::Location};

/// What is equal in two starts that get the same session.
#[derive(PartialEq)]
pub(crate) struct Visit {
    pub request: u64,
    pub location: Location,
    /// The cookie's name.
    pub cookie: String,
    /// The ids that the request presents.
    pub ids: Vec<String>,
}

/// How many sessions are remembered that other requests saved: as many requests can be under way in one instance, each with a
/// start yet to come.
const SAVED: usize = 16;

/// The sessions of the requests that are under way.
pub(crate) struct Begun<E: Env>(RefCell<Vec<(Visit, Known<E>)>>);

pub(crate) enum Known<E: Env> {
    /// Handles of the session are open.
    Open(Weak<Core<E>>),
    /// The session was saved under this id, and all handles were dropped.
    Saved(String),
}

/// What a start joins.
pub(crate) enum Joined<E: Env> {
    /// This session.
    Open(Rc<Core<E>>),
    /// The session that is stored under this id.
    Saved(String),
}

impl<E: Env> Begun<E> {
    pub const fn new() -> Self {
        Self(RefCell::new(Vec::new()))
    }

    /// The session that an earlier start of this visit began or gave a new id. The request's cookies do not lead to it.
    pub fn find(&self, visit: &Visit) -> Option<Joined<E>> {
        let mut known = self.0.borrow_mut();
        // A request ends unseen. What others saved is forgotten when enough of them came after it.
        let is_saved =
            |other: &Visit, known: &Known<E>| other.request != visit.request && matches!(known, Known::Saved(_));
        let mut old = known.iter().filter(|(other, known)| is_saved(other, known)).count().saturating_sub(SAVED);
        known.retain(|(other, known)| {
            let forgets = old != 0 && is_saved(other, known);
            old -= usize::from(forgets);
            !forgets
        });
        match &known.iter().find(|(other, _)| other == visit)?.1 {
            Known::Open(core) => core.upgrade().filter(|core| core.has_id_of_its_own()).map(Joined::Open),
            Known::Saved(id) => Some(Joined::Saved(id.clone())),
        }
    }

    /// Whether an earlier start of this visit has handles open that another start does not join: the request's cookies lead to
    /// their session.
    pub fn is_open_apart(&self, visit: &Visit, app: &str) -> bool {
        let known = self.0.borrow();
        let Some((_, Known::Open(core))) = known.iter().find(|(other, _)| other == visit) else { return false };
        core.upgrade().is_some_and(|core| !core.has_id_of_its_own() && core.is_of(app))
    }

    /// A start of this visit opened a session.
    pub fn opened(&self, visit: Visit, core: &Rc<Core<E>>) {
        let mut known = self.0.borrow_mut();
        known.retain(|(other, _)| *other != visit);
        known.push((visit, Known::Open(Rc::downgrade(core))));
    }

    /// The last handle of a session was dropped. `id` is its id if it is stored and a later start may join it.
    pub fn closed(&self, core: &Core<E>, id: Option<String>) {
        let mut known = self.0.borrow_mut();
        let is_it = |known: &Known<E>| matches!(known, Known::Open(open) if core::ptr::eq(open.as_ptr(), core));
        let Some(index) = known.iter().position(|(_, known)| is_it(known)) else { return };
        match id {
            Some(id) => known[index].1 = Known::Saved(id),
            None => _ = known.swap_remove(index),
        }
    }
}
