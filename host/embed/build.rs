//! Builds the session component, which travels inside this crate, from the sources of `lemon-session-component`.

use std::{
    env,
    error::Error,
    fs,
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

/// What cargo has no setting for. Nobody moves the component about in memory, so addresses are numbers, and the linker writes
/// each number as short as it is: less code, and less to do.
const FLAGS: [&str; 2] = ["-Crelocation-model=static", "-Clink-arg=--compress-relocations"];

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
    let component = PathBuf::from(env::var("OUT_DIR")?).join(FILE);
    let built = fs::read(target_dir.join(TARGET).join("release").join(FILE))?;
    fs::write(&component, without_custom_sections(&built).ok_or("the session component is cut short")?)?;
    Ok(component)
}

/// A module or component without names and other notes for tools, its inner modules and components too.
fn without_custom_sections(binary: &[u8]) -> Option<Vec<u8>> {
    const CUSTOM: u8 = 0;
    const INNER: [u8; 2] = [1, 4];
    let (preamble, mut rest) = binary.split_at_checked(8)?;
    let is_component = preamble[6] == 1;
    let mut stripped = preamble.to_vec();
    while let Some((&id, after)) = rest.split_first() {
        let (size, after) = read_size(after)?;
        let (contents, after) = after.split_at_checked(size)?;
        rest = after;
        let contents = match id {
            CUSTOM => continue,
            id if is_component && INNER.contains(&id) => without_custom_sections(contents)?,
            _ => contents.to_vec(),
        };
        stripped.push(id);
        write_size(contents.len(), &mut stripped);
        stripped.extend(contents);
    }
    Some(stripped)
}

/// Reads a number in LEB128.
fn read_size(mut binary: &[u8]) -> Option<(usize, &[u8])> {
    let mut size = 0;
    for shift in (0..32).step_by(7) {
        let (&byte, rest) = binary.split_first()?;
        binary = rest;
        size |= usize::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some((size, binary));
        }
    }
    None
}

fn write_size(mut size: usize, binary: &mut Vec<u8>) {
    while size >= 0x80 {
        binary.push(size as u8 | 0x80);
        size >>= 7;
    }
    binary.push(size as u8);
}

fn cargo(package: &Path, target_dir: &Path) -> Result<Command, env::VarError> {
    let mut command = Command::new(env::var("CARGO")?);
    command.args(["rustc", "--lib", "--crate-type", "cdylib", "--release", "--target", TARGET]);
    command.arg("--manifest-path").arg(package.join("Cargo.toml"));
    command.arg("--target-dir").arg(target_dir);
    for setting in PROFILE {
        command.args(["--config", setting]);
    }
    command.arg("--").args(FLAGS);
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
