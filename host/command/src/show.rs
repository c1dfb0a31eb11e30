//! `lemon-session show`.

use std::process::ExitCode;

use anyhow::{Result, bail};
use lemon_session_host::store::{Digest, Listed, Record};
use serde_json::json;

use crate::{digest::DigestPrefix, list, output, storage};

/// Show one session and the names and sizes of its variables. Values are never shown.
#[derive(clap::Args)]
#[command(after_help = "Example: lemon-session show 3f2a91c0")]
pub struct Args {
    /// The digest of the session's id, or at least its first 8 digits.
    digest: DigestPrefix,

    #[command(flatten)]
    storage: storage::Args,

    /// Print JSON, with times in seconds since 1970.
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args) -> Result<ExitCode> {
    let store = storage::open(&args.storage).await?;
    let inspect = store.driver.try_inspect()?;
    let now = output::now();
    let found = match args.digest.resolve(&*store.driver, now).await? {
        None => None,
        Some(key) => inspect.describe(&key, now).await?.map(|(record, variables)| (key, record, variables)),
    };
    let Some((key, record, variables)) = found else {
        bail!("there is no live session with the digest {}", args.digest);
    };

    if args.json {
        let variables: Vec<_> =
            variables.iter().map(|(app, name, bytes)| json!({ "app": app, "name": name, "bytes": bytes })).collect();
        let mut session = list::to_json(&Listed { digest: key, record });
        session["variables"] = variables.into();
        output::line(session)?;
    } else {
        print(&key, &record, &variables, now)?;
    }
    store.close(ExitCode::SUCCESS).await
}

fn print(key: &Digest, record: &Record, variables: &[(String, String, u64)], now: u64) -> Result<()> {
    let mut table = output::table();
    table.add_row(["digest", &key.to_hex()]);
    table.add_row(["owner", &record.owner.as_deref().map_or("-".to_owned(), output::name)]);
    table.add_row(["created", &output::ago(record.created, now)]);
    table.add_row(["last used", &output::ago(record.accessed, now)]);
    table.add_row(["id renewed", &output::ago(record.rotated, now)]);
    table.add_row(["expires", &output::ahead(record.expires, now)]);
    table.add_row([
        "ends",
        &record
            .absolute_expiry
            .map_or("no such limit".to_owned(), |absolute_expiry| output::ahead(absolute_expiry, now)),
    ]);
    table.add_row(["version", &record.version.to_string()]);
    table.add_row(["size", &output::bytes(record.size)]);
    output::line(output::render(&table))?;

    if variables.is_empty() {
        return output::line("\nno variables");
    }
    let mut table = output::table();
    table.set_header(["APPLICATION", "VARIABLE", "SIZE"]);
    for (app, name, bytes) in variables {
        table.add_row([output::application(app), output::name(name), output::bytes(*bytes)]);
    }
    output::line(format_args!("\n{}", output::render(&table)))
}
