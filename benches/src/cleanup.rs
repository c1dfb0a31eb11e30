//! Starts during a cleanup of a million expired sessions, compared with starts without one.

use std::time::Instant;

use anyhow::{Result, ensure};

use crate::{
    hand::now,
    harness::{Comparison, Dice, Goal, percentile, report, to_microseconds},
    many::fill,
    site::{SESSIONS, Site, options},
};

const EXPIRED: u64 = 1_000_000;
/// Starts in one measurement.
const STARTS: usize = 20_000;

pub async fn measure() -> Result<()> {
    let site = Site::new(false).await?;
    let ids = site.fill(SESSIONS).await?;
    fill(&site.file(), EXPIRED, now() - 10)?;
    let mut dice = Dice::new();
    let mut starts = async |cleanup| {
        let mut times = Vec::with_capacity(STARTS);
        for number in 0..STARTS {
            let mut options = options(Some(&ids[dice.below(ids.len())]));
            // As on a site, one start in a hundred triggers a cleanup in the background.
            options.cleanup = Some(if cleanup && number % 100 == 0 { 1.0 } else { 0.0 });
            let started = Instant::now();
            let session = site.sessions.start(options).await?;
            ensure!(session.get("variable1").await?.is_some(), "the session is not there");
            drop(session);
            times.push(to_microseconds(started.elapsed()));
            // As a server does between two requests.
            tokio::task::yield_now().await;
        }
        anyhow::Ok(times)
    };
    starts(false).await?;
    let idle = starts(false).await?;
    let before = expired(&site).await?;
    let busy = starts(true).await?;
    let after = expired(&site).await?;
    ensure!(after < before, "nothing was cleaned up during the measurement");
    ensure!(after > 0, "the cleanup ended before the measurement did");
    let p99 = |times: &[f64]| percentile(times.iter().copied(), 0.99);
    let (ours, floor) = (p99(&busy), p99(&idle));
    let what =
        format!("p99 of start + get while expired sessions are cleaned up ({} of {before} meanwhile)", before - after);
    let measured = Comparison { ours, floor, ratio: ours / floor };
    report("cleanup", &what, "idle", "µs", Some(Goal::AtMost(2.0)), &measured);
    Ok(())
}

async fn expired(site: &Site) -> Result<i64> {
    let connection = rusqlite::Connection::open(site.file())?;
    Ok(connection.query_row(r#"SELECT count(*) FROM "Session" WHERE expires <= ?1"#, [now()], |row| row.get(0))?)
}
