//! The rules as the tests call them: over a store that answers at once.

use std::{ops::Deref, rc::Rc};

use crate::{
    Env, Error, Result, Value, World, at_once,
    options::Options,
    types::{Header, Location},
};

/// A handle whose calls answer at once.
pub struct Session<E: Env>(pub crate::Session<E>);

impl<E: Env> Deref for Session<E> {
    type Target = crate::Session<E>;

    fn deref(&self) -> &crate::Session<E> {
        &self.0
    }
}

pub fn start<E: Env>(world: &Rc<World<E>>, options: Options) -> Result<Session<E>> {
    at_once(crate::start(world, options)).map(Session)
}

macro_rules! methods {
    ($($name:ident($($argument:ident: $type:ty),*) -> $answer:ty;)*) => {
        impl<E: Env> Session<E> {
            $(pub fn $name(&self, $($argument: $type),*) -> Result<$answer> {
                at_once(self.0.$name($($argument),*))
            })*

            pub fn application_named(&self, name: &str) -> Result<Self> {
                at_once(self.0.application_named(name)).map(Self)
            }

            pub fn reserve(&self, name: &str, secret: Option<&str>) -> Result<Self> {
                at_once(self.0.reserve(name, secret)).map(Self)
            }
        }
    };
}

methods! {
    get(name: &str) -> Option<Value>;
    set(name: &str, value: &Value) -> ();
    set_default(name: &str, value: &Value) -> Value;
    flashes() -> Vec<Value>;
    entries_of(digest: &str) -> Vec<(String, Value)>;
    entries() -> Vec<(String, Value)>;
    take(name: &str) -> Option<Value>;
    destroy_others() -> u64;
    save() -> Vec<Header>;
    destroy() -> Vec<Header>;
}

macro_rules! functions {
    ($($name:ident($($argument:ident: $type:ty),*) -> $answer:ty, $error:ty;)*) => {
        $(pub fn $name<E: Env>(
            world: &World<E>, location: &Location, $($argument: $type),*
        ) -> Result<$answer, $error> {
            at_once(crate::manager::$name(world, location, $($argument),*))
        })*
    };
}

pub mod manager {
    use super::*;
    use crate::manager::{Entry, Page};

    functions! {
        create_tables() -> (), Vec<Error>;
        drop_tables() -> (), Vec<Error>;
        tables_exist() -> bool, Error;
        cleanup(limit: u32) -> u32, Error;
        count() -> u64, Error;
        list(owner: Option<&str>, after: Option<&str>, limit: u32) -> Page, Error;
        get(session: &str, owner: Option<&str>) -> Option<Entry>, Error;
        destroy(session: &str, owner: Option<&str>) -> bool, Error;
        destroy_owned(owner: &str, except: Option<&str>) -> u64, Error;
    }
}
