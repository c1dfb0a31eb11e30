//! `lemon-session new`.

mod name;
mod project;

use std::{
    env,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Result;
use clap::ValueEnum;
use name::Name;

use crate::output;

/// Write a new application: a page with a login, a form and messages, which `make` builds and serves.
#[derive(clap::Args)]
#[command(after_help = "\
Example: lemon-session new shop --language rust && make -C shop")]
pub struct Args {
    /// The application's name, which is also that of its new folder and of its cookie: lower-case letters, digits and
    /// hyphens.
    name: Name,

    /// The language to write it in.
    #[arg(long, value_enum, value_name = "rust|python|js|go|c", hide_possible_values = true)]
    language: Language,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Language {
    Rust,
    Python,
    Js,
    Go,
    C,
}

impl Language {
    /// Its folder in `templates`.
    fn folder(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Python => "python",
            Self::Js => "js",
            Self::Go => "go",
            Self::C => "c",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Rust => "Rust",
            Self::Python => "Python",
            Self::Js => "JavaScript",
            Self::Go => "Go",
            Self::C => "C",
        }
    }
}

pub fn run(args: &Args) -> Result<ExitCode> {
    let Args { name, language } = args;
    project::write(Path::new(name.as_str()), name, *language)?;
    let title = language.title();
    let command = match path_of_command() {
        None => String::new(),
        Some(this) => format!(" LEMON_SESSION='{}'", this.display()),
    };
    output::line(format_args!(
        "wrote {name}, a page in {title}. Build it and serve it on http://127.0.0.1:8080:\n\n    cd {name} && make{command}\n"
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// The path of this command, if the shell does not find it by its name.
fn path_of_command() -> Option<PathBuf> {
    let paths = env::var_os("PATH").unwrap_or_default();
    let is_found = env::split_paths(&paths).any(|folder| folder.join("lemon-session").is_file());
    if is_found { None } else { env::current_exe().ok() }
}
