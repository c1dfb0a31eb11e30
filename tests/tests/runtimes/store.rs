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
    /// PostgreSQL.
    Postgres,
}

impl Kind {
    /// The name of the provider.
    pub fn provider(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Redis => "redis",
            Self::Postgres => "postgres",
        }
    }

    /// The port of its server unless the URL names one.
    pub fn port(self) -> Option<u16> {
        match self {
            Self::Files => None,
            Self::Redis => Some(6379),
            Self::Postgres => Some(5432),
        }
    }
}

/// A store that only this test uses, and a folder for the runtimes.
pub struct Store {
    pub kind: Kind,
    /// The directory of `files`.
    sessions: TempDir,
    server: Option<Storage>,
}

impl Store {
    /// Returns `None` with a warning if its server does not run, and fails in CI.
    pub fn new(kind: Kind) -> Option<Self> {
        let server = match kind {
            Kind::Files => None,
            Kind::Redis | Kind::Postgres => Some(Storage::new(kind.provider())?),
        };
        let sessions = TempDir::with_prefix("lemon-session-").expect("there is room for a folder");
        Some(Self { kind, sessions, server })
    }

    /// The directory of `files` on this machine.
    pub fn folder(&self) -> &Path {
        self.sessions.path()
    }

    /// The server, as `lemon-session serve` names it.
    pub fn storage(&self) -> &Storage {
        self.server.as_ref().expect("the store has a server")
    }

    /// The variables that name it to the provider, which sees the directory as `folder`.
    pub fn variables(&self, folder: &Path) -> Vec<(&'static str, String)> {
        let Some(server) = &self.server else {
            return vec![("LEMON_SESSION_STORAGE", format!("files:{}", folder.display()))];
        };
        let mut variables = vec![
            ("LEMON_SESSION_STORAGE", server.url.clone()),
            ("LEMON_SESSION_STORAGE_TABLE", server.table.clone()),
            // Fifty instances that start at once on two processors wait for longer than the default.
            ("LEMON_SESSION_STORAGE_TIMEOUT", "60s".to_owned()),
        ];
        if self.kind == Kind::Postgres {
            variables.push(("LEMON_SESSION_STORAGE_CONNECT_TIMEOUT", "60s".to_owned()));
        }
        variables
    }
}
