//! What the commands print: aligned columns, times in words.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use comfy_table::{Table, presets};
use indicatif::{HumanBytes, HumanDuration};

/// The time now, in seconds since 1970-01-01T00:00:00Z.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// A table without lines.
pub fn table() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table
}

/// A table as text, without the blanks at the ends of its lines.
pub fn render(table: &Table) -> String {
    let lines: Vec<_> = table.lines().map(|line| line.trim().to_owned()).collect();
    lines.join("\n")
}

/// `3 minutes ago`.
pub fn ago(then: u64, now: u64) -> String {
    match now.saturating_sub(then) {
        0 => "now".to_owned(),
        seconds => format!("{} ago", HumanDuration(Duration::from_secs(seconds))),
    }
}

/// `in 3 minutes`.
pub fn ahead(then: u64, now: u64) -> String {
    match then.saturating_sub(now) {
        0 => "now".to_owned(),
        seconds => format!("in {}", HumanDuration(Duration::from_secs(seconds))),
    }
}

/// `1.50 KiB`.
pub fn bytes(bytes: u64) -> String {
    HumanBytes(bytes).to_string()
}

/// `1 session`, `2 sessions`.
pub fn sessions(count: u64) -> String {
    match count {
        1 => "1 session".to_owned(),
        count => format!("{count} sessions"),
    }
}
