//! Calls of `lemon:session/manager`, which the host grants or refuses.

use lemon_session::{Error, Location, manager, wasi_http::Request};

/// Calls a function. Returns `ok` and what it answered as a number, or the error.
pub fn call(function: &str, request: &Request) -> String {
    let at = Location::default();
    let (owner, digest) = (request.parameter("owner"), request.parameter("digest").unwrap_or_default());
    let owner = owner.as_deref();
    let answer = match function {
        "create-tables" => manager::create_tables(&at).map(|()| 0).map_err(first),
        "drop-tables" => manager::drop_tables(&at).map(|()| 0).map_err(first),
        "tables-exist" => manager::tables_exist(&at).map(u64::from),
        "cleanup" => manager::cleanup(&at, 1000).map(u64::from),
        "count" => manager::count(&at),
        "list" => manager::list(&at, owner, None, 1000).map(|page| page.entries.len() as u64),
        "destroy" => manager::destroy(&at, &digest, owner).map(u64::from),
        "destroy-owned" => manager::destroy_owned(&at, owner.unwrap_or_default(), None),
        _ => return format!("there is no function {function}\n"),
    };
    answer.map_or_else(|error| format!("{error}\n"), |number| format!("ok {number}\n"))
}

fn first(errors: Vec<Error>) -> Error {
    errors.into_iter().next().expect("a call that fails tells why")
}
