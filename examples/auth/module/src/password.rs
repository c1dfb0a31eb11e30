//! What is kept of a password, and whether another one is the same.

use argon2::{
    Argon2,
    password_hash::{PasswordHash, PasswordHasher as _, PasswordVerifier as _, SaltString, rand_core::OsRng},
};

/// Longer passwords are no longer typed by people, and cost time to hash.
const LONGEST: usize = 1024;

/// The hash that the password of an unknown user is compared with, so that the time does not reveal which users exist:
/// that of a random password, with the parameters of `hash`.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$jFbKY5tvn1MtDjMmU5aygg$4Ps+/4KCZ+upsff4uidwSJ+G7Y/zxyirWv0R1U41EQ0";

pub fn hash(password: &str) -> String {
    let salt = SaltString::generate(&mut OsRng);
    let hash = Argon2::default().hash_password(password.as_bytes(), &salt);
    hash.expect("the default parameters and a fresh salt fit").to_string()
}

pub fn verify(password: &str, hash: Option<&str>) -> bool {
    if password.len() > LONGEST {
        return false;
    }
    let parsed = PasswordHash::new(hash.unwrap_or(NOBODY));
    let fits = parsed.is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok());
    fits && hash.is_some()
}
