//! Who a visitor is: a module built on sessions.

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

use argon2::{
    Argon2,
    password_hash::{PasswordHash, PasswordHasher as _, PasswordVerifier as _, SaltString, rand_core::OsRng},
};
use exports::example::auth::auth::{Guest, Visitor};
use lemon_session::{
    Location, Result, Session,
    bindings::lemon::session::{sessions::Session as Handle, types::Error},
    manager,
};

struct Auth;

export!(Auth);

/// The application of the session that holds what this module remembers.
const NAME: &str = "auth";

/// What the reservation is made with. `lemon.ini` has its SHA-256 hash, so that no page can take the name before this module
/// does. Made with `openssl rand -hex 16`; a module of your own has a key of its own.
const KEY: &str = include_str!("../key");

/// Longer passwords are no longer typed by people, and cost time to hash.
const LONGEST_PASSWORD: usize = 1024;

/// What the password of a user that does not exist is compared with, so that nobody learns from the time who does exist: the
/// hash of a random one, with the parameters of `hash`.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$jFbKY5tvn1MtDjMmU5aygg$4Ps+/4KCZ+upsff4uidwSJ+G7Y/zxyirWv0R1U41EQ0";

/// A visit is written down this many seconds after the last one that was.
const MINUTE: u64 = 60;

impl Guest for Auth {
    fn hash(password: String) -> String {
        let salt = SaltString::generate(&mut OsRng);
        let hash = Argon2::default().hash_password(password.as_bytes(), &salt);
        hash.expect("the default parameters and a fresh salt fit").to_string()
    }

    fn sign_in(session: &Handle, user: String, password: String, hash: Option<String>) -> Result<bool, Error> {
        if !verify(&password, hash.as_deref()) {
            return Ok(false);
        }
        let own = own(session)?;
        let now = now();
        own.set("user", &user)?;
        own.set("signed-in", &now)?;
        own.set("last-seen", &now)?;
        session.set_owner(Some(&user))?;
        session.regenerate_id()?;
        Ok(true)
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

    fn sign_out(session: &Handle) -> Result<(), Error> {
        own(session)?.clear()?;
        session.set_owner(None)?;
        session.regenerate_id()
    }

    fn sign_out_everywhere(session: &Handle) -> Result<u64, Error> {
        let Some(user) = own(session)?.get::<String>("user")? else { return Ok(0) };
        let others = manager::destroy_owned(&Location::default(), &user, Some(&session.digest()))?;
        Self::sign_out(session)?;
        Ok(others)
    }
}

/// The variables of this module.
fn own(session: &Handle) -> Result<Session, Error> {
    session.reserve(NAME, Some(KEY.trim())).map(Session::from)
}

fn verify(password: &str, hash: Option<&str>) -> bool {
    if password.len() > LONGEST_PASSWORD {
        return false;
    }
    let parsed = PasswordHash::new(hash.unwrap_or(NOBODY));
    let fits = parsed.is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok());
    fits && hash.is_some()
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
