//! `lemon-session componentize`.

use std::{fs, path::PathBuf, process::ExitCode};

use anyhow::{Context as _, Result};

use crate::output;

/// Make a component of the core module that Go builds of a page, as Go 1.27 builds no components itself.
#[derive(clap::Args)]
#[command(after_help = "\
Example:
  GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -ldflags=-checklinkname=0 -o page.core.wasm
  lemon-session componentize page.core.wasm -o page.wasm")]
pub struct Args {
    /// The module.
    #[arg(value_name = "MODULE.wasm")]
    module: PathBuf,

    /// The file to write.
    #[arg(short, long, value_name = "OUT.wasm")]
    output: PathBuf,
}

pub fn run(args: &Args) -> Result<ExitCode> {
    let Args { module, output: file } = args;
    let bytes = fs::read(module).with_context(|| format!("cannot read {}", module.display()))?;
    let component = lemon_session_componentize::component(&bytes)
        .with_context(|| format!("cannot make a component of {}", module.display()))?;
    fs::write(file, &component).with_context(|| format!("cannot write {}", file.display()))?;
    let size = output::bytes(component.len() as u64);
    output::line(format_args!("wrote {} ({size})", file.display()))?;
    Ok(ExitCode::SUCCESS)
}
