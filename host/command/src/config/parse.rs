//! Parsers of the values in `lemon.ini`. Each error names a correct value.

use std::fmt::Display;

use lemon_session_host::store::TableName;

pub(super) use lemon_session_host::store::units::{bytes, seconds};

type Result<T> = std::result::Result<T, String>;

pub(super) fn text(value: &str) -> Result<String> {
    Ok(value.to_owned())
}

pub(super) fn boolean(value: &str) -> Result<bool> {
    choice([("true", true), ("false", false), ("yes", true), ("no", false), ("on", true), ("off", false)])(value)
}

pub(super) fn number(value: &str) -> Result<u32> {
    value.parse().map_err(|_| format!("{value:?} is not a whole number from 0 to {}", u32::MAX))
}

pub(super) fn probability(value: &str) -> Result<f64> {
    value.parse().map_err(|_| format!("{value:?} is not a number from 0 to 1, such as 0.01"))
}

pub(super) fn table(value: &str) -> Result<TableName> {
    TableName::new(value)
}

pub(super) fn tables(value: &str) -> Result<Vec<TableName>> {
    value.split(',').map(str::trim).filter(|name| !name.is_empty()).map(TableName::new).collect()
}

/// An empty value unsets an optional key.
pub(super) fn optional<T>(parse: impl FnOnce(&str) -> Result<T>) -> impl FnOnce(&str) -> Result<Option<T>> {
    |value| if value.is_empty() { Ok(None) } else { parse(value).map(Some) }
}

/// One of several words.
pub(super) fn choice<K: AsRef<str> + Display, T: Copy, const N: usize>(
    words: [(K, T); N],
) -> impl FnOnce(&str) -> Result<T> {
    move |value| {
        let word = words.iter().find(|(word, _)| word.as_ref().eq_ignore_ascii_case(value));
        word.map(|(_, value)| *value).ok_or_else(|| {
            let words: Vec<_> = words.iter().map(|(word, _)| word.as_ref()).collect();
            format!("{value:?} is not one of {}", words.join(", "))
        })
    }
}
