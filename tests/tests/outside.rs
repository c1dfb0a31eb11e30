//! Crates outside this workspace: a driver passes the conformance suite, and a runtime has few dependencies.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use lemon_session_tests::build;
use tempfile::TempDir;

/// The manifest of examples/driver, as a crate elsewhere would write it.
fn manifest(example: &str) -> String {
    let store = build::root().join("host/store");
    let store = format!("lemon-session-store = {{ path = {:?}", store.display().to_string());
    let text = example
        .replace("\nversion.workspace = true", "\nversion = \"0.1.0\"")
        .replace("edition.workspace = true\n", "edition = \"2024\"\n")
        .replace("async-trait.workspace = true", "async-trait = \"0.1\"")
        .replace("lemon-session-store.workspace = true", &format!("{store} }}"))
        .replace("lemon-session-store = { workspace = true", &store);
    let lines = text.lines().filter(|line| !line.contains("workspace"));
    lines.filter(|line| *line != "[lints]").map(|line| format!("{line}\n")).collect::<String>() + "\n[workspace]\n"
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        fs::copy(entry.path(), to.join(entry.file_name())).expect("a copy");
    }
}

#[test]
fn driver_outside_the_workspace_passes_the_suite() {
    let example = build::root().join("examples/driver");
    let folder = TempDir::new().expect("a temporary folder");
    let text = fs::read_to_string(example.join("Cargo.toml")).expect("the manifest");
    fs::write(folder.path().join("Cargo.toml"), manifest(&text)).expect("written");
    // The versions that this project is tested with.
    fs::copy(build::root().join("Cargo.lock"), folder.path().join("Cargo.lock")).expect("a copy");
    for part in ["src", "tests"] {
        copy(&example.join(part), &folder.path().join(part));
    }
    let mut cargo = Command::new("cargo");
    cargo.args(["test", "--quiet", "--target-dir"]).arg(build::root().join("target/outside")).current_dir(&folder);
    let output = cargo.output().expect("cargo can be run");
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{stdout}{stderr}");
    let passed = |line: &str| line.starts_with("test result: ok. 1") && line.contains(" passed");
    assert!(stdout.lines().any(passed), "more than a hundred rules were checked: {stdout}");

    let mut cargo = Command::new("cargo");
    let tree =
        cargo.args(["tree", "--edges", "normal", "--prefix", "none"]).current_dir(&folder).output().expect("cargo");
    let tree = String::from_utf8_lossy(&tree.stdout);
    assert!(
        tree.contains("lemon-session-store") && !tree.contains("wasmtime"),
        "the contract needs no runtime: {tree}"
    );
}

/// The crates that a crate of this workspace is built from, without itself.
fn crates(arguments: &[&str]) -> BTreeSet<String> {
    let mut cargo = Command::new("cargo");
    cargo.args(["tree", "--locked", "--edges", "normal", "--prefix", "none"]).args(arguments);
    let output = cargo.current_dir(build::root()).output().expect("cargo can be run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).expect("text");
    // A line is `NAME VERSION (SOURCE) (*)`; the last two are not always there.
    let name = |line: &str| line.split(' ').take(2).collect::<Vec<_>>().join(" ");
    tree.lines().skip(1).filter(|line| !line.is_empty()).map(name).collect()
}

#[test]
fn runtime_takes_at_most_sixteen_crates_beside_wasmtime() {
    let mut taken = crates(&["--package", "lemon-session-host", "--no-default-features"]);
    for part in ["wasmtime", "wasmtime-wasi"] {
        assert!(taken.iter().any(|name| name.starts_with(&format!("{part} "))));
        taken.retain(|name| !name.starts_with(&format!("{part} ")));
        for name in crates(&["--package", part]) {
            taken.remove(&name);
        }
    }
    assert!(taken.len() <= 16, "{taken:#?}");
    for other in ["rusqlite", "clap", "hyper", "prometheus", "rust-ini", "tikv-jemallocator", "redis", "mysql_async"] {
        assert!(!taken.iter().any(|name| name.starts_with(&format!("{other} "))), "{other}: {taken:#?}");
    }
}
