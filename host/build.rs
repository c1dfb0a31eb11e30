//! Builds the session component, which travels inside this crate, from the sources of `lemon-session-component`.

use std::{
    env,
    error::Error,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

const TARGET: &str = "wasm32-wasip2";
const FILE: &str = "lemon_session_component.wasm";

/// How the component is compiled: small, and its hash fast. Stated here rather than in a profile of the workspace, which a
/// crate from a registry does not have.
const PROFILE: [&str; 7] = [
    "profile.release.opt-level=\"s\"",
    "profile.release.package.sha2.opt-level=3",
    "profile.release.lto=\"fat\"",
    "profile.release.codegen-units=1",
    "profile.release.panic=\"abort\"",
    "profile.release.debug=false",
    "profile.release.strip=true",
];

fn main() -> ExitCode {
    match build() {
        Ok(component) => {
            println!("cargo::rustc-env=LEMON_SESSION_COMPONENT={}", component.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("cargo::error={error}");
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<PathBuf, Box<dyn Error>> {
    // Set by the build script of lemon-session-component, wherever cargo put that package.
    println!("cargo::rerun-if-env-changed=DEP_LEMON_SESSION_COMPONENT_MANIFEST_DIR");
    let package = PathBuf::from(env::var("DEP_LEMON_SESSION_COMPONENT_MANIFEST_DIR")?);
    for part in ["Cargo.toml", "build.rs", "src", "wit"] {
        // Resolved, as cargo does not look for changes behind a symbolic link.
        println!("cargo::rerun-if-changed={}", package.join(part).canonicalize()?.display());
    }

    let target_dir = PathBuf::from(env::var("OUT_DIR")?).join("component");
    let output = cargo(&package, &target_dir)?.output()?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        eprintln!("{stderr}");
        if stderr.contains("can't find crate for `core`") || stderr.contains("target may not be installed") {
            return Err(format!("the target {TARGET} is missing; add it with: rustup target add {TARGET}").into());
        }
        return Err("the session component does not compile; see above".into());
    }
    Ok(target_dir.join(TARGET).join("release").join(FILE))
}

fn cargo(package: &Path, target_dir: &Path) -> Result<Command, env::VarError> {
    let mut command = Command::new(env::var("CARGO")?);
    command.args(["rustc", "--lib", "--crate-type", "cdylib", "--release", "--target", TARGET]);
    command.arg("--manifest-path").arg(package.join("Cargo.toml"));
    command.arg("--target-dir").arg(target_dir);
    for setting in PROFILE {
        command.args(["--config", setting]);
    }
    // What was set for the host's own build is not meant for the component.
    for (name, _) in env::vars_os() {
        let Some(text) = name.to_str() else { continue };
        let of_the_host = ["CARGO_TARGET_", "CARGO_PROFILE_", "CARGO_BUILD_", "CARGO_FEATURE_", "CARGO_CFG_"];
        let wrapper_or_flags = ["CARGO_ENCODED_RUSTFLAGS", "RUSTFLAGS", "RUSTC_WORKSPACE_WRAPPER", "CLIPPY_ARGS"];
        if of_the_host.iter().any(|prefix| text.starts_with(prefix)) || wrapper_or_flags.contains(&text) {
            command.env_remove(&name);
        }
    }
    Ok(command)
}
