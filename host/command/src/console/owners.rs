//! Who has how many sessions, and which applications are used.
//!
//! A store cannot group its sessions, so they are read: at most once a minute, and as many as fit into a few seconds. Digests
//! are random, so the first sessions by digest are a fair sample of all.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use http::Response;
use lemon_session_host::store::{Digest, Inspect};
use serde::Serialize;
use tokio::sync::Mutex;

use super::{
    Console, LISTED,
    failure::{Result, ask, inspect},
    page::{self, Frame, Place},
    response::{Body, link},
    sessions::Link,
};
use crate::{
    output,
    owners::{Owned, Owners},
};

/// Sessions to read at most for the owners.
const READ: u64 = 200_000;
/// How long reading may take.
const PATIENCE: Duration = Duration::from_secs(4);
/// How long a count is shown.
const FRESH: Duration = Duration::from_secs(60);
/// Sessions whose variables are looked at for the applications.
const SAMPLE: usize = 500;
const AT_ONCE: usize = 8;
/// Rows of each table.
const ROWS: usize = 50;

/// The last count.
#[derive(Default)]
pub struct Tally(Mutex<Option<(Instant, Arc<Counted>)>>);

struct Counted {
    /// In seconds since 1970.
    at: u64,
    read: u64,
    /// Whether these are all sessions.
    is_all: bool,
    owners: Vec<(String, Owned)>,
    others: usize,
    sampled: usize,
    apps: Vec<(String, App)>,
}

#[derive(Default)]
struct App {
    sessions: u64,
    variables: u64,
    size: u64,
}

impl Tally {
    /// A count that is at most a minute old. One request counts, and others wait for it.
    async fn get(&self, console: &Console) -> Result<Arc<Counted>> {
        let mut last = self.0.lock().await;
        if let Some((at, counted)) = &*last
            && at.elapsed() < FRESH
        {
            return Ok(counted.clone());
        }
        let counted = Arc::new(count(inspect(&*console.admin.store)?, output::now()).await?);
        *last = Some((Instant::now(), counted.clone()));
        Ok(counted)
    }

    /// Forgets the count, because sessions were ended.
    pub async fn forget(&self) {
        *self.0.lock().await = None;
    }
}

async fn count(inspect: &dyn Inspect, now: u64) -> Result<Counted> {
    let begun = Instant::now();
    let (mut owners, mut read, mut after) = (Owners::default(), 0, None);
    let mut sample = Vec::new();
    let is_all = loop {
        let listed = ask(inspect.list(now, None, after.as_ref(), LISTED)).await?;
        let is_last = listed.len() < LISTED as usize;
        read += listed.len() as u64;
        after = listed.last().map(|last| last.digest);
        for listed in listed {
            if sample.len() < SAMPLE {
                sample.push(listed.digest);
            }
            owners.add(listed.record);
        }
        if is_last || read >= READ || begun.elapsed() > PATIENCE {
            break is_last;
        }
    };
    let sampled = sample.len();
    let mut apps: Vec<_> = ask(apps(inspect, sample, now)).await?.into_iter().collect();
    apps.sort_by_key(|(_, app)| std::cmp::Reverse(app.sessions));
    apps.truncate(ROWS);
    let mut owners = owners.sorted();
    let others = owners.len().saturating_sub(ROWS);
    owners.truncate(ROWS);
    Ok(Counted { at: now, read, is_all, owners, others, sampled, apps })
}

/// The applications with variables in these sessions; none where the store cannot tell.
async fn apps(inspect: &dyn Inspect, sample: Vec<Digest>, now: u64) -> Result<BTreeMap<String, App>> {
    let described = stream::iter(sample).map(|digest| async move {
        match inspect.describe(&digest, now).await {
            Err(error) if error.is_unsupported() => Ok(None),
            answer => answer,
        }
    });
    let mut apps = BTreeMap::<String, App>::new();
    let mut described = described.buffer_unordered(AT_ONCE);
    while let Some(found) = described.try_next().await? {
        let mut last = None;
        for (name, _, bytes) in found.map(|(_, variables)| variables).unwrap_or_default() {
            let app = apps.entry(name.clone()).or_default();
            // Variables are sorted by application.
            app.sessions += u64::from(last.as_ref() != Some(&name));
            app.variables += 1;
            app.size += bytes;
            last = Some(name);
        }
    }
    Ok(apps)
}

#[derive(Serialize)]
struct Page {
    frame: Frame,
    /// How many sessions were read, and when.
    read: String,
    when: String,
    is_all: bool,
    owners: Vec<OwnerRow>,
    others: usize,
    sampled: String,
    apps: Vec<AppRow>,
}

#[derive(Serialize)]
struct OwnerRow {
    owner: Link,
    sessions: u64,
    used: String,
    size: String,
    /// Where they are ended.
    end: String,
}

#[derive(Serialize)]
struct AppRow {
    app: Link,
    sessions: u64,
    variables: u64,
    size: String,
}

pub async fn show(console: &Console, message: Option<String>) -> Result<Response<Body>> {
    let counted = console.tally.get(console).await?;
    let now = output::now();
    let owner = |(name, owned): &(String, Owned)| OwnerRow {
        owner: Link::to_owner(name),
        sessions: owned.sessions,
        used: output::ago(owned.accessed, now),
        size: output::bytes(owned.size),
        end: link("owners/end", &[("owner", name)]),
    };
    let app = |(name, app): &(String, App)| AppRow {
        app: Link::to_app(name),
        sessions: app.sessions,
        variables: app.variables,
        size: output::bytes(app.size),
    };
    page::html(
        "owners.html",
        Page {
            frame: Frame::new("Owners and applications", Place::Owners, message),
            read: output::sessions(counted.read),
            when: output::ago(counted.at, now),
            is_all: counted.is_all,
            owners: counted.owners.iter().map(owner).collect(),
            others: counted.others,
            sampled: output::sessions(counted.sampled as u64),
            apps: counted.apps.iter().map(app).collect(),
        },
    )
}
