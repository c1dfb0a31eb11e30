//! What finds sessions without reading all of them: the index by expiry, and the index by owner.
//!
//! An entry is an empty file. It is made before the version that it is for becomes the current one, so that a process that is
//! killed leaves an entry too many and never one too few. An entry says that something may be there; what is there decides.
//!
//! - `due/ERA/SLOT/`: when a digest may have to be removed, in slots of 16 seconds and eras of 4096. A session that is
//!   extended keeps its entry: the cleanup that finds it moves it to the new expiry. One that is shortened gets a second entry.
//! - `owners/HA/SH/`: the digests of an owner's sessions, by the hash of the owner.

use std::{
    fs,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use lemon_session_store::Digest;

use super::{
    disk,
    entry::Session,
    fault::Result,
    name::{self, Due, Pointer},
    table::Table,
};

/// An era has 4096 seconds.
pub const ERA: u32 = 12;
/// A slot has 16 seconds.
pub const SLOT: u32 = 4;

impl Table {
    /// Makes the entry of a digest's next version in the index by expiry.
    pub fn note(&self, digest: &Digest, pointer: &Pointer) -> Result<Due> {
        self.note_due(Due { at: pointer.until, digest: *digest, unique: pointer.tag.unique, owner: None })
    }

    fn note_due(&self, due: Due) -> Result<Due> {
        let era = self.files.join("due").join(era(due.at));
        let slot = era.join(slot(due.at));
        self.touch_in(&[&era, &slot], &due.name())?;
        Ok(due)
    }

    /// Makes the entries that a session needs in both indexes under its next version.
    pub fn note_session(&self, digest: &Digest, pointer: &Pointer, session: &Session) -> Result<Due> {
        let Some(owner) = &session.owner else { return self.note(digest, pointer) };
        let hash = name::owner_hash(&owner.name);
        let (outer, inner) = self.owner_folders(&hash);
        let due = self.note_due(Due { at: pointer.until, digest: *digest, unique: owner.unique, owner: Some(hash) })?;
        self.touch_in(&[&outer, &inner], &name::owned(digest, owner.unique))?;
        Ok(due)
    }

    /// Takes back the entries of a session that did not become the current version.
    pub fn forget_session(&self, due: &Due, session: &Session) -> Result<()> {
        disk::remove(&self.due_path(due))?;
        self.disown(&due.digest, session)
    }

    /// Removes a session's entry in the index by owner.
    pub fn disown(&self, digest: &Digest, session: &Session) -> Result<()> {
        match &session.owner {
            Some(owner) => self.disown_entry(&name::owner_hash(&owner.name), &name::owned(digest, owner.unique)),
            None => Ok(()),
        }
    }

    /// Moves an entry to a later expiry.
    pub fn postpone(&self, due: &Due, at: u64) -> Result<()> {
        let later = Due { at, ..due.clone() };
        let era = self.files.join("due").join(era(at));
        let (from, to) = (self.due_path(due), self.due_path(&later));
        self.in_folders(&[&era, &era.join(slot(at))], || match fs::rename(&from, &to) {
            // Another cleanup has moved it.
            Err(error) if error.kind() == ErrorKind::NotFound && !from.exists() => Ok(()),
            renamed => renamed,
        })
    }

    /// Removes an entry, and the one in the index by owner that goes with it.
    pub fn drop_due(&self, due: &Due) -> Result<()> {
        if let Some(owner) = &due.owner {
            self.disown_entry(owner, &name::owned(&due.digest, due.unique))?;
        }
        disk::remove(&self.due_path(due))?;
        Ok(())
    }

    /// The digests that an owner's sessions may have, sorted.
    pub fn owned(&self, owner: &str) -> Result<Vec<Digest>> {
        let (_, folder) = self.owner_folders(&name::owner_hash(owner));
        let Some(names) = disk::names(&folder)? else {
            fs::metadata(&self.files)?;
            return Ok(Vec::new());
        };
        let mut digests = Vec::new();
        for name in names {
            digests.extend(name::owned_digest(&name));
        }
        digests.sort_unstable();
        digests.dedup();
        Ok(digests)
    }

    fn due_path(&self, due: &Due) -> PathBuf {
        self.files.join("due").join(era(due.at)).join(slot(due.at)).join(due.name())
    }

    fn owner_folders(&self, hash: &str) -> (PathBuf, PathBuf) {
        let (outer, inner) = hash.split_at(2);
        let outer = self.files.join("owners").join(outer);
        let inner = outer.join(inner);
        (outer, inner)
    }

    fn disown_entry(&self, hash: &str, name: &str) -> Result<()> {
        let (_, folder) = self.owner_folders(hash);
        if disk::remove(&folder.join(name))? {
            // It stays unless this was its last entry.
            let _ = fs::remove_dir(folder);
        }
        Ok(())
    }

    fn touch_in(&self, folders: &[&Path; 2], name: &str) -> Result<()> {
        self.in_folders(folders, || self.disk.touch(&folders[1].join(name)))
    }

    /// Makes a file in a folder, and its folders if they are not there. They may be removed at the same time, being empty.
    fn in_folders(&self, folders: &[&Path; 2], make: impl Fn() -> io::Result<()>) -> Result<()> {
        let mut tries = 0;
        loop {
            match make() {
                Err(error) if error.kind() == ErrorKind::NotFound && tries < 100 => {
                    tries += 1;
                    for folder in folders {
                        let made = disk::found(self.disk.create_dir(folder))?;
                        if made == Some(true)
                            && let Some(parent) = folder.parent()
                        {
                            disk::found(self.disk.sync(parent))?;
                        }
                    }
                    fs::metadata(&self.files)?;
                }
                Err(error) => return Err(error.into()),
                Ok(()) => {
                    self.disk.sync(folders[1])?;
                    return Ok(());
                }
            }
        }
    }
}

fn era(at: u64) -> String {
    format!("{:x}", at >> ERA)
}

fn slot(at: u64) -> String {
    format!("{:x}", at >> SLOT)
}

/// The hexadecimal numbers that name something in a directory, sorted; `None` if it is not there.
pub fn numbers(directory: &Path) -> Result<Option<Vec<u64>>> {
    let Some(names) = disk::names(directory)? else { return Ok(None) };
    let mut numbers = Vec::new();
    for name in names {
        numbers.extend(name::hex(&name));
    }
    numbers.sort_unstable();
    Ok(Some(numbers))
}
