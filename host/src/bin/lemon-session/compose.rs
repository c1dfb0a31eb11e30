//! `lemon-session compose`.

use std::{fs, path::PathBuf, process::ExitCode};

use anyhow::{Context as _, Result};

use crate::output;

/// Join an application with the session component into one component, for hosts that supply `lemon:session/storage`
/// and `lemon:session/settings`.
#[derive(clap::Args)]
#[command(after_help = "Example: lemon-session compose visits.wasm -o visits-with-sessions.wasm")]
pub struct Args {
    /// The application, a component that imports lemon:session/sessions.
    #[arg(value_name = "APP.wasm")]
    application: PathBuf,

    /// Where to write the result.
    #[arg(short, long, value_name = "OUT.wasm")]
    output: PathBuf,
}

pub fn run(args: &Args) -> Result<ExitCode> {
    let application =
        fs::read(&args.application).with_context(|| format!("cannot read {}", args.application.display()))?;
    let composed = lemon_session_host::compose::compose(&application)
        .with_context(|| format!("cannot compose {}", args.application.display()))?;
    fs::write(&args.output, &composed).with_context(|| format!("cannot write {}", args.output.display()))?;
    println!("wrote {} ({})", args.output.display(), output::bytes(composed.len() as u64));
    Ok(ExitCode::SUCCESS)
}
