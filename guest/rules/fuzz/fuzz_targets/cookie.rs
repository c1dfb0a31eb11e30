//! Whatever the `Cookie` fields are, only well-formed ids come out, each once, and few of them.
#![no_main]

use lemon_session_rules::{cookie, id};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|fields: Vec<Vec<u8>>| {
    let Ok(presented) = cookie::read(&fields, "session", None, 16384) else { return };
    let candidates = &presented.candidates;
    assert!(candidates.len() <= cookie::MAX_CANDIDATES);
    assert!(presented.any || candidates.is_empty());
    for (n, candidate) in candidates.iter().enumerate() {
        assert!(id::is_well_formed(candidate.id.as_bytes()));
        assert!(candidates[..n].iter().all(|other| other.id != candidate.id));
    }
});
