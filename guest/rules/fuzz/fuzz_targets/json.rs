//! Text is either refused as no JSON or kept to the letter, and refused where serde_json refuses it.
#![no_main]

use lemon_session_rules::{
    Error, Value, codec,
    json::{self, Place, Wrong},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let expected = serde_json::from_str::<serde::de::IgnoredAny>(text)
        .map(|_| ())
        .map_err(|error| Wrong::Syntax(Place { line: error.line(), column: error.column() }));
    // serde_json passes over what it ignores at any depth.
    match json::check(text) {
        Err(Wrong::Depth) => assert!(text.bytes().filter(|byte| b"[{".contains(byte)).count() > json::MAX_DEPTH),
        outcome => assert_eq!(outcome, expected),
    }
    match codec::encode(&Value::Json(text.into())) {
        Ok(bytes) => assert_eq!(codec::decode(&bytes), Ok(Value::Json(text.into()))),
        Err(error) => assert!(matches!(error, Error::InvalidValue(_))),
    }
});
