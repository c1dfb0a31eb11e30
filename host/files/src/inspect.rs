//! What an operator sees. Without an owner, this reads all folders.

use std::{
    io::{self, ErrorKind},
    path::Path,
};

use lemon_session_store::{Digest, Listed};

use super::{
    disk,
    entry::{Entry, Former},
    fault::Result,
    name::Kind,
    table::{Held, Table},
};

impl Table {
    pub fn count(&self, now: u64) -> Result<u64> {
        let mut live = 0;
        self.each(None, |digest| {
            let is_live = match self.list(&digest)?.and_then(|listing| listing.pointer()) {
                Some(pointer) if pointer.kind == Kind::Session => now < pointer.until,
                // Its name does not tell, or it is just being renamed.
                Some(pointer) if pointer.kind == Kind::Former => false,
                _ => self.live(&digest, now)?.is_some(),
            };
            live += u64::from(is_live);
            Ok(true)
        })?;
        Ok(live)
    }

    pub fn reused(&self, now: u64) -> Result<u64> {
        let mut reused = 0;
        self.each(None, |digest| {
            let pointer = self.list(&digest)?.and_then(|listing| listing.pointer());
            if pointer.is_none_or(|pointer| pointer.kind == Kind::Former && now < pointer.until)
                && let Some(Held { entry: Entry::Former(former), .. }) = self.held(&digest)?
                && now < former.until
            {
                reused += former.reused;
            }
            Ok(true)
        })?;
        Ok(reused)
    }

    pub fn listed(&self, now: u64, owner: Option<&str>, after: Option<&Digest>, limit: u32) -> Result<Vec<Listed>> {
        let mut listed = Vec::new();
        let mut add = |digest: Digest| {
            if listed.len() == limit as usize {
                return Ok(false);
            }
            if let Some(held) = self.live(&digest, now)?
                && (owner.is_none() || held.entry.owner() == owner)
            {
                listed.push(Listed { digest, record: held.entry.record() });
            }
            Ok(true)
        };
        match owner {
            None => self.each(after, add)?,
            Some(owner) => {
                for digest in self.owned(owner)?.into_iter().filter(|digest| after.is_none_or(|after| digest > after)) {
                    if !add(digest)? {
                        break;
                    }
                }
            }
        }
        Ok(listed)
    }

    /// Counts a load of a former digest.
    pub fn count_reuse(&self, held: &Held<Former>) -> Result<bool> {
        self.depart(&held.entry)?;
        let former = Former { reused: held.entry.reused.saturating_add(1), ..held.entry.clone() };
        self.replace(held, &Entry::Former(former))
    }

    /// Calls `each` with the digests of all folders that follow `after`, in order, until it answers false.
    fn each(&self, after: Option<&Digest>, mut each: impl FnMut(Digest) -> Result<bool>) -> Result<()> {
        let first = after.map_or(0, |after| after.as_bytes()[0]);
        let sessions = self.files.join("sessions");
        let outer: Vec<String> = sorted(&sessions)?.ok_or_else(|| io::Error::from(ErrorKind::NotFound))?;
        for outer in outer {
            if u8::from_str_radix(&outer, 16).is_ok_and(|outer| outer < first) {
                continue;
            }
            for inner in sorted(&sessions.join(&outer))?.into_iter().flatten() {
                let Some(digest) = Digest::from_hex(&format!("{outer}{inner}")) else { continue };
                if after.is_none_or(|after| digest > *after) && !each(digest)? {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

fn sorted(directory: &Path) -> Result<Option<Vec<String>>> {
    let Some(mut names) = disk::names(directory)? else { return Ok(None) };
    names.sort_unstable();
    Ok(Some(names))
}
