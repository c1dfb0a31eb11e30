//! The sessions of one table, and what a change of one consists of.

use std::{fs, path::PathBuf};

use lemon_session_store::Digest;

use super::{
    disk::{self, Disk},
    entry::{self, Entry, Former, Incoming, LONGEST, Moved, Session},
    fault::{Fault, Result},
    name::{Kind, Pointer, Tag, Unique},
    patience::Patience,
    recent::Recent,
};

/// The files of a table.
#[derive(Debug)]
pub struct Table {
    /// The directory of the table, for messages.
    pub path: PathBuf,
    pub files: PathBuf,
    pub disk: Disk,
    pub unique: Unique,
    pub recent: Recent,
}

/// What is in the folder of a digest.
#[derive(Debug, Default)]
pub struct Listing {
    /// One, except at the moment in which it is renamed, and before the folder is removed.
    pub pointers: Vec<Pointer>,
    pub data: Vec<Tag>,
}

impl Listing {
    pub fn pointer(&self) -> Option<Pointer> {
        match self.pointers[..] {
            [pointer] => Some(pointer),
            _ => None,
        }
    }
}

/// The current version of what a digest means.
#[derive(Debug)]
pub struct Held<T> {
    pub digest: Digest,
    pub pointer: Pointer,
    pub entry: T,
    /// The files with data that were there.
    pub data: Vec<Tag>,
}

/// Whether the id rotation that a session came by was decided.
#[derive(Debug, PartialEq, Eq)]
pub enum Fate {
    Decided,
    /// It is under way, or its process was killed.
    Open,
    /// The old digest was changed otherwise.
    Lost,
}

impl Table {
    /// The folder of a digest.
    pub fn folder(&self, digest: &Digest) -> PathBuf {
        let hex = digest.to_hex();
        self.files.join("sessions").join(&hex[..2]).join(&hex[2..])
    }

    /// What is in the folder of a digest; `None` if the digest has no folder.
    ///
    /// # Errors
    ///
    /// Fails if the table is not there.
    pub fn list(&self, digest: &Digest) -> Result<Option<Listing>> {
        let Some(names) = disk::names(&self.folder(digest))? else {
            fs::metadata(&self.files)?;
            return Ok(None);
        };
        let mut listing = Listing::default();
        for name in names {
            if let Some(tag) = Tag::of_data(&name) {
                listing.data.push(tag);
            } else if let Some(pointer) = Pointer::parse(&name) {
                listing.pointers.push(pointer);
            }
        }
        Ok(Some(listing))
    }

    /// What a digest means. A session whose id rotation was not decided is not there yet.
    pub fn held(&self, digest: &Digest) -> Result<Option<Held<Entry>>> {
        let mut missing = None;
        let mut patience = Patience::default();
        loop {
            patience.next()?;
            let Some(listing) = self.list(digest)? else { return Ok(None) };
            let Some(pointer) = listing.pointer() else {
                // Without one, the folder is being removed. Not every file system shows a file that is just being renamed.
                if listing.pointers.is_empty() && patience.tries() > 2 {
                    return Ok(None);
                }
                continue;
            };
            let Some(entry) = self.data(digest, &pointer)? else {
                // It was replaced after the folder was listed, unless the pointer stays.
                if missing.replace(pointer.tag) == Some(pointer.tag) {
                    return Err(self.damaged(&pointer, "is missing"));
                }
                continue;
            };
            if let (Kind::Incoming, Entry::Session(session)) = (pointer.kind, &entry) {
                let Some(incoming) = &session.incoming else {
                    return Err(self.damaged(&pointer, "is damaged: it does not name the rotated id"));
                };
                match self.fate(incoming)? {
                    Fate::Decided => {
                        self.settle(digest, &pointer)?;
                        continue;
                    }
                    Fate::Open => return Ok(None),
                    Fate::Lost if self.is_current(digest, &pointer)? => return Ok(None),
                    Fate::Lost => continue,
                }
            }
            return Ok(Some(Held { digest: *digest, pointer, entry, data: listing.data }));
        }
    }

    /// The session of a digest, live or expired.
    pub fn session(&self, digest: &Digest) -> Result<Option<Held<Session>>> {
        Ok(match self.held(digest)? {
            Some(Held { digest, pointer, entry: Entry::Session(entry), data }) => {
                Some(Held { digest, pointer, entry, data })
            }
            _ => None,
        })
    }

    /// The live session of a digest.
    pub fn live(&self, digest: &Digest, now: u64) -> Result<Option<Held<Session>>> {
        Ok(self.session(digest)?.filter(|held| held.entry.is_live(now)))
    }

