//! Sealed values: a copy of the store shows none of them without the visitor's cookie.
//!
//! Each session has a random key that seals its values. The store has that key too, but wrapped by a hash of the session's id,
//! and of the id it has another hash alone, the digest. An id rotation wraps the key again and leaves the values as they are.

use alloc::{string::String, vec::Vec};

use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305,
    aead::{Aead as _, Payload},
};

use crate::id;

/// The first byte of what is sealed. Values that are not begin with [`codec::VERSION`](crate::codec::VERSION).
pub const VERSION: u8 = 2;
/// By how many bytes sealing makes a value longer.
pub const OVERHEAD: usize = 1 + NONCE + 16;

const NONCE: usize = 24;

/// 24 random bytes. So many do not repeat, however many values are sealed.
pub type Nonce = [u8; NONCE];

/// The key of a session's values.
#[derive(Clone)]
pub struct Seal([u8; 32]);

impl Seal {
    /// A key of 32 random bytes.
    pub const fn new(random: [u8; 32]) -> Self {
        Self(random)
    }

    /// Opens a wrapped key. `None`: it was wrapped for another id, or is damaged.
    pub fn unwrap(id: &str, wrapped: &[u8]) -> Option<Self> {
        open(&wrapping(id), b"", wrapped)?.try_into().ok().map(Self)
    }

    /// The key, wrapped for the session of an id.
    pub fn wrap(&self, id: &str, nonce: &Nonce) -> Vec<u8> {
        seal(&wrapping(id), nonce, b"", &self.0)
    }

    /// Seals the stored bytes of a variable. They open as this variable alone.
    pub fn seal(&self, app: &str, name: &str, nonce: &Nonce, bytes: &[u8]) -> Vec<u8> {
        seal(&self.0, nonce, &place(app, name), bytes)
    }

    /// Opens a sealed variable. `None`: another key sealed it, or it is of another variable or damaged.
    pub fn open(&self, app: &str, name: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        open(&self.0, &place(app, name), sealed)
    }
}

/// Whether the stored bytes of a variable are sealed.
pub fn is_sealed(bytes: &[u8]) -> bool {
    bytes.first() == Some(&VERSION)
}

/// The key that wraps. An id has 256 random bits, so one hash is enough.
fn wrapping(id: &str) -> [u8; 32] {
    id::sha256(&[b"lemon:session seal\0", id.as_bytes()])
}

/// Which variable it is. Neither name contains a control character.
fn place(app: &str, name: &str) -> Vec<u8> {
    [app, name].join("\0").into_bytes()
}

fn seal(key: &[u8; 32], nonce: &Nonce, place: &[u8], bytes: &[u8]) -> Vec<u8> {
    let sealed = XChaCha20Poly1305::new(key.into()).encrypt(nonce.into(), Payload { msg: bytes, aad: place });
    // It fails for more than 256 GB.
    [&[VERSION], &nonce[..], &sealed.unwrap_or_default()].concat()
}

fn open(key: &[u8; 32], place: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let (version, sealed) = sealed.split_first()?;
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE>()?;
    let payload = Payload { msg: sealed, aad: place };
    XChaCha20Poly1305::new(key.into()).decrypt(nonce.into(), payload).ok().filter(|_| *version == VERSION)
}

/// What is told of a sealed value that could not be opened.
pub fn unreadable() -> String {
    String::from("the value is sealed (format 2), and the session's id does not open it")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: &str = "an id";
    const SEAL: Seal = Seal::new([7; 32]);

    fn sealed(bytes: &[u8]) -> Vec<u8> {
        SEAL.seal("shop", "cart", &[9; NONCE], bytes)
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens_as_it_was(bytes: Vec<u8>) {
            let sealed = sealed(&bytes);
            prop_assert!(is_sealed(&sealed));
            prop_assert_eq!(sealed.len(), bytes.len() + OVERHEAD);
            prop_assert_eq!(SEAL.open("shop", "cart", &sealed), Some(bytes));
        }

        #[test]
        fn what_is_not_whole_does_not_open(bit in 0..8 * (OVERHEAD + 5)) {
            let mut sealed = sealed(b"value");
            sealed[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(SEAL.open("shop", "cart", &sealed), None);
            prop_assert_eq!(SEAL.open("shop", "cart", &sealed[..bit / 8]), None);
        }
    }

    #[test]
    fn a_value_opens_as_its_variable_and_with_its_key_alone() {
        let sealed = sealed(b"value");
        assert_eq!(SEAL.open("shop", "car", &sealed), None);
        assert_eq!(SEAL.open("sho", "pcart", &sealed), None);
        assert_eq!(Seal::new([8; 32]).open("shop", "cart", &sealed), None);
    }

    #[test]
    fn a_wrapped_key_opens_with_its_id_alone() {
        let wrapped = SEAL.wrap(ID, &[1; NONCE]);
        assert_eq!(Seal::unwrap(ID, &wrapped).map(|seal| seal.0), Some(SEAL.0));
        assert!(Seal::unwrap("another id", &wrapped).is_none());
        assert!(Seal::unwrap(ID, &wrapped[..wrapped.len() - 1]).is_none());
        assert!(!wrapped.windows(4).any(|part| part == &SEAL.0[..4]), "the key is not readable");
    }

    /// Taken from draft-irtf-cfrg-xchacha-03, A.3.1: the cipher is the one of that name.
    #[test]
    fn the_cipher_is_xchacha20_poly1305() {
        let key: [u8; 32] = core::array::from_fn(|index| 0x80 + index as u8);
        let nonce: Nonce = core::array::from_fn(|index| 0x40 + index as u8);
        let aad = [0x50, 0x51, 0x52, 0x53, 0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7];
        let text = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.";
        let sealed = seal(&key, &nonce, &aad, text);
        assert_eq!(sealed[1 + NONCE..][..8], [0xbd, 0x6d, 0x17, 0x9d, 0x3e, 0x83, 0xd4, 0x3b]);
        assert_eq!(sealed[sealed.len() - 4..], [0x78, 0x0a, 0xcf, 0x49]);
    }
}
