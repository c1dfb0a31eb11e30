//! The components that are files of this repository: the session components, and the providers.

use std::{collections::BTreeSet, fs, process::Command};

use lemon_session_tests::build;
use tempfile::TempDir;
use wasmtime::{Engine, component::Component};

#[test]
fn session_components_that_ship_are_what_the_sources_build() {
    let files = ["lemon_session.wasm", "lemon_session_async.wasm", "blocking.wasm"];
    ships_what_is_built("guest/component/build.sh", "host/embed", &files);
}

#[test]
fn providers_that_ship_are_what_the_sources_build() {
    ships_what_is_built(
        "guest/providers/build.sh",
        "host/command/providers",
        &["files.wasm", "redis.wasm", "postgres.wasm"],
    );
}

fn ships_what_is_built(script: &str, shipped: &str, files: &[&str]) {
    let folder = TempDir::new().expect("a temporary folder");
    let status = Command::new(build::root().join(script)).arg(folder.path()).status().expect("the script can be run");
    assert!(status.success());
    for file in files {
        let built = fs::read(folder.path().join(file)).expect("built");
        let is_same = built == fs::read(build::root().join(shipped).join(file)).expect("it is there");
        assert!(is_same, "{shipped}/{file} is not what guest/ and host/ build: run `make component` and commit it");
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
