//! Id rotations: a session gets another digest.
//!
//! Two digests change, and one renaming decides:
//!
//! 1. The old digest's next version, which says where the session went, is written but is not the current one yet.
//! 2. The new digest gets a folder with the session in it, marked as incoming ([`Kind::Incoming`]). This reserves the digest;
//!    a load does not find it yet.
//! 3. The old digest's pointer is renamed to its next version. This is the decision.
//! 4. The mark at the new digest is taken away.
//!
//! A process that is killed after 2 leaves a session that is not there, under a digest that its client never heard of; it is
//! removed when it would have expired, or when the digest is needed. After 3 the next call that comes upon the mark takes it
//! away: the old digest tells that the rotation was decided, and keeps telling until the mark is gone.

use lemon_session_store::{Digest, Rotation};

use super::{
    entry::{Entry, Former, Incoming, Line, Moved, Owner, Session},
    fault::{Fault, Result},
    name::{Due, Kind, Pointer, Tag},
    table::{Held, Table},
};

/// A rotation whose new digest is reserved.
struct Reserved {
    to: Digest,
    session: Session,
    /// The next version of the old digest, and its entry in the index.
    departure: Pointer,
    departure_due: Due,
    /// The first version of the new digest, and its entry in the index.
    arrival: Pointer,
    arrival_due: Due,
}

impl Table {
    /// Stores a changed session under another digest; false if it was changed otherwise meanwhile.
    pub fn rotate(
        &self,
        held: &Held<Session>,
        session: Session,
        rotation: &Rotation,
        remember: u32,
        now: u64,
    ) -> Result<bool> {
        let Some(reserved) = self.reserve(held, session, rotation, remember, now)? else { return Ok(false) };
        if !self.carry_out(held, &reserved)? {
            self.take_back(held, &reserved)?;
            return Ok(false);
        }
        self.tidy(&held.digest, &held.data, &reserved.departure.tag)?;
        Ok(true)
    }

    /// Prepares a rotation; `None` if the session has ended meanwhile.
    fn reserve(
        &self,
        held: &Held<Session>,
        mut session: Session,
        Rotation { to, grace }: &Rotation,
        remember: u32,
        now: u64,
    ) -> Result<Option<Reserved>> {
        let unique = self.unique.next();
        let until = match grace {
            Some(grace) => {
                session.led_until = session.led_until.max(grace.until);
                // A longer grace period of an earlier digest leads through this one.
                grace.until.saturating_add(remember.into()).max(session.led_until)
            }
            None => {
                session.led_until = 0;
                session.line = Line { since: unique, ..session.line };
                now.saturating_add(remember.into())
            }
        };
        session.rotated = now;
        session.owner = session.owner.map(|owner| Owner { unique, ..owner });

        let arrival = Tag { number: 0, unique };
        let moved = Moved {
            to: *to.as_bytes(),
            arrival,
            line: held.entry.line,
            grace: grace.as_ref().map(|grace| (grace.until, grace.nonce.clone())),
        };
        let former = Entry::Former(Former { until, reused: 0, moved: Some(moved) });
        let (departure, bytes) = self.successor(&held.pointer, &former)?;
        if !self.propose(&held.digest, &departure, &bytes)? {
            return Ok(None);
        }
        session.incoming = Some(Incoming { from: *held.digest.as_bytes(), base: held.pointer, decided: departure });
        let (arrival, bytes) = self.version(arrival, &Entry::Session(session.clone()))?;
        let arrival = Pointer { kind: Kind::Incoming, ..arrival };

        let departure_due = self.note(&held.digest, &departure)?;
        let arrival_due = self.note_session(to, &arrival, &session)?;
        let reserved = Reserved { to: *to, session, departure, departure_due, arrival, arrival_due };
        if self.place(to, &arrival, &bytes, now)? {
            return Ok(Some(reserved));
        }
        self.take_back(held, &reserved)?;
        Err(Fault::Other("the new digest of a session is taken"))
    }

    /// Decides a rotation; false if the session was changed otherwise meanwhile. Its new digest is free again then.
    fn carry_out(&self, held: &Held<Session>, Reserved { to, departure, arrival, .. }: &Reserved) -> Result<bool> {
        // Another caller who needed the new digest may have decided it already.
        let is_decided = self.decide(&held.digest, &held.pointer, departure)?
            || self.list(&held.digest)?.is_some_and(|listing| listing.pointers.contains(departure));
        if is_decided {
            self.settle(to, arrival)?;
            return Ok(true);
        }
        if self.end(to, arrival)? {
            return Ok(false);
        }
        Err(Fault::Other("it is not known whether an id was rotated: another caller has used the new digest"))
    }

