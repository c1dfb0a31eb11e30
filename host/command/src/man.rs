//! `lemon-session man`.

mod settings;

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, Result};
use clap::{Command, CommandFactory as _};
use clap_mangen::Man;

use crate::{Cli, output};

/// Print the manual page of this command or of lemon.ini, or write the pages of all subcommands to a folder.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  lemon-session man | man -l -
  lemon-session man --output /usr/local/share/man/man1
  lemon-session man lemon.ini > /usr/local/share/man/man5/lemon.ini.5")]
pub struct Args {
    /// Print the page about this file, lemon.ini(5).
    #[arg(value_name = "lemon.ini", value_parser = ["lemon.ini"], hide_possible_values = true)]
    page: Option<String>,

    /// The folder to write all pages of commands to.
    #[arg(short, long, value_name = "FOLDER", conflicts_with = "page")]
    output: Option<PathBuf>,
}

pub fn run(args: &Args) -> Result<ExitCode> {
    if args.page.is_some() {
        output::line(settings::page().trim_end())?;
        return Ok(ExitCode::SUCCESS);
    }
    let command = Cli::command();
    match &args.output {
        None => {
            let mut text = Vec::new();
            page(command).render(&mut text)?;
            output::line(String::from_utf8(text)?.trim_end())?;
        }
        Some(folder) => {
            let mut command = command.disable_help_subcommand(true);
            command.build();
            fs::create_dir_all(folder)
                .and_then(|()| write(&command, folder))
                .with_context(|| format!("cannot write manual pages to {}", folder.display()))?;
            output::line(format_args!("wrote the manual pages to {}", folder.display()))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn page(command: Command) -> Man {
    Man::new(command).source(concat!("lemon-session ", env!("CARGO_PKG_VERSION"))).manual("lemon:session")
}

/// Writes the pages of a command and its subcommands.
fn write(command: &Command, folder: &Path) -> io::Result<()> {
    page(command.clone()).generate_to(folder)?;
    command.get_subcommands().try_for_each(|subcommand| write(subcommand, folder))
}
