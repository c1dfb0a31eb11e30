//! Lists the public API of lemon-session-host, without the bindings that are generated from the WIT.
//!
//! Compares it with docs/api.txt and prints the differences. With `--write` it updates the file instead: `make api`.
//!
//! The list comes from rustdoc's JSON, which stable rustdoc only writes with `RUSTC_BOOTSTRAP`. That variable would make cargo
//! rebuild many dependencies, so this program runs as cargo's rustdoc and sets it only there.

use std::{
    collections::HashSet,
    env, fs,
    path::Path,
    process::{Command, ExitCode},
};

use anyhow::{Context as _, Result, ensure};

const CRATE: &str = "lemon_session_host";
/// Tells this program that cargo runs it as rustdoc.
const AS_RUSTDOC: &str = "LEMON_SESSION_API_RUSTDOC";
const LIST: &str = "docs/api.txt";

fn main() -> Result<ExitCode> {
    if env::var_os(AS_RUSTDOC).is_some() {
        return rustdoc();
    }
    env::set_current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."))?;
    let list = list()?;
    if env::args().any(|argument| argument == "--write") {
        fs::write(LIST, list)?;
        return Ok(ExitCode::SUCCESS);
    }
    let written = fs::read_to_string(LIST).with_context(|| format!("cannot read {LIST}"))?;
    let (before, after): (HashSet<_>, HashSet<_>) = (written.lines().collect(), list.lines().collect());
    for line in written.lines().filter(|line| !after.contains(line)) {
        println!("-{line}");
    }
    for line in list.lines().filter(|line| !before.contains(line)) {
        println!("+{line}");
    }
    if written == list {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!(
        "the public API of lemon-session-host differs from {LIST}: if that is intended, update it with `make api`"
    );
    Ok(ExitCode::FAILURE)
}

fn list() -> Result<String> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    // The whole workspace, so that the features are those of the other builds and nothing is compiled twice.
    let documented = Command::new(cargo)
        .args(["doc", "--quiet", "--workspace", "--no-deps", "--lib"])
        .env("RUSTDOC", env::current_exe()?)
        .env("RUSTDOCFLAGS", "-Z unstable-options --output-format json")
        .env(AS_RUSTDOC, "1")
        .status()
        .context("cannot run cargo")?;
    ensure!(documented.success(), "cargo doc failed");
    let target = env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    let items =
        public_api::Builder::from_rustdoc_json(Path::new(&target).join("doc").join(CRATE).with_extension("json"))
            .omit_blanket_impls(true)
            .omit_auto_trait_impls(true)
            .omit_auto_derived_impls(true)
            .build()?;
    let is_generated = |line: &String| line.split_once(CRATE).is_some_and(|(_, path)| path.starts_with("::bindings"));
    let lines = items.items().map(ToString::to_string).filter(|line| !is_generated(line));
    Ok(lines.map(|line| line + "\n").collect())
}

/// Documents the one crate, and skips all others of the workspace.
fn rustdoc() -> Result<ExitCode> {
    let arguments: Vec<_> = env::args_os().skip(1).collect();
    if !arguments.iter().any(|argument| argument == CRATE) {
        return Ok(ExitCode::SUCCESS);
    }
    let status = Command::new("rustdoc").args(arguments).env("RUSTC_BOOTSTRAP", "1").status()?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
