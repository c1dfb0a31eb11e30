use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::Cookie;
use crate::types::SameSite;

/// A hash of the cookie's attributes, which follows the id and a dot in its value. `None` for the default attributes, whose cookie
/// has the id alone.
pub type Mark = Option<[u8; MARK]>;

/// The length of a mark in characters.
pub(super) const MARK: usize = 4;

impl Cookie<'_> {
    /// The mark of its attributes.
    pub fn mark(&self) -> Mark {
        let flags = [self.secure, self.http_only, self.partitioned].map(u8::from);
        let same_site = self.same_site as u8;
        let is_plain = flags == [0, 1, 0]
            && self.same_site == SameSite::Lax
            && self.path == "/"
            && self.domain.is_empty()
            && self.comment.is_empty()
            && self.lifetime.is_none();
        if is_plain {
            return None;
        }
        let lifetime = self.lifetime.map_or([0xff; 4], u32::to_le_bytes);
        let parts: [&[u8]; 5] =
            [self.path.as_bytes(), self.domain.as_bytes(), self.comment.as_bytes(), &[same_site], &lifetime];
        let mut hash = FNV_OFFSET;
        let mut add = |byte: u8| hash = (hash ^ u32::from(byte)).wrapping_mul(FNV_PRIME);
        for part in parts {
            part.iter().for_each(|byte| add(*byte));
            // No attribute contains this byte, so it separates them.
            add(0);
        }
        flags.into_iter().for_each(add);
        let [bits @ .., _] = hash.to_be_bytes();
        let mut mark = [0; MARK];
        URL_SAFE_NO_PAD.encode_slice(bits, &mut mark).ok()?;
        // Version 0.1.0 writes the digits from the last to the first.
        mark.reverse();
        Some(mark)
    }
}

/// The constants of FNV-1a with 32 bits: a mark distinguishes attributes and protects nothing.
const FNV_OFFSET: u32 = 0x811c_9dc5;
const FNV_PRIME: u32 = 0x0100_0193;
