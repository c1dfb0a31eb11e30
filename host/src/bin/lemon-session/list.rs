//! `lemon-session list`.

use std::process::ExitCode;

use anyhow::{Result, bail};
use lemon_session_host::driver::Listed;
use serde_json::{Value, json};

use crate::{digest::Digest, output, storage};

/// List live sessions, in the order of their digests.
#[derive(clap::Args)]
#[command(after_help = "Example: lemon-session list --owner alice --json | jq -r .digest")]
pub struct Args {
    #[command(flatten)]
    storage: storage::Args,

    /// Only those of this owner.
    #[arg(long, value_name = "NAME")]
    owner: Option<String>,

    /// Only those after this one: the next page.
    #[arg(long, value_name = "DIGEST")]
    after: Option<Digest>,

    /// At most so many.
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: u64,

    /// As many as there are.
    #[arg(long, conflicts_with = "limit")]
    all: bool,

    /// Print JSON, an object a line; times in seconds since 1970.
    #[arg(long)]
    json: bool,
}

/// So many are asked for at once.
const PAGE: u32 = 500;

pub async fn run(args: Args) -> Result<ExitCode> {
    let store = storage::open(&args.storage).await?;
    let driver = &*store.driver;
    let now = output::now();

    let mut after = match &args.after {
        None => None,
        Some(digest) => match digest.resolve(driver, now).await? {
            Some(key) => Some(key),
            None => bail!("no live session has a digest that begins with {digest}: give the whole digest"),
        },
    };
    let mut left = if args.all { u64::MAX } else { args.limit };
    let mut shown: u64 = 0;
    let mut more = false;
    while left > 0 {
        // One more than is shown tells whether there is a next page.
        let wanted = u32::try_from(left).unwrap_or(PAGE).min(PAGE);
        let mut page = driver.list(now, args.owner.as_deref(), after.as_ref(), wanted + 1).await?;
        more = page.len() > wanted as usize;
        page.truncate(wanted as usize);
        print(&page, now, args.json, shown == 0);
        shown += page.len() as u64;
        left -= page.len() as u64;
        after = page.last().map(|listed| listed.key).or(after);
        if !more {
            break;
        }
    }

    if !args.json {
        match after {
            Some(last) if more => println!("\nThere are more: --after {}", last.to_hex()),
            _ if shown == 0 => println!("no sessions"),
            _ => {}
        }
    }
    store.close(ExitCode::SUCCESS).await
}

fn print(page: &[Listed], now: u64, json: bool, first: bool) {
    if json {
        for listed in page {
            println!("{}", to_json(listed));
        }
        return;
    }
    if page.is_empty() {
        return;
    }
    let mut table = output::table();
    if first {
        table.set_header(["DIGEST", "OWNER", "CREATED", "LAST USED", "EXPIRES", "SIZE"]);
    }
    for Listed { key, record } in page {
        table.add_row([
            key.to_hex()[..16].to_owned(),
            record.owner.clone().unwrap_or("-".to_owned()),
            output::ago(record.created, now),
            output::ago(record.accessed, now),
            output::ahead(record.expires, now),
            output::bytes(record.size),
        ]);
    }
    println!("{}", output::render(&table));
}

/// One session as scripts read it.
pub fn to_json(Listed { key, record }: &Listed) -> Value {
    json!({
        "digest": key.to_hex(),
        "owner": record.owner,
        "created": record.created,
        "accessed": record.accessed,
        "renewed": record.renewed,
        "expires": record.expires,
        "ends": record.ends,
        "version": record.version,
        "size": record.size,
    })
}