    /// The session that a former digest leads to, live or expired.
    pub fn follow(&self, moved: &Moved) -> Result<Option<Held<Session>>> {
        let (line, mut moved) = (moved.line, moved.clone());
        loop {
            let Some(Held { digest, pointer, entry, data }) = self.held(&moved.to())? else { return Ok(None) };
            match entry {
                Entry::Session(entry) if entry.line == line => {
                    return Ok(Some(Held { digest, pointer, entry, data }));
                }
                Entry::Former(Former { moved: Some(next), .. }) if next.line == line && next.grace.is_some() => {
                    moved = next;
                }
                _ => return Ok(None),
            }
        }
    }

    /// Reads the data of a version; `None` if it is not there any more.
    pub fn data(&self, digest: &Digest, pointer: &Pointer) -> Result<Option<Entry>> {
        if pointer.bytes > LONGEST as u64 {
            return Err(self.damaged(pointer, "is damaged: it cannot be as long as its pointer says"));
        }
        let path = self.folder(digest).join(pointer.tag.data());
        let Some(bytes) = disk::found(disk::read(&path, pointer.bytes as usize))? else { return Ok(None) };
        let Some(bytes) = bytes else {
            return Err(self.damaged(pointer, "is damaged: it is shorter than what was written"));
        };
        let entry = Entry::decode(&bytes).map_err(|what| self.damaged(pointer, &what))?;
        let fits = matches!(entry, Entry::Former(_)) == (pointer.kind == Kind::Former);
        if fits { Ok(Some(entry)) } else { Err(self.damaged(pointer, "is not what its pointer says")) }
    }

    /// Errors contain no digest: the name of the file tells which one it is.
    fn damaged(&self, pointer: &Pointer, what: &str) -> Fault {
        let sessions = self.files.join("sessions");
        Fault::Damaged(format!("the file {} of a session in {} {what}", pointer.tag.data(), sessions.display()))
    }

    /// Whether a version is still the current one.
    fn is_current(&self, digest: &Digest, pointer: &Pointer) -> Result<bool> {
        Ok(self.list(digest)?.is_some_and(|listing| listing.pointers.contains(pointer)))
    }

    /// Whether an id rotation was decided. If it was lost, its session may have been removed meanwhile.
    pub fn fate(&self, incoming: &Incoming) -> Result<Fate> {
        let mut patience = Patience::default();
        loop {
            patience.next()?;
            let listing = self.list(&incoming.from())?.unwrap_or_default();
            return Ok(match listing.pointers[..] {
                [pointer] if pointer == incoming.decided => Fate::Decided,
                [pointer] if pointer == incoming.base => Fate::Open,
                [] if patience.tries() < 3 => continue,
                [] | [_] => Fate::Lost,
                _ => continue,
            });
        }
    }

    /// Makes the session of an id rotation that was decided the one of its new digest.
    pub fn settle(&self, digest: &Digest, arrival: &Pointer) -> Result<()> {
        let folder = self.folder(digest);
        let settled = Pointer { kind: Kind::Session, ..*arrival };
        disk::rename(&folder.join(arrival.name()), &folder.join(settled.name()))?;
        // Without a folder, others have gone on with the session.
        disk::found(self.disk.sync(&folder))?;
        Ok(())
    }

    /// The pointer and the bytes of a digest's next version.
    pub fn successor(&self, of: &Pointer, entry: &Entry) -> Result<(Pointer, Vec<u8>)> {
        self.version(entry::next(&of.tag, self.unique.next()), entry)
    }

    pub fn version(&self, tag: Tag, entry: &Entry) -> Result<(Pointer, Vec<u8>)> {
        let bytes = entry.encode()?;
        let (kind, until) = match entry {
            Entry::Session(session) => (Kind::Session, session.expires),
            Entry::Former(former) => (Kind::Former, former.until),
        };
        Ok((Pointer { kind, tag, bytes: bytes.len() as u64, until }, bytes))
    }

    /// Writes the data of a version that may become the current one; false if the folder is not there any more.
    pub fn propose(&self, digest: &Digest, pointer: &Pointer, bytes: &[u8]) -> Result<bool> {
        let written = self.disk.write(&self.folder(digest).join(pointer.tag.data()), bytes);
        Ok(disk::found(written)?.is_some())
    }

    /// Takes back what [`propose`](Self::propose) wrote.
    pub fn withdraw(&self, digest: &Digest, pointer: &Pointer) -> Result<()> {
        let folder = self.folder(digest);
        disk::remove(&folder.join(pointer.tag.data()))?;
        // The folder stays unless this was the last file.
        let _ = fs::remove_dir(&folder);
        Ok(())
    }

