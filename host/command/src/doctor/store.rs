//! Checks of a store: whether it can be reached, has its tables, and stores a session.

use std::{
    path::Path,
    process,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Result, anyhow, bail, ensure};
use lemon_session_host::{
    Stores,
    bindings::lemon::session::types::Location,
    store::{
        self, CLOCK_TOLERANCE, Change, CreateOutcome, DestroyCondition, Digest, LoadOutcome, Record, Store, Stored,
        UpdateOutcome, Write,
    },
    stores::Storage,
};

use super::{Report, sqlite};
use crate::output;

/// A longer load delays every page noticeably.
const SLOW: Duration = Duration::from_millis(50);
/// Clocks that differ by fewer seconds count as equal, because both are read in whole seconds.
const SAME: u64 = 3;

/// Checks one table of a store, which the command line `create` would create.
pub async fn check(
    stores: &Stores,
    location: &Location,
    storage: &Storage,
    create: &str,
    report: &mut Report,
) -> Result<()> {
    let driver = match stores.driver(location).await {
        Ok(driver) => &**driver,
        Err(error) => return report.fail("storage", &output::causes(&anyhow!(error)), None),
    };
    let name = driver.summary();
    let now = output::now();
    let table = location.table.as_deref().unwrap_or(storage.options.table.as_str());
    let path = storage.options.url.strip_prefix("sqlite:").map(Path::new);
    let there = match driver.schema() {
        Some(schema) => match schema.tables_exist().await {
            // `tables_exist` is also false for tables of another layout. Reading them returns an error that tells them
            // apart.
            Ok(false) => read(driver, now).await,
            other => other,
        },
        None => read(driver, now).await,
    };
    match there {
        Ok(true) => tables(driver, table, create, report).await?,
        Ok(false) => {}
        Err(error) if error.is_missing_tables() => {
            let found = format!("{name} does not have the tables of {table}");
            if let Some(path) = path {
                sqlite::check_folder(path, report)?;
            }
            if location.storage.is_none() && location.table.is_none() {
                return report.warning("tables", &found, &format!("`{create}` or the first `serve` creates them"));
            }
            return report.fail("tables", &found, Some(&format!("`{create}` creates them")));
        }
        Err(error) => return report.fail("storage", &output::causes(&anyhow!(error)), None),
    }

    match round_trip(driver, now).await {
        Ok(took) => {
            let found = format!("{name} stores sessions, and a load takes {took:.1?}");
            if took > SLOW {
                report.warning("storage", &found, "each page waits for it: move the store closer to this machine")?;
            } else {
                report.ok("storage", &found)?;
            }
        }
        Err(error) => report.fail("storage", &format!("{name}: {}", output::causes(&error)), None)?,
    }
    abilities(driver, report)?;
    clock(driver, &name, report).await?;
    if let Some(path) = path {
        sqlite::check(path, report)?;
    }
    Ok(())
}

/// Checks that the tables are those that this version creates.
async fn read(driver: &dyn Store, now: u64) -> store::Result<bool> {
    match driver.inspect() {
        Some(inspect) => inspect.count(now).await.map(|_| true),
        None => driver.load(&Digest::of(""), APP, now, 0).await.map(|_| true),
    }
}

/// Whether the tables are those that this version makes.
async fn tables(driver: &dyn Store, table: &str, create: &str, report: &mut Report) -> Result<()> {
    let name = driver.summary();
    let Some(schema) = driver.schema() else { return report.ok("tables", &format!("{name} needs no tables")) };
    let differences = match schema.differences().await {
        Ok(differences) => differences,
        Err(error) => return report.fail("tables", &output::causes(&anyhow!(error)), None),
    };
    if differences.is_empty() {
        return report.ok("tables", &format!("{name} has the tables of {table}, and they are up to date"));
    }
    let found = format!(
        "the tables of {table} in {name} differ from those that this version creates: {}",
        differences.join(", ")
    );
    let drop = create.replacen("create", "drop", 1);
    let advice = format!("undo these changes, or run `{drop}` and `{create}`, which ends all sessions");
    report.fail("tables", &found, Some(&advice))
}

/// Writes a session, reads it, changes it and ends it. Returns the time that a load takes.
async fn round_trip(driver: &dyn Store, now: u64) -> Result<Duration> {
    let key = Digest::of(&format!("lemon-session doctor {} {:?}", process::id(), SystemTime::now()));
    let walked = walk(driver, &key, now).await;
    // Removes the session even if a step failed.
    let destroyed = driver.destroy(&key, &DestroyCondition::Any, now, 0).await;
    let took = walked?;
    ensure!(destroyed?, "a session that was written cannot be ended");
    ensure!(driver.load(&key, APP, now, 1024).await? == LoadOutcome::Absent, "a session that was ended still exists");
    Ok(took)
}

const APP: &str = "lemon-session-doctor";

async fn walk(driver: &dyn Store, key: &Digest, now: u64) -> Result<Duration> {
    let write = |value: &[u8]| Write { app: APP.to_owned(), name: "probe".to_owned(), value: Some(value.to_vec()) };
    let record = Record {
        created: now,
        accessed: now,
        expires: now + 10 * CLOCK_TOLERANCE,
        absolute_expiry: None,
        rotated: now,
        owner: None,
        version: 1,
        size: 0,
    };
    let created = driver.create(key, &record, &[write(b"first")].into()).await?;
    ensure!(created == CreateOutcome::Created, "a new session cannot be written: it already exists");
    let change = Change { writes: [write(b"second")].into(), max_size: 1024, ..Change::default() };
    let updated = driver.update(key, &change, Some(1), now).await?;
    ensure!(
        matches!(updated, UpdateOutcome::Committed(_)),
        "a session that was written cannot be changed: {updated:?}"
    );

    let begun = Instant::now();
    let loaded = driver.load(key, APP, now, 1024).await?;
    let took = begun.elapsed();
    let LoadOutcome::Found(loaded) = loaded else { bail!("a session that was written cannot be read: {loaded:?}") };
    let value = loaded.variables.first().map(|variable| &variable.value);
    ensure!(
        value == Some(&Stored::Inline(b"second".to_vec())),
        "a session that was read differs from what was written"
    );
    Ok(took)
}

/// Checks that the clocks of the store and of this machine agree.
fn abilities(driver: &dyn Store, report: &mut Report) -> Result<()> {
    if let Err(error) = driver.try_inspect() {
        report.warning("commands", &error.to_string(), "`list`, `show`, `stats` and `move` need it")?;
    }
    if let Err(error) = driver.try_transfer() {
        report.warning("commands", &error.to_string(), "`move` needs it")?;
    }
    Ok(())
}

/// Whether the store's clock and this machine's agree.
async fn clock(driver: &dyn Store, name: &str, report: &mut Report) -> Result<()> {
    let Some(inspect) = driver.inspect() else { return Ok(()) };
    let theirs = match inspect.clock().await {
        Ok(Some(clock)) => clock,
        Ok(None) => return Ok(()),
        Err(error) => return report.fail("clock", &output::causes(&anyhow!(error)), None),
    };
    let difference = theirs.abs_diff(output::now());
    let found = format!("the clock of {name} and that of this machine differ by {difference} seconds");
    let advice = "synchronise both with a time server (chrony, systemd-timesyncd): sessions that this machine begins or extends end too \
         early or too late, and beyond a minute it removes no expired ones";
    match difference {
        ..SAME => report.ok("clock", &format!("{name} and this machine agree on the time")),
        SAME..=CLOCK_TOLERANCE => report.warning("clock", &found, advice),
        _ => report.fail("clock", &found, Some(advice)),
    }
}
