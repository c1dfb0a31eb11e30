//! `lemon-session compose`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, Result};
use lemon_session_host::compose::plug_in;

use crate::output;

/// Join an application with the session component into one component, for hosts that supply `lemon:session/storage`
/// and `lemon:session/settings`.
#[derive(clap::Args)]
#[command(after_help = "Example: lemon-session compose visits.wasm -o visits-with-sessions.wasm")]
pub struct Args {
    /// The application, a component that imports lemon:session/sessions.
    #[arg(value_name = "APP.wasm")]
    application: PathBuf,

    #[command(flatten)]
    modules: Modules,

    /// Where to write the result.
    #[arg(short, long, value_name = "OUT.wasm")]
    output: PathBuf,
}

/// The modules an application uses.
#[derive(clap::Args)]
pub struct Modules {
    /// A module to join the application with: a component that exports what the application imports. May be given several
    /// times, a module before those that it uses itself.
    #[arg(long = "with", value_name = "MODULE.wasm")]
    paths: Vec<PathBuf>,
}

impl Modules {
    /// The application at `path`, joined with its modules.
    pub fn plug_into(&self, path: &Path) -> Result<Vec<u8>> {
        let application = read(path)?;
        self.paths.iter().try_fold(application, |joined, module| {
            plug_in(&joined, &read(module)?)
                .with_context(|| format!("cannot join {} with {}", path.display(), module.display()))
        })
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

pub fn run(args: &Args) -> Result<ExitCode> {
    let application = args.modules.plug_into(&args.application)?;
    let composed = lemon_session_host::compose::compose(&application)
        .with_context(|| format!("cannot compose {}", args.application.display()))?;
    fs::write(&args.output, &composed).with_context(|| format!("cannot write {}", args.output.display()))?;
    output::line(format_args!("wrote {} ({})", args.output.display(), output::bytes(composed.len() as u64)))?;
    Ok(ExitCode::SUCCESS)
}
