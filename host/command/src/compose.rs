//! `lemon-session compose`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, Result};
use lemon_session_host::compose::{Error, plug_in};

use crate::written;

/// Join an application with the session component into one component: with a provider, for any host; without, for hosts that
/// supply `lemon:session/storage` and `lemon:session/settings`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  lemon-session compose visits.wasm --provider files -o site.wasm
  lemon-session compose visits.wasm -o visits-with-sessions.wasm")]
pub struct Args {
    /// The application, a component that imports lemon:session/sessions, or lemon:session/sessions-async for WASI 0.3.
    #[arg(value_name = "APP.wasm")]
    application: PathBuf,

    #[command(flatten)]
    modules: Modules,

    #[command(flatten)]
    out: written::Args,
}

/// The modules that an application uses.
#[derive(clap::Args)]
pub struct Modules {
    /// A module to join the application with: a component that exports interfaces the application imports. Can be given
    /// several times, with each module before those that it uses itself. Of several applications, each is joined with
    /// the modules that it imports.
    #[arg(long = "with", value_name = "MODULE.wasm")]
    paths: Vec<PathBuf>,
}

/// A component and the file it was read from.
pub struct Source {
    pub path: PathBuf,
    pub bytes: Vec<u8>,
}

impl Source {
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Self { path: path.to_owned(), bytes })
    }
}

impl Modules {
    /// Their files.
    pub fn paths(&self) -> &[PathBuf] {
        &self.paths
    }

    pub fn read(&self) -> Result<Vec<Source>> {
        self.paths.iter().map(|path| Source::read(path)).collect()
    }
}

/// How to treat a module whose exports the application does not import.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Unused {
    /// Fail.
    Refuse,
    /// Ignore it, because another application may use it.
    Skip,
}

/// An application, joined with its modules.
pub fn join(application: &Source, modules: &[Source], unused: Unused) -> Result<Vec<u8>> {
    let mut joined = application.bytes.clone();
    for module in modules {
        joined = match plug_in(&joined, &module.bytes) {
            Err(Error::Unused(_)) if unused == Unused::Skip => continue,
            plugged => plugged.with_context(|| {
                format!("cannot join {} with {}", application.path.display(), module.path.display())
            })?,
        };
    }
    Ok(joined)
}

pub fn run(args: &Args) -> Result<ExitCode> {
    let application = join(&Source::read(&args.application)?, &args.modules.read()?, Unused::Refuse)?;
    let composed = lemon_session_host::compose::compose(&application)
        .with_context(|| format!("cannot compose {}", args.application.display()))?;
    args.out.write(composed)
}
