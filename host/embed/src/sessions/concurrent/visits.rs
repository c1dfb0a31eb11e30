//! Which instance a session is opened in.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::{Arc, Weak},
};

use tokio::sync::OnceCell;
use wasmtime::component::GuestTaskId;

use super::super::{
    Error,
    pool::{Lease, Pool},
};
use crate::{Caller, bindings::application::lemon::session::sessions::Options};

/// An instance of the session component that is taken from the pool by the first of the starts that share it. The last
/// of their sessions returns it.
#[derive(Default)]
pub(super) struct Visit(OnceCell<Arc<Lease>>);

impl Visit {
    pub async fn lease(&self, pool: &Arc<Pool>, caller: Caller) -> Result<&Arc<Lease>, Error> {
        self.0.get_or_try_init(|| lease(pool, caller)).await
    }
}

/// Takes an instance from the pool.
///
/// # Errors
///
/// Also fails when the pool's engine has concurrency support: wasmtime cannot run such an instance while it polls a call
/// of another one.
pub(super) async fn lease(pool: &Arc<Pool>, caller: Caller) -> Result<Arc<Lease>, Error> {
    if pool.engine().get_concurrency_support() {
        return Err(Error::failed(wasmtime::format_err!(
            "the sessions of an application of WASI 0.3 need an engine without concurrency support, as Sessions::new makes it"
        )));
    }
    Pool::lease(pool, caller).await
}

/// The visits of one guest.
///
/// Each start gets an instance of its own, so that calls on different sessions overlap. Starts share one if they could
/// get the same session: the session component lets two starts of a request join only within one instance. They also
/// share one if the request has [`MOST`] already, so that a single request cannot take all instances of the pool.
#[derive(Default)]
pub(super) struct Visits {
    open: Vec<Open>,
    hash: RandomState,
}

struct Open {
    task: Option<GuestTaskId>,
    caller: Caller,
    /// A hash of what is equal in two starts that could get the same session. `None`: this one joins no other.
    key: Option<u64>,
    visit: Weak<Visit>,
}

/// The most instances of one request.
const MOST: usize = 4;

impl Visits {
    /// The visit of a start.
    pub fn of_start(&mut self, task: Option<GuestTaskId>, caller: Caller, options: &Options) -> Arc<Visit> {
        let joins = caller.request != 0 && options.session_id.is_none();
        let location = (&options.location.storage, &options.location.table);
        // Starts of different visits with the same hash only share an instance.
        let key = joins.then(|| self.hash.hash_one((&options.cookies, location)));

        self.open.retain(|open| open.visit.strong_count() > 0);
        let of_request = || self.open.iter().filter(|open| open.task == task && open.caller == caller);
        let joined = of_request().find(|open| key.is_some() && open.key == key);
        let shared = joined.or_else(|| of_request().next_back().filter(|_| of_request().count() >= MOST));
        if let Some(visit) = shared.and_then(|open| open.visit.upgrade()) {
            return visit;
        }
        let visit = Arc::<Visit>::default();
        self.open.push(Open { task, caller, key, visit: Arc::downgrade(&visit) });
        visit
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bindings::lemon::session::types::Location;

    fn options(cookie: &str, session_id: Option<&str>) -> Options {
        Options {
            app: None,
            cookies: vec![cookie.as_bytes().to_vec()],
            https: false,
            session_id: session_id.map(str::to_owned),
            location: Location::default(),
            expires: None,
            cookie: None,
            seed: None,
            cleanup: None,
            strict: None,
            cache_limiter: None,
        }
    }

    fn caller(request: u64) -> Caller {
        Caller { request, ..Caller::default() }
    }

    #[test]
    fn starts_that_could_join_share_an_instance_and_others_have_their_own() {
        let mut visits = Visits::default();
        let first = visits.of_start(None, caller(1), &options("a=1", None));
        let same = |visit: Arc<Visit>| Arc::ptr_eq(&visit, &first);
        assert!(same(visits.of_start(None, caller(1), &options("a=1", None))));
        assert!(!same(visits.of_start(None, caller(1), &options("a=2", None))), "other cookies");
        assert!(!same(visits.of_start(None, caller(1), &options("a=1", Some("")))), "without cookies");
        assert!(!same(visits.of_start(None, caller(2), &options("a=1", None))), "another request");
        let elsewhere =
            Options { location: Location { table: Some("b".to_owned()), storage: None }, ..options("a=1", None) };
        assert!(!same(visits.of_start(None, caller(1), &elsewhere)), "another table");
    }

    #[test]
    fn requests_without_a_number_join_nothing() {
        let mut visits = Visits::default();
        let first = visits.of_start(None, caller(0), &options("a=1", None));
        let second = visits.of_start(None, caller(0), &options("a=1", None));
        assert!(!Arc::ptr_eq(&first, &second));
    }

    #[test]
    fn a_request_has_a_few_instances_and_shares_the_last() {
        let mut visits = Visits::default();
        let mut start = |request| visits.of_start(None, caller(request), &options("", Some("")));
        let open: Vec<_> = (0..MOST).map(|_| start(1)).collect();
        assert!(Arc::ptr_eq(&start(1), open.last().unwrap()));
        let other = start(2);
        assert!(open.iter().all(|visit| !Arc::ptr_eq(visit, &other)), "another request has its own");
        drop(open);
        assert!(!Arc::ptr_eq(&start(1), &other));
    }
}
