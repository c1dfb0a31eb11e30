//! The command `lemon-session`: runs applications with sessions, and manages stored sessions.

#[cfg(all(feature = "jemalloc", not(target_env = "msvc")))]
mod allocator;
#[macro_use]
mod application;
mod cgi;
mod cleanup;
mod completions;
mod component;
mod componentize;
mod compose;
mod config;
mod confirm;
mod console;
mod destroy;
mod digest;
mod doctor;
mod drivers;
mod list;
mod log;
mod man;
mod moving;
mod new;
mod output;
mod owners;
mod progress;
mod providers;
mod running;
mod serve;
mod sessions;
mod show;
mod stats;
mod storage;
mod tables;
mod written;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Sessions for WebAssembly applications.
#[derive(Parser)]
#[command(name = "lemon-session", version, arg_required_else_help = true, after_help = AFTER_HELP)]
struct Cli {
    #[command(flatten)]
    log: log::Args,

    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Exit status: 0 for success, 1 for a failure, 2 for wrong usage.

Settings come from lemon.ini in the current folder, if there is one; flags override it.";

#[derive(Subcommand)]
enum Command {
    New(new::Args),
    Serve(serve::Args),
    Cgi(cgi::Args),
    #[command(subcommand)]
    Tables(tables::Command),
    Cleanup(cleanup::Args),
    List(list::Args),
    Owners(owners::Args),
    Show(show::Args),
    Destroy(destroy::Args),
    Stats(stats::Args),
    Doctor(doctor::Args),
    Move(moving::Args),
    Compose(compose::Args),
    Component(component::Args),
    Componentize(componentize::Args),
    Completions(completions::Args),
    Man(man::Args),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    log::init(&cli.log);

    let mut runtime = match &cli.command {
        // One request needs one thread, and starting more takes time.
        Command::Cgi(_) => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime = match runtime.enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.into()),
    };
    let result = runtime.block_on(async {
        match cli.command {
            Command::New(args) => new::run(&args),
            Command::Serve(args) => serve::run(args).await,
            Command::Cgi(args) => cgi::run(args).await,
            Command::Tables(command) => tables::run(command).await,
            Command::Cleanup(args) => cleanup::run(args).await,
            Command::List(args) => list::run(args).await,
            Command::Owners(args) => owners::run(args).await,
            Command::Show(args) => show::run(args).await,
            Command::Destroy(args) => destroy::run(args).await,
            Command::Stats(args) => stats::run(args).await,
            Command::Doctor(args) => doctor::run(args).await,
            Command::Move(args) => moving::run(args).await,
            Command::Compose(args) => compose::run(&args),
            Command::Component(args) => component::run(&args),
            Command::Componentize(args) => componentize::run(&args),
            Command::Completions(args) => completions::run(&args),
            Command::Man(args) => man::run(&args),
        }
    });
    match result {
        Ok(code) => code,
        Err(error) => fail(&error),
    }
}

fn fail(error: &anyhow::Error) -> ExitCode {
    if error.is::<output::NobodyReads>() {
        return ExitCode::SUCCESS;
    }
    let code = if error.is::<Usage>() { ExitCode::from(2) } else { ExitCode::FAILURE };
    let error = output::causes(error);
    if log::is_json() && tracing::enabled!(tracing::Level::ERROR) {
        tracing::error!("{error}");
    } else {
        anstream::eprintln!("{FAILURE}lemon-session:{FAILURE:#} {error}", FAILURE = output::FAILURE);
    }
    code
}

/// A usage error that argument parsing cannot detect.
#[derive(Debug)]
struct Usage(String);

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}
