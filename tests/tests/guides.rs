//! What the guides show is what the tests run. The Rust programs of docs/using-sessions.md and docs/embedding.md are compiled as
//! doctests.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use lemon_session_tests::{Client, Launch, Server, build};

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

/// Writes the application of the README into an empty folder, with the crate of this workspace, and runs the command that
/// builds it; returns the folder that cargo builds in.
fn build_application(folder: &Path, command: &str) -> PathBuf {
    let git = "{ git = \"https://github.com/lemon-session/lemon-session\" }";
    let [manifest] = &blocks("README.md", "toml")[..] else { panic!("the README has one manifest") };
    let [source] = &blocks("README.md", "rust")[..] else { panic!("the README has one program") };
    assert!(manifest.contains(git), "the README tells where the crate is");
    let sdk = format!("{{ path = {:?} }}", build::root().join("sdk/rust"));
    fs::create_dir(folder.join("src")).unwrap();
    fs::write(folder.join("Cargo.toml"), manifest.replace(git, &sdk)).unwrap();
    fs::write(folder.join("src/lib.rs"), source).unwrap();
    // The versions that this project is tested with.
    fs::copy(build::root().join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();

    let target = build::root().join("target/readme");
    let mut cargo = Command::new("cargo");
    cargo.args(command.split_whitespace()).env("CARGO_TARGET_DIR", &target).current_dir(folder);
    let output = cargo.output().unwrap();
    assert!(output.status.success(), "{cargo:?}: {}", String::from_utf8_lossy(&output.stderr));
    target
}

#[test]
fn the_application_in_the_readme_counts_and_survives_a_restart() {
    let commands = blocks("README.md", "console").concat();
    let find =
        |start: &str| commands.lines().find_map(|line| line.strip_prefix(start)).expect("the README has the command");
    let launch = Launch::mounted();
    let target = build_application(launch.folder(), find("$ cargo "));
    let file = find("$ lemon-session serve ");
    let component = target.join(file.strip_prefix("target/").expect("cargo builds in target"));

    let server = launch.serving(&component).start();

    let greeting = server.greeting.replace(&server.address.to_string(), "127.0.0.1:8080");
    assert_eq!(greeting, format!("Serving {}", find("Serving ")));
    let visitor = Client::new();
    let visit = |server: &Server| server.get(&visitor, "/").body;
    assert_eq!(visit(&server), "This is your visit no. 1\n");
    assert_eq!(visit(&server), "This is your visit no. 2\n");
    let server = server.kill().start();
    assert_eq!(visit(&server), "This is your visit no. 3\n");
    assert_eq!(server.get(&Client::new(), "/").body, "This is your visit no. 1\n", "visitors are counted apart");
}

#[test]
fn the_figures_in_the_readme_are_measured() {
    let results = read("benches/RESULTS.md");
    let readme = read("README.md");
    let rows: Vec<_> = readme.lines().filter(|line| line.ends_with(" µs |")).collect();
    assert_eq!(rows.len(), 6);
    for row in rows {
        let cells: Vec<_> = row.replace('`', "").split('|').map(|cell| cell.trim().to_owned()).collect();
        let measured = format!("| {} | {} | {} |", cells[1], cells[2], cells[3].trim_end_matches(" µs"));
        assert!(results.contains(&measured), "benches/RESULTS.md has no row {measured}");
    }
}

#[test]
fn the_pages_in_the_languages_are_run_by_the_tests() {
    let guide = "docs/languages.md";
    shows(guide, "rust,ignore", &["tests/values/src/lib.rs"]);
    shows(guide, "python", &["tests/values/values.py"]);
    shows(guide, "js", &["tests/values/values.js"]);
    shows(guide, "go", &["tests/values/values.go"]);
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
fn the_programs_that_check_a_store_are_run_by_the_tests() {
    let guide = "docs/hosting.md";
    shows(guide, "js", &["examples/hosting/node/check.mjs"]);
    shows(guide, "python", &["examples/hosting/python/check.py"]);
    let (text, pinned) = (read(guide), read("tests/runtimes/package.json"));
    let (_, line) = text.split_once("`npm install ").expect("the guide tells what check.mjs needs");
    for package in line.split('`').next().unwrap_or_default().split(' ') {
        let (name, version) = package.rsplit_once('@').expect("a name and a version");
        let pin = format!("\"{name}\": \"{version}\"");
        assert!(pinned.contains(&pin), "tests/runtimes/package.json does not have {pin}");
    }
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

/// The dependencies of a package: their names, versions and features.
fn dependencies(manifest: &Path) -> Vec<(String, String, Vec<String>)> {
    let mut cargo = Command::new("cargo");
    cargo.args(["metadata", "--no-deps", "--format-version=1", "--offline", "--manifest-path"]).arg(manifest);
    let output = cargo.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap().iter();
    let dependencies = packages.flat_map(|package| package["dependencies"].as_array().unwrap());
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    dependencies
        .map(|dependency| {
            let features = dependency["features"].as_array().unwrap().iter().map(text).collect();
            (text(&dependency["name"]), text(&dependency["req"]), features)
        })
        .collect()
}

#[test]
fn the_runtime_in_the_guide_is_complete() {
    let guide = "docs/embedding.md";
    // A doctest compiles it here, and the one of the crate's documentation there.
    let program = &blocks(guide, "rust,no_run")[0];
    let documented: String = program.lines().map(|line| format!("//! {line}").trim_end().to_owned() + "\n").collect();
    assert!(read("host/embed/src/lib.rs").contains(&documented), "{guide} and the crate's documentation differ");

    let [manifest] = &blocks(guide, "toml")[..] else { panic!("the guide has one manifest") };
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("src")).unwrap();
    fs::write(folder.path().join("src/main.rs"), program).unwrap();
    fs::write(folder.path().join("Cargo.toml"), manifest).unwrap();
    let used = dependencies(&build::root().join("Cargo.toml"));
    for (name, version, features) in dependencies(&folder.path().join("Cargo.toml")) {
        assert!(program.contains(&name.replace('-', "_")), "{name} is not used");
        if name.starts_with("lemon-session") {
            assert!(
                manifest.contains(&format!("{name} = {{ git = \"https://github.com/lemon-session/lemon-session\" }}"))
            );
            continue;
        }
        let has = |feature: &String| {
            used.iter()
                .any(|(other, _, features)| *other == name && (features.contains(feature) || features == &["full"]))
        };
        assert!(used.iter().any(|(other, required, _)| (other, required) == (&name, &version)), "{name} {version}");
        assert!(features.iter().all(has), "{name} {features:?}");
    }
}
