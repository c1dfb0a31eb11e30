//! Who a visitor is: a module built on sessions.

mod attempts;
mod password;

wit_bindgen::generate!({
    path: "../wit",
    world: "example:auth/module",
    with: {
        "lemon:session/types@0.1.0": lemon_session::bindings::lemon::session::types,
        "lemon:session/sessions@0.1.0": lemon_session::bindings::lemon::session::sessions,
        "lemon:session/manager@0.1.0": lemon_session::bindings::lemon::session::manager,
    },
});

use std::time::{SystemTime, UNIX_EPOCH};

use exports::example::auth::auth::{Guest, Outcome, Visitor};
use lemon_session::{
    Session,
    bindings::lemon::session::{sessions::Session as Handle, types::Error},
};

use attempts::Attempts;

struct Auth;

export!(Auth);

/// The application of the session that holds what this module remembers.
const NAME: &str = "auth";

/// What the reservation is made with. `lemon.ini` has its SHA-256 hash, so that no page can take the name before this
/// module does. Created with `openssl rand -hex 16`; create another one for your module.
const KEY: &str = include_str!("../key");

/// A visit is written down this many seconds after the last one that was.
const MINUTE: u64 = 60;

impl Guest for Auth {
    fn hash(password: String) -> String {
        password::hash(&password)
    }

    fn sign_in(session: &Handle, user: String, password: String, hash: Option<String>) -> Result<Outcome, Error> {
        let now = now();
        let attempts = Attempts::of(&user);
        if let Some(seconds) = attempts.begin(now)? {
            return Ok(Outcome::Early(seconds));
        }
        if !password::verify(&password, hash.as_deref()) {
            log_failure(hash.map(|_| user));
            return Ok(Outcome::Wrong);
        }
        attempts.forget()?;

        let own = own(session)?;
        if own.get("user")?.is_some_and(|other: String| other != user) {
            return Ok(Outcome::AnotherUser);
        }
        own.set("user", &user)?;
        own.set("signed-in", &now)?;
        own.set("last-seen", &now)?;
        session.set_owner(Some(&user))?;
        session.regenerate_id()?;
        Ok(Outcome::SignedIn)
    }

    fn who(session: &Handle) -> Result<Option<Visitor>, Error> {
        let own = own(session)?;
        let (Some(user), Some(signed_in), Some(last_seen)) =
            (own.get("user")?, own.get("signed-in")?, own.get::<u64>("last-seen")?)
        else {
            return Ok(None);
        };
        if now() >= last_seen.saturating_add(MINUTE) {
            own.set("last-seen", &now())?;
        }
        Ok(Some(Visitor { user, signed_in, last_seen }))
    }
}

/// The variables of this module.
fn own(session: &Handle) -> Result<Session, Error> {
    session.reserve(NAME, Some(KEY.trim())).map(Session::from)
}

/// Never logs a password: nor what was typed as a name and is none, as it may be one in the wrong field.
fn log_failure(account: Option<String>) {
    match account {
        Some(user) => eprintln!("sign-in failed for the account {user:?}"),
        None => eprintln!("sign-in failed for an account that does not exist"),
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
