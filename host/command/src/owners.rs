//! `lemon-session owners`.

use std::{cmp::Reverse, collections::HashMap, process::ExitCode};

use anyhow::Result;
use serde_json::json;

use crate::{output, sessions, storage};

/// List the owners of live sessions, those with the most sessions first. Reads all sessions.
#[derive(clap::Args)]
#[command(after_help = "Example: lemon-session owners --limit 10")]
pub struct Args {
    #[command(flatten)]
    storage: storage::Args,

    /// List at most this many owners.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = output::positive::<u64>)]
    limit: u64,

    /// List all owners.
    #[arg(long, conflicts_with = "limit")]
    all: bool,

    /// Print one JSON object per line, with times in seconds since 1970.
    #[arg(long)]
    json: bool,
}

/// What the sessions of one owner have in common.
#[derive(Default)]
struct Owned {
    sessions: u64,
    accessed: u64,
    size: u64,
}

pub async fn run(args: Args) -> Result<ExitCode> {
    let store = storage::open(&args.storage).await?;
    let now = output::now();
    let mut owners = HashMap::<String, Owned>::new();
    sessions::each(store.driver.try_inspect()?, now, None, |listed| {
        let Some(owner) = listed.record.owner else { return };
        let owned = owners.entry(owner).or_default();
        owned.sessions += 1;
        owned.accessed = owned.accessed.max(listed.record.accessed);
        owned.size += listed.record.size;
    })
    .await?;

    let mut owners = owners.into_iter().collect::<Vec<_>>();
    owners.sort_by(|(a, left), (b, right)| Reverse(left.sessions).cmp(&Reverse(right.sessions)).then_with(|| a.cmp(b)));
    let limit = if args.all { usize::MAX } else { usize::try_from(args.limit).unwrap_or(usize::MAX) };
    let left_out = owners.len().saturating_sub(limit);
    owners.truncate(limit);

    if args.json {
        for (owner, Owned { sessions, accessed, size }) in owners {
            output::line(json!({ "owner": owner, "sessions": sessions, "accessed": accessed, "size": size }))?;
        }
    } else if owners.is_empty() {
        output::line("no session has an owner")?;
    } else {
        let mut table = output::table();
        table.set_header(["OWNER", "SESSIONS", "LAST USED", "SIZE"]);
        for (owner, Owned { sessions, accessed, size }) in owners {
            let used = output::ago(accessed, now);
            table.add_row([output::name(&owner), sessions.to_string(), used, output::bytes(size)]);
        }
        output::line(output::render(&table))?;
        if left_out > 0 {
            let all = args.storage.command(&["owners", "--all"], None, None);
            output::line(format_args!("\n{left_out} more: {all}"))?;
        }
    }
    store.close(ExitCode::SUCCESS).await
}
