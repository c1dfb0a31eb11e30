//! Session ids: 256 random bits as 43 characters of base64url (OWASP asks for 64 bits, ASVS 7.2.3 for 128).

use alloc::{format, string::String};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};

use crate::{Error, Result, name::shown};

/// The length of an id in characters.
pub const LENGTH: usize = 43;

/// A session's digest: the SHA-256 of its id, by which the store knows the session.
pub type Digest = [u8; 32];

/// Makes an id from 256 random bits.
///
/// The hash of the seed is XORed into them: whatever the seed, the result is as random as `random`.
pub fn new(mut random: [u8; 32], seed: &str) -> String {
    if !seed.is_empty() {
        for (byte, personal) in random.iter_mut().zip(sha256(&[seed.as_bytes()])) {
            *byte ^= personal;
        }
    }
    URL_SAFE_NO_PAD.encode(random)
}

/// Whether a text has the form of an id.
pub fn is_well_formed(text: &[u8]) -> bool {
    text.len() == LENGTH && URL_SAFE_NO_PAD.decode_slice(text, &mut [0; 32]).is_ok()
}

/// The digest of an id.
pub fn digest(id: &str) -> Digest {
    sha256(&[id.as_bytes()])
}

/// The id that follows `old` in an id rotation.
///
/// It is a hash of the old id and a nonce in the store. Parallel requests with the old id thus compute the same new id, and the
/// store sees neither.
pub fn successor(old: &str, nonce: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(sha256(&[b"lemon:session renewal\0", old.as_bytes(), nonce]))
}

/// The SHA-256 digest of the concatenated parts.
pub(crate) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize().into()
}

/// A digest in hexadecimal.
pub fn to_hex(digest: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(2 * digest.len());
    for byte in digest {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from(DIGITS[usize::from(digit)]));
        }
    }
    text
}

/// Reads the digest that a caller names a session by.
///
/// # Errors
///
/// Fails with `invalid-name`.
pub(crate) fn parse_digest(text: &str) -> Result<Digest> {
    from_hex(text).ok_or_else(|| {
        Error::InvalidName(format!("'{}' is not the digest of a session, which has 64 hexadecimal digits", shown(text)))
    })
}

/// Reads a digest of 64 hexadecimal digits.
pub fn from_hex(text: &str) -> Option<Digest> {
    let mut digest = [0; 32];
    if text.len() != 64 {
        return None;
    }
    for (byte, digits) in digest.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let digit = |ascii: u8| char::from(ascii).to_digit(16);
        *byte = (16 * digit(digits[0])? + digit(digits[1])?) as u8;
    }
    Some(digest)
}

#[cfg(test)]
mod tests {
    use base64ct::{Base64UrlUnpadded, Encoding};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_id_has_256_bits_in_43_characters() {
        let id = new([0xff; 32], "");
        assert_eq!(id.len(), LENGTH);
        assert!(is_well_formed(id.as_bytes()));
    }

    #[test]
    fn a_seed_changes_ids_and_never_makes_two_of_them_equal() {
        assert_ne!(new([1; 32], "a"), new([1; 32], "b"));
        assert_ne!(new([1; 32], "a"), new([2; 32], "a"));
    }

    #[test]
    fn the_bits_of_a_seeds_hash_are_added_to_the_random_ones() {
        let hash = sha256(&[b"seed"]);
        assert_eq!(new(hash, "seed"), "A".repeat(LENGTH));
        assert_eq!(new([0; 32], "seed"), Base64UrlUnpadded::encode_string(&hash));
        assert_eq!(new([0xff; 32], "seed"), Base64UrlUnpadded::encode_string(&hash.map(|byte| !byte)));
    }

    #[test]
    fn malformed_ids_are_recognised() {
        let id = new([7; 32], "");
        for text in ["", "abc", &id[1..], &id.replace(&id[..1], "'"), &(id.clone() + "A"), "'; DROP TABLE Session; --"]
        {
            assert!(!is_well_formed(text.as_bytes()), "{text}");
        }
        assert!(!is_well_formed(&[0xff; LENGTH]));
        assert!(!is_well_formed("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB".as_bytes()));
    }

    #[test]
    fn a_successor_is_determined_by_old_id_and_nonce() {
        assert_eq!(successor("a", b"n"), successor("a", b"n"));
        assert_ne!(successor("a", b"n"), successor("a", b"m"));
        assert_ne!(successor("a", b"n"), successor("b", b"n"));
        assert!(is_well_formed(successor("a", b"n").as_bytes()));
    }

    #[test]
    fn hexadecimal_round_trips() {
        let digest = digest("id");
        assert_eq!(from_hex(&to_hex(&digest)), Some(digest));
        assert_eq!(from_hex(&to_hex(&digest).to_uppercase()), Some(digest));
        for text in ["", "zz", &"g".repeat(64), &"é".repeat(32), &"+1".repeat(32)] {
            assert_eq!(from_hex(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn ids_are_base64url(random: [u8; 32]) {
            prop_assert_eq!(new(random, ""), Base64UrlUnpadded::encode_string(&random));
        }

        #[test]
        fn what_decodes_to_256_bits_is_well_formed(
            mut text in "[A-Za-z0-9_-]{43}", index in 0..LENGTH, byte: u8,
        ) {
            let expected = |text: &[u8]| Base64UrlUnpadded::decode(text, &mut [0; 32]).is_ok_and(|bits| bits.len() == 32);
            prop_assert_eq!(is_well_formed(text.as_bytes()), expected(text.as_bytes()));
            text.replace_range(LENGTH - 1.., "A");
            let mut text = text.into_bytes();
            text[index] = byte;
            prop_assert_eq!(is_well_formed(&text), expected(&text));
        }
    }
}
