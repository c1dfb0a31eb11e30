//! Removes what has expired, and what killed processes have left.

use std::{collections::BTreeSet, fs, io, path::Path};

use super::{
    disk,
    entry::{Entry, Session},
    fault::Result,
    index::{ERA, SLOT, numbers},
    name::{Due, Kind, hex},
    patience::Patience,
    table::{Fate, Table},
};

/// For how many seconds the folder of a new session may be under way before its process counts as killed.
const ABANDONED: u64 = 600;

impl Table {
    /// Removes at most `limit` expired sessions and tombstones. Reads nothing of those that the index by expiry does not name
    /// as due.
    pub fn cleanup(&self, now: u64, limit: u32) -> Result<u32> {
        self.remove_abandoned(now, limit)?;
        let mut removed = 0;
        self.each_due(now, |due| {
            if removed < limit {
                removed += u32::from(self.clean(&due, now)?);
                return Ok(true);
            }
            Ok(false)
        })?;
        Ok(removed)
    }

    /// How many expired sessions and tombstones a cleanup without a limit would remove.
    pub fn backlog(&self, now: u64) -> Result<u64> {
        let mut expired = BTreeSet::new();
        self.each_due(now, |due| {
            // A session that was extended keeps its entry.
            let pointer = self.list(&due.digest)?.and_then(|listing| listing.pointer());
            if pointer.is_some_and(|pointer| pointer.until <= now && pointer.kind != Kind::Incoming) {
                expired.insert(due.digest);
            }
            Ok(true)
        })?;
        Ok(expired.len() as u64)
    }

    /// Calls `each` with the entries of the index by expiry that are due, until it answers false.
    fn each_due(&self, now: u64, mut each: impl FnMut(Due) -> Result<bool>) -> Result<()> {
        let root = self.files.join("due");
        let eras = numbers(&root)?.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        for era in eras.into_iter().take_while(|era| *era <= now >> ERA) {
            let era = root.join(format!("{era:x}"));
            for slot in numbers(&era)?.into_iter().flatten().take_while(|slot| *slot <= now >> SLOT) {
                let slot = era.join(format!("{slot:x}"));
                for name in disk::names(&slot)?.into_iter().flatten() {
                    let Some(due) = Due::parse(&name).filter(|due| due.at <= now) else { continue };
                    if !each(due)? {
                        return Ok(());
                    }
                }
                remove_if_empty(&slot);
            }
            remove_if_empty(&era);
        }
        Ok(())
    }

    /// Does what an entry of the index is for; returns whether a session or a tombstone was removed.
    fn clean(&self, due: &Due, now: u64) -> Result<bool> {
        let mut patience = Patience::default();
        loop {
            patience.next()?;
            let listing = self.list(&due.digest)?;
            let Some(pointer) = listing.as_ref().and_then(|listing| listing.pointer()) else {
                if listing.is_some_and(|listing| !listing.pointers.is_empty() || patience.tries() < 3) {
                    continue;
                }
                self.sweep(&due.digest)?;
                self.drop_due(due)?;
                return Ok(false);
            };
            if now < pointer.until {
                self.postpone(due, pointer.until)?;
                return Ok(false);
            }
            let mut counts = true;
            match pointer.kind {
                Kind::Session => {}
                // A damaged one leads nowhere.
                Kind::Former => match self.data(&due.digest, &pointer) {
                    Ok(Some(Entry::Former(former))) => self.depart(&former)?,
                    Ok(None) => continue,
                    _ => {}
                },
                Kind::Incoming => {
                    if let Ok(Some(Entry::Session(Session { incoming: Some(incoming), .. }))) =
                        self.data(&due.digest, &pointer)
                        && self.fate(&incoming)? == Fate::Decided
                    {
                        self.settle(&due.digest, &pointer)?;
                        continue;
                    }
                    counts = false;
                }
            }
            if self.end(&due.digest, &pointer)? {
                self.drop_due(due)?;
                return Ok(counts);
            }
        }
    }

    /// Removes what killed processes have prepared.
    fn remove_abandoned(&self, now: u64, limit: u32) -> Result<()> {
        let folder = self.files.join("new");
        for name in disk::names(&folder)?.into_iter().flatten().take(limit as usize) {
            // Its process has no use for it once it has another name.
            let old = match name.strip_prefix("x-") {
                Some(_) => folder.join(&name),
                None => {
                    let since = name.split_once('-').and_then(|(since, _)| hex(since));
                    if since.is_none_or(|since| now < since.saturating_add(ABANDONED)) {
                        continue;
                    }
                    let old = folder.join(format!("x-{:016x}", self.unique.next()));
                    disk::rename(&folder.join(&name), &old)?;
                    old
                }
            };
            disk::found(fs::remove_dir_all(old))?;
        }
        Ok(())
    }
}

fn remove_if_empty(directory: &Path) {
    let _ = fs::remove_dir(directory);
}
