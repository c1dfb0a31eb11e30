//! Links what a `no_std` component needs.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var("CARGO_CFG_TARGET_FAMILY").is_ok_and(|family| family == "wasm") {
        // memcmp and the like, which std would bring along.
        println!("cargo::rustc-link-arg-cdylib=-lc");
        // The linker writes each number as short as it is, which makes the code smaller.
        println!("cargo::rustc-link-arg-cdylib=--compress-relocations");
    }
}
