//! Sizes and times, as `lemon.ini` and the options of drivers have them: a number with a unit, as `64K` and `24h`.

use alloc::{format, string::String};
use core::{ops::RangeBounds, time::Duration};

/// Reads a size: bytes, or a number with the unit `K` or `M` (1024 and 1048576 bytes).
///
/// # Errors
///
/// Fails with what would be right.
pub fn bytes(value: &str) -> Result<u32, String> {
    let (number, unit) = split(value);
    let factor = match unit {
        "" => Some(1),
        "K" => Some(1 << 10),
        "M" => Some(1 << 20),
        _ => None,
    };
    let size = factor.and_then(|factor| number.parse::<u32>().ok()?.checked_mul(factor));
    size.ok_or_else(|| format!("{value:?} is not a size: bytes, or a number with K or M, as 64K, and less than 4096M"))
}

/// Reads a time: seconds, or a number with the unit `ms`, `s`, `m`, `h` or `d`. A number may have a fraction.
///
/// # Errors
///
/// Fails with what would be right.
pub fn duration(value: &str) -> Result<Duration, String> {
    let (number, unit) = split(value);
    let factor = match unit {
        "ms" => Some(0.001),
        "" | "s" => Some(1.0),
        "m" => Some(60.0),
        "h" => Some(60.0 * 60.0),
        "d" => Some(24.0 * 60.0 * 60.0),
        _ => None,
    };
    let seconds = factor.and_then(|factor| Some(number.parse::<f64>().ok()? * factor));
    let time = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    time.filter(|time| time.as_secs() <= u32::MAX.into()).ok_or_else(|| {
        format!(
            "{value:?} is not a time: seconds, or a number with ms, s, m, h or d, as 24h, and at most {} days",
            u32::MAX / 86_400
        )
    })
}

/// Reads the option `name` as [`duration`] reads a time. It has to be within `range`, which `bounds` describes:
/// `between 1 and 300 seconds`.
///
/// # Errors
///
/// Fails with the option's name and what would be right.
pub fn duration_within(
    name: &str,
    value: &str,
    range: impl RangeBounds<Duration>,
    bounds: &str,
) -> Result<Duration, String> {
    let time = duration(value).map_err(|why| format!("{name}: {why}"))?;
    if range.contains(&time) { Ok(time) } else { Err(format!("{name} is {value:?}: it has to be {bounds}")) }
}

/// Reads a time as [`duration`] does that has to be whole seconds.
///
/// # Errors
///
/// Fails with what would be right.
pub fn seconds(value: &str) -> Result<u32, String> {
    let time = duration(value)?;
    let whole = u32::try_from(time.as_secs()).ok().filter(|_| time.subsec_nanos() == 0);
    whole.ok_or_else(|| format!("{value:?} is not a whole number of seconds"))
}

/// A number without a sign, and what follows it.
fn split(value: &str) -> (&str, &str) {
    let end = value.find(|character: char| !character.is_ascii_digit() && character != '.').unwrap_or(value.len());
    let (number, unit) = value.split_at(end);
    // Spaces alone are no unit.
    (number, if unit.trim().is_empty() { unit } else { unit.trim_start() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units_of_1024() {
        for (text, size) in [("0", 0), ("7", 7), ("64K", 65_536), ("2 M", 2_097_152), ("4095M", 4_293_918_720)] {
            assert_eq!(bytes(text), Ok(size), "{text}");
        }
        for text in ["", "K", "1 ", "-1", "+1", "1.5M", "1k", "1G", "4096M", "4294967296"] {
            assert!(bytes(text).is_err_and(|why| why.contains("64K")), "{text}");
        }
    }

    #[test]
    fn times_are_seconds_unless_they_have_a_unit() {
        for (text, millis) in
            [("0", 0), ("1.5", 1_500), ("250ms", 250), ("2s", 2_000), ("2 h", 7_200_000), ("1d", 86_400_000)]
        {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "h", "-1", "+1", "1w", "1e3", "1.2.3", "inf", "nan", "4294967296"] {
            assert!(duration(text).is_err_and(|why| why.contains("24h")), "{text}");
        }
        assert_eq!(seconds("2m"), Ok(120));
        assert!(seconds("250ms").is_err());
    }
    #[test]
    fn time_outside_its_range_is_refused_with_the_bounds() {
        let read = |value| {
            let range = Duration::from_secs(1)..=Duration::from_secs(300);
            duration_within("timeout", value, range, "between 1 and 300 seconds")
        };
        for (text, seconds) in [("1", 1), ("5m", 300)] {
            assert_eq!(read(text), Ok(Duration::from_secs(seconds)));
        }
        for text in ["999ms", "301"] {
            let refused = format!("timeout is {text:?}: it has to be between 1 and 300 seconds");
            assert_eq!(read(text), Err(refused));
        }
        assert!(read("soon").is_err_and(|why| why.starts_with("timeout: \"soon\" is not a time")));
    }
}
