//! The values of settings as text. Each error says what would be right.

use alloc::{borrow::ToOwned, format, string::String, vec::Vec};

pub use crate::units::{bytes, seconds};

type Result<T> = core::result::Result<T, String>;

/// Any text.
///
/// # Errors
///
/// Never fails.
pub fn text(value: &str) -> Result<String> {
    Ok(value.to_owned())
}

/// `true` or `false`, or another word for them.
///
/// # Errors
///
/// Fails with the words.
pub fn boolean(value: &str) -> Result<bool> {
    choice([("true", true), ("false", false), ("yes", true), ("no", false), ("on", true), ("off", false)])(value)
}

/// A whole number.
///
/// # Errors
///
/// Fails with the range.
pub fn number(value: &str) -> Result<u32> {
    value.parse().map_err(|_| format!("{value:?} is not a whole number from 0 to {}", u32::MAX))
}

/// A number from 0 to 1; whether it is in that range is checked with the other settings.
///
/// # Errors
///
/// Fails with the range.
pub fn probability(value: &str) -> Result<f64> {
    value.parse().map_err(|_| format!("{value:?} is not a number from 0 to 1, such as 0.01"))
}

/// An empty value unsets an optional key.
pub fn optional<T>(parse: impl FnOnce(&str) -> Result<T>) -> impl FnOnce(&str) -> Result<Option<T>> {
    |value| if value.is_empty() { Ok(None) } else { parse(value).map(Some) }
}

/// One of several words.
pub fn choice<T: Copy, const N: usize>(words: [(&'static str, T); N]) -> impl FnOnce(&str) -> Result<T> {
    move |value| {
        let word = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(value));
        word.map(|(_, value)| *value).ok_or_else(|| {
            let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            format!("{value:?} is not one of {}", words.join(", "))
        })
    }
}
