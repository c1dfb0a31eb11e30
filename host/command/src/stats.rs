//! `lemon-session stats`.

use std::{collections::HashSet, process::ExitCode};

use anyhow::Result;
use lemon_session_host::store;
use serde_json::json;

use crate::{output, progress::Progress, sessions, storage};

/// Count live sessions, expired ones that wait for a cleanup, and the uses of ended ids, which indicate stolen or replayed
/// cookies.
#[derive(clap::Args)]
#[command(after_help = "Example: lemon-session stats --json")]
pub struct Args {
    #[command(flatten)]
    storage: storage::Args,

    /// Also count owners and sizes, which reads all sessions.
    #[arg(long)]
    full: bool,

    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// What can only be told after reading all sessions.
#[derive(Default)]
struct Full {
    owners: HashSet<String>,
    without_owner: u64,
    size: u64,
    largest: u64,
}

pub async fn run(args: Args) -> Result<ExitCode> {
    let store = storage::open(&args.storage).await?;
    let inspect = store.driver.try_inspect()?;
    let now = output::now();
    let progress = Progress::start("counting sessions");
    let live = inspect.count(now).await?;
    let backlog = known(inspect.backlog(now).await)?;
    let reused = known(inspect.reused(now).await)?;
    drop(progress);
    let mut full = args.full.then(Full::default);
    if let Some(full) = &mut full {
        sessions::each(inspect, now, None, |listed| {
            match listed.record.owner {
                Some(owner) => _ = full.owners.insert(owner),
                None => full.without_owner += 1,
            }
            full.size += listed.record.size;
            full.largest = full.largest.max(listed.record.size);
        })
        .await?;
    }

    if args.json {
        let mut stats = json!({
            "storage": store.driver.summary(),
            "table": store.table.as_str(),
            "live": live,
            "expired": backlog,
            "reused": reused,
        });
        if let Some(Full { owners, without_owner, size, largest }) = full {
            stats["owners"] = owners.len().into();
            stats["without-owner"] = without_owner.into();
            stats["size"] = size.into();
            stats["largest"] = largest.into();
        }
        output::line(stats)?;
    } else {
        let number = |number: Option<u64>| number.map_or("this store cannot tell".to_owned(), |n| n.to_string());
        let mut table = output::table();
        table.add_row(["storage", &store.driver.summary()]);
        table.add_row(["table", store.table.as_str()]);
        table.add_row(["live sessions", &live.to_string()]);
        table.add_row(["expired, to be cleaned up", &number(backlog)]);
        table.add_row(["uses of ended ids", &number(reused)]);
        if let Some(Full { owners, without_owner, size, largest }) = full {
            table.add_row(["owners", &owners.len().to_string()]);
            table.add_row(["sessions without an owner", &without_owner.to_string()]);
            table.add_row(["size of all sessions", &output::bytes(size)]);
            table.add_row(["size of the largest", &output::bytes(largest)]);
        }
        output::line(output::render(&table))?;
    }
    store.close(ExitCode::SUCCESS).await
}

/// The answer, or `None` if the store cannot tell.
fn known(answer: store::Result<u64>) -> Result<Option<u64>> {
    match answer {
        Err(error) if error.is_unsupported() => Ok(None),
        answer => Ok(Some(answer?)),
    }
}
