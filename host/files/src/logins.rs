//! Counting the sessions of an owner before a session becomes the owner's.
//!
//! Logins of one owner take turns. Whose turn it is holds `logins/HASH/`, a folder with one file, whose name is that of the session
//! that logs in. It is prepared elsewhere and renamed, which fails if there is one with a file in it.
//!
//! A process that is killed has its turn taken away. It may also only be slow, and about to write. So the session that it would write
//! is first given a new version with the same content: a login reads its session before its turn begins, and can then only replace a
//! version that is not the current one any more. It begins anew.

use std::{
    collections::BTreeSet,
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use lemon_session_store::Digest;

use super::{disk, entry::Entry, fault::Result, name, patience::Patience, table::Table};

/// How long a turn may take before another login takes it away. Counting is a matter of milliseconds.
const LONGEST: Duration = Duration::from_millis(if cfg!(test) { 20 } else { 1000 });

/// The turn of a login. It ends when this is dropped.
pub struct Turn {
    folder: PathBuf,
    file: PathBuf,
}

impl Drop for Turn {
    fn drop(&mut self) {
        // What cannot be removed is taken away by the next login.
        let _ = disk::remove(&self.file);
        let _ = fs::remove_dir(&self.folder);
    }
}

impl Table {
    /// Waits for the turn of a login of this owner. The session that becomes the owner's has to be read before.
    pub fn turn(&self, owner: &str, digest: &Digest, now: u64) -> Result<Turn> {
        let logins = self.files.join("logins");
        let folder = logins.join(name::owner_hash(owner));
        let name = name::owned(digest, self.unique.next());
        let mut patience = Patience::default();
        let mut other: Option<(String, Instant)> = None;
        let mut prepared = None;
        loop {
            patience.next()?;
            let new = match prepared.take() {
                Some(new) => new,
                None => self.prepare_turn(&name, now)?,
            };
            match fs::rename(&new, &folder) {
                Ok(()) => return Ok(Turn { file: folder.join(&name), folder }),
                Err(error) if disk::is_taken(&error) => {
                    prepared = Some(new);
                    let Some(holder) = disk::names(&folder)?.and_then(|names| names.into_iter().next()) else {
                        continue;
                    };
                    match &other {
                        Some((seen, since)) if *seen == holder => {
                            if since.elapsed() > LONGEST {
                                self.take_away(&folder, &holder)?;
                            }
                        }
                        _ => other = Some((holder, Instant::now())),
                    }
                }
                // This is the first login of the table, or a cleanup has taken what was prepared for that of a process that was
                // killed.
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    self.disk.create_dir(&logins)?;
                    prepared = disk::found(fs::metadata(&new))?.map(|_| new);
                }
                Err(error) => {
                    let _ = self.discard(&new);
                    return Err(error.into());
                }
            }
        }
    }

    fn prepare_turn(&self, name: &str, now: u64) -> Result<PathBuf> {
        let new = self.files.join("new").join(format!("{now:x}-{:016x}", self.unique.next()));
        self.disk.create_dir(&new)?;
        self.disk.touch(&new.join(name))?;
        Ok(new)
    }

    /// Ends the turn of another login, whose session it can then not write any more.
    fn take_away(&self, folder: &Path, holder: &str) -> Result<()> {
        if let Some(digest) = name::owned_digest(holder)
            && let Some(held) = self.session(&digest)?
        {
            // If this fails, the session has another version already.
            self.replace(&held, &Entry::Session(held.entry.clone()))?;
        }
        disk::remove(&folder.join(holder))?;
        let _ = fs::remove_dir(folder);
        Ok(())
    }

    /// How many live sessions an owner has. One whose id is rotated meanwhile is found: its new digest is in the index before the
    /// old one leads there.
    pub fn count_owned(&self, owner: &str, now: u64) -> Result<u64> {
        let (mut sessions, mut looked) = (BTreeSet::new(), BTreeSet::new());
        let mut patience = Patience::default();
        loop {
            patience.next()?;
            let mut digests = self.owned(owner)?;
            digests.retain(|digest| looked.insert(*digest));
            if digests.is_empty() {
                return Ok(sessions.len() as u64);
            }
            while let Some(digest) = digests.pop() {
                match self.held(&digest)?.map(|held| held.entry) {
                    Some(Entry::Session(session)) if session.is_live(now) && session.owner() == Some(owner) => {
                        sessions.insert(session.line.session);
                    }
                    Some(Entry::Former(former)) => digests.extend(former.moved.map(|moved| moved.to())),
                    _ => {}
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::mem;

    use lemon_session_store::{Change, Rotation, UpdateOutcome};

    use super::*;
    use crate::rotation::tests::{NOW, digest, table};

    /// A login of Ada, who may have one session, which gets a digest of this name.
    fn login(to: Option<&str>) -> Change {
        Change {
            owner: Some(Some("Ada".to_owned())),
            max_owned: Some(1),
            rotation: to.map(|to| Rotation { to: digest(to), grace: None }),
            max_size: 9,
            ..Change::default()
        }
    }

    fn update(table: &Table, name: &str, change: &Change) -> UpdateOutcome {
        table.update(&digest(name), change, None, NOW).expect("update")
    }

    #[test]
    fn login_whose_turn_was_taken_away_writes_nothing() {
        for to in [None, Some("slow too")] {
            let (_folder, table) = table(None, &["slow", "fast"]);
            // It reads its session, has its turn, counts, and is about to write.
            let held = table.live(&digest("slow"), NOW).expect("a load").expect("a session");
            mem::forget(table.turn("Ada", &digest("slow"), NOW).expect("a turn"));
            let counted = Change { max_owned: None, ..login(to) };

            assert_eq!(
                update(&table, "fast", &login(Some("fast too"))),
                UpdateOutcome::Committed(2),
                "it takes the turn away"
            );
            assert_eq!(
                table.try_update(&held, &counted, None, NOW).expect("an answer"),
                None,
                "another version is there"
            );
            assert_eq!(update(&table, "slow", &login(to)), UpdateOutcome::TooManyOwned(1), "it begins anew");
            assert_eq!(table.count_owned("Ada", NOW).expect("a count"), 1);
        }
    }

    #[test]
    fn killed_login_keeps_no_other_one_out() {
        let (_folder, table) = table(None, &["slow", "fast"]);
        for name in ["slow", "nothing"] {
            mem::forget(table.turn("Ada", &digest(name), NOW).expect("a turn"));
        }
        assert_eq!(update(&table, "fast", &login(None)), UpdateOutcome::Committed(2));
        let logins = fs::read_dir(table.files.join("logins")).expect("a folder");
        assert_eq!(logins.count(), 0, "nothing is left");
    }
}
