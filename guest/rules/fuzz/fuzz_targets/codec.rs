//! Any bytes decode or fail cleanly, and what decodes comes back the same when it is encoded.
#![no_main]

use lemon_session_rules::{Value, codec};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(value) = codec::decode(bytes) else { return };
    // The JSON check is `set`'s: what is stored was checked once.
    if matches!(value, Value::Json(_)) {
        return;
    }
    let again = codec::decode(&codec::encode(&value).expect("it was encoded before")).expect("just encoded");
    match (value, again) {
        (Value::Real(a), Value::Real(b)) => assert_eq!(a.to_bits(), b.to_bits()),
        (a, b) => assert_eq!(a, b),
    }
});
