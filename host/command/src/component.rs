//! `lemon-session component`.

use std::{fs, path::PathBuf, process::ExitCode};

use anyhow::{Context as _, Result};

use crate::output;

/// Write the session component to a file, for other hosts and tools.
#[derive(clap::Args)]
#[command(after_help = "Example: lemon-session component -o lemon_session.wasm")]
pub struct Args {
    /// The file to write.
    #[arg(short, long, value_name = "OUT.wasm")]
    output: PathBuf,
}

pub fn run(args: &Args) -> Result<ExitCode> {
    let component = lemon_session_host::COMPONENT;
    fs::write(&args.output, component).with_context(|| format!("cannot write {}", args.output.display()))?;
    output::line(format_args!("wrote {} ({})", args.output.display(), output::bytes(component.len() as u64)))?;
    Ok(ExitCode::SUCCESS)
}
