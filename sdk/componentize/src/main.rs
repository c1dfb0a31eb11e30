//! The command `lemon-session-componentize`.

use std::{fs, path::PathBuf, process::ExitCode};

use anyhow::{Context as _, Result};
use clap::Parser;
use lemon_session_componentize::component;

/// Makes a component of the core module that Go builds of a page.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The module that `GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared` wrote.
    module: PathBuf,
    /// Where to write the component.
    #[arg(short, long)]
    output: PathBuf,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lemon-session-componentize: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(Arguments { module, output }: &Arguments) -> Result<()> {
    let bytes = fs::read(module).with_context(|| format!("cannot read {}", module.display()))?;
    let component = component(&bytes).with_context(|| module.display().to_string())?;
    fs::write(output, component).with_context(|| format!("cannot write {}", output.display()))
}
