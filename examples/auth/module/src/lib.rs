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

impl Guest for Auth {
    fn hash(password: String) -> String {
        password::hash(&password)
    }

    fn sign_in(session: &Handle, user: String, password: String, hash: Option<String>) -> Result<Outcome, Error> {
        let attempts = Attempts::of(&user);
        if let Some(seconds) = attempts.begin(now())? {
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
        session.authenticate(&user, "password")?;
        Ok(Outcome::SignedIn)
    }

    fn who(session: &Handle) -> Result<Option<Visitor>, Error> {
        let user = own(session)?.get("user")?;
        let known = session.metadata()?;
        let signed_in = known.authenticated_at.unwrap_or(known.created);
        Ok(user.map(|user| Visitor { user, signed_in, last_seen: known.accessed }))
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
