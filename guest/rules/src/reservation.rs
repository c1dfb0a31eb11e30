//! Reserved application names: a module built on sessions hides its variables from the application that uses it.
//!
//! A name that the settings reserve is closed in every session, and opens only for the secret whose hash the settings have. A name
//! that [`reserve`](crate::Session::reserve) closes is closed for all other handles of that session in this instance, until it is
//! released or the last handle is dropped.

use alloc::{format, string::String, vec::Vec};
use core::cell::RefCell;

use crate::{
    Error, Result,
    id::{Digest, from_hex, sha256},
    settings::Reservation,
};

/// Proof that a handle holds a reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token(u64);

/// The reservations of all sessions that are open in this instance.
#[derive(Default)]
pub struct Reservations {
    site: Vec<(String, Option<Digest>)>,
    open: RefCell<Vec<Open>>,
    tokens: core::cell::Cell<u64>,
}

/// An open session.
struct Open {
    digest: Digest,
    starts: usize,
    held: Vec<Held>,
}

/// A name that is reserved in a session, with the tokens of its holders.
struct Held {
    name: String,
    secret_hash: Option<Digest>,
    tokens: Vec<Token>,
}

impl Reservations {
    /// Begins with the names that the settings reserve. A name whose hash is malformed opens for no secret.
    pub fn new(site: &[Reservation]) -> Self {
        let site = site.iter().map(|entry| (entry.name.clone(), from_hex(&entry.secret_hash))).collect();
        Self { site, ..Self::default() }
    }

    /// A start opened the session of this digest.
    pub fn opened(&self, digest: &Digest) {
        let mut open = self.open.borrow_mut();
        match open.iter_mut().find(|session| session.digest == *digest) {
            Some(session) => session.starts += 1,
            None => open.push(Open { digest: *digest, starts: 1, held: Vec::new() }),
        }
    }

    /// The last handle of a start was dropped. The reservations of a session end with its last start.
    pub fn closed(&self, digest: &Digest) {
        let mut open = self.open.borrow_mut();
        if let Some(index) = open.iter().position(|session| session.digest == *digest) {
            open[index].starts -= 1;
            if open[index].starts == 0 {
                open.swap_remove(index);
            }
        }
    }

    /// A start's session has another digest now. Names reserved under the old digest stay reserved under both.
    pub fn renamed(&self, old: &Digest, new: &Digest) {
        if old == new {
            return;
        }
        self.opened(new);
        {
            let mut open = self.open.borrow_mut();
            let held: Vec<Held> = open
                .iter()
                .filter(|session| session.digest == *old)
                .flat_map(|session| &session.held)
                .map(|held| Held {
                    name: held.name.clone(),
                    secret_hash: held.secret_hash,
                    tokens: held.tokens.clone(),
                })
                .collect();
            if let Some(session) = open.iter_mut().find(|session| session.digest == *new) {
                let new = held.into_iter().filter(|held| !session.held.iter().any(|known| known.name == held.name));
                session.held.extend(new.collect::<Vec<_>>());
            }
        }
        self.closed(old);
    }

    /// Refuses an application whose variables the holder of `token`, if any, may not read and write.
    pub fn check(&self, digest: &Digest, name: &str, token: Option<Token>) -> Result<()> {
        let open = self.open.borrow();
        // Most sessions hold no reservation; this check avoids comparing their digests.
        let open = open.iter().filter(|session| !session.held.is_empty() && session.digest == *digest);
        let mut closed = self.site.iter().any(|(reserved, _)| reserved == name);
        for held in open.flat_map(|session| &session.held).filter(|held| held.name == name) {
            if token.is_some_and(|token| held.tokens.contains(&token)) {
                return Ok(());
            }
            closed = true;
        }
        if closed { Err(reserved(name)) } else { Ok(()) }
    }

    /// Reserves a name in a session for the holder of the returned token. `secret` is the reservation's, if it has one.
    pub fn reserve(&self, session: &Digest, name: &str, secret: Option<&str>) -> Result<Token> {
        let secret_hash = secret.map(|secret| sha256(&[secret.as_bytes()]));
        if let Some((_, expected)) = self.site.iter().find(|(reserved, _)| reserved == name)
            && (expected.is_none() || *expected != secret_hash)
        {
            return Err(reserved(name));
        }
        let mut open = self.open.borrow_mut();
        let Some(session) = open.iter_mut().find(|open| open.digest == *session) else {
            return Err(Error::Gone);
        };
        let token = Token(self.tokens.get() + 1);
        match session.held.iter_mut().find(|held| held.name == name) {
            Some(held) if held.secret_hash.is_some() && held.secret_hash == secret_hash => held.tokens.push(token),
            Some(_) => return Err(reserved(name)),
            None => session.held.push(Held { name: name.into(), secret_hash, tokens: Vec::from([token]) }),
        }
        self.tokens.set(token.0);
        Ok(token)
    }

    /// Ends the reservation of a name, if `token` holds it.
    pub fn release(&self, session: &Digest, name: &str, token: Option<Token>) -> Result<()> {
        let mut open = self.open.borrow_mut();
        let held = open.iter_mut().find(|open| open.digest == *session).map(|open| &mut open.held);
        if let (Some(held), Some(token)) = (held, token)
            && let Some(index) = held.iter().position(|held| held.name == name && held.tokens.contains(&token))
        {
            held.swap_remove(index);
            return Ok(());
        }
        Err(Error::Reserved(format!("'{name}' is not reserved by this handle")))
    }
}

