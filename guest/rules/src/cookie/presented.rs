//! The ids that a request presents.

use alloc::{format, string::String, vec::Vec};

use super::Mark;
use crate::{Error, Result, id};

/// How many different ids under one name a request may present. If it presents more, none is used: otherwise an attacker who can
/// plant cookies could plant enough of them to crowd out the visitor's own.
pub const MAX_CANDIDATES: usize = 16;

/// What the `Cookie` fields of a request carry under one name.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Presented {
    /// The well-formed ids, each once.
    pub candidates: Vec<Candidate>,
    /// Whether there is any cookie of that name.
    pub any: bool,
}

/// An id that a request presents.
#[derive(Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The id.
    pub id: String,
    /// Whether a cookie with this id has the mark of the attributes that are required now.
    pub is_current: bool,
}

impl Presented {
    /// The id that an application passes as `session-id`. The value of a cookie is accepted too.
    pub fn id(value: &str) -> Self {
        let candidate = parse(value.as_bytes()).map(|(id, _)| Candidate { id: id.into(), is_current: false });
        Self { candidates: candidate.into_iter().collect(), any: false }
    }
}

/// The id in a cookie's value, and the mark behind it.
pub fn parse(value: &[u8]) -> Option<(&str, Mark)> {
    let (id, rest) = value.split_at_checked(id::LENGTH)?;
    let mark = match rest {
        [] => None,
        [b'.', mark @ ..] => Some(mark.try_into().ok()?),
        _ => return None,
    };
    if id::is_well_formed(id) { Some((core::str::from_utf8(id).ok()?, mark)) } else { None }
}

/// The values of the cookies called `name`.
pub(crate) fn values<'a>(fields: &'a [Vec<u8>], name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    let pairs = fields.iter().flat_map(|field| field.split(|byte| *byte == b';'));
    pairs.filter_map(|pair| pair.trim_ascii().strip_prefix(name.as_bytes())?.strip_prefix(b"="))
}

/// Reads the cookies called `name`. `mark` stands for the attributes that a cookie must have now.
///
/// Malformed values are ignored: no client can choose an id.
///
/// # Errors
///
/// Fails with `too-large` when the fields together are longer than `limit` bytes.
pub fn read(fields: &[Vec<u8>], name: &str, mark: Mark, limit: u32) -> Result<Presented> {
    let length: usize = fields.iter().map(Vec::len).sum();
    if length > limit as usize {
        return Err(Error::TooLarge(format!(
            "the Cookie fields have {length} bytes; the limit header-bytes is {limit}"
        )));
    }
    let mut presented = Presented::default();
    let candidates = &mut presented.candidates;
    for value in values(fields, name) {
        presented.any = true;
        let Some((id, presented_mark)) = parse(value) else { continue };
        let is_current = presented_mark == mark;
        if let Some(candidate) = candidates.iter_mut().find(|candidate| candidate.id == id) {
            candidate.is_current |= is_current;
        } else if candidates.len() <= MAX_CANDIDATES {
            // One more than allowed is enough to know that there are too many.
            candidates.push(Candidate { id: id.into(), is_current });
        }
    }
    if candidates.len() > MAX_CANDIDATES {
        candidates.clear();
    }
    Ok(presented)
}
