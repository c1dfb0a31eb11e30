//! Text is either refused as no JSON or kept to the letter, and refused where serde_json refuses it.
#![no_main]

use lemon_session_rules::{Error, Value, codec, json};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match json::check(text) {
        Err(Error::InvalidValue(message)) if message.contains("levels") => {
            assert!(text.bytes().filter(|byte| b"[{".contains(byte)).count() > json::MAX_DEPTH);
        }
        outcome => assert_eq!(outcome.is_ok(), serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()),
    }
    match codec::encode(&Value::Json(text.into())) {
        Ok(bytes) => assert_eq!(codec::decode(&bytes), Ok(Value::Json(text.into()))),
        Err(error) => assert!(matches!(error, Error::InvalidValue(_))),
    }
});
