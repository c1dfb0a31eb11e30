//! A load from a store with millions of sessions, compared with one from a store with ten thousand.

use std::{path::Path, sync::Arc};

use anyhow::{Result, ensure};
use lemon_session_host::store::{Digest, LoadOutcome, Store};
use rusqlite::{Connection, params};

use crate::{
    hand::now,
    harness::{Dice, Goal, ROUNDS, compare, microseconds, report},
    site::{APP, SESSIONS, Site},
};

pub async fn measure(count: u64) -> Result<()> {
    let few = Site::new(false).await?;
    let few_keys = fill(&few.file(), SESSIONS as u64, now() + 100_000)?;
    let many = Site::new(false).await?;
    let many_keys = fill(&many.file(), count, now() + 100_000)?;
    let now = now() as u64;
    for (keys, what) in [(&many_keys[..], "any of them"), (&many_keys[..SESSIONS], "ten thousand of them in use")] {
        let (mut dice, mut others) = (Dice::new(), Dice::new());
        let measured = compare(
            ROUNDS,
            async || microseconds(20_000, async || load(&many.driver, &keys[dice.below(keys.len())], now).await).await,
            async || {
                microseconds(20_000, async || load(&few.driver, &few_keys[others.below(few_keys.len())], now).await)
                    .await
            },
        )
        .await?;
        let what = format!("a load with {count} stored sessions, {what}");
        let goal = (keys.len() == SESSIONS).then_some(Goal::AtMost(1.5));
        report("many", &what, "with 10000 stored sessions", "µs", goal, &measured);
    }
    Ok(())
}

async fn load(driver: &Arc<dyn Store>, key: &Digest, now: u64) -> Result<()> {
    let loaded = driver.load(key, APP, now, 8192).await?;
    ensure!(matches!(loaded, LoadOutcome::Found(loaded) if loaded.variables.len() == 2), "the session is not there");
    Ok(())
}

/// Writes sessions with two small variables each directly into the tables. Returns their keys in random order.
pub fn fill(file: &Path, count: u64, expires: i64) -> Result<Vec<Digest>> {
    let mut keys: Vec<_> = (0..count).map(|number| Digest::of(&format!("{expires} {number}"))).collect();
    let in_use = keys.clone();
    // In sorted order, each page of the index is written once.
    keys.sort_unstable();
    let mut connection = Connection::open(file)?;
    connection.pragma_update(None, "synchronous", "OFF")?;
    connection.pragma_update(None, "cache_size", -(512 << 10))?;
    let first =
        connection.query_row(r#"SELECT coalesce(max(id), 0) + 1 FROM "Session""#, [], |row| row.get::<_, i64>(0))?;
    for (batch, keys) in keys.chunks(100_000).enumerate() {
        let transaction = connection.transaction()?;
        {
            let mut session = transaction.prepare_cached(
                r#"INSERT INTO "Session" (id, digest, created, accessed, expires, rotated, version, size)
                    VALUES (?1, ?2, ?3, ?3, ?4, ?3, 1, 40)"#,
            )?;
            let mut variable = transaction.prepare_cached(
                r#"INSERT INTO "Session_variable" (session, app, name, value) VALUES (?1, ?2, ?3, ?4)"#,
            )?;
            for (number, key) in keys.iter().enumerate() {
                let id = first + (batch * 100_000 + number) as i64;
                session.execute(params![id, key.as_bytes(), expires - 1440, expires])?;
                // What the session component stores for the integer 1 and the text "Python Rules!".
                variable.execute(params![id, APP, "count", &b"\x01\x02\x02"[..]])?;
                variable.execute(params![id, APP, "variable1", &b"\x01\x04\x0dPython Rules!"[..]])?;
            }
        }
        transaction.commit()?;
    }
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    Ok(in_use)
}
