//! `lemon-session stats`.

use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;

use crate::{output, progress::Progress, storage};

/// Count live sessions, and the uses of ended ids, which indicate stolen or replayed cookies.
#[derive(clap::Args)]
#[command(after_help = "Example: lemon-session stats --json")]
pub struct Args {
    #[command(flatten)]
    storage: storage::Args,

    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args) -> Result<ExitCode> {
    let store = storage::open(&args.storage).await?;
    let inspect = store.driver.try_inspect()?;
    let now = output::now();
    let progress = Progress::start("counting sessions");
    let live = inspect.count(now).await?;
    let reused = match inspect.reused(now).await {
        Err(error) if error.is_unsupported() => None,
        reused => Some(reused?),
    };
    drop(progress);

    if args.json {
        let stats = json!({
            "storage": store.driver.summary(),
            "table": store.table.as_str(),
            "live": live,
            "reused": reused,
        });
        output::line(stats)?;
    } else {
        let mut table = output::table();
        table.add_row(["storage", &store.driver.summary()]);
        table.add_row(["table", store.table.as_str()]);
        table.add_row(["live sessions", &live.to_string()]);
        let reused = reused.map_or("this store cannot tell".to_owned(), |reused| reused.to_string());
        table.add_row(["uses of ended ids", &reused]);
        output::line(output::render(&table))?;
    }
    store.close(ExitCode::SUCCESS).await
}
