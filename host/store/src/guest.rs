//! Checks of what a guest passes to `lemon:session/storage`, for the host and for providers alike.
//!
//! The guest controls every argument: a digest can have any length, a limit any size, a location any name.

use super::{Digest, Error, Result};

/// The most sessions that one `list` returns, as all of them are in memory at once.
pub const LIST_LIMIT: u32 = 10_000;
/// The number of sessions that a cleanup removes in one call of the driver.
pub const CLEANUP_BATCH: u32 = 500;

/// The digest that a guest names a session by.
///
/// # Errors
///
/// Fails unless there are 32 bytes.
pub fn digest(bytes: &[u8]) -> Result<Digest> {
    Digest::try_from(bytes)
        .map_err(|_| Error::unavailable(format!("a session's key has 32 bytes, not {}", bytes.len())))
}

/// Checks how many sessions a guest asks `list` for.
///
/// # Errors
///
/// Fails for more than [`LIST_LIMIT`].
pub fn list_limit(limit: u32) -> Result<()> {
    if limit > LIST_LIMIT {
        return Err(Error::unavailable(format!("a list of {limit} sessions; at most {LIST_LIMIT} are returned")));
    }
    Ok(())
}

/// The error for a location whose store is not one of `configured`.
pub fn unknown_storage<'a>(name: &str, configured: impl IntoIterator<Item = &'a str>) -> Error {
    unknown("storage", name, configured)
}

/// The error for a location whose table is not one of `configured`.
pub fn unknown_table<'a>(name: &str, configured: impl IntoIterator<Item = &'a str>) -> Error {
    unknown("table", name, configured)
}

fn unknown<'a>(kind: &str, name: &str, configured: impl IntoIterator<Item = &'a str>) -> Error {
    let configured: String = configured.into_iter().map(|name| format!(", {name}")).collect();
    Error::unknown_location(format!(
        "there is no {kind} {}; the configured ones are: the default one{configured}",
        shown(name)
    ))
}

/// A name that a guest chose, fit for a log: quoted, without control characters, and cut.
pub fn shown(name: &str) -> String {
    format!("{:?}", name.chars().take(64).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_guest_chose_is_logged_without_control_characters_and_cut() {
        assert_eq!(shown("a\r\nb"), "\"a\\r\\nb\"");
        assert_eq!(shown(&"é".repeat(65)), format!("\"{}\"", "é".repeat(64)));
    }

    #[test]
    fn digest_has_32_bytes() {
        assert_eq!(digest(&[7; 32]).expect("a digest"), Digest::from([7; 32]));
        for length in [0, 31, 33] {
            let error = digest(&vec![7; length]).expect_err("another length").to_string();
            assert_eq!(error, format!("a session's key has 32 bytes, not {length}"));
        }
    }
}
