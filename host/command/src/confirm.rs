//! Questions before what cannot be undone.

use std::io::{IsTerminal as _, Write as _, stderr, stdin};

use anyhow::{Context as _, Result};

use crate::Usage;

/// Asks whether to do `what`, unless `yes` was said beforehand.
///
/// Where nobody can answer it does nothing: a script has to say `--yes`.
pub fn confirm(what: &str, yes: bool) -> Result<bool> {
    if yes {
        return Ok(true);
    }
    if !stdin().is_terminal() {
        return Err(Usage(format!("this would {what}; give --yes to do it without being asked")).into());
    }
    eprint!("This will {what}. Go on? [y/N] ");
    stderr().flush().context("cannot write to the terminal")?;
    let mut answer = String::new();
    stdin().read_line(&mut answer).context("cannot read from the terminal")?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
