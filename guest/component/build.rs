//! Links what a `no_std` component needs, and tells the host's build script where this package is.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var("CARGO_CFG_TARGET_FAMILY").is_ok_and(|family| family == "wasm") {
        // memcmp and its kin, which std would bring along.
        println!("cargo::rustc-link-arg-cdylib=-lc");
    }
    println!("cargo::metadata=manifest_dir={}", env::var("CARGO_MANIFEST_DIR").expect("cargo sets it"));
}