    /// Makes a proposed version the current one, which is the decision: false if the current one is not `from` any more.
    pub fn decide(&self, digest: &Digest, from: &Pointer, to: &Pointer) -> Result<bool> {
        let folder = self.folder(digest);
        if !disk::rename(&folder.join(from.name()), &folder.join(to.name()))? {
            return Ok(false);
        }
        disk::found(self.disk.sync(&folder))?;
        Ok(true)
    }

    /// Removes what the current version has replaced: those before it, and those that have lost against it.
    pub fn tidy(&self, digest: &Digest, data: &[Tag], current: &Tag) -> Result<()> {
        let folder = self.folder(digest);
        for tag in data.iter().filter(|tag| tag.number <= current.number && *tag != current) {
            disk::remove(&folder.join(tag.data()))?;
        }
        Ok(())
    }

    /// Replaces a version by another one; false if it is not the current one any more.
    pub fn replace<T>(&self, held: &Held<T>, entry: &Entry) -> Result<bool> {
        let (pointer, bytes) = self.successor(&held.pointer, entry)?;
        if !self.propose(&held.digest, &pointer, &bytes)? {
            return Ok(false);
        }
        if !self.decide(&held.digest, &held.pointer, &pointer)? {
            self.withdraw(&held.digest, &pointer)?;
            return Ok(false);
        }
        self.tidy(&held.digest, &held.data, &pointer.tag)?;
        Ok(true)
    }

    /// Removes a digest; false if `pointer` is not its current version any more.
    pub fn end(&self, digest: &Digest, pointer: &Pointer) -> Result<bool> {
        let folder = self.folder(digest);
        if !disk::remove(&folder.join(pointer.name()))? {
            return Ok(false);
        }
        disk::found(self.disk.sync(&folder))?;
        self.sweep(digest)?;
        Ok(true)
    }

    /// Removes a folder without a current version.
    pub fn sweep(&self, digest: &Digest) -> Result<()> {
        let folder = self.folder(digest);
        let mut patience = Patience::default();
        loop {
            patience.next()?;
            let Some(Listing { pointers, data }) = self.list(digest)? else { return Ok(()) };
            if !pointers.is_empty() {
                return Ok(());
            }
            // Those of a session that was created meanwhile have a pointer beside them, from the first moment on.
            for tag in data {
                disk::remove(&folder.join(tag.data()))?;
            }
            match disk::found(fs::remove_dir(&folder)) {
                Err(error) if disk::is_taken(&error) => {}
                removed => {
                    removed?;
                    return Ok(());
                }
            }
        }
    }

    /// Makes room for a session of a digest: false if it is taken.
    pub fn vacate(&self, digest: &Digest, now: u64) -> Result<bool> {
        let mut patience = Patience::default();
        loop {
            patience.next()?;
            let Some(listing) = self.list(digest)? else { return Ok(true) };
            let Some(pointer) = listing.pointer() else {
                if listing.pointers.is_empty() && patience.tries() > 2 {
                    self.sweep(digest)?;
                    return Ok(true);
                }
                continue;
            };
            match pointer.kind {
                Kind::Session => return Ok(false),
                Kind::Former if now < pointer.until => return Ok(false),
                Kind::Former => {
                    if let Some(Entry::Former(former)) = self.data(digest, &pointer)? {
                        self.depart(&former)?;
                        self.end(digest, &pointer)?;
                    }
                }
                Kind::Incoming => {
                    let Some(Entry::Session(Session { incoming: Some(incoming), .. })) = self.data(digest, &pointer)?
                    else {
                        continue;
                    };
                    match self.fate(&incoming)? {
                        Fate::Decided => self.settle(digest, &pointer)?,
                        // Its process may have been killed: the rotation is decided for it.
                        Fate::Open => {
                            self.decide(&incoming.from(), &incoming.base, &incoming.decided)?;
                        }
                        Fate::Lost => {
                            self.end(digest, &pointer)?;
                        }
                    }
                }
            }
        }
    }

    /// To be called before the version of a former digest is replaced or removed: whether its rotation was decided could not
    /// be told afterwards.
    pub fn depart(&self, former: &Former) -> Result<()> {
        let Some(moved) = &former.moved else { return Ok(()) };
        let listing = self.list(&moved.to())?.unwrap_or_default();
        let arrival = listing.pointers.iter().find(|at| at.kind == Kind::Incoming && at.tag == moved.arrival);
        arrival.map_or(Ok(()), |arrival| self.settle(&moved.to(), arrival))
    }
}
