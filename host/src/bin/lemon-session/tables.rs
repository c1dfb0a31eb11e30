//! `lemon-session tables`.

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;

use crate::{confirm::confirm, output, storage};

/// Create, remove or look for the tables that sessions are stored in.
#[derive(Subcommand)]
pub enum Command {
    /// Create the tables, or bring those of an older version up to date. What is there stays.
    #[command(after_help = "Example: lemon-session tables create --storage sqlite:sessions.db")]
    Create(#[command(flatten)] storage::Args),

    /// Remove the tables with all sessions in them.
    #[command(after_help = "Example: lemon-session tables drop --storage sqlite:sessions.db --yes")]
    Drop {
        #[command(flatten)]
        storage: storage::Args,
        /// Do not ask.
        #[arg(long, short)]
        yes: bool,
    },

    /// Tell whether the tables are there and what differs from how they should be, also by the exit status.
    #[command(after_help = "Example: lemon-session tables check || lemon-session tables create")]
    Check(#[command(flatten)] storage::Args),
}

pub async fn run(command: Command) -> Result<ExitCode> {
    let (Command::Create(args) | Command::Drop { storage: args, .. } | Command::Check(args)) = &command;
    let store = storage::open(args).await?;
    let driver = &store.driver;
    let what = format!("the tables of {} in {}", store.table, driver.summary());

    match command {
        Command::Create(_) => {
            let there = driver.tables_exist().await?;
            driver.create_tables().await?;
            println!("{}", if there { format!("{what} were there already") } else { format!("created {what}") });
        }
        Command::Drop { yes, .. } => {
            if !driver.tables_exist().await? {
                println!("{what} are not there: nothing to drop");
                return store.close(ExitCode::SUCCESS).await;
            }
            let live = output::sessions(driver.count(output::now()).await?);
            if !confirm(&format!("remove {what}, with {live}"), yes)? {
                println!("nothing was dropped");
                return store.close(ExitCode::FAILURE).await;
            }
            driver.drop_tables().await?;
            println!("dropped {what}, with {live}");
        }
        Command::Check(_) => {
            let differences = driver.differences().await?;
            if !driver.tables_exist().await? {
                println!("{what} are not there, or are older than this program: `lemon-session tables create` helps");
            } else if !differences.is_empty() {
                println!("{what} are not as this version of lemon-session makes them");
            }
            for difference in &differences {
                println!("  {difference}");
            }
            if !differences.is_empty() {
                return store.close(ExitCode::FAILURE).await;
            }
            println!("{what} are there, and as they should be");
        }
    }
    store.close(ExitCode::SUCCESS).await
}
