//! `lemon-session owners`.

use std::{cmp::Reverse, collections::HashMap, process::ExitCode};

use anyhow::Result;
use lemon_session_host::store::Record;
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

/// The sessions of each owner.
#[derive(Default)]
pub struct Owners(HashMap<String, Owned>);

/// What the sessions of one owner have in common.
#[derive(Default)]
pub struct Owned {
    pub sessions: u64,
    pub accessed: u64,
    pub size: u64,
}

impl Owners {
    /// Adds a session, if it has an owner.
    pub fn add(&mut self, record: Record) {
        let Some(owner) = record.owner else { return };
        let owned = self.0.entry(owner).or_default();
        owned.sessions += 1;
        owned.accessed = owned.accessed.max(record.accessed);
        owned.size += record.size;
    }

    /// Those with the most sessions first.
    pub fn sorted(self) -> Vec<(String, Owned)> {
        let mut owners: Vec<_> = self.0.into_iter().collect();
        owners.sort_by(|(a, left), (b, right)| {
            Reverse(left.sessions).cmp(&Reverse(right.sessions)).then_with(|| a.cmp(b))
        });
        owners
    }
}

pub async fn run(args: Args) -> Result<ExitCode> {
    let store = storage::open(&args.storage).await?;
    let now = output::now();
    let mut owners = Owners::default();
    sessions::each(store.driver.try_inspect()?, now, None, |listed| owners.add(listed.record)).await?;

    let mut owners = owners.sorted();
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
