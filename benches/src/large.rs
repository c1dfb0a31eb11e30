//! Saving one variable of a session of 1 MB, compared with a session of 1 KB.

use anyhow::Result;
use lemon_session_host::{Session, sessions::Value};

use crate::{
    harness::{Goal, ROUNDS, compare, microseconds, report},
    site::{Site, options},
};

pub async fn measure() -> Result<()> {
    let site = Site::new(false).await?;
    let small = begin(&site, &[100; 10]).await?;
    for (variables, what) in
        [(&[100_000; 10][..], "ten variables of 100 KB"), (&[1_000; 999][..], "a thousand of 1 KB")]
    {
        let large = begin(&site, variables).await?;
        let mut numbers = 0_i64..;
        let mut others = 0_i64..;
        let measured = compare(
            ROUNDS,
            async || microseconds(500, async || save(&site, &large, numbers.next()).await).await,
            async || microseconds(500, async || save(&site, &small, others.next()).await).await,
        )
        .await?;
        let what = format!("start + set + save of one variable in a session of 1 MB, {what}");
        let goal = (variables.len() == 10).then_some(Goal::AtMost(1.2));
        report("large", &what, "in a session of 1 KB, ten variables", "µs", goal, &measured);
    }
    Ok(())
}

async fn begin(site: &Site, variables: &[usize]) -> Result<String> {
    let session: Session = site.sessions.start(options(None)).await?;
    for (number, bytes) in variables.iter().enumerate() {
        session.set(&format!("filler{number}"), Value::Bytes(vec![7; *bytes])).await?;
    }
    session.save().await?;
    Ok(session.id().await?)
}

async fn save(site: &Site, id: &str, number: Option<i64>) -> Result<()> {
    let session = site.sessions.start(options(Some(id))).await?;
    session.set("number", number.unwrap_or(0)).await?;
    session.save().await?;
    Ok(())
}