    /// Removes what was prepared, except for the folder of the new digest.
    fn take_back(&self, held: &Held<Session>, reserved: &Reserved) -> Result<()> {
        self.withdraw(&held.digest, &reserved.departure)?;
        self.drop_due(&reserved.departure_due)?;
        self.forget_session(&reserved.arrival_due, &reserved.session)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use lemon_session_store::{DestroyCondition, Grace, LoadOutcome, Record, UpdateOutcome, Writes};
    use tempfile::TempDir;

    use super::*;
    use crate::{disk::Disk, name::Unique, recent::Recent, schema};

    pub const NOW: u64 = 1_800_000_000;

    pub fn digest(name: &str) -> Digest {
        Digest::of(name)
    }

    /// A table with sessions of these names, which are the owner's if there is one.
    pub fn table(owner: Option<&str>, names: &[&str]) -> (TempDir, Table) {
        let folder = TempDir::new().expect("a temporary folder");
        let path = folder.path().join("Session");
        let unique = Unique::new().expect("random numbers");
        let disk = Disk { fsync: false };
        schema::create(folder.path(), &path, disk, &unique).expect("create_tables");
        let table = Table { files: schema::files(&path), path, disk, unique, recent: Recent::default() };
        let record = Record {
            created: NOW,
            accessed: NOW,
            expires: NOW + 100,
            absolute_expiry: None,
            rotated: NOW,
            owner: owner.map(str::to_owned),
            version: 0,
            size: 0,
        };
        for name in names {
            table.create(&digest(name), &record, &Writes::default()).expect("create");
        }
        (folder, table)
    }

    /// A table with a session "old" of which process was killed in a rotation to "new": before the decision or after it.
    fn killed(is_decided: bool) -> (TempDir, Table) {
        let (folder, table) = table(Some("Ada"), &["old"]);
        let held = table.live(&digest("old"), NOW).expect("a load").expect("a session");
        let rotation = Rotation { to: digest("new"), grace: Some(Grace { until: NOW + 50, nonce: b"n".to_vec() }) };
        let session = held.entry.clone();
        let reserved =
            table.reserve(&held, session, &rotation, 10, NOW).expect("reserved").expect("the digest is free");
        if is_decided {
            assert!(table.decide(&held.digest, &held.pointer, &reserved.departure).expect("decided"));
        }
        (folder, table)
    }

    fn is_found(table: &Table, name: &str) -> bool {
        matches!(table.load(&digest(name), "shop", NOW, 0).expect("load"), LoadOutcome::Found(_))
    }

    fn save(table: &Table, name: &str) -> UpdateOutcome {
        let change = lemon_session_store::Change { owner: Some(None), max_size: 9, ..Default::default() };
        table.update(&digest(name), &change, None, NOW).expect("update")
    }

    fn is_empty(table: &Table) -> bool {
        let folders = [table.folder(&digest("old")), table.folder(&digest("new"))];
        folders.iter().all(|folder| !folder.exists())
    }

    #[test]
    fn rotation_that_was_not_decided_did_not_happen() {
        let (_folder, table) = killed(false);
        assert!(is_found(&table, "old") && !is_found(&table, "new"));
        assert_eq!(save(&table, "new"), UpdateOutcome::Gone);
        assert_eq!(save(&table, "old"), UpdateOutcome::Committed(2));
        assert!(is_found(&table, "old") && !is_found(&table, "new"));
        assert_eq!(table.count(NOW).expect("count"), 1);
        assert_eq!(table.cleanup(NOW + 100, 9).expect("cleanup"), 1, "the session alone");
        assert!(is_empty(&table), "the reservation is removed with it");
    }

    #[test]
    fn rotation_that_was_decided_is_completed_by_others() {
        let (_folder, table) = killed(true);
        assert_eq!(table.count(NOW).expect("count"), 1);
        assert_eq!(table.listed(NOW, Some("Ada"), None, 9).expect("list")[0].digest, digest("new"));
        assert!(is_found(&table, "old") && is_found(&table, "new"));
        assert_eq!(save(&table, "old"), UpdateOutcome::Gone);
        assert_eq!(save(&table, "new"), UpdateOutcome::Committed(2));
        assert_eq!(table.cleanup(NOW + 100, 9).expect("cleanup"), 2, "the session and the tombstone");
        assert!(is_empty(&table));
    }

    #[test]
    fn rotation_stays_decided_when_the_old_digest_is_forgotten_first() {
        let (_folder, table) = killed(true);
        assert_eq!(table.cleanup(NOW + 60, 9).expect("cleanup"), 1, "the tombstone");
        assert!(is_found(&table, "new"));
        let (_folder, table) = killed(true);
        assert_eq!(table.load(&digest("old"), "shop", NOW + 50, 0).expect("load"), LoadOutcome::Ended);
        assert!(is_found(&table, "new"), "a count of its loads does not undo it");
    }

    #[test]
    fn digest_that_a_killed_process_has_reserved_is_free() {
        let (_folder, table) = killed(false);
        assert_eq!(save(&table, "old"), UpdateOutcome::Committed(2));
        let record = table.live(&digest("old"), NOW).expect("a load").expect("a session").entry.record();
        let created = table.create(&digest("new"), &record, &Writes::default()).expect("create");
        assert_eq!(created, lemon_session_store::CreateOutcome::Created);
        assert!(is_found(&table, "old") && is_found(&table, "new"), "two sessions");
    }

    #[test]
    fn rotation_that_is_in_the_way_is_decided_and_not_lost() {
        let (_folder, table) = killed(false);
        let record = table.live(&digest("old"), NOW).expect("a load").expect("a session").entry.record();
        let created = table.create(&digest("new"), &record, &Writes::default()).expect("create");
        assert_eq!(created, lemon_session_store::CreateOutcome::Exists);
        assert!(is_found(&table, "old") && is_found(&table, "new"), "one session, and its former digest");
        assert_eq!(table.count(NOW).expect("count"), 1);
    }

    #[test]
    fn destroy_wins_against_a_rotation_that_was_not_decided() {
        let (_folder, table) = killed(false);
        assert!(table.destroy(&digest("old"), &DestroyCondition::Any, NOW, 10).expect("destroy"));
        assert!(!is_found(&table, "old") && !is_found(&table, "new"));
        let (_folder, table) = killed(true);
        assert_eq!(table.destroy_owned("Ada", None, NOW, 10).expect("destroy_owned"), 1);
        assert!(!is_found(&table, "old") && !is_found(&table, "new"));
    }
}
