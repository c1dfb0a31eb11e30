//! The components that are files of this repository: the session component, and the providers.

use std::{collections::BTreeSet, fs, process::Command};

use lemon_session_tests::build;
use tempfile::TempDir;
use wasmtime::{Engine, component::Component};

#[test]
fn component_that_ships_is_what_the_sources_build() {
    let folder = TempDir::new().expect("a temporary folder");
    let built = folder.path().join("lemon_session.wasm");
    fs::write(&built, "").expect("written");
    let script = build::root().join("guest/component/build.sh");
    let status = Command::new(script).arg(&built).status().expect("the script can be run");
    assert!(status.success());
    let is_same = fs::read(&built).expect("built") == lemon_session_host::COMPONENT;
    assert!(is_same, "host/embed/lemon_session.wasm is not what guest/ builds: run `make component` and commit it");
}

#[test]
fn providers_that_ship_are_what_the_sources_build() {
    let folder = TempDir::new().expect("a temporary folder");
    let script = build::root().join("guest/providers/build.sh");
    let status = Command::new(script).arg(folder.path()).status().expect("the script can be run");
    assert!(status.success());
    for provider in ["files.wasm", "redis.wasm", "postgres.wasm"] {
        let built = fs::read(folder.path().join(provider)).expect("built");
        let is_same =
            built == fs::read(build::root().join("host/command/providers").join(provider)).expect("it is there");
        assert!(
            is_same,
            "host/command/providers/{provider} is not what guest/ and host/ build: run `make component` and commit it"
        );
    }
}

#[test]
fn imports_are_those_that_the_guide_lists() {
    let engine = Engine::default();
    let component = Component::new(&engine, lemon_session_host::COMPONENT).expect("a component");
    let imports = component.component_type();
    let imports: BTreeSet<_> = imports.imports(&engine).map(|(name, _)| name.to_owned()).collect();
    let guide = fs::read_to_string(build::root().join("docs/hosting.md")).expect("the guide");
    let rows = guide.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
    let listed: BTreeSet<_> = rows.map(|(name, _)| name.to_owned()).filter(|name| name.contains('@')).collect();
    assert_eq!(imports, listed, "docs/hosting.md lists the imports of host/embed/lemon_session.wasm");
}
