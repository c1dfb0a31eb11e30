//! `lemon-session stats`.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashSet},
    process::ExitCode,
};

use anyhow::Result;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use lemon_session_host::store::{self, Digest, Inspect};
use serde_json::json;

use crate::{output, progress::Progress, sessions, storage};

/// Count live sessions, expired ones that wait for a cleanup, and the uses of ended ids, which indicate stolen or replayed
/// cookies.
#[derive(clap::Args)]
#[command(after_help = "Example: lemon-session stats --json")]
pub struct Args {
    #[command(flatten)]
    storage: storage::Args,

    /// Also count owners, applications and sizes, which reads all sessions and the names of their variables.
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
    /// `None` if the store cannot tell.
    applications: Option<Vec<(String, Application)>>,
}

/// What the sessions have in common that have variables of one application.
#[derive(Default)]
struct Application {
    sessions: u64,
    variables: u64,
    size: u64,
}

/// How many sessions a store is asked for at the same time.
const AT_ONCE: usize = 16;

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
        let mut digests = Vec::new();
        sessions::each(inspect, now, None, |listed| {
            digests.push(listed.digest);
            match listed.record.owner {
                Some(owner) => _ = full.owners.insert(owner),
                None => full.without_owner += 1,
            }
            full.size += listed.record.size;
            full.largest = full.largest.max(listed.record.size);
        })
        .await?;
        full.applications = known(applications(inspect, &digests, now).await)?;
    }

    if args.json {
        let mut stats = json!({
            "storage": store.driver.summary(),
            "table": store.table.as_str(),
            "live": live,
            "expired": backlog,
            "reused": reused,
        });
        if let Some(Full { owners, without_owner, size, largest, applications }) = full {
            stats["owners"] = owners.len().into();
            stats["without-owner"] = without_owner.into();
            stats["size"] = size.into();
            stats["largest"] = largest.into();
            stats["applications"] = applications.map_or(serde_json::Value::Null, |applications| {
                let applications = applications.into_iter().map(|(app, Application { sessions, variables, size })| {
                    json!({ "app": app, "sessions": sessions, "variables": variables, "size": size })
                });
                applications.collect()
            });
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
        if let Some(Full { owners, without_owner, size, largest, .. }) = &full {
            table.add_row(["owners", &owners.len().to_string()]);
            table.add_row(["sessions without an owner", &without_owner.to_string()]);
            table.add_row(["size of all sessions", &output::bytes(*size)]);
            table.add_row(["size of the largest", &output::bytes(*largest)]);
        }
        output::line(output::render(&table))?;
        if let Some(Full { applications: Some(applications), .. }) = full
            && !applications.is_empty()
        {
            let mut table = output::table();
            table.set_header(["APPLICATION", "SESSIONS", "VARIABLES", "SIZE"]);
            for (app, Application { sessions, variables, size }) in applications {
                let [sessions, variables] = [sessions, variables].map(|number| number.to_string());
                table.add_row([output::application(&app), sessions, variables, output::bytes(size)]);
            }
            output::line(format_args!("\n{}", output::render(&table)))?;
        }
    }
    store.close(ExitCode::SUCCESS).await
}

/// The applications that have variables in these sessions, the one with the most data first.
async fn applications(
    inspect: &dyn Inspect,
    digests: &[Digest],
    now: u64,
) -> store::Result<Vec<(String, Application)>> {
    let progress = Progress::count("sessions read for their variables");
    let mut applications = BTreeMap::<String, Application>::new();
    let mut described = stream::iter(digests).map(|digest| inspect.describe(digest, now)).buffer_unordered(AT_ONCE);
    let mut read = 0;
    while let Some(session) = described.try_next().await? {
        // Sessions of one application follow each other.
        let mut last = None;
        for (app, _, bytes) in session.into_iter().flat_map(|(_, variables)| variables) {
            let application = applications.entry(app.clone()).or_default();
            application.sessions += u64::from(last.as_ref() != Some(&app));
            application.variables += 1;
            application.size += bytes;
            last = Some(app);
        }
        read += 1;
        progress.at(read);
    }
    let mut applications: Vec<_> = applications.into_iter().collect();
    applications.sort_by_key(|(_, application)| Reverse(application.size));
    Ok(applications)
}

/// The answer, or `None` if the store cannot tell.
fn known<T>(answer: store::Result<T>) -> Result<Option<T>> {
    match answer {
        Err(error) if error.is_unsupported() => Ok(None),
        answer => Ok(Some(answer?)),
    }
}
