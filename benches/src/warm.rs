//! A session on a pooled instance, through the native API, compared with the same statements by hand.

use anyhow::{Result, ensure};

use crate::{
    hand::Hand,
    harness::{Dice, Goal, ROUNDS, compare, microseconds, report},
    site::{SESSIONS, Site, options},
};

pub async fn start_get() -> Result<()> {
    let site = Site::new(false).await?;
    let ids = site.fill(SESSIONS).await?;
    let hand = Hand::open(&site.file(), false)?;
    let (mut dice, mut others) = (Dice::new(), Dice::new());
    let measured = compare(
        ROUNDS,
        async || {
            microseconds(5_000, async || {
                let session = site.sessions.start(options(Some(&ids[dice.below(ids.len())]))).await?;
                ensure!(session.get("variable1").await?.is_some(), "the session is not there");
                Ok(())
            })
            .await
        },
        async || {
            microseconds(5_000, async || {
                ensure!(hand.load(&ids[others.below(ids.len())])?.len() == 5, "the session is not there");
                Ok(())
            })
            .await
        },
    )
    .await?;
    let goal = Some(Goal::AtMost(1.5));
    report("start-get", "start + get, warm instance", "the same load by hand", "µs", goal, &measured);
    Ok(())
}

pub async fn start_set_save() -> Result<()> {
    let site = Site::new(false).await?;
    let ids = site.fill(SESSIONS).await?;
    // A separate store, because a database has one writer.
    let other = Site::new(false).await?;
    let others = other.fill(SESSIONS).await?;
    other.driver.close().await?;
    let hand = Hand::open(&other.file(), false)?;
    let (mut dice, mut other_dice) = (Dice::new(), Dice::new());
    let mut number = 0_i64;
    let measured = compare(
        ROUNDS,
        async || {
            microseconds(4_000, async || {
                let session = site.sessions.start(options(Some(&ids[dice.below(ids.len())]))).await?;
                number += 1;
                session.set("variable4", number).await?;
                session.save().await?;
                Ok(())
            })
            .await
        },
        async || {
            let mut number = 0_u64;
            microseconds(4_000, async || {
                let id = &others[other_dice.below(others.len())];
                ensure!(hand.load(id)?.len() == 5, "the session is not there");
                number += 1;
                hand.save(id, "variable4", &number.to_le_bytes())
            })
            .await
        },
    )
    .await?;
    let floor = "the same load and transaction by hand";
    report("start-set-save", "start + set + save, pooled instance", floor, "µs", Some(Goal::AtMost(1.3)), &measured);
    Ok(())
}
