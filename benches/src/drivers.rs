//! Loads and saves of every driver whose server runs, compared with those of SQLite, and their round trips on the
//! wire.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use lemon_session_host::store::{
    Change, CreateOutcome, Digest, LoadOutcome, Record, StorageOptions, Store, TableName, UpdateOutcome, Write, Writes,
};

use crate::{
    hand::now,
    harness::{Comparison, Dice, Goal, compare, report},
    proxy::Proxy,
    registry,
    site::{APP, Site},
};

const CLIENTS: [usize; 3] = [1, 8, 64];
const SESSIONS: usize = 1_000;
const ROUNDS: usize = 3;
const TIME: Duration = Duration::from_millis(300);

/// The name of a store, the variable that holds its URL, the URL without one, and the database without one.
const STORES: [(&str, &str, &str, &str); 3] = [
    ("MySQL", "LEMON_TEST_MYSQL", "mysql://root@127.0.0.1:3306/", "test"),
    ("PostgreSQL", "LEMON_TEST_POSTGRES", "postgres://postgres@127.0.0.1:5432/", "postgres"),
    ("Redis", "LEMON_TEST_REDIS", "redis://127.0.0.1:6379/", ""),
];

pub async fn measure() -> Result<()> {
    let site = Site::new(false).await?;
    let sqlite = Arc::clone(&site.driver);
    fill(&*sqlite).await?;
    for (name, variable, default, database) in STORES {
        let given = std::env::var(variable).unwrap_or_else(|_| default.to_owned());
        let (server, path) = split(&given).with_context(|| format!("{variable} is not a URL"))?;
        let url = format!("{server}/{}", if path.is_empty() { database } else { path });
        let store = match open(&url).await {
            Ok(store) => store,
            Err(error) => {
                eprintln!("skipping {name}: {error:#}");
                continue;
            }
        };
        store.set_up().await?;
        let measured = against(name, &store, &sqlite, &url).await;
        store.try_schema()?.drop_tables().await?;
        store.close().await?;
        measured?;
    }
    as_a_component(&sqlite).await
}

/// Files, through a provider that runs in a sandbox.
async fn as_a_component(sqlite: &Arc<dyn Store>) -> Result<()> {
    let folder = tempfile::TempDir::new()?;
    let provider = concat!(env!("CARGO_MANIFEST_DIR"), "/../host/command/providers/files.wasm");
    let store = open(&format!("component:{provider}?instances=64&dir={}", folder.path().display())).await?;
    store.set_up().await?;
    rates("files as a component", &store, sqlite).await?;
    Ok(store.close().await?)
}

async fn against(name: &str, store: &Arc<dyn Store>, sqlite: &Arc<dyn Store>, url: &str) -> Result<()> {
    rates(name, store, sqlite).await?;
    // The address of a server follows its user.
    let authority = url.split('/').nth(2).context("a URL with a host")?;
    let address = authority.rsplit('@').next().unwrap_or(authority);
    let proxy = Proxy::to(address.to_owned()).await;
    let through = open(&url.replacen(address, &format!("127.0.0.1:{}", proxy.port), 1)).await?;
    for (what, call) in [("load", Call::Load), ("save", Call::Save)] {
        // The first call on each connection prepares its statement.
        for _ in 0..4 {
            run(&*through, call, 0).await?;
        }
        proxy.trips();
        for n in 0..100 {
            run(&*through, call, n).await?;
        }
        let trips = proxy.trips() as f64 / 100.0;
        let measured = Comparison { ours: trips, floor: 1.0, ratio: trips };
        let what = format!("round trips of a {what}, {name}");
        report("round-trips", &what, "one", "round trips", Some(Goal::AtMost(1.0)), &measured);
    }
    Ok(through.close().await?)
}

/// Loads and saves a second, compared with those of SQLite.
async fn rates(name: &str, store: &Arc<dyn Store>, sqlite: &Arc<dyn Store>) -> Result<()> {
    fill(&**store).await?;
    for (what, call) in [("loads", Call::Load), ("saves", Call::Save)] {
        for clients in CLIENTS {
            let ours = async || rate(store, clients, call).await;
            let floor = async || rate(sqlite, clients, call).await;
            let measured = compare(ROUNDS, ours, floor).await?;
            let what = format!("{what}, {clients} at once, {name}");
            report("drivers", &what, "SQLite", "a second", None, &measured);
        }
    }
    Ok(())
}

async fn open(url: &str) -> Result<Arc<dyn Store>> {
    let table = TableName::new(&format!("Bench_{}", std::process::id())).map_err(anyhow::Error::msg)?;
    Ok(registry::drivers().open(StorageOptions { table, url: url.to_owned(), options: BTreeMap::new() }).await?)
}

/// The server and the path of a URL.
fn split(url: &str) -> Option<(&str, &str)> {
    let start = url.find("//")? + 2;
    let end = url[start..].find('/').map_or(url.len(), |slash| start + slash);
    Some((&url[..end], url[end..].trim_matches('/')))
}

fn key(n: usize) -> Digest {
    Digest::of(&(n % SESSIONS).to_string())
}

fn write(name: usize, value: u8) -> Write {
    Write { app: APP.to_owned(), name: format!("variable{name}"), value: Some(vec![value; 100]) }
}

/// Stores sessions of five variables of 100 bytes.
async fn fill(store: &dyn Store) -> Result<()> {
    let now = now() as u64;
    let expires = now + 100_000;
    let record = Record {
        created: now,
        accessed: now,
        expires,
        absolute_expiry: None,
        rotated: now,
        owner: None,
        version: 0,
        size: 0,
    };
    let writes: Writes = (0..5).map(|name| write(name, 7)).collect();
    for n in 0..SESSIONS {
        ensure!(store.create(&key(n), &record, &writes).await? == CreateOutcome::Created, "the session is there");
    }
    Ok(())
}

#[derive(Clone, Copy)]
enum Call {
    Load,
    Save,
}

async fn run(store: &dyn Store, call: Call, n: usize) -> Result<()> {
    let now = now() as u64;
    match call {
        Call::Load => {
            let loaded = store.load(&key(n), APP, now, 8192).await?;
            ensure!(matches!(loaded, LoadOutcome::Found(loaded) if loaded.variables.len() == 5), "it is not there");
        }
        Call::Save => {
            let change = Change { writes: [write(3, n as u8)].into(), max_size: u64::MAX, ..Change::default() };
            let saved = store.update(&key(n), &change, None, now).await?;
            ensure!(matches!(saved, UpdateOutcome::Committed(_)), "it is not saved");
        }
    }
    Ok(())
}

/// Calls a second of clients that call one after the other.
async fn rate(store: &Arc<dyn Store>, clients: usize, call: Call) -> Result<f64> {
    let started = Instant::now();
    let clients: Vec<_> = (0..clients)
        .map(|client| {
            let store = Arc::clone(store);
            tokio::spawn(async move {
                let (mut dice, mut calls) = (Dice::new(), 0_u32);
                while started.elapsed() < TIME {
                    run(&*store, call, dice.below(SESSIONS) + client * 7919).await?;
                    calls += 1;
                    // A load of SQLite never waits.
                    tokio::task::yield_now().await;
                }
                anyhow::Ok(calls)
            })
        })
        .collect();
    let mut calls = 0;
    for client in clients {
        calls += client.await??;
    }
    Ok(f64::from(calls) / started.elapsed().as_secs_f64())
}
