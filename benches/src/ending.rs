//! Saves while all sessions of one owner are ended: the longest of them.

use std::{sync::Arc, time::Instant};

use anyhow::{Result, ensure};
use lemon_session_host::store::{Change, Digest, UpdateOutcome, Write};
use rusqlite::params;

use crate::{
    hand::now,
    harness::{Comparison, Goal, report, to_microseconds},
    many::fill,
    site::{APP, Site},
};

const SESSIONS: u64 = 225_000;
/// The longest that a save may take, in milliseconds.
const LONGEST: f64 = 50.0;

pub async fn measure() -> Result<()> {
    let site = Site::new(false).await?;
    let id = site.fill(1).await?.remove(0);
    fill(&site.file(), SESSIONS, now() + 3600)?;
    let connection = rusqlite::Connection::open(site.file())?;
    let saved = Digest::of(&id);
    connection.execute(r#"UPDATE "Session" SET owner = 'Ada' WHERE digest <> ?1"#, params![saved.as_bytes()])?;
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;

    let now = now() as u64;
    let ending = tokio::spawn({
        let store = Arc::clone(&site.driver);
        async move { store.destroy_owned("Ada", None, now, 3600).await }
    });
    let (started, mut longest, mut saves) = (Instant::now(), 0.0_f64, 0);
    while !ending.is_finished() {
        let write = Write { app: APP.to_owned(), name: "variable1".to_owned(), value: Some(vec![1]) };
        let change = Change { writes: [write].into(), max_size: u64::MAX, ..Change::default() };
        let save = Instant::now();
        let outcome = site.driver.update(&saved, &change, None, now).await?;
        longest = longest.max(to_microseconds(save.elapsed()) / 1000.0);
        ensure!(matches!(outcome, UpdateOutcome::Committed(_)), "the session has ended");
        saves += 1;
    }
    ensure!(ending.await?? == SESSIONS, "not all sessions were ended");
    let seconds = started.elapsed().as_secs_f64();
    let what = format!("longest of {saves} saves while {SESSIONS} sessions of one owner are ended, in {seconds:.0} s");
    let measured = Comparison { ours: longest, floor: LONGEST, ratio: longest / LONGEST };
    report("ending", &what, "50 ms", "ms", Some(Goal::AtMost(1.0)), &measured);
    Ok(())
}
