//! The values of `lemon.ini`. Each error says what would be right.

use std::fmt::Display;

use lemon_session_host::store::TableName;

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

/// Seconds, or a number with the unit `s`, `m`, `h` or `d`.
pub(super) fn seconds(value: &str) -> Result<u32> {
    let units = [("s", 1), ("m", 60), ("h", 60 * 60), ("d", 24 * 60 * 60)];
    scaled(value, units).ok_or_else(|| {
        format!(
            "{value:?} is not a time: seconds, or a number with s, m, h or d, as 24h, and at most {} days",
            u32::MAX / 86_400
        )
    })
}

/// Bytes, or a number with the unit `K` or `M`.
pub(super) fn bytes(value: &str) -> Result<u32> {
    let units = [("K", 1 << 10), ("M", 1 << 20)];
    scaled(value, units)
        .ok_or_else(|| format!("{value:?} is not a size: bytes, or a number with K or M, as 64K, and less than 4096M"))
}

fn scaled<const N: usize>(value: &str, units: [(&str, u32); N]) -> Option<u32> {
    let (digits, factor) = units
        .iter()
        .find_map(|(unit, factor)| Some((value.strip_suffix(unit)?.trim_end(), *factor)))
        .unwrap_or((value, 1));
    // Not everything that parses is digits alone: a sign is none of ours.
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse::<u32>().ok()?.checked_mul(factor)
}

pub(super) fn probability(value: &str) -> Result<f64> {
    value.parse().map_err(|_| format!("{value:?} is not a number between 0 and 1, as 0.01 is"))
}

pub(super) fn table(value: &str) -> Result<TableName> {
    TableName::new(value)
}

pub(super) fn tables(value: &str) -> Result<Vec<TableName>> {
    value.split(',').map(str::trim).filter(|name| !name.is_empty()).map(TableName::new).collect()
}

/// An empty value is none.
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