fn reserved(name: &str) -> Error {
    Error::Reserved(format!("the application name '{name}' is reserved"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: Digest = [1; 32];
    const NEW: Digest = [2; 32];
    const OTHER: Digest = [3; 32];

    /// Reservations without any of the site, for sessions that are open.
    fn opened(keys: &[Digest]) -> Reservations {
        let reservations = Reservations::default();
        keys.iter().for_each(|key| reservations.opened(key));
        reservations
    }

    #[test]
    fn a_reservation_is_of_one_name_in_one_session() {
        let reservations = opened(&[OTHER, OLD]);
        let token = reservations.reserve(&OLD, "auth", None).unwrap();
        assert!(reservations.check(&OLD, "auth", None).is_err());
        assert!(reservations.check(&OLD, "auth", Some(token)).is_ok());
        assert!(reservations.check(&OLD, "shop", None).is_ok());
        assert!(reservations.check(&OTHER, "auth", None).is_ok());
        assert!(reservations.release(&OTHER, "auth", Some(token)).is_err());
        assert!(reservations.reserve(&OTHER, "auth", None).is_ok());
        assert!(reservations.check(&OLD, "auth", Some(token)).is_ok());
    }

    #[test]
    fn a_token_opens_and_releases_only_what_it_was_given_for() {
        let reservations = opened(&[OLD]);
        let auth = reservations.reserve(&OLD, "auth", None).unwrap();
        let shop = reservations.reserve(&OLD, "shop", None).unwrap();
        for (name, token) in [("auth", shop), ("shop", auth)] {
            assert!(reservations.check(&OLD, name, Some(token)).is_err());
            assert!(reservations.release(&OLD, name, Some(token)).is_err());
        }
        reservations.release(&OLD, "auth", Some(auth)).unwrap();
        assert!(reservations.check(&OLD, "auth", None).is_ok());
        assert!(reservations.check(&OLD, "shop", None).is_err());
        assert!(reservations.release(&OLD, "auth", Some(auth)).is_err(), "it is released");
    }

    #[test]
    fn all_who_know_the_key_hold_a_reservation_and_no_others() {
        let reservations = opened(&[OLD]);
        let tokens = [Some("key"), Some("key")].map(|key| reservations.reserve(&OLD, "auth", key).unwrap());
        assert_ne!(tokens[0], tokens[1]);
        for token in tokens {
            assert!(reservations.check(&OLD, "auth", Some(token)).is_ok());
        }
        for key in [None, Some("guess")] {
            assert!(reservations.reserve(&OLD, "auth", key).is_err());
        }
    }

    #[test]
    fn reservations_end_with_the_last_start_of_their_session() {
        let reservations = opened(&[OTHER, OLD, OLD, OLD]);
        let token = reservations.reserve(&OLD, "auth", None).unwrap();
        reservations.closed(&OTHER);
        for _ in 0..3 {
            assert!(reservations.check(&OLD, "auth", Some(token)).is_ok());
            assert!(reservations.check(&OLD, "auth", None).is_err());
            reservations.closed(&OLD);
        }
        assert!(reservations.check(&OLD, "auth", None).is_ok());
        assert!(matches!(reservations.reserve(&OLD, "auth", None), Err(Error::Gone)));
    }

    #[test]
    fn a_new_id_keeps_the_reservations_for_the_starts_that_go_over_and_for_those_that_stay() {
        let reservations = opened(&[OTHER, OLD, OLD]);
        let elsewhere = reservations.reserve(&OTHER, "forum", None).unwrap();
        let tokens = ["auth", "shop"].map(|name| (name, reservations.reserve(&OLD, name, None).unwrap()));
        reservations.renamed(&OLD, &NEW);
        for key in [OLD, NEW] {
            for (name, token) in tokens {
                assert!(reservations.check(&key, name, None).is_err());
                assert!(reservations.check(&key, name, Some(token)).is_ok());
            }
            assert!(reservations.check(&key, "forum", None).is_ok());
        }
        assert!(reservations.check(&OTHER, "forum", Some(elsewhere)).is_ok());

        let late = reservations.reserve(&OLD, "late", None).unwrap();
        reservations.renamed(&OLD, &NEW);
        assert!(reservations.check(&NEW, "late", None).is_err());
        assert!(reservations.check(&NEW, "late", Some(late)).is_ok());
        assert!(matches!(reservations.reserve(&OLD, "later", None), Err(Error::Gone)), "the last start went over");
        for (name, token) in tokens {
            reservations.release(&NEW, name, Some(token)).unwrap();
            assert!(reservations.check(&NEW, name, None).is_ok(), "{name} was reserved once");
        }
    }

    #[test]
    fn the_same_id_again_changes_nothing() {
        let reservations = opened(&[OLD]);
        reservations.renamed(&OLD, &OLD);
        let token = reservations.reserve(&OLD, "auth", None).unwrap();
        reservations.renamed(&OLD, &OLD);
        assert!(reservations.check(&OLD, "auth", Some(token)).is_ok());
        assert!(reservations.check(&OLD, "auth", None).is_err());
    }
}
