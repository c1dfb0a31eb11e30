//! `lemon-session cleanup`.

use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;

use crate::{output, progress::Progress, storage};

/// Remove expired sessions in batches, so that other users of the store wait for one batch at most.
#[derive(clap::Args)]
#[command(after_help = "Example: lemon-session cleanup --storage sqlite:sessions.db")]
pub struct Args {
    #[command(flatten)]
    storage: storage::Args,

    /// Remove at most this many sessions.
    #[arg(long, value_name = "N")]
    limit: Option<u64>,

    /// Sessions to remove in one transaction.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = output::positive::<u32>)]
    batch: u32,

    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args) -> Result<ExitCode> {
    let store = storage::open(&args.storage).await?;
    let progress = Progress::count("removed");
    let now = output::now();
    store.driver.check_clock(now).await?;
    let mut removed = 0;
    loop {
        let left = args.limit.map_or(u64::MAX, |limit| limit.saturating_sub(removed));
        let batch = u32::try_from(left).unwrap_or(u32::MAX).min(args.batch);
        if batch == 0 {
            break;
        }
        let count = store.driver.cleanup(now, batch).await?;
        removed += u64::from(count);
        progress.at(removed);
        if count < batch {
            break;
        }
    }
    drop(progress);

    if args.json {
        output::line(json!({ "removed": removed }))?;
    } else {
        output::line(format_args!("removed {} that had expired or ended", output::sessions(removed)))?;
    }
    store.close(ExitCode::SUCCESS).await
}
