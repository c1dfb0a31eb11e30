mod applications;
mod caching;
mod cleanup;
mod concurrency;
mod cookie;
mod ending;
mod expiry;
mod joining;
mod owners;
mod reservations;
mod rotation;
mod saving;
mod starting;
mod variables;

use std::time::Duration;

use crate::{
    Error, Result, Value,
    bindings::{
        sessions::{Cookie, Options},
        settings::{Grant, Notice, Reservation},
        types::{CacheLimiter, SameSite},
    },
    id, manager,
    session::Session,
    start,
    testing::{NOW, Outside, caching, carrying, cookie, one, options, owned, plain, sent_id, sent_value},
};

fn renewing() -> Outside {
    Outside::new(|settings| settings.renew_after = 600)
}
