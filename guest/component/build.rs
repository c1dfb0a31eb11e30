//! Links what a `no_std` component needs.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var("CARGO_CFG_TARGET_FAMILY").is_ok_and(|family| family == "wasm") {
        // memcmp and similar functions, which std would link.
        println!("cargo::rustc-link-arg-cdylib=-lc");
        // Encodes each relocated number in as few bytes as possible, which makes the code smaller.
        println!("cargo::rustc-link-arg-cdylib=--compress-relocations");
    }
}
