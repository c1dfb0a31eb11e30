//! Whatever the `Cookie` fields are, only well-formed ids come out, each once, and few of them.
#![no_main]

use lemon_session_component::{cookie, id};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|fields: Vec<Vec<u8>>| {
    let Ok(ids) = cookie::candidates(&fields, "session", 16384) else { return };
    assert!(ids.len() <= cookie::MAX_CANDIDATES);
    for (n, id) in ids.iter().enumerate() {
        assert!(id::is_well_formed(id.as_bytes()));
        assert!(!ids[..n].contains(id));
    }
});
