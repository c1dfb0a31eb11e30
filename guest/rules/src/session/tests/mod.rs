mod accounts;
mod applications;
mod caching;
mod cleanup;
mod concurrency;
mod cookie;
mod csrf;
mod defaults;
mod ending;
mod expiry;
mod flashes;
mod interleavings;
mod joining;
mod lifetimes;
mod merging;
mod overlapping;
mod owned;
mod owners;
mod reservations;
mod rotation;
mod saving;
mod sealing;
mod starting;
mod variables;

use std::time::Duration;

use crate::{
    Error, Result, Value, id,
    options::{Cookie, Options},
    settings::{ClientAddress, Grant, Notice, Reservation, Settings},
    testing::{
        NOW, Outside, Session, caching, carrying, cookie, manager, one, options, owned, plain, sent_id, sent_value,
        start,
    },
    types::{CacheLimiter, Header, Lifetime, SameSite},
};

fn renewing() -> Outside {
    Outside::new(|settings| settings.renew_after = 600)
}
