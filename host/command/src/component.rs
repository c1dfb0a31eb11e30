//! `lemon-session component`.

use std::process::ExitCode;

use anyhow::Result;

use crate::written;

/// Write the session component to a file, for other hosts and tools.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  lemon-session component -o lemon_session.wasm
  lemon-session component --provider files -o lemon_session_files.wasm")]
pub struct Args {
    #[command(flatten)]
    out: written::Args,
}

pub fn run(args: &Args) -> Result<ExitCode> {
    args.out.write(lemon_session_host::COMPONENT.to_vec())
}
