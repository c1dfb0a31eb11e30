//! `lemon-session doctor`.

mod machine;
mod report;
mod settings;
mod sqlite;
mod store;

use std::process::ExitCode;

use anyhow::Result;
use lemon_session_host::{bindings::lemon::session::types::Location, stores::Storage};

pub use report::Finding;
use report::Report;

use crate::{drivers, storage};

/// Check the settings, the stores and this machine, and print advice for each problem.
///
/// It writes a session to each store and removes it again, and changes nothing else. Run it as the user that runs the
/// server, because it also checks permissions.
#[derive(clap::Args)]
#[command(after_help = "\
Exit status: 0 when there are warnings at most, 1 when something fails.

Example: lemon-session doctor --config /etc/lemon-session/lemon.ini")]
pub struct Args {
    #[command(flatten)]
    storage: storage::Args,

    /// Print one JSON object per line.
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args) -> Result<ExitCode> {
    let mut report = Report::new(args.json);
    check(&args.storage, &mut report).await?;
    Ok(report.code())
}

/// All findings, for a page.
pub async fn findings(storage: &storage::Args) -> Result<Vec<Finding>> {
    let mut report = Report::list();
    check(storage, &mut report).await?;
    Ok(report.into_findings())
}

async fn check(args: &storage::Args, report: &mut Report) -> Result<()> {
    let config = settings::read(args, report)?;
    if let Some(config) = &config {
        settings::check(config, report)?;
        let stores = config.stores(&drivers::registry());
        let named = config.storages.iter().map(|(name, storage)| (Some(name), storage));
        for (name, storage) in std::iter::once((None, &config.storage)).chain(named) {
            for table in tables(storage) {
                let location = Location { storage: name.cloned(), table };
                let create = args.command(&["tables", "create"], name.map(String::as_str), location.table.as_deref());
                store::check(&stores, &location, storage, &create, report).await?;
            }
        }
        // A store that cannot be closed has failed before, and that was reported.
        let _ = stores.close().await;
    }
    machine::check(&config.unwrap_or_default(), report).await
}

/// The tables of a store as applications select them; `None` is the default one.
fn tables(storage: &Storage) -> impl Iterator<Item = Option<String>> {
    let further = storage.tables.iter().filter(|table| **table != storage.options.table);
    std::iter::once(None).chain(further.map(|table| Some(table.to_string())))
}
