//! Output of the commands: aligned columns, and times in words.

use std::{
    fmt::{self, Display},
    io::{self, Write as _},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use comfy_table::{ColumnConstraint, Table, Width, presets};
use indicatif::{HumanBytes, HumanDuration};

/// Prints a line.
pub fn line(text: impl Display) -> anyhow::Result<()> {
    match writeln!(io::stdout().lock(), "{text}") {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(NobodyReads.into()),
        written => Ok(written?),
    }
}

/// The reader closed the pipe, as `head` does. The command ends without an error.
#[derive(Debug)]
pub struct NobodyReads;

impl Display for NobodyReads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("stdout was closed")
    }
}

impl std::error::Error for NobodyReads {}

/// A name stored by an application, with control characters escaped for the terminal.
pub fn name(text: &str) -> String {
    let escaped = |char: char| if char.is_control() { char.escape_default().to_string() } else { char.to_string() };
    text.chars().map(escaped).collect()
}

/// An error with its causes in one line. A cause is left out whose text the error before it has already, as those of
/// libraries often do.
pub fn causes(error: &anyhow::Error) -> String {
    let mut text = String::new();
    let mut last = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text.clone_from(&cause);
        } else if !last.contains(&cause) {
            text = format!("{text}: {cause}");
        } else {
            continue;
        }
        last = cause;
    }
    text
}

/// The time now, in seconds since 1970-01-01T00:00:00Z.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// A table without borders.
pub fn table() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table
}

/// A table as text, without trailing spaces.
pub fn render(table: &Table) -> String {
    let lines: Vec<_> = table.lines().map(|line| line.trim().to_owned()).collect();
    lines.join("\n")
}

/// The column widths of a table that is printed in parts: they never shrink from one part to the next.
pub struct Widths<const N: usize>(pub [u16; N]);

impl<const N: usize> Widths<N> {
    pub fn align(&mut self, table: &mut Table) {
        let widths = table.column_max_content_widths();
        for ((width, column), before) in widths.into_iter().zip(table.column_iter_mut()).zip(&mut self.0) {
            *before = width.max(*before);
            let padding = column.padding_width();
            column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(*before + padding)));
        }
    }
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

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn no_text_of_a_cause_is_repeated() {
        let denied = || anyhow!("Permission denied (os error 13)");
        assert_eq!(causes(&denied()), "Permission denied (os error 13)");
        assert_eq!(causes(&denied().context("cannot read a")), "cannot read a: Permission denied (os error 13)");
        let repeated = denied().context("Permission denied (os error 13)").context("cannot read a");
        assert_eq!(causes(&repeated), "cannot read a: Permission denied (os error 13)");
        let within = denied().context("a cannot be read: Permission denied (os error 13)").context("the store fails");
        assert_eq!(causes(&within), "the store fails: a cannot be read: Permission denied (os error 13)");
        assert_eq!(causes(&denied().context("b").context("a")), "a: b: Permission denied (os error 13)");
    }
}
