//! Copies sessions from one store to another in passes, until a pass finds no changes.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use futures::{StreamExt as _, stream};
use lemon_session_host::store::{self, DestroyCondition, Digest, Listed, Record, Snapshot, Store};

use super::journal::{Begun, Counts, Entry, Journal, Outcome};

/// Sessions in one page of the list. Pages are large, because some stores scan all sessions for each.
const PAGE: u32 = 50_000;
/// Sessions that are read, recorded and written together.
const CHUNK: usize = 128;
/// Concurrent calls.
const AT_ONCE: usize = 16;
/// The pause between two passes.
const PAUSE: Duration = Duration::from_millis(200);

pub struct Mover {
    pub from: Arc<dyn Store>,
    pub to: Arc<dyn Store>,
    pub journal: Journal,
    /// The time, in seconds since 1970.
    pub clock: fn() -> u64,
    /// How long the tombstones of ended sessions are kept, in seconds.
    pub remember: u32,
}

/// The result of a run.
#[derive(Debug)]
pub struct Moved {
    pub counts: Counts,
    pub passes: u64,
    /// Copies that were ended, because their sessions had ended at the source.
    pub removed: u64,
    /// The number of sessions that the last pass found changed; 0 if the source was not in use.
    pub changed: u64,
}

/// What to do with a session.
enum Task {
    /// Its copy is up to date: check that it still exists.
    Verify,
    /// There is no copy, or an older one.
    Copy,
}

