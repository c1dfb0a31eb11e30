//! Digests as operators type them: complete or abbreviated.

use std::{fmt, str::FromStr};

use anyhow::{Result, bail};
use lemon_session_host::store::{Digest, Store};

/// The digest of a session's id, or its first digits.
#[derive(Clone)]
pub struct DigestPrefix(String);

/// The least number of digits, so that two sessions do not share them by accident.
const SHORTEST: usize = 8;

impl FromStr for DigestPrefix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if !(SHORTEST..=64).contains(&text.len()) || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(format!(
                "a digest has 64 hexadecimal digits, and at least the first {SHORTEST} are required: \
                 see `lemon-session list`"
            ));
        }
        Ok(Self(text.to_ascii_lowercase()))
    }
}

impl fmt::Display for DigestPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl DigestPrefix {
    /// The live session with this digest, or `None`.
    pub async fn resolve(&self, driver: &dyn Store, now: u64) -> Result<Option<Digest>> {
        if let Some(key) = Digest::from_hex(&self.0) {
            return Ok(Some(key));
        }
        let candidates = driver.try_inspect()?.list(now, None, self.before().as_ref(), 2).await?;
        let mut matching = candidates.iter().filter(|listed| listed.digest.to_hex().starts_with(&self.0));
        match (matching.next(), matching.next()) {
            (Some(_), Some(_)) => bail!("the digests of several sessions begin with {self}: pass more digits"),
            (first, _) => Ok(first.map(|listed| listed.digest)),
        }
    }

    /// The last key before those that begin with these digits.
    fn before(&self) -> Option<Digest> {
        before(&Digest::from_hex(&format!("{:0<64}", self.0))?)
    }
}

/// The digest before this one, if there is one: a list that starts after it begins with this one.
pub fn before(digest: &Digest) -> Option<Digest> {
    let mut bytes = *digest.as_bytes();
    for byte in bytes.iter_mut().rev() {
        let (less, borrowed) = byte.overflowing_sub(1);
        *byte = less;
        if !borrowed {
            return Some(bytes.into());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_may_be_abbreviated_to_eight_digits() {
        assert!("0123abcd".parse::<DigestPrefix>().is_ok());
        assert!("0123abc".parse::<DigestPrefix>().is_err());
        assert!("0123abcg".parse::<DigestPrefix>().is_err());
        assert!("a".repeat(65).parse::<DigestPrefix>().is_err());
    }

    #[test]
    fn the_key_before_an_abbreviation_is_one_less() {
        let before = |digits: &str| digits.parse::<DigestPrefix>().unwrap().before().map(|key| key.to_hex());
        assert_eq!(before("01000000"), Some(format!("00{}", "f".repeat(62))));
        assert_eq!(before("00000001"), Some(format!("00000000{}", "f".repeat(56))));
        assert_eq!(before("00000000"), None);
    }
}
