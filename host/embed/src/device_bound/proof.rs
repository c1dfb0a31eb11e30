//! The proof of a browser: a JSON Web Token (RFC 7519), signed with ES256 or RS256 (RFC 7518).

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey};
use serde::{Deserialize, de::DeserializeOwned};

use crate::bindings::exports::lemon::session::device_bound::Proof;

type Result<T> = std::result::Result<T, &'static str>;

/// A proof whose signature was not verified yet.
#[derive(Debug)]
pub struct Signed<'a> {
    algorithm: Algorithm,
    /// The key that it names itself.
    key: Option<Key>,
    challenge: String,
    message: &'a str,
    signature: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
enum Algorithm {
    #[serde(rename = "ES256")]
    Es256,
    #[serde(rename = "RS256")]
    Rs256,
}

#[derive(Deserialize)]
struct Header {
    typ: String,
    alg: Algorithm,
    jwk: Option<Key>,
    /// Extensions that a recipient has to know (RFC 7515, section 4.1.11): none are known here.
    crit: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Payload {
    jti: String,
}

/// A public key (RFC 7517).
#[derive(Debug, Deserialize)]
#[serde(tag = "kty")]
enum Key {
    #[serde(rename = "EC")]
    Ec { crv: Curve, x: String, y: String },
    #[serde(rename = "RSA")]
    Rsa { n: String, e: String },
}

#[derive(Debug, Deserialize)]
enum Curve {
    #[serde(rename = "P-256")]
    P256,
}

impl<'a> Signed<'a> {
    /// Reads a token.
    pub fn parse(token: &'a str) -> Result<Self> {
        let (message, signature) = token.rsplit_once('.').ok_or("The proof is not a JSON Web Token.")?;
        let (header, payload) = message.split_once('.').ok_or("The proof is not a JSON Web Token.")?;
        let header: Header = json(header, "The header of the proof is not that of the draft, with ES256 or RS256.")?;
        if !header.typ.eq_ignore_ascii_case("dbsc+jwt") || header.crit.is_some() {
            return Err("The proof is not of the type dbsc+jwt.");
        }
        let Payload { jti } = json(payload, "The proof has no challenge.")?;
        let signature = decoded(signature)?;
        Ok(Self { algorithm: header.alg, key: header.jwk, challenge: jti, message, signature })
    }

    /// The proof, if it was signed with the key that it names.
    pub fn by_own_key(self) -> Result<Proof> {
        let key = self.key.as_ref().ok_or("The proof has no key.")?;
        self.verify(key)?;
        let key = key.text()?;
        Ok(Proof { key, challenge: self.challenge })
    }

    /// The proof, if it was signed with this key, whatever key it names.
    pub fn by(self, key: String) -> Result<Proof> {
        self.verify(&serde_json::from_str(&key).map_err(|_| "The session's key cannot be read.")?)?;
        Ok(Proof { key, challenge: self.challenge })
    }

    fn verify(&self, key: &Key) -> Result<()> {
        let (message, signature) = (self.message.as_bytes(), &self.signature[..]);
        let verified = match (key, self.algorithm) {
            (Key::Ec { x, y, .. }, Algorithm::Es256) => {
                // An uncompressed point. That it is one of the curve is checked with the signature.
                let point = [&[4][..], &coordinate(x)?, &coordinate(y)?].concat();
                UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point).verify(message, signature)
            }
            (Key::Rsa { n, e }, Algorithm::Rs256) => {
                let (n, e) = (modulus(n)?, decoded(e)?);
                RsaPublicKeyComponents { n, e }.verify(&signature::RSA_PKCS1_2048_8192_SHA256, message, signature)
            }
            _ => return Err("The algorithm of the proof is not that of its key."),
        };
        verified.map_err(|_| "The signature of the proof is wrong.")
    }
}

impl Key {
    /// The key as JSON with its required members alone, sorted (RFC 7638), and so the same for the same key.
    fn text(&self) -> Result<String> {
        let encoded = |bytes: Vec<u8>| URL_SAFE_NO_PAD.encode(bytes);
        Ok(match self {
            Self::Ec { crv: Curve::P256, x, y } => {
                let (x, y) = (encoded(coordinate(x)?), encoded(coordinate(y)?));
                format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#)
            }
            Self::Rsa { n, e } => {
                let (n, e) = (encoded(modulus(n)?), encoded(decoded(e)?));
                format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#)
            }
        })
    }
}

fn json<T: DeserializeOwned>(part: &str, otherwise: &'static str) -> Result<T> {
    serde_json::from_slice(&decoded(part)?).map_err(|_| otherwise)
}

fn decoded(text: &str) -> Result<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| "A part of the proof is not base64url without padding.")
}

fn coordinate(text: &str) -> Result<Vec<u8>> {
    Some(decoded(text)?).filter(|bytes| bytes.len() == 32).ok_or("A coordinate of the key has not 32 bytes.")
}

/// A modulus of up to 4096 bits: longer ones take long to verify.
fn modulus(text: &str) -> Result<Vec<u8>> {
    Some(decoded(text)?).filter(|bytes| bytes.len() <= 512).ok_or("The key has more than 4096 bits.")
}

#[cfg(test)]
mod tests;
