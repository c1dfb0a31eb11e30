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
    Error, Result, Value, id, manager,
    options::{Cookie, Options},
    session::Session,
    settings::{Grant, Notice, Reservation},
    start,
    testing::{NOW, Outside, caching, carrying, cookie, one, options, owned, plain, sent_id, sent_value},
    types::{CacheLimiter, SameSite},
};

fn renewing() -> Outside {
    Outside::new(|settings| settings.renew_after = 600)
}
