//! Takes two measurements in turns, computes their medians, and prints them.

use std::time::{Duration, Instant};

use anyhow::Result;

/// The number of rounds in which two measurements take turns.
pub const ROUNDS: usize = 15;

/// The medians of two measurements, and of their ratios.
pub struct Comparison {
    pub ours: f64,
    pub floor: f64,
    pub ratio: f64,
}

/// Takes two measurements in turns, so that other activity on the machine affects both.
pub async fn compare(
    rounds: usize,
    mut ours: impl AsyncFnMut() -> Result<f64>,
    mut floor: impl AsyncFnMut() -> Result<f64>,
) -> Result<Comparison> {
    // Not counted: one-time work and cold caches.
    ours().await?;
    floor().await?;
    let mut measured = Vec::with_capacity(rounds);
    for round in 0..rounds {
        measured.push(if round % 2 == 0 {
            let ours = ours().await?;
            (ours, floor().await?)
        } else {
            let floor = floor().await?;
            (ours().await?, floor)
        });
    }
    Ok(Comparison {
        ours: median(measured.iter().map(|(ours, _)| *ours)),
        floor: median(measured.iter().map(|(_, floor)| *floor)),
        ratio: median(measured.iter().map(|(ours, floor)| ours / floor)),
    })
}

/// How many microseconds one of `times` calls takes.
pub async fn microseconds(times: u32, mut call: impl AsyncFnMut() -> Result<()>) -> Result<f64> {
    let started = Instant::now();
    for _ in 0..times {
        call().await?;
    }
    Ok(to_microseconds(started.elapsed()) / f64::from(times))
}

pub fn to_microseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    percentile(values, 0.5)
}

pub fn percentile(values: impl Iterator<Item = f64>, part: f64) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * part).round() as usize]
}

/// The goal of a row.
pub enum Goal {
    AtMost(f64),
    AtLeast(f64),
}

/// Prints a row.
pub fn report(row: &str, what: &str, floor: &str, unit: &str, goal: Option<Goal>, measured: &Comparison) {
    let (kind, goal) = match goal {
        Some(Goal::AtMost(goal)) => ("at most", Some(goal)),
        Some(Goal::AtLeast(goal)) => ("at least", Some(goal)),
        None => ("", None),
    };
    let Comparison { ours, floor: of_floor, ratio } = measured;
    println!(
        "{}",
        serde_json::json!({
            "row": row, "what": what, "floor": floor, "unit": unit, "kind": kind, "goal": goal,
            "ours": ours, "of_floor": of_floor, "ratio": ratio,
        })
    );
}

/// A cheap random number generator to select sessions.
pub struct Dice(u64);

impl Dice {
    pub fn new() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}
