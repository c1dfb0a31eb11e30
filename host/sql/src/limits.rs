//! The longest names that every server can index.

use lemon_session_store::{Change, Error, Result, Write};

/// The longest name, application or owner, in bytes: 255 characters of four bytes.
const LONGEST_NAME: usize = 1020;
/// The longest nonce of a grace, in bytes.
const LONGEST_NONCE: usize = 255;

fn fits(what: &str, bytes: usize, most: usize) -> Result<()> {
    if bytes > most {
        return Err(Error::unavailable(format!(
            "the {what} has {bytes} bytes: an SQL server's index takes {most} at most"
        )));
    }
    Ok(())
}

pub fn check_owner(owner: Option<&str>) -> Result<()> {
    fits("owner of a session", owner.map_or(0, str::len), LONGEST_NAME)
}

pub fn check_writes(writes: &[Write]) -> Result<()> {
    for write in writes {
        fits("name of an application", write.app.len(), LONGEST_NAME)?;
        fits("name of a variable", write.name.len(), LONGEST_NAME)?;
    }
    Ok(())
}

pub fn check_change(change: &Change) -> Result<()> {
    for app in &change.clears {
        fits("name of an application", app.len(), LONGEST_NAME)?;
    }
    check_writes(&change.writes)?;
    check_owner(change.owner.as_ref().and_then(Option::as_deref))?;
    let grace = change.rotation.as_ref().and_then(|rotation| rotation.grace.as_ref());
    fits("nonce of a grace", grace.map_or(0, |grace| grace.nonce.len()), LONGEST_NONCE)
}
