//! The hosts in other languages of examples/hosting: their sessions, and the suite on their stores.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

use lemon_session_tests::{
    Client,
    build::{component, made, root},
};

fn python(program: &str) -> Command {
    let mut command = Command::new(made("target/hosting/python/bin/python"));
    command.arg(root().join("examples/hosting/python").join(program));
    command
}

/// Node looks for modules beside the program and above it, so that a copy of it is run below those of jco.
fn node(program: &str) -> Command {
    let modules = made("target/runtimes/node_modules/installed");
    let folder = modules.ancestors().nth(2).expect("a folder").join("hosting").join(program);
    std::fs::create_dir_all(&folder).expect("there is room for a folder");
    for file in ["memory.mjs", program] {
        std::fs::copy(root().join("examples/hosting/node").join(file), folder.join(file)).expect("a copy");
    }
    let mut command = Command::new("node");
    command.arg(folder.join(program));
    command
}

/// Runs the suite. Returns its exit status and its report.
fn check(mut check: Command) -> (Option<i32>, String) {
    check.arg(component("lemon_session_conformance"));
    let output = check.output().unwrap_or_else(|error| panic!("{check:?}: {error}"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code(), text + &String::from_utf8_lossy(&output.stderr))
}

#[test]
fn store_in_javascript_keeps_the_rules() {
    let (status, report) = check(node("check.mjs"));
    assert!(status == Some(0) && report.contains(" 0 broken, 20 not applicable\n"), "{report}");
}

/// wasmtime-py 48 cannot be told to let a call carry more than a few megabytes.
#[test]
fn store_in_python_keeps_the_rules_but_for_the_size_of_a_call() {
    let (status, report) = check(python("check.py"));
    assert!(status == Some(1) && report.contains(" 1 broken, 20 not applicable\n"), "{report}");
    let (_, found) = report.split_once("✗ large_values_are_kept\n").unwrap_or_else(|| panic!("{report}"));
    let found = &found[..found.find("✓").unwrap_or(found.len())];
    assert!(found.contains("fuel allocated for hostcalls has been exhausted"), "{report}");
}

/// A server that ends with the test.
struct Host(Child);

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn counts_visits(mut host: Command) {
    host.arg(root().join("host/embed/lemon_session.wasm")).arg(root().join("docs/defaults.json"));
    let child = host.env("PORT", "0").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("a host");
    let mut host = Host(child);
    let mut lines = BufReader::new(host.0.stdout.take().expect("it is piped")).lines();
    let url = lines.next().expect("the host starts").expect("text");
    let visitor = Client::new();
    for visits in 1..=3 {
        assert_eq!(visitor.get(&url).body, format!("This is your visit no. {visits}\n"));
    }
    assert_eq!(Client::new().get(&url).body, "This is your visit no. 1\n", "visitors are counted apart");
}

#[test]
fn host_in_python_counts_visits() {
    counts_visits(python("host.py"));
}

#[test]
fn host_in_javascript_counts_visits() {
    counts_visits(node("host.mjs"));
}
