//! The sessions that this process has read or saved last. A pointer's name is never used twice, so one look whether it is
//! still there tells that nothing has changed, whichever process could have.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use lemon_session_store::Digest;

use super::{
    disk,
    entry::Session,
    fault::Result,
    table::{Held, Table},
};

/// How many sessions are kept.
const SESSIONS: usize = 256;

/// The longest file of one.
const LONGEST: u64 = 16 << 10;

/// Sessions by digest. When there are too many, all are dropped.
#[derive(Debug, Default)]
pub struct Recent(Mutex<HashMap<Digest, Arc<Held<Session>>>>);

impl Recent {
    fn sessions(&self) -> MutexGuard<'_, HashMap<Digest, Arc<Held<Session>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session of a digest, as it was when this process saw it last.
    pub fn get(&self, digest: &Digest) -> Option<Arc<Held<Session>>> {
        self.sessions().get(digest).cloned()
    }

    pub fn keep(&self, held: Arc<Held<Session>>) {
        let mut sessions = self.sessions();
        if held.pointer.bytes > LONGEST {
            sessions.remove(&held.digest);
            return;
        }
        if sessions.len() >= SESSIONS && !sessions.contains_key(&held.digest) {
            sessions.clear();
        }
        sessions.insert(held.digest, held);
    }

    fn drop(&self, digest: &Digest) {
        self.sessions().remove(digest);
    }
}

impl Table {
    /// The session of a digest, if this process knows its current version.
    pub fn recent(&self, digest: &Digest) -> Result<Option<Arc<Held<Session>>>> {
        let Some(held) = self.recent.get(digest) else { return Ok(None) };
        if disk::is_there(&self.folder(digest).join(held.pointer.name()))? {
            return Ok(Some(held));
        }
        self.recent.drop(digest);
        Ok(None)
    }
}
