//! Creating, changing and ending sessions.

use std::{fs, io::ErrorKind, path::PathBuf, sync::Arc};

use lemon_session_store::{Change, CreateOutcome, DestroyCondition, Digest, Record, Snapshot, UpdateOutcome, Writes};

use super::{
    disk,
    entry::{Entry, Former, Session},
    fault::Result,
    name::{Pointer, Tag},
    patience::Patience,
    table::{Held, Table},
};

impl Table {
    pub fn create(&self, digest: &Digest, record: &Record, writes: &Writes) -> Result<CreateOutcome> {
        let unique = self.unique.next();
        let session = Session::new(record, 1, writes, unique);
        let created = self.insert(digest, session, record.accessed)?;
        Ok(if created { CreateOutcome::Created } else { CreateOutcome::Exists })
    }

    pub fn import(&self, digest: &Digest, snapshot: &Snapshot, over: Option<u64>, now: u64) -> Result<bool> {
        let Some(over) = over else {
            let Snapshot { record, variables } = snapshot;
            return self.insert(digest, Session::new(record, record.version, variables, self.unique.next()), now);
        };
        let mut patience = Patience::default();
        loop {
            patience.next()?;
            let Some(held) = self.live(digest, now)?.filter(|held| held.entry.version == over) else {
                return Ok(false);
            };
            let mut session = held.entry.clone();
            session.replace(snapshot, self.unique.next());
            if self.save(&held, session)? {
                return Ok(true);
            }
        }
    }

    pub fn update(&self, digest: &Digest, change: &Change, expected: Option<u64>, now: u64) -> Result<UpdateOutcome> {
        let limit = change.owner_limit();
        // What this process knows may have been overtaken: then nothing is saved, and a refusal would say nothing.
        if change.rotation.is_none()
            && limit.is_none()
            && let Some(held) = self.recent.get(digest).filter(|held| held.entry.is_live(now))
            && let Some(UpdateOutcome::Committed(version)) = self.try_update(&held, change, expected, now)?
        {
            return Ok(UpdateOutcome::Committed(version));
        }
        let mut patience = Patience::default();
        loop {
            patience.next()?;
            let Some(held) = self.live(digest, now)? else { return Ok(UpdateOutcome::Gone) };
            // After the session was read.
            let _turn = limit.map(|(owner, _)| self.turn(owner, digest, now)).transpose()?;
            if let Some(outcome) = self.try_update(&held, change, expected, now)? {
                return Ok(outcome);
            }
        }
    }

    /// Applies a change to a live session; `None` if it was changed otherwise meanwhile.
    pub fn try_update(
        &self,
        held: &Held<Session>,
        change: &Change,
        expected: Option<u64>,
        now: u64,
    ) -> Result<Option<UpdateOutcome>> {
        let old = &held.entry;
        if expected.is_some_and(|expected| expected != old.version) {
            return Ok(Some(UpdateOutcome::Conflict(old.version)));
        }
        let mut session = old.clone();
        session.apply(change, now, self.unique.next());
        if session.size > old.size && session.size > change.max_size {
            return Ok(Some(UpdateOutcome::TooLarge(session.size)));
        }
        if let Some((owner, most)) = change.owner_limit()
            && old.owner() != Some(owner)
        {
            let others = self.count_owned(owner, now)?;
            if others >= most {
                return Ok(Some(UpdateOutcome::TooManyOwned(others)));
            }
        }
        let version = session.version;
        let is_saved = match &change.rotation {
            None => self.save(held, session)?,
            Some(rotation) => self.rotate(held, session, rotation, change.remember, now)?,
        };
        Ok(is_saved.then_some(UpdateOutcome::Committed(version)))
    }

    pub fn destroy(&self, digest: &Digest, only: &DestroyCondition, now: u64, remember: u32) -> Result<bool> {
        let mut patience = Patience::default();
        loop {
            patience.next()?;
            let Some(held) = self.session(digest)? else { return Ok(false) };
            let live = held.entry.is_live(now);
            if !only.is_met(live, held.entry.owner()) {
                return Ok(false);
            }
            let until = now.saturating_add(remember.into());
            let is_ended = if live && until > now {
                self.bury(&held, Former { until, reused: 0, moved: None })?
            } else {
                self.end(digest, &held.pointer)?
            };
            if is_ended {
                self.disown(digest, &held.entry)?;
                return Ok(live);
            }
        }
    }

    /// Ends the live sessions of an owner, and returns how many it ended.
    pub fn destroy_owned(&self, owner: &str, except: Option<&Digest>, now: u64, remember: u32) -> Result<u64> {
        let spared = match except {
            Some(digest) => self.led_to(digest, now)?.map(|held| held.entry.line.session),
            None => None,
        };
        let mut ended = 0;
        // A session that gets another digest is found by the old one, which is listed as long as its tombstone is there. One
        // that got its owner meanwhile is found by the next pass.
        loop {
            let mut found = 0;
            for digest in self.owned(owner)? {
                found += u64::from(self.destroy_found(&digest, owner, spared, now, remember)?);
            }
            if found == 0 {
                return Ok(ended);
            }
            ended += found;
        }
    }

    fn destroy_found(
        &self,
        digest: &Digest,
        owner: &str,
        spared: Option<u64>,
        now: u64,
        remember: u32,
    ) -> Result<bool> {
        let only = DestroyCondition::Owned(owner.to_owned());
        let mut digest = *digest;
        loop {
            match self.held(&digest)? {
                Some(Held { entry: Entry::Session(session), .. }) => {
                    let is_theirs = only.is_met(session.is_live(now), session.owner());
                    if !is_theirs || spared == Some(session.line.session) {
                        return Ok(false);
                    }
                    if self.destroy(&digest, &only, now, remember)? {
                        return Ok(true);
                    }
                }
                Some(Held { entry: Entry::Former(Former { moved: Some(moved), .. }), .. }) => digest = moved.to(),
                _ => return Ok(false),
            }
        }
    }

