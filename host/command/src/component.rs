//! `lemon-session component`.

use std::process::ExitCode;

use anyhow::Result;

use crate::written;

/// Write the session component to a file, for other hosts and tools.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  lemon-session component -o lemon_session.wasm
  lemon-session component --provider files -o lemon_session_files.wasm
  lemon-session component --async -o lemon_session_async.wasm")]
pub struct Args {
    /// The session component of WASI 0.3, whose functions can be awaited.
    #[arg(long = "async")]
    is_async: bool,

    #[command(flatten)]
    out: written::Args,
}

pub fn run(args: &Args) -> Result<ExitCode> {
    let component = if args.is_async { lemon_session_host::ASYNC_COMPONENT } else { lemon_session_host::COMPONENT };
    args.out.write(component.to_vec())
}
