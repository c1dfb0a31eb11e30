//! How a value is stored: a format version byte, then bincode.
//!
//! bincode 2 is no longer maintained (RUSTSEC-2025-0141), so it stays behind this module, and the version byte before its
//! bytes lets another encoding replace it without converting stored values.

use alloc::{format, string::String, vec::Vec};

use bincode::config;

use crate::{Error, Result, Value, json, seal};

/// The format in which values are written.
pub const VERSION: u8 = 1;

/// Format 1. The order of the cases is part of the format.
#[derive(bincode::Encode, bincode::BorrowDecode)]
enum Stored<'a> {
    Null,
    Boolean(bool),
    Integer(i64),
    Real(f64),
    Text(&'a str),

    Bytes(&'a [u8]),
    Json(&'a str),
}

/// The bytes of a value without type and length. At least as many are stored.
pub fn length(value: &Value) -> usize {
    match value {
        Value::Text(value) | Value::Json(value) => value.len(),
        Value::Bytes(value) => value.len(),
        Value::Null | Value::Boolean(_) | Value::Integer(_) | Value::Real(_) => 0,
    }
}

/// The bytes of a value.
///
/// Fails with `invalid-value` for `json` that is not RFC 8259 JSON, or is nested too deep.
pub fn encode(value: &Value) -> Result<Vec<u8>> {
    let stored = match value {
        Value::Null => Stored::Null,
        Value::Boolean(value) => Stored::Boolean(*value),
        Value::Integer(value) => Stored::Integer(*value),
        Value::Real(value) => Stored::Real(*value),
        Value::Text(value) => Stored::Text(value),
        Value::Bytes(value) => Stored::Bytes(value),
        Value::Json(value) => {
            json::check(value)?;
            Stored::Json(value)
        }
    };
    bincode::encode_to_vec((VERSION, stored), config::standard())
        .map_err(|_| Error::InvalidValue(String::from("the value cannot be stored")))
}

/// The value of stored bytes.
///
/// Fails with `unreadable` for an unknown format version and for bytes that no encoder wrote.
pub fn decode(bytes: &[u8]) -> Result<Value> {
    let (version, bytes) =
        bytes.split_first().ok_or_else(|| Error::Unreadable(String::from("the stored value is empty")))?;
    if *version == seal::VERSION {
        return Err(Error::Unreadable(seal::unreadable()));
    }
    if *version != VERSION {
        return Err(Error::Unreadable(format!(
            "the value is stored in format {version}; this version reads format {VERSION}"
        )));
    }
    let damaged = || Error::Unreadable(format!("the stored value is damaged, or not in format {VERSION}"));
    let (stored, read) = bincode::borrow_decode_from_slice(bytes, config::standard()).map_err(|_| damaged())?;
    if read != bytes.len() {
        return Err(damaged());
    }
    Ok(match stored {
        Stored::Null => Value::Null,
        Stored::Boolean(value) => Value::Boolean(value),
        Stored::Integer(value) => Value::Integer(value),
        Stored::Real(value) => Value::Real(value),
        Stored::Text(value) => Value::Text(value.into()),
        Stored::Bytes(value) => Value::Bytes(value.into()),
        Stored::Json(value) => Value::Json(value.into()),
    })
}

#[cfg(test)]
mod tests {
    use core::cell::Cell;

    use proptest::{prelude::*, sample, test_runner::TestRunner};

    use super::*;

    fn values() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Boolean),
            any::<i64>().prop_map(Value::Integer),
            any::<f64>().prop_map(Value::Real),
            any::<String>().prop_map(Value::Text),
            any::<Vec<u8>>().prop_map(Value::Bytes),
            any::<Vec<String>>().prop_map(|list| Value::Json(serde_json::to_string(&list).unwrap())),
        ]
    }

    proptest! {
        #[test]
        fn every_value_round_trips(value in values()) {
            let bytes = encode(&value).unwrap();
            prop_assert_eq!(bytes[0], VERSION);
            prop_assert_eq!(decode(&bytes).unwrap(), value);
        }

        #[test]
        fn cut_short_bytes_are_unreadable(value in values()) {
            let bytes = encode(&value).unwrap();
            for length in 0..bytes.len() {
                prop_assert!(matches!(decode(&bytes[..length]), Err(Error::Unreadable(_))));
            }
        }
    }

    /// Bytes that were stored, and tampered with: some replaced, left out or put in after the version.
    fn tampered() -> impl Strategy<Value = Vec<u8>> {
        (values(), any::<sample::Index>(), 0_usize..3, prop::collection::vec(any::<u8>(), 0..3)).prop_map(
            |(value, begin, length, bytes)| {
                let mut stored = encode(&value).unwrap();
                let begin = 1 + begin.index(stored.len());
                let end = (begin + length).min(stored.len());
                stored.splice(begin.min(end)..end, bytes);
                stored
            },
        )
    }

    #[test]
    fn any_bytes_decode_or_fail_cleanly() {
        let (decoded, failed) = (Cell::new(0), Cell::new(0));
        let kept = TestRunner::new(ProptestConfig::with_source_file(file!())).run(&tampered(), |bytes| {
            match decode(&bytes) {
                // The JSON in a store was checked when it was set.
                Ok(Value::Json(_)) => {}
                Ok(value) => {
                    decoded.set(decoded.get() + 1);
                    let again = encode(&value).unwrap();
                    prop_assert!(again.len() <= bytes.len(), "{:?} grows to {:?}", bytes, again);
                    prop_assert_eq!(encode(&decode(&again).unwrap()).unwrap(), again);
                }
                Err(error) => {
                    failed.set(failed.get() + 1);
                    prop_assert!(matches!(error, Error::Unreadable(_)), "{:?}", error);
                }
            }
            Ok(())
        });
        kept.unwrap();
        assert!(decoded.get() > 32 && failed.get() > 32, "{} decoded, {} failed", decoded.get(), failed.get());
    }

    proptest! {
        #[test]
        fn bytes_that_were_never_stored_decode_or_fail_cleanly(bytes: Vec<u8>) {
            prop_assert!(matches!(decode(&bytes), Ok(_) | Err(Error::Unreadable(_))));
        }
    }

    #[test]
    fn the_length_of_a_value_is_that_of_its_own_bytes() {
        for (value, expected) in [
            (Value::Text("1 €".into()), 5),
            (Value::Bytes(vec![0; 300]), 300),
            (Value::Json("[1, 2]".into()), 6),
            (Value::Integer(i64::MIN), 0),
        ] {
            assert_eq!(length(&value), expected);
        }
    }

    #[test]
    fn nan_keeps_its_bits() {
        let nan = f64::from_bits(0x7ff8_0000_0000_1234);
        let Value::Real(read) = decode(&encode(&Value::Real(nan)).unwrap()).unwrap() else { panic!() };
        assert_eq!(read.to_bits(), nan.to_bits());
    }

    /// What format 1 looks like in a store. These bytes never change.
    fn format_1() -> [(&'static [u8], Value); 8] {
        [
            (&[1, 0], Value::Null),
            (&[1, 1, 1], Value::Boolean(true)),
            (&[1, 2, 1], Value::Integer(-1)),
            (&[1, 2, 253, 255, 255, 255, 255, 255, 255, 255, 255], Value::Integer(i64::MIN)),
            (&[1, 3, 0, 0, 0, 0, 0, 0, 248, 63], Value::Real(1.5)),
            (&[1, 4, 3, 0xe2, 0x82, 0xac], Value::Text("€".into())),
            (&[1, 5, 2, 0, 255], Value::Bytes(vec![0, 255])),
            (b"\x01\x06\x07{\"a\":1}", Value::Json("{\"a\":1}".into())),
        ]
    }

    #[test]
    fn format_1_is_read_and_written_as_ever() {
        for (bytes, value) in format_1() {
            assert_eq!(decode(bytes).unwrap(), value);
            assert_eq!(encode(&value).unwrap(), bytes);
        }
    }

    #[test]
    fn an_unknown_format_is_refused_by_name() {
        for version in [0, 2, 255] {
            assert!(
                matches!(decode(&[version, 0]), Err(Error::Unreadable(text)) if text.contains(&format!("format {version}")))
            );
        }
    }

    #[test]
    fn trailing_bytes_and_impossible_lengths_are_unreadable() {
        for bytes in [&[1, 0, 0][..], &[1, 4, 253, 255, 255, 255, 255, 255, 255, 255, 255], &[1, 7], &[1, 4, 1, 0xff]] {
            assert!(matches!(decode(bytes), Err(Error::Unreadable(_))), "{bytes:?}");
        }
    }

    #[test]
    fn json_is_rfc_8259_to_127_levels_and_kept_to_the_letter() {
        let deep = "[".repeat(127) + &"]".repeat(127);
        let deeper = Value::Json(format!("[{deep}]"));
        assert!(matches!(encode(&deeper), Err(Error::InvalidValue(text)) if text.contains("127 levels")));
        for text in ["{}", " [1, 1.0, 1e400, \"\\ud83d\\ude00\"] ", "{\"a\":1,\"a\":2}", "\"text\"", "0", &deep] {
            assert_eq!(decode(&encode(&Value::Json(text.into())).unwrap()).unwrap(), Value::Json(text.into()));
        }
        for text in ["", "{", "[1,]", "{'a':1}", "NaN", "01", "[1] [2]", "\"\u{1}\"", "{\"a\"}", "tru", "[\"\\x\"]"] {
            assert!(matches!(encode(&Value::Json(text.into())), Err(Error::InvalidValue(_))), "{text}");
        }
    }
}
