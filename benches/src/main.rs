//! Measures the cost of a session inside one process. Every row is compared with a baseline, which is the same work by
//! hand or the same work on less data. Both are measured in turns in one run.
//!
//! ```text
//! cargo run --release -p lemon-session-benches -- [--sessions N] [ROW…]
//! ```
//!
//! Prints a JSON object for each row.

mod cleanup;
mod component;
mod drivers;
mod durable;
mod ending;
mod hand;
mod harness;
mod large;
mod many;
#[path = "../../host/sql/testing/proxy.rs"]
#[allow(dead_code, reason = "the drivers' tests use the rest")]
mod proxy;
#[path = "../../tests/src/drivers.rs"]
mod registry;
mod site;
mod warm;

use anyhow::{Context as _, Result, bail};

/// The number of sessions in the large store, unless `--sessions` sets another one.
const MANY: u64 = 10_000_000;

#[tokio::main]
async fn main() -> Result<()> {
    let mut sessions = MANY;
    let mut rows = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        if argument == "--sessions" {
            let number = arguments.next().context("--sessions is followed by a number")?;
            sessions = number.parse().context("--sessions is followed by a number")?;
        } else {
            rows.push(argument);
        }
    }
    const ALL: [&str; 9] =
        ["component", "start-get", "start-set-save", "durable", "large", "cleanup", "ending", "many", "drivers"];
    if rows.is_empty() {
        rows = ALL.map(str::to_owned).into();
    }
    for row in rows {
        match row.as_str() {
            "component" => component::measure().await?,
            "start-get" => warm::start_get().await?,
            "start-set-save" => warm::start_set_save().await?,
            "durable" => durable::measure().await?,
            "large" => large::measure().await?,
            "cleanup" => cleanup::measure().await?,
            "ending" => ending::measure().await?,
            "many" => many::measure(sessions).await?,
            "drivers" => drivers::measure().await?,
            _ => bail!("there is no row {row}; the rows are {}", ALL.join(", ")),
        }
    }
    Ok(())
}
