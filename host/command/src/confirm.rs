//! Confirmation of actions that cannot be undone.

use std::io::{IsTerminal as _, Write as _, stderr, stdin};

use anyhow::{Context as _, Result};

use crate::Usage;

/// Asks on the terminal whether to do `what`, unless `yes` is set.
///
/// Without a terminal it fails, so a script must pass `--yes`.
pub fn confirm(what: &str, yes: bool) -> Result<bool> {
    if yes {
        return Ok(true);
    }
    if !stdin().is_terminal() {
        return Err(Usage(format!("this would {what}; pass --yes to confirm it")).into());
    }
    eprint!("This will {what}. Continue? [y/N] ");
    stderr().flush().context("cannot write to the terminal")?;
    let mut answer = String::new();
    stdin().read_line(&mut answer).context("cannot read from the terminal")?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