    /// The session of a digest, or the one that a former digest leads to.
    pub fn led_to(&self, digest: &Digest, now: u64) -> Result<Option<Held<Session>>> {
        match self.held(digest)? {
            Some(Held { digest, pointer, entry: Entry::Session(entry), data }) => {
                Ok(Some(Held { digest, pointer, entry, data }))
            }
            Some(Held { entry: Entry::Former(former), .. }) => match former.leads(now) {
                Some((moved, _)) => self.follow(moved),
                None => Ok(None),
            },
            None => Ok(None),
        }
    }

    /// Makes a new session; false if its digest is taken at `now`.
    fn insert(&self, digest: &Digest, session: Session, now: u64) -> Result<bool> {
        let tag = Tag { number: 0, unique: self.unique.next() };
        let entry = Entry::Session(session.clone());
        let (pointer, bytes) = self.version(tag, &entry)?;
        let due = self.note_session(digest, &pointer, &session)?;
        let is_placed = self.place(digest, &pointer, &bytes, now)?;
        if !is_placed {
            self.forget_session(&due, &session)?;
        }
        Ok(is_placed)
    }

    /// Makes the folder of a digest that is free at `now`: a folder elsewhere is given its name, which fails if there is one
    /// with files in it. False if the digest is taken.
    pub fn place(&self, digest: &Digest, pointer: &Pointer, bytes: &[u8], now: u64) -> Result<bool> {
        let folder = self.folder(digest);
        let mut patience = Patience::default();
        let mut prepared = None;
        loop {
            patience.next()?;
            let new = match prepared.take() {
                Some(new) => new,
                None => self.prepare(pointer, bytes, now)?,
            };
            match fs::rename(&new, &folder) {
                Ok(()) => {
                    if let Some(parent) = folder.parent() {
                        disk::found(self.disk.sync(parent))?;
                    }
                    return Ok(true);
                }
                Err(error) if disk::is_taken(&error) => match self.vacate(digest, now) {
                    Ok(true) => prepared = Some(new),
                    other => {
                        self.discard(&new)?;
                        return other;
                    }
                },
                // A cleanup has taken what was prepared for that of a process that was killed, or this is the first folder of
                // its kind.
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    if let Some(parent) = folder.parent()
                        && self.disk.create_dir(parent)?
                    {
                        self.disk.sync(&self.files.join("sessions"))?;
                    }
                    prepared = disk::found(fs::metadata(&new))?.map(|_| new);
                }
                Err(error) => {
                    let _ = self.discard(&new);
                    return Err(error.into());
                }
            }
        }
    }

    fn prepare(&self, pointer: &Pointer, bytes: &[u8], now: u64) -> Result<PathBuf> {
        let new = self.files.join("new").join(format!("{now:x}-{:016x}", self.unique.next()));
        let written = (|| {
            self.disk.create_dir(&new)?;
            self.disk.write(&new.join(pointer.tag.data()), bytes)?;
            self.disk.touch(&new.join(pointer.name()))?;
            self.disk.sync(&new)
        })();
        if written.is_err() {
            let _ = self.discard(&new);
        }
        written?;
        Ok(new)
    }

    /// Removes what was prepared for nothing.
    pub fn discard(&self, new: &PathBuf) -> Result<()> {
        disk::found(fs::remove_dir_all(new))?;
        Ok(())
    }

    /// Stores a changed session; false if it was changed otherwise meanwhile.
    fn save(&self, held: &Held<Session>, session: Session) -> Result<bool> {
        let Held { digest, pointer: old, entry: before, data } = held;
        let entry = Entry::Session(session);
        let (pointer, bytes) = self.successor(old, &entry)?;
        let Entry::Session(session) = entry else { return Ok(false) };
        let is_given = session.owner.is_some() && session.owner != before.owner;
        if !self.propose(digest, &pointer, &bytes)? {
            return Ok(false);
        }
        let due = if is_given {
            Some(self.note_session(digest, &pointer, &session)?)
        } else if session.expires < before.expires {
            // Beside the entry for the later expiry, which the index by owner goes with.
            Some(self.note(digest, &pointer)?)
        } else {
            None
        };
        if !self.decide(digest, old, &pointer)? {
            self.withdraw(digest, &pointer)?;
            match due {
                Some(due) if is_given => self.forget_session(&due, &session)?,
                Some(due) => self.drop_due(&due)?,
                None => {}
            }
            return Ok(false);
        }
        self.tidy(digest, data, &pointer.tag)?;
        if session.owner != before.owner {
            self.disown(digest, before)?;
        }
        let ahead = data.iter().filter(|tag| tag.number > pointer.tag.number).copied();
        let data = ahead.chain([pointer.tag]).collect();
        self.recent.keep(Arc::new(Held { digest: *digest, pointer, entry: session, data }));
        Ok(true)
    }

    /// Leaves a tombstone for a session; false if it was changed meanwhile.
    fn bury(&self, held: &Held<Session>, former: Former) -> Result<bool> {
        let (pointer, bytes) = self.successor(&held.pointer, &Entry::Former(former))?;
        if !self.propose(&held.digest, &pointer, &bytes)? {
            return Ok(false);
        }
        let due = self.note(&held.digest, &pointer)?;
        if !self.decide(&held.digest, &held.pointer, &pointer)? {
            self.withdraw(&held.digest, &pointer)?;
            self.drop_due(&due)?;
            return Ok(false);
        }
        self.tidy(&held.digest, &held.data, &pointer.tag)?;
        Ok(true)
    }
}