impl Mover {
    /// Runs at most `passes` passes. Calls `progress` for every session that a pass has finished.
    pub async fn run(&mut self, passes: u64, mut progress: impl FnMut(u64, u64)) -> Result<Moved> {
        let mut removed = 0;
        loop {
            let before = self.journal.begin_pass()?;
            let copied = self.copy_all(|done| progress(before, done)).await?;
            let ended = self.end_missed().await?;
            removed += ended;
            let changed = copied + ended;
            if changed == 0 || before + 1 == passes {
                return Ok(Moved { counts: self.journal.counts()?, passes: before + 1, removed, changed });
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Copies all sessions of the source that have changed, and returns their number.
    async fn copy_all(&mut self, mut progress: impl FnMut(u64)) -> Result<u64> {
        let (mut after, mut copied, mut done) = (None, 0, 0);
        loop {
            let page = self.from.try_inspect()?.list((self.clock)(), None, after.as_ref(), PAGE).await?;
            let Some(last) = page.last() else { return Ok(copied) };
            after = Some(last.digest);
            for chunk in page.chunks(CHUNK) {
                copied += self.copy(chunk).await?;
                done += chunk.len() as u64;
                progress(done);
            }
        }
    }

    async fn copy(&mut self, chunk: &[Listed]) -> Result<u64> {
        let (mut same, mut tasks) = (Vec::new(), Vec::new());
        for Listed { digest: key, record } in chunk {
            let entry = self.journal.find(key)?;
            let known = entry.as_ref().filter(|entry| {
                matches!(entry.outcome, Outcome::Copied | Outcome::Present | Outcome::Kept) && entry.is_of(record)
            });
            match known {
                Some(known) if known.seen >= self.journal.first_pass() => same.push(known.clone()),
                Some(known) if known.outcome != Outcome::Kept => tasks.push((*key, entry, Task::Verify)),
                _ => tasks.push((*key, entry, Task::Copy)),
            }
        }
        self.journal.note(&same, true)?;

        let now = (self.clock)();
        let (from, to) = (&*self.from, &*self.to);
        let read = stream::iter(tasks).map(async |(key, mut entry, task)| {
            let snapshot = match task {
                Task::Verify => Ok(None),
                Task::Copy => read(from, to, &key, entry.as_mut(), now).await.map(Some),
            };
            (key, entry, snapshot)
        });
        let read: Vec<_> = read.buffer_unordered(AT_ONCE).collect().await;

        let (mut begun, mut done, mut unread, mut work) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut failure = None;
        for (key, entry, snapshot) in read {
            let copy = entry.as_ref().and_then(|entry| entry.copy);
            match (snapshot, entry) {
                (Ok(Some(Some(snapshot))), entry) => {
                    begun.push(Entry {
                        seen: entry.as_ref().map_or(0, |entry| entry.seen),
                        begun: Some(Begun::new(&snapshot)),
                        ..Entry::new(key, &snapshot.record, copy, Outcome::Begun)
                    });
                    work.push((key, entry, Some(snapshot)));
                }
                (Ok(None), entry) => work.push((key, entry, None)),
                // It has ended since it was listed. The end of the pass handles its copy.
                (Ok(Some(None)), Some(entry)) => unread.push(entry),
                (Ok(Some(None)), None) => done.extend(listed(chunk, &key, None, Outcome::Ended)),
                (Err(error), entry) => {
                    let begun = entry.and_then(|entry| entry.begun);
                    let failed = listed(chunk, &key, copy, Outcome::Failed);
                    done.extend(failed.map(|failed| Entry { begun, ..failed }));
                    failure = Some(error);
                }
            }
        }
        self.journal.note(&begun, false)?;
        self.journal.note(&unread, false)?;

        let written = stream::iter(work).map(async |(key, entry, snapshot)| {
            let outcome = match &snapshot {
                None => verify(to, &key, now).await,
                Some(snapshot) => store(to, &key, snapshot, entry.as_ref(), now).await,
            };
            (key, entry, snapshot, outcome)
        });
        let written: Vec<_> = written.buffer_unordered(AT_ONCE).collect().await;

        let mut copied = 0;
        for (key, entry, snapshot, outcome) in written {
            let outcome = outcome.unwrap_or_else(|error| {
                tracing::debug!(%error, "a session could not be copied");
                failure = Some(error);
                Outcome::Failed
            });
            copied += u64::from(outcome == Outcome::Copied);
            let old = entry.as_ref().and_then(|entry| entry.copy);
            done.extend(match (snapshot, entry) {
                (Some(snapshot), _) => {
                    let record = &snapshot.record;
                    let made = matches!(outcome, Outcome::Copied | Outcome::Present);
                    let copy = if made { Some(record.version) } else { old };
                    let begun = (outcome == Outcome::Failed).then(|| Begun::new(&snapshot));
                    Some(Entry { begun, ..Entry::new(key, record, copy, outcome) })
                }
                (None, Some(entry)) => Some(Entry { outcome, ..entry }),
                (None, None) => None,
            });
        }
        let failed = done.iter().filter(|entry| entry.outcome == Outcome::Failed).count();
        self.journal.note(&done, true)?;
        match failure {
            Some(error) if failed == done.len() && failed > AT_ONCE => {
                Err(error).context("the move was interrupted; run it again to continue")
            }
            Some(error) => {
                tracing::warn!("{failed} of {} sessions could not be copied: {error}", chunk.len());
                Ok(copied)
            }
            None => Ok(copied),
        }
    }

    /// Ends the copies of sessions that have ended at the source, and returns their number.
    async fn end_missed(&mut self) -> Result<u64> {
        let (mut after, mut removed) = (None, 0);
        loop {
            let missed = self.journal.missed(after.as_ref(), 1000)?;
            let Some(last) = missed.last() else { return Ok(removed) };
            after = Some(last.key);
            let now = (self.clock)();
            let (from, to, remember) = (&*self.from, &*self.to, self.remember);
            let ended = stream::iter(missed).map(async |mut entry: Entry| {
                let ended = end(from, to, &mut entry, now, remember).await?;
                store::Result::Ok(ended.map(|(outcome, removed)| (entry.key, outcome, removed)))
            });
            let ended: Vec<_> = ended.buffer_unordered(AT_ONCE).collect().await;
            let ended: Vec<_> = ended.into_iter().collect::<store::Result<Vec<_>>>()?.into_iter().flatten().collect();
            removed += ended.iter().filter(|(.., removed)| *removed).count() as u64;
            let outcomes: Vec<_> = ended.into_iter().map(|(key, outcome, _)| (key, outcome)).collect();
            self.journal.settle(&outcomes)?;
        }
    }
}

fn listed(chunk: &[Listed], key: &Digest, copy: Option<u64>, outcome: Outcome) -> Option<Entry> {
    let listed = chunk.iter().find(|listed| listed.digest == *key);
    listed.map(|Listed { record, .. }| Entry::new(*key, record, copy, outcome))
}

/// Checks that a copy which is up to date still exists. If not, it has ended at the target.
async fn verify(to: &dyn Store, key: &Digest, now: u64) -> store::Result<Outcome> {
    Ok(if to.try_inspect()?.describe(key, now).await?.is_some() { Outcome::Present } else { Outcome::Kept })
}

/// Reads a session at the source. If a copy of it was begun earlier, first determines whether that copy was written.
async fn read(
    from: &dyn Store,
    to: &dyn Store,
    key: &Digest,
    entry: Option<&mut Entry>,
    now: u64,
) -> store::Result<Option<Snapshot>> {
    if let Some(entry) = entry {
        resolve(to, entry, now).await?;
    }
    from.try_transfer()?.export(key, now).await
}

/// Determines whether the copy that was begun was written.
async fn resolve(to: &dyn Store, entry: &mut Entry, now: u64) -> store::Result<()> {
    if let Some(begun) = &entry.begun {
        if to.try_transfer()?.export(&entry.key, now).await?.is_some_and(|there| Begun::new(&there) == *begun) {
            entry.copy = Some(begun.version);
        }
        entry.begun = None;
    }
    Ok(())
}

/// Writes a copy, unless the target has a newer session.
async fn store(
    to: &dyn Store,
    key: &Digest,
    snapshot: &Snapshot,
    entry: Option<&Entry>,
    now: u64,
) -> store::Result<Outcome> {
    let record = &snapshot.record;
    let copied = entry.and_then(|entry| Some((entry.copy?, entry.expires)));
    // A copy that was not saved at the target since it was made still has its original version.
    let is_stored = to.try_transfer()?.import(key, snapshot, copied.map(|(version, _)| version), now).await?;
    if is_stored {
        return Ok(Outcome::Copied);
    }
    match (to.try_transfer()?.export(key, now).await?, copied) {
        // It was saved at the target since it was copied.
        (Some(_), Some(_)) => Ok(Outcome::Kept),
        (Some(there), None) if is_same(&there, snapshot) => Ok(Outcome::Present),
        // If both were used in the same second, either can be newer, and the target's is kept.
        (Some(Snapshot { record: there, .. }), None) => {
            let is_older = there.version <= record.version && there.accessed < record.accessed;
            let replaced = is_older && to.try_transfer()?.import(key, snapshot, Some(there.version), now).await?;
            Ok(if replaced { Outcome::Copied } else { Outcome::Kept })
        }
        // It was ended at the target before it expired.
        (None, Some((_, expires))) if now < expires => Ok(Outcome::Kept),
        (None, _) => {
            // Removes an expired session, but keeps the tombstone of an ended one.
            to.destroy(key, &DestroyCondition::Expired, now, 0).await?;
            Ok(if to.try_transfer()?.import(key, snapshot, None, now).await? { Outcome::Copied } else { Outcome::Kept })
        }
    }
}

fn is_same(there: &Snapshot, here: &Snapshot) -> bool {
    let what = |record: &Record| (record.created, record.accessed, record.rotated);
    what(&there.record) == what(&here.record) && Begun::new(there) == Begun::new(here)
}

/// Ends the copy of a session that the source no longer lists. Returns the outcome and whether a copy was ended, or
/// `None` if the source has the session after all.
async fn end(
    from: &dyn Store,
    to: &dyn Store,
    entry: &mut Entry,
    now: u64,
    remember: u32,
) -> store::Result<Option<(Outcome, bool)>> {
    if from.try_inspect()?.describe(&entry.key, now).await?.is_some() {
        return Ok(None);
    }
    resolve(to, entry, now).await?;
    let Some((there, _)) = to.try_inspect()?.describe(&entry.key, now).await? else {
        return Ok(Some((Outcome::Ended, false)));
    };
    // Keeps a copy that was saved at the target since, and one that has expired only at the source, as it was used at
    // the target.
    if now >= entry.expires || entry.copy != Some(there.version) {
        return Ok(Some((Outcome::Kept, false)));
    }
    let ended = to.destroy(&entry.key, &DestroyCondition::Any, now, remember).await?;
    Ok(Some((Outcome::Ended, ended)))
}
