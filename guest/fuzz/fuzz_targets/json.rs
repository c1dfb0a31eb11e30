//! Text is either refused as no JSON or kept to the letter.
#![no_main]

use lemon_session_component::{Error, Value, codec};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match codec::encode(&Value::Json(text.into())) {
        Ok(bytes) => assert_eq!(codec::decode(&bytes), Ok(Value::Json(text.into()))),
        Err(error) => assert!(matches!(error, Error::InvalidValue(_))),
    }
});
