//! 32 clients that save at the same time, with saves that survive a power failure.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};

use crate::{
    hand::Hand,
    harness::{Goal, compare, report},
    site::{Site, options},
};

const CLIENTS: usize = 32;
const ROUNDS: usize = 5;
const TIME: Duration = Duration::from_secs(1);

pub async fn measure() -> Result<()> {
    let site = Site::new(true).await?;
    let ids = site.fill(CLIENTS).await?;
    let other = Site::new(true).await?;
    let others = other.fill(CLIENTS).await?;
    other.driver.close().await?;
    let hand = Arc::new(Mutex::new(Hand::open(&other.file(), true)?));

    let measured = compare(
        ROUNDS,
        async || {
            let started = Instant::now();
            let clients: Vec<_> = ids
                .iter()
                .map(|id| {
                    let (sessions, id) = (site.sessions.clone(), id.clone());
                    tokio::spawn(async move {
                        let mut saves = 0_i64;
                        while started.elapsed() < TIME {
                            let session = sessions.start(options(Some(&id))).await?;
                            session.set("variable4", saves).await?;
                            session.save().await?;
                            saves += 1;
                        }
                        Ok::<_, anyhow::Error>(saves)
                    })
                })
                .collect();
            let mut saves = 0;
            for client in clients {
                saves += client.await??;
            }
            Ok(saves as f64 / started.elapsed().as_secs_f64())
        },
        async || {
            let started = Instant::now();
            let clients: Vec<_> = others
                .iter()
                .map(|id| {
                    let (hand, id) = (Arc::clone(&hand), id.clone());
                    std::thread::spawn(move || {
                        let mut saves = 0_i64;
                        while started.elapsed() < TIME {
                            let hand = hand.lock().ok().context("a client before this one has failed")?;
                            hand.save(&id, "variable4", &saves.to_le_bytes())?;
                            saves += 1;
                        }
                        Ok::<_, anyhow::Error>(saves)
                    })
                })
                .collect();
            let mut saves = 0;
            for client in clients {
                saves += client.join().ok().context("a client has ended early")??;
            }
            Ok(saves as f64 / started.elapsed().as_secs_f64())
        },
    )
    .await?;
    let what = "32 clients, start + set + save, FULL";
    report("durable", what, "one transaction per save by hand", "saves/s", Some(Goal::AtLeast(5.0)), &measured);
    Ok(())
}
