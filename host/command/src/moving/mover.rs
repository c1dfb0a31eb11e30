//! Copies sessions from one store to another, in passes, until a pass finds nothing that has changed.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use futures::{StreamExt as _, stream};
use lemon_session_host::store::{self, DestroyCondition, Key, Listed, Record, Snapshot, Store};

use super::journal::{Begun, Counts, Entry, Journal, Outcome};

/// How many sessions are listed at once: some stores go over all of them for each page.
const PAGE: u32 = 50_000;
/// How many are read, noted down and written together.
const CHUNK: usize = 128;
/// How many calls are under way at once.
const AT_ONCE: usize = 16;
/// How long the stores have to themselves between two passes.
const PAUSE: Duration = Duration::from_millis(200);

pub struct Mover {
    pub from: Arc<dyn Store>,
    pub to: Arc<dyn Store>,
    pub journal: Journal,
    /// The time, in seconds since 1970.
    pub clock: fn() -> u64,
    /// For how many seconds ended sessions are remembered.
    pub remember: u32,
}

/// What a run did.
#[derive(Debug)]
pub struct Moved {
    pub counts: Counts,
    pub passes: u64,
    /// Copies that were ended, as their sessions had ended at the source.
    pub removed: u64,
    /// How many sessions the last pass found changed: none, where the source was not used meanwhile.
    pub changed: u64,
}

/// A session of a chunk, and what is to be done with it.
enum Task {
    /// The copy that was made is equal: whether it is still there.
    Verify,
    /// There is no copy, or an old one.
    Copy,
}

impl Mover {
    /// At most `passes` passes. `progress` is told of every session a pass is done with.
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

    /// Brings all that the source has to the target; returns how many sessions were copied.
    async fn copy_all(&mut self, mut progress: impl FnMut(u64)) -> Result<u64> {
        let (mut after, mut copied, mut done) = (None, 0, 0);
        loop {
            let page = self.from.try_inspect()?.list((self.clock)(), None, after.as_ref(), PAGE).await?;
            let Some(last) = page.last() else { return Ok(copied) };
            after = Some(last.key);
            for chunk in page.chunks(CHUNK) {
                copied += self.copy(chunk).await?;
                done += chunk.len() as u64;
                progress(done);
            }
        }
    }

    async fn copy(&mut self, chunk: &[Listed]) -> Result<u64> {
        let (mut same, mut tasks) = (Vec::new(), Vec::new());
        for Listed { key, record } in chunk {
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
        let mut trouble = None;
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
                // It ended since it was listed. What was copied of it before is seen to at the end of the pass.
                (Ok(Some(None)), Some(entry)) => unread.push(entry),
                (Ok(Some(None)), None) => done.extend(listed(chunk, &key, None, Outcome::Ended)),
                (Err(error), entry) => {
                    let begun = entry.and_then(|entry| entry.begun);
                    let failed = listed(chunk, &key, copy, Outcome::Failed);
                    done.extend(failed.map(|failed| Entry { begun, ..failed }));
                    trouble = Some(error);
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
                trouble = Some(error);
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
        match trouble {
            Some(error) if failed == done.len() && failed > AT_ONCE => {
                Err(error).context("the move was broken off; run it again to go on where it was")
            }
            Some(error) => {
                tracing::warn!("{failed} of {} sessions could not be copied: {error}", chunk.len());
                Ok(copied)
            }
            None => Ok(copied),
        }
    }

    /// Ends the copies of sessions that have ended at the source; returns how many.
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

fn listed(chunk: &[Listed], key: &Key, copy: Option<u64>, outcome: Outcome) -> Option<Entry> {
    let listed = chunk.iter().find(|listed| listed.key == *key);
    listed.map(|Listed { record, .. }| Entry::new(*key, record, copy, outcome))
}

/// Whether a copy that is equal to its session is still there. If not, it has ended there.
async fn verify(to: &dyn Store, key: &Key, now: u64) -> store::Result<Outcome> {
    Ok(if to.try_inspect()?.describe(key, now).await?.is_some() { Outcome::Present } else { Outcome::Kept })
}

/// A session at the source. Before another copy of it is begun, the entry learns whether the last one was made.
async fn read(
    from: &dyn Store,
    to: &dyn Store,
    key: &Key,
    entry: Option<&mut Entry>,
    now: u64,
) -> store::Result<Option<Snapshot>> {
    if let Some(entry) = entry {
        resolve(to, entry, now).await?;
    }
    from.try_transfer()?.export(key, now).await
}

/// Finds out whether the copy that was begun was made.
async fn resolve(to: &dyn Store, entry: &mut Entry, now: u64) -> store::Result<()> {
    if let Some(begun) = &entry.begun {
        if to.try_transfer()?.export(&entry.key, now).await?.is_some_and(|there| Begun::new(&there) == *begun) {
            entry.copy = Some(begun.version);
        }
        entry.begun = None;
    }
    Ok(())
}

/// Writes a copy where there is none, or an older one.
async fn store(
    to: &dyn Store,
    key: &Key,
    snapshot: &Snapshot,
    entry: Option<&Entry>,
    now: u64,
) -> store::Result<Outcome> {
    let record = &snapshot.record;
    let copied = entry.and_then(|entry| Some((entry.copy?, entry.expires)));
    // A copy of this move that was not saved at the target since has the version it was made with.
    let is_stored = to.try_transfer()?.import(key, snapshot, copied.map(|(version, _)| version), now).await?;
    if is_stored {
        return Ok(Outcome::Copied);
    }
    match (to.try_transfer()?.export(key, now).await?, copied) {
        // It was saved there since it was copied.
        (Some(_), Some(_)) => Ok(Outcome::Kept),
        (Some(there), None) if is_same(&there, snapshot) => Ok(Outcome::Present),
        // Of two that were used in the same second, either may be newer: the target decides.
        (Some(Snapshot { record: there, .. }), None) => {
            let is_older = there.version <= record.version && there.accessed < record.accessed;
            let replaced = is_older && to.try_transfer()?.import(key, snapshot, Some(there.version), now).await?;
            Ok(if replaced { Outcome::Copied } else { Outcome::Kept })
        }
        // It was ended there, before its time.
        (None, Some((_, expires))) if now < expires => Ok(Outcome::Kept),
        (None, _) => {
            // Removes what has expired, and leaves what has ended.
            to.destroy(key, &DestroyCondition::Expired, now, 0).await?;
            Ok(if to.try_transfer()?.import(key, snapshot, None, now).await? { Outcome::Copied } else { Outcome::Kept })
        }
    }
}

fn is_same(there: &Snapshot, here: &Snapshot) -> bool {
    let what = |record: &Record| (record.created, record.accessed, record.renewed);
    what(&there.record) == what(&here.record) && Begun::new(there) == Begun::new(here)
}

/// What becomes of a copy whose session the source does not list any more, and whether it was ended; nothing if the source
/// has the session after all.
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
    // What was saved there is its own by now. What has expired here and not there was used there.
    if now >= entry.expires || entry.copy != Some(there.version) {
        return Ok(Some((Outcome::Kept, false)));
    }
    let ended = to.destroy(&entry.key, &DestroyCondition::Any, now, remember).await?;
    Ok(Some((Outcome::Ended, ended)))
}
