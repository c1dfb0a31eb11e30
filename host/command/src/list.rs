//! `lemon-session list`.

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{ValueEnum as _, builder::PossibleValue};
use lemon_session_host::store::{Digest, Inspect, Listed};
use serde_json::{Value, json};

use crate::{
    digest::DigestPrefix,
    output::{self, Widths},
    progress::Progress,
    sessions::{self, PAGE},
    storage,
};

/// List live sessions.
#[derive(clap::Args)]
#[command(after_help = "Example: lemon-session list --owner alice --json | jq -r .digest")]
pub struct Args {
    #[command(flatten)]
    storage: storage::Args,

    /// List only the sessions of this owner.
    #[arg(long, value_name = "NAME")]
    owner: Option<String>,

    /// In which order. All but the digests' order reads all sessions first.
    #[arg(long, value_enum, value_name = "BY", default_value_t = Order::Digest)]
    sort: Order,

    /// Start after this session, to get the next page.
    #[arg(long, value_name = "DIGEST", conflicts_with = "sort")]
    after: Option<DigestPrefix>,

    /// List at most this many sessions.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = output::positive::<u64>)]
    limit: u64,

    /// List all sessions.
    #[arg(long, conflicts_with = "limit")]
    all: bool,

    /// Print one JSON object per line, with times in seconds since 1970.
    #[arg(long)]
    json: bool,
}

/// The order of a list.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Order {
    /// By digest, which can be continued with --after.
    Digest,
    /// The newest first.
    Created,
    /// The last used first.
    Accessed,
    /// The next to expire first.
    Expires,
    /// The largest first.
    Size,
}

impl Order {
    fn key(self, Listed { record, digest }: &Listed) -> (u64, Digest) {
        let first = match self {
            Self::Digest => 0,
            Self::Created => u64::MAX - record.created,
            Self::Accessed => u64::MAX - record.accessed,
            Self::Expires => record.expires,
            Self::Size => u64::MAX - record.size,
        };
        (first, *digest)
    }
}

pub async fn run(args: Args) -> Result<ExitCode> {
    let store = storage::open(&args.storage).await?;
    let (driver, inspect) = (&*store.driver, store.driver.try_inspect()?);
    let now = output::now();
    let mut table = Printer { now, json: args.json, is_begun: false, widths: Widths([16, 5, 14, 14, 13, 10]) };
    if args.sort != Order::Digest {
        let (sessions, left_out) = first(&args, inspect, now).await?;
        table.print(&sessions)?;
        if !args.json && !table.is_begun {
            output::line("no sessions")?;
        }
        if !args.json && left_out > 0 {
            output::line(format_args!("\n{left_out} more: {}", args.command(&["--all"])))?;
        }
        return store.close(ExitCode::SUCCESS).await;
    }

    let mut after = match &args.after {
        None => None,
        Some(digest) => match digest.resolve(driver, now).await? {
            Some(key) => Some(key),
            None => bail!("no live session has a digest that begins with {digest}: pass the complete digest"),
        },
    };
    let mut left = if args.all { u64::MAX } else { args.limit };
    let mut more = false;
    while left > 0 {
        // One more than is shown, to know whether there is a next page.
        let wanted = u32::try_from(left).unwrap_or(PAGE).min(PAGE);
        let progress = Progress::start("reading sessions");
        let mut page = inspect.list(now, args.owner.as_deref(), after.as_ref(), wanted + 1).await?;
        more = page.len() > wanted as usize;
        page.truncate(wanted as usize);
        drop(progress);
        table.print(&page)?;
        left -= page.len() as u64;
        after = page.last().map(|listed| listed.digest).or(after);
        if !more {
            break;
        }
    }

    if !args.json {
        match after {
            Some(last) if more => {
                let limit = args.limit.to_string();
                let next = args.command(&["--limit", &limit, "--after", &last.to_hex()]);
                output::line(format_args!("\nFor more: {next}"))?;
            }
            _ if !table.is_begun => output::line("no sessions")?,
            _ => {}
        }
    }
    store.close(ExitCode::SUCCESS).await
}

impl Args {
    /// The same list with other words about how much of it.
    fn command(&self, how_much: &[&str]) -> String {
        let order = self.sort.to_possible_value();
        let order = order.as_ref().filter(|_| self.sort != Order::Digest).map(PossibleValue::get_name);
        let flags = [("--owner", self.owner.as_deref()), ("--sort", order)];
        let flags = flags.into_iter().filter_map(|(flag, value)| Some([flag, value?])).flatten();
        let words: Vec<_> = std::iter::once("list").chain(flags).chain(how_much.iter().copied()).collect();
        self.storage.command(&words, None, None)
    }
}

/// The first sessions in the order that is asked for, and how many others there are.
async fn first(args: &Args, inspect: &dyn Inspect, now: u64) -> Result<(Vec<Listed>, usize)> {
    let limit = if args.all { usize::MAX } else { usize::try_from(args.limit).unwrap_or(usize::MAX) };
    let (mut first, mut count) = (Vec::new(), 0);
    let cut = |first: &mut Vec<Listed>| {
        first.sort_unstable_by_key(|listed| args.sort.key(listed));
        first.truncate(limit);
    };
    sessions::each(inspect, now, args.owner.as_deref(), |listed| {
        first.push(listed);
        count += 1;
        // No more than this many are kept, of millions.
        if first.len() >= limit.saturating_mul(2).max(PAGE as usize) {
            cut(&mut first);
        }
    })
    .await?;
    cut(&mut first);
    let left_out = count - first.len();
    Ok((first, left_out))
}

/// Prints several pages as one table.
struct Printer {
    now: u64,
    json: bool,
    is_begun: bool,
    widths: Widths<6>,
}

impl Printer {
    fn print(&mut self, page: &[Listed]) -> Result<()> {
        if page.is_empty() {
            return Ok(());
        }
        if self.json {
            let lines: Vec<_> = page.iter().map(|listed| to_json(listed).to_string()).collect();
            return output::line(lines.join("\n"));
        }
        let mut table = output::table();
        if !self.is_begun {
            table.set_header(["DIGEST", "OWNER", "CREATED", "LAST USED", "EXPIRES", "SIZE"]);
            self.is_begun = true;
        }
        for Listed { digest: key, record } in page {
            table.add_row([
                key.to_hex()[..16].to_owned(),
                record.owner.as_deref().map_or("-".to_owned(), output::name),
                output::ago(record.created, self.now),
                output::ago(record.accessed, self.now),
                output::ahead(record.expires, self.now),
                output::bytes(record.size),
            ]);
        }
        self.widths.align(&mut table);
        output::line(output::render(&table))
    }
}

/// One session as JSON.
pub fn to_json(Listed { digest: key, record }: &Listed) -> Value {
    json!({
        "digest": key.to_hex(),
        "owner": record.owner,
        "created": record.created,
        "accessed": record.accessed,
        "renewed": record.rotated,
        "expires": record.expires,
        "ends": record.absolute_expiry,
        "version": record.version,
        "size": record.size,
    })
}
