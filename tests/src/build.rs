//! Builds the programs and components that the tests run, in the profile of the tests, so that `cargo test` tests the
//! current code.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
    sync::{LazyLock, Mutex, PoisonError},
};

/// The command `lemon-session`.
pub fn command() -> &'static Path {
    static COMMAND: LazyLock<PathBuf> = LazyLock::new(|| program("lemon-session"));
    &COMMAND
}

/// A program of the workspace: `lemon-session`, `lemon-session-componentize`, `embed` or `axum-sessions`.
pub fn program(name: &str) -> PathBuf {
    let profile = folders().1;
    // Selects all members and a test, like `cargo test`, so that no dependency is built again with other features.
    let mut cargo = cargo();
    cargo.args(["--workspace", "--bin", name, "--test", "generators"]);
    if profile != "debug" {
        cargo.args(["--profile", profile]);
    }
    run(cargo);
    folders().0.join(profile).join(name)
}

/// One of the components `welcome`, `visits`, `visits-cgi`, `counter`, `counter-cgi`, `counter_async`, `rogue`, `rogue-cgi`, `rogue_store`,
/// `values`, `auth_page`, `auth_module`, `page_wasm` and `lemon_session_conformance`; for WASI 0.3 `visits_async`, `echo`, `service`,
/// `service_sync`, `service_cgi` and `lemon_session_guard`; or with `-python`, `-js`, `-ts` or `-go` a page in another language.
pub fn component(name: &str) -> PathBuf {
    if ["-python", "-js", "-ts", "-go"].iter().any(|language| name.ends_with(language)) {
        return made(&format!("target/languages/{name}.wasm"));
    }
    if ["visits_async", "echo", "service", "service_sync", "service_cgi", "lemon_session_guard"].contains(&name) {
        return for_wasi_0_3().join(name).with_extension("wasm");
    }
    static COMPONENTS: LazyLock<PathBuf> = LazyLock::new(|| {
        let mut cargo = cargo();
        cargo.args(["--profile", "component", "--target", "wasm32-wasip2"]);
        cargo.args(["-p", "welcome", "-p", "visits", "-p", "counter", "-p", "rogue", "-p", "values"]);
        cargo.args(["-p", "visits-cgi", "-p", "counter-cgi", "-p", "rogue-cgi", "-p", "rogue-store"]);
        cargo.args(["-p", "auth-page", "-p", "auth-module", "-p", "lemon-session-conformance"]);
        cargo.args(["-p", "page-wasm", "-p", "counter-async"]);
        run(cargo);
        folders().0.join("wasm32-wasip2/component")
    });
    COMPONENTS.join(name).with_extension("wasm")
}

/// The folder of the components for WASI 0.3. They are built apart: cargo would give the crates that they share with the others
/// the features of both.
fn for_wasi_0_3() -> &'static Path {
    static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
        let mut cargo = cargo();
        cargo.args(["--profile", "component", "--target", "wasm32-wasip2"]);
        cargo.args(["-p", "visits-async", "-p", "echo", "-p", "lemon-session-guard"]);
        cargo.args(["-p", "service", "-p", "service-sync", "-p", "service-cgi"]);
        run(cargo);
        folders().0.join("wasm32-wasip2/component")
    });
    &FOLDER
}

/// A file that the Makefile makes with the tools of a page's language.
pub fn made(file: &str) -> PathBuf {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let mut make = Command::new("make");
    if file.ends_with("-go.wasm") {
        // Built with the other programs, so that its dependencies are not compiled again with fewer features.
        make.env("COMPONENTIZE", program("lemon-session-componentize"));
    }
    // Not the options of a make that runs the tests.
    make.args(["--silent", file]).current_dir(root()).env_remove("MAKEFLAGS").env_remove("MAKELEVEL");
    let output = make.output().expect("make can be run");
    let print = |bytes| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{make:?} failed: {}{}", print(&output.stdout), print(&output.stderr));
    root().join(file)
}

/// The root of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are a folder of the repository")
}

fn cargo() -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or("cargo".into()));
    cargo.args(["build", "--quiet", "--target-dir"]).arg(&folders().0).current_dir(root());
    // What cargo tells this test of its own package. Some build scripts look at it, ring's for one: they would run again, and all that
    // depends on them would be built again.
    let is_own = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for (name, _) in env::vars_os().filter(|(name, _)| name.to_str().is_some_and(is_own)) {
        cargo.env_remove(name);
    }
    cargo
}

fn run(mut cargo: Command) {
    let status = cargo.status().expect("cargo can be run");
    assert!(status.success(), "{cargo:?} failed: if a target is missing, `rustup target add wasm32-wasip2` adds it");
}

/// The target folder and the name of the profile's folder in it, from where this test is: `target/debug/deps/e2e-…`.
fn folders() -> &'static (PathBuf, &'static str) {
    static FOLDERS: LazyLock<(PathBuf, &'static str)> = LazyLock::new(|| {
        let test = env::current_exe().expect("a test knows where it is");
        let profile = test.ancestors().nth(2).expect("a test is in target/PROFILE/deps");
        let name = profile.file_name().and_then(|name| name.to_str()).expect("a profile has a name");
        let target = profile.parent().expect("a profile is in the target folder");
        (target.to_owned(), String::leak(name.to_owned()))
    });
    &FOLDERS
}
