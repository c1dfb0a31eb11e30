//! What the guides show is what the tests run. The Rust programs of docs/using-sessions.md are compiled as doctests.

use std::fs;

use lemon_session_tests::{Launch, build};

fn read(path: &str) -> String {
    fs::read_to_string(build::root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The blocks of a language in a guide: at least one.
fn blocks(guide: &str, language: &str) -> Vec<String> {
    let text = read(guide);
    let fence = format!("\n```{language}\n");
    let blocks: Vec<_> =
        text.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap_or_default().to_owned()).collect();
    assert!(!blocks.is_empty(), "{guide} has no block in {language}");
    blocks
}

fn shows(guide: &str, language: &str, sources: &[&str]) {
    let sources: String = sources.iter().map(|source| read(source)).collect();
    for block in blocks(guide, language) {
        assert!(sources.contains(&block), "{guide} shows what is in none of the programs:\n{block}");
    }
}

#[test]
fn the_pages_in_the_languages_are_run_by_the_tests() {
    let guide = "docs/languages.md";
    shows(guide, "rust,ignore", &["tests/values/src/lib.rs"]);
    shows(guide, "python", &["tests/values/values.py"]);
    shows(guide, "js", &["tests/values/values.js"]);
    shows(guide, "c", &["examples/visits-c/visits.c"]);
}

#[test]
fn the_module_in_the_guide_is_the_example() {
    let guide = "docs/modules.md";
    shows(guide, "rust,ignore", &["examples/auth/module/src/lib.rs", "examples/auth/page/src/lib.rs"]);
    shows(guide, "ini", &["examples/auth/lemon.ini"]);
    let interface = read("examples/auth/wit/auth.wit");
    for block in blocks(guide, "wit") {
        for line in block.lines() {
            assert!(interface.contains(line), "{guide} shows what is not in the interface:\n{line}");
        }
    }
}

#[test]
fn the_configurations_in_the_guide_are_those_that_web_servers_are_tested_with() {
    let guide = "docs/cgi.md";
    shows(guide, "rust,ignore", &["examples/visits-cgi/src/main.rs"]);
    shows(guide, "sh", &["examples/cgi/visits.cgi"]);
    shows(guide, "apache", &["examples/cgi/apache.conf"]);
    shows(guide, "lighttpd", &["examples/cgi/lighttpd.conf"]);
    shows(guide, "nginx", &["examples/cgi/nginx.conf"]);
}

#[test]
fn the_settings_in_the_guides_are_settings() {
    for block in ["docs/using-sessions.md", "docs/cgi.md"].iter().flat_map(|guide| blocks(guide, "ini")) {
        Launch::new("visits").ini(&block).command(&["tables", "create"]).ok();
    }
}

#[test]
fn the_driver_in_the_guide_is_the_example() {
    let guide = "docs/drivers.md";
    shows(guide, "rust,ignore", &["examples/driver/src/lib.rs", "examples/driver/tests/conformance.rs"]);
    shows(guide, "toml", &["examples/driver/Cargo.toml"]);
}
