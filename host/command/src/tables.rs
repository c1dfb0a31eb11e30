//! `lemon-session tables`.

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;
use serde_json::{Value, json};

use crate::{confirm::confirm, output, progress::Progress, storage};

/// Create, remove or check the tables that hold the sessions.
#[derive(Subcommand)]
pub enum Command {
    /// Create the tables or migrate those of an older version. Existing sessions are kept.
    #[command(after_help = "Example: lemon-session tables create --storage sqlite:sessions.db")]
    Create(#[command(flatten)] Args),

    /// Remove the tables with all their sessions.
    #[command(after_help = "Example: lemon-session tables drop --storage sqlite:sessions.db --yes")]
    Drop {
        #[command(flatten)]
        args: Args,
        /// Do not ask for confirmation.
        #[arg(long, short)]
        yes: bool,
    },

    /// Check whether the tables exist and print how they differ from the expected ones. The exit status is 1 if they
    /// are missing or differ.
    #[command(after_help = "Example: lemon-session tables check || lemon-session tables create")]
    Check(#[command(flatten)] Args),
}

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    storage: storage::Args,

    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Prints the result, as text or as JSON that also names the store and the table.
    fn report(&self, store: &storage::Store, text: impl std::fmt::Display, mut answer: Value) -> Result<()> {
        if !self.json {
            return output::line(text);
        }
        answer["storage"] = store.driver.summary().into();
        answer["table"] = store.table.as_str().into();
        output::line(answer)
    }
}

pub async fn run(command: Command) -> Result<ExitCode> {
    let (Command::Create(args) | Command::Drop { args, .. } | Command::Check(args)) = &command;
    let store = storage::open(&args.storage).await?;
    let driver = &store.driver;
    let what = format!("the tables of {} in {}", store.table, driver.summary());
    let mut code = ExitCode::SUCCESS;
    let schema = match (driver.schema(), &command) {
        (Some(schema), _) => schema,
        (None, Command::Create(_)) => {
            args.report(&store, format!("{} needs no tables", driver.summary()), json!({ "created": false }))?;
            return store.close(code).await;
        }
        (None, Command::Check(_)) => {
            let answer = json!({ "exist": true, "differences": [] });
            args.report(&store, format!("{} needs no tables", driver.summary()), answer)?;
            return store.close(code).await;
        }
        (None, Command::Drop { .. }) => driver.try_schema()?,
    };

    match command {
        Command::Create(_) => {
            let there = schema.tables_exist().await?;
            let progress = Progress::start("creating the tables");
            schema.create_tables().await?;
            drop(progress);
            let text = if there { format!("{what} already exist") } else { format!("created {what}") };
            args.report(&store, text, json!({ "created": !there }))?;
        }
        Command::Drop { yes, .. } => {
            if !schema.tables_exist().await? {
                args.report(&store, format!("{what} do not exist: nothing to drop"), json!({ "dropped": false }))?;
                return store.close(code).await;
            }
            let progress = Progress::start("counting sessions");
            let live = match driver.inspect() {
                Some(inspect) => Some(inspect.count(output::now()).await?),
                None => None,
            };
            drop(progress);
            let sessions = live.map_or("all sessions".to_owned(), output::sessions);
            if confirm(&format!("remove {what}, with {sessions}"), yes)? {
                let progress = Progress::start("removing the tables");
                schema.drop_tables().await?;
                drop(progress);
                let answer = json!({ "dropped": true, "sessions": live });
                args.report(&store, format!("dropped {what}, with {sessions}"), answer)?;
            } else {
                args.report(&store, "nothing was dropped", json!({ "dropped": false }))?;
                code = ExitCode::FAILURE;
            }
        }
        Command::Check(_) => {
            let there = schema.tables_exist().await?;
            let differences = schema.differences().await?;
            let text = if !there {
                let create = args.storage.command(&["tables", "create"], None, None);
                format!("{what} do not exist or are of an older version: run `{create}`")
            } else if !differences.is_empty() {
                format!("{what} differ from those that this version of lemon-session creates")
            } else {
                format!("{what} exist and are up to date")
            };
            if !differences.is_empty() {
                code = ExitCode::FAILURE;
            }
            let lines: Vec<_> = differences.iter().map(|difference| format!("\n  {difference}")).collect();
            args.report(&store, text + &lines.concat(), json!({ "exist": there, "differences": differences }))?;
        }
    }
    store.close(code).await
}
