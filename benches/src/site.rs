//! A store in a separate folder, with sessions in it.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use anyhow::Result;
use lemon_session_host::{
    SessionCtx, Sessions,
    sessions::Options,
    store::{StorageOptions, Store},
};
use lemon_session_sqlite::Sqlite;
use tempfile::TempDir;

pub const APP: &str = "bench";
/// The number of stored sessions, unless the row names another one.
pub const SESSIONS: usize = 10_000;

pub struct Site {
    folder: TempDir,
    pub driver: Arc<dyn Store>,
    pub sessions: Sessions,
}

impl Site {
    /// An empty store.
    pub async fn new(durable: bool) -> Result<Self> {
        Self::with("synchronous", if durable { "FULL" } else { "NORMAL" }).await
    }

    /// An empty store, opened with this option.
    pub async fn with(option: &str, value: &str) -> Result<Self> {
        let folder = TempDir::with_prefix("lemon-session-benches-")?;
        let driver = Sqlite::open(StorageOptions {
            url: format!("sqlite:{}", folder.path().join("sessions.db").display()),
            options: BTreeMap::from([(option.to_owned(), value.to_owned())]),
            ..StorageOptions::default()
        })
        .await?;
        driver.set_up().await?;
        let sessions = Sessions::new(SessionCtx::new(Arc::clone(&driver)))?;
        Ok(Self { folder, driver, sessions })
    }

    /// The path of the database.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("sessions.db")
    }

    /// Stores sessions with five small variables each, and returns their ids.
    pub async fn fill(&self, count: usize) -> Result<Vec<String>> {
        let mut ids = Vec::with_capacity(count);
        for _ in 0..count {
            let session = self.sessions.start(options(None)).await?;
            for (number, value) in ["Python Rules!", "de-CH", "dark", "42", "lemon"].into_iter().enumerate() {
                session.set(&format!("variable{}", number + 1), value).await?;
            }
            session.save().await?;
            ids.push(session.id().await?);
        }
        Ok(ids)
    }
}

/// The parameters of `start` for a request with this session's cookie.
pub fn options(id: Option<&str>) -> Options {
    Options {
        app: Some(APP.to_owned()),
        cookies: id.map(|id| format!("{APP}={id}").into_bytes()).into_iter().collect(),
        cleanup: Some(0.0),
        ..Options::default()
    }
}
