//! Writes a component, and describes how it runs.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, Result};

use crate::{output, providers::Provider, running};

/// The file to write, and the provider to join it with.
#[derive(clap::Args)]
#[group(skip)]
pub struct Args {
    /// Join it with a store, so that it runs on any host: `files` for a directory, `redis` for Redis or Valkey, `postgres`
    /// for PostgreSQL, or the file of another provider.
    #[arg(long, value_name = "files|redis|postgres|FILE")]
    provider: Option<Provider>,

    /// The file to write; - for stdout.
    #[arg(short, long, value_name = "OUT.wasm")]
    output: PathBuf,
}

impl Args {
    /// Writes a component, joined with the provider if there is one.
    pub fn write(&self, component: Vec<u8>) -> Result<ExitCode> {
        let (component, how) = match &self.provider {
            None => (component, None),
            Some(provider) => {
                let joined = provider.join(&component)?;
                let how = running::describe(&self.output, &joined, provider)?;
                (joined, Some(how))
            }
        };
        let size = output::bytes(component.len() as u64);
        let how = how.map_or_else(String::new, |how| format!("\n{how}"));
        if self.output == Path::new("-") {
            io::stdout().lock().write_all(&component).context("cannot write to stdout")?;
            eprintln!("wrote {size}{how}");
        } else {
            fs::write(&self.output, &component).with_context(|| format!("cannot write {}", self.output.display()))?;
            output::line(format_args!("wrote {} ({size}){how}", self.output.display()))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
