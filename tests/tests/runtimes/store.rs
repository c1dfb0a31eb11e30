//! The stores that the providers open.

use std::path::Path;

use lemon_session_tests::Storage;
use tempfile::TempDir;

/// The kinds of stores for which there is a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A directory.
    Files,
    /// Redis.
    Redis,
}

impl Kind {
    /// The name of the provider.
    pub fn provider(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Redis => "redis",
        }
    }
}

/// A store that only this test uses, and a folder for the runtimes.
pub struct Store {
    pub kind: Kind,
    /// The directory of `files`.
    sessions: TempDir,
    redis: Option<Storage>,
}

impl Store {
    /// Returns `None` with a warning if Redis does not run, and fails in CI.
    pub fn new(kind: Kind) -> Option<Self> {
        let redis = match kind {
            Kind::Files => None,
            Kind::Redis => Some(Storage::new("redis")?),
        };
        let sessions = TempDir::with_prefix("lemon-session-").expect("there is room for a folder");
        Some(Self { kind, sessions, redis })
    }

    /// The directory of `files` on this machine.
    pub fn folder(&self) -> &Path {
        self.sessions.path()
    }

    /// Redis, as `lemon-session serve` names it.
    pub fn storage(&self) -> &Storage {
        self.redis.as_ref().expect("the store is Redis")
    }

    /// The variables that name it to the provider, which sees the directory as `folder`.
    pub fn variables(&self, folder: &Path) -> Vec<(&'static str, String)> {
        match &self.redis {
            None => vec![("LEMON_SESSION_STORAGE", format!("files:{}", folder.display()))],
            Some(redis) => vec![
                ("LEMON_SESSION_STORAGE", redis.url.clone()),
                ("LEMON_SESSION_STORAGE_TABLE", redis.table.clone()),
                // Fifty instances that start at once on two processors wait for longer than the default of five seconds.
                ("LEMON_SESSION_STORAGE_TIMEOUT", "60s".to_owned()),
            ],
        }
    }
}
