//! `lemon-session move`.

mod journal;
mod mover;
#[cfg(test)]
mod tests;

use std::{path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use indicatif::{ProgressBar, ProgressStyle};
use lemon_session_host::store::{Store, TableName};
use serde_json::json;

use self::{
    journal::Journal,
    mover::{Moved, Mover},
};
use crate::{Usage, drivers, output, storage};

/// Copy all live sessions from one store to another, while the source is in use.
///
/// The first pass copies all sessions. Further passes copy those that have changed or ended since, until a pass finds
/// none. A copy that was saved at the target is never overwritten, and a session that has ended at either store is not
/// revived.
///
/// A journal records the copies: run the command again to continue after an interruption, and once more when no host
/// uses the source any longer.
#[derive(clap::Args)]
#[command(after_help = "\
Example:
  lemon-session move --from sqlite:sessions.db --to postgres://shop@db.example/shop
  … have every host use the new store, and then once more:
  lemon-session move --from sqlite:sessions.db --to postgres://shop@db.example/shop

Options of a store, a password-file for example, are taken from the section of lemon.ini that has its URL.")]
pub struct Args {
    /// The store to copy from: its URL, or its name in lemon.ini.
    #[arg(long, value_name = "URL|NAME")]
    from: String,

    /// The store to copy to: its URL, or its name in lemon.ini. Missing tables are created.
    #[arg(long, value_name = "URL|NAME")]
    to: String,

    /// The table in both stores. Default: the table in lemon.ini.
    #[arg(long, value_name = "NAME", value_parser = TableName::new)]
    table: Option<TableName>,

    /// The file with the settings. Default: lemon.ini in the current folder, if it exists.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// The file that records the copies. Remove it when the move is complete.
    #[arg(long, value_name = "FILE", default_value = "lemon-session.move")]
    journal: PathBuf,

    /// Stop after this number of passes, even if sessions are still changing.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = output::positive::<u64>)]
    passes: u64,

    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args) -> Result<ExitCode> {
    let config = storage::load(args.config.as_deref())?;
    let open = async |store: &str| -> Result<Arc<dyn Store>> {
        let mut options = storage::named(&config, store)?.options;
        if let Some(table) = &args.table {
            options.table.clone_from(table);
        }
        Ok(drivers::registry().open(options).await?)
    };
    let from = open(&args.from).await.context("--from")?;
    let to = open(&args.to).await.context("--to")?;
    let (source, target) = (from.summary(), to.summary());
    if args.from == args.to || source == target {
        return Err(Usage(format!("--from and --to are the same store, {source}")).into());
    }
    for (store, flag) in [(&from, "--from"), (&to, "--to")] {
        store.try_inspect().and(store.try_transfer()).context(flag)?;
    }
    let total = from.try_inspect()?.count(output::now()).await.context("--from")?;
    to.set_up().await.context("--to")?;

    let journal = Journal::open(&args.journal, &source, &target)?;
    let (clock, remember) = (output::now, config.settings.remember_ended);
    let mut mover = Mover { from: Arc::clone(&from), to: Arc::clone(&to), journal, clock, remember };
    let bar = ProgressBar::new(total)
        .with_style(ProgressStyle::with_template("{msg} {wide_bar} {human_pos}/{human_len} {per_sec} {eta}")?);
    bar.enable_steady_tick(Duration::from_millis(200));
    let moved = mover
        .run(args.passes, |before, done| {
            bar.set_message(format!("pass {}", before + 1));
            bar.set_length(done.max(total));
            bar.set_position(done);
        })
        .await;
    bar.finish_and_clear();
    let moved = moved?;

    from.close().await?;
    to.close().await?;
    if args.json {
        output::line(to_json(&moved, &source, &target))?;
    } else {
        print(&moved, &source, &target)?;
    }
    Ok(if moved.counts.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn to_json(Moved { counts, passes, removed, changed }: &Moved, source: &str, target: &str) -> serde_json::Value {
    json!({
        "from": source,
        "to": target,
        "found": counts.found,
        "copied": counts.copied,
        "present": counts.present,
        "kept": counts.kept,
        "ended": counts.ended,
        "failed": counts.failed,
        "removed": removed,
        "passes": passes,
        "changed": changed,
    })
}

fn print(Moved { counts, passes, removed, changed }: &Moved, source: &str, target: &str) -> Result<()> {
    output::line(format_args!(
        "found {} in {source}; in {target} {}",
        output::sessions(counts.found),
        match passes {
            1 => "after 1 pass".to_owned(),
            passes => format!("after {passes} passes"),
        }
    ))?;
    let mut table = output::table();
    for (count, what) in [
        (counts.copied, "copied"),
        (counts.present, "already up to date"),
        (counts.kept, "not changed, because they are newer or have ended there"),
        (counts.ended, "ended or expired during the move"),
        (counts.failed, "failed"),
    ] {
        table.add_row([&count.to_string(), what]);
    }
    output::line(output::render(&table))?;
    if *removed > 0 {
        output::line(format_args!("ended the copies of {} that had ended", output::sessions(*removed)))?;
    }
    if *changed > 0 {
        output::line(format_args!(
            "the source is in use: {} changed during the last pass",
            output::sessions(*changed)
        ))?;
    }
    if counts.failed > 0 {
        output::line("run it again to copy those that failed")
    } else {
        output::line("run it once more when no host uses the source any longer")
    }
}
