//! The README tells the truth. Its Rust program for runtimes is compiled as a doctest.

use std::fs;

use lemon_session_tests::{Launch, build};

fn readme() -> String {
    fs::read_to_string(build::root().join("README.md")).unwrap()
}

/// The blocks of a language.
fn blocks(language: &str) -> Vec<String> {
    let readme = readme();
    let fence = format!("\n```{language}\n");
    readme.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn the_application_in_the_readme_is_the_example() {
    let example = fs::read_to_string(build::root().join("examples/visits/src/lib.rs")).unwrap();
    let blocks = blocks("rust,ignore");
    assert_eq!(blocks.len(), 1);
    for block in blocks {
        assert!(example.contains(&block), "the README differs from examples/visits/src/lib.rs:\n{block}");
    }
}

#[test]
fn the_settings_in_the_readme_are_settings() {
    let blocks = blocks("ini");
    assert_eq!(blocks.len(), 1);
    for block in blocks {
        Launch::new("visits").ini(&block).command(&["tables", "create"]).ok();
    }
}

#[test]
fn the_commands_in_the_readme_print_what_it_says() {
    let blocks = blocks("console");
    assert_eq!(blocks.len(), 1);
    let launch = Launch::new("visits");
    let mut checked = 0;
    for command in blocks.iter().flat_map(|block| block.split("$ lemon-session ").skip(1)) {
        let (command, expected) = command.split_once('\n').unwrap();
        let arguments: Vec<_> = command.split_whitespace().collect();
        if arguments[0] == "serve" {
            assert_eq!(arguments[1], "visits.wasm");
            let greeting = launch.clone().start().greeting;
            let address = greeting.split_whitespace().find(|word| word.starts_with("http://")).unwrap();
            assert_eq!(format!("{}\n", greeting.replace(address, "http://127.0.0.1:8080")), expected);
        } else {
            assert_eq!(launch.command(&arguments).ok().stdout, expected);
        }
        checked += 1;
    }
    assert_eq!(checked, 2);
}
