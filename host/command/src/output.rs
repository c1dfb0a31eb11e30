//! Output of the commands: aligned columns, and times in words.

use std::{
    borrow::Cow,
    fmt::{self, Display},
    io::{self, Write as _},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anstyle::{AnsiColor, Style};
use comfy_table::{ColumnConstraint, Table, Width, presets};
use indicatif::{HumanBytes, HumanDuration};
use lemon_session_host::store::DETAILS;
use lemon_session_rules::name::meaning;

/// What is in order, what is not recommended, and what is wrong.
pub const OK: Style = AnsiColor::Green.on_default();
pub const WARNING: Style = AnsiColor::Yellow.on_default();
pub const FAILURE: Style = AnsiColor::Red.on_default().bold();
const HEADER: Style = Style::new().bold();

/// Prints a line. Its colours are left out unless stdout is a terminal that has them and `NO_COLOR` is not set.
pub fn line(text: impl Display) -> anyhow::Result<()> {
    match writeln!(anstream::stdout().lock(), "{text}") {
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

/// A name stored by an application, with control characters escaped for the terminal, or what a name stands for that the session
/// keeps for itself.
pub fn name(text: &str) -> String {
    if let Some(meaning) = meaning(text) {
        return format!("({meaning})");
    }
    let escaped = |char: char| if char.is_control() { char.escape_default().to_string() } else { char.to_string() };
    text.chars().map(escaped).collect()
}

/// The name of an application. That without a name is the session component, which keeps the details of a session.
pub fn application(app: &str) -> String {
    if app == DETAILS { "(session)".to_owned() } else { name(app) }
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

/// Reads a number of things that are at least one.
pub fn positive<T: std::str::FromStr + Default + PartialOrd>(text: &str) -> Result<T, String> {
    let number = text.parse().ok().filter(|number| *number > T::default());
    number.ok_or_else(|| "not a whole number, 1 or greater".to_owned())
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
    let mut lines: Vec<_> = table.lines().map(|line| line.trim().to_owned()).collect();
    if let (Some(_), Some(header)) = (table.header(), lines.first_mut()) {
        *header = format!("{HEADER}{header}{HEADER:#}");
    }
    lines.join("\n")
}

/// A command of this program as a line for a shell. It is shown to an operator, so a password in a URL becomes `PASSWORD`.
pub fn command<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let words = words.into_iter().map(|word| quoted(&without_password(word)));
    std::iter::once("lemon-session".to_owned()).chain(words).collect::<Vec<_>>().join(" ")
}

/// A word for a shell.
pub fn quoted(word: &str) -> String {
    // A word with a NUL byte, which cannot be quoted, cannot be an argument either.
    shlex::try_quote(word).map_or(word.to_owned(), Cow::into_owned)
}

/// A URL may name several hosts, or be malformed, so it is not parsed as one.
fn without_password(word: &str) -> Cow<'_, str> {
    let masked = word.split_once("://").and_then(|(scheme, rest)| {
        let (user, hosts) = rest.rsplit_once('@')?;
        let (name, _) = user.split_once(':')?;
        Some(format!("{scheme}://{name}:PASSWORD@{hosts}"))
    });
    masked.map_or(word.into(), Cow::from)
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
    counted(count, "session")
}

/// `1 variable`, `2 variables`.
pub fn counted(count: u64, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn a_command_can_be_pasted_into_a_shell_and_shows_no_password() {
        let words = ["list", "--owner", "Ada's", "--storage", "postgres://lemon:secret@db.example/shop"];
        let line = r#"lemon-session list --owner "Ada's" --storage postgres://lemon:PASSWORD@db.example/shop"#;
        assert_eq!(command(words), line);
        assert_eq!(
            command(["tables", "check", "--storage", "sqlite:a b.db"]),
            "lemon-session tables check --storage 'sqlite:a b.db'"
        );
    }

    #[test]
    fn names_of_the_session_s_own_are_told_in_words_and_no_others() {
        assert_eq!(name("\u{1}flash0000000000000000"), "(flash message)");
        assert_eq!(name("\u{1}new"), "\\u{1}new", "of a later version");
        assert_eq!(name("flash"), "flash");
    }

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
