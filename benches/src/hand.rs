//! The baseline: the same statements on the same tables, written by hand.

use std::{path::Path, time::SystemTime};

use anyhow::{Context as _, Result};
use rusqlite::{Connection, OptionalExtension as _, params};
use sha2::{Digest as _, Sha256};

use crate::site::APP;

pub struct Hand {
    connection: Connection,
}

const LOAD: &str = r#"SELECT s.id, s.expires, s.version, s.size, v.name, v.value FROM "Session" s
    LEFT JOIN "Session_variable" v ON v.session = s.id AND v.app = ?2 WHERE s.digest = ?1 ORDER BY v.name"#;
const FIND: &str = r#"SELECT id, expires, version, size FROM "Session" WHERE digest = ?1"#;
const OLD: &str = r#"SELECT length(value) FROM "Session_variable" WHERE session = ?1 AND app = ?2 AND name = ?3"#;
const WRITE: &str = r#"INSERT INTO "Session_variable" (session, app, name, value) VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT DO UPDATE SET value = excluded.value"#;
const CHANGE: &str = r#"UPDATE "Session" SET accessed = ?2, version = ?3, size = ?4 WHERE id = ?1"#;

pub fn now() -> i64 {
    SystemTime::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_secs() as i64)
}

impl Hand {
    pub fn open(file: &Path, durable: bool) -> Result<Self> {
        let connection = Connection::open(file)?;
        connection.pragma_update(None, "synchronous", if durable { "FULL" } else { "NORMAL" })?;
        connection.pragma_update(None, "mmap_size", 256 << 20)?;
        Ok(Self { connection })
    }

    /// The names and values of a live session's variables.
    pub fn load(&self, id: &str) -> Result<Vec<(String, Vec<u8>)>> {
        let mut load = self.connection.prepare_cached(LOAD)?;
        let digest: [u8; 32] = Sha256::digest(id).into();
        let mut rows = load.query(params![digest, APP])?;
        let mut variables = Vec::new();
        let now = now();
        while let Some(row) = rows.next()? {
            if row.get::<_, i64>(1)? > now {
                variables.push((row.get(4)?, row.get(5)?));
            }
        }
        Ok(variables)
    }

    /// Sets one variable of a live session, and keeps its record right: one transaction.
    pub fn save(&self, id: &str, name: &str, value: &[u8]) -> Result<()> {
        let run = |sql| self.connection.prepare_cached(sql)?.execute([]).map(drop);
        run("BEGIN IMMEDIATE")?;
        let digest: [u8; 32] = Sha256::digest(id).into();
        let (session, version, size) = self
            .connection
            .prepare_cached(FIND)?
            .query_row([digest], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(2)?, row.get::<_, i64>(3)?)))
            .optional()?
            .context("the session is there")?;
        let old: Option<i64> =
            self.connection.prepare_cached(OLD)?.query_row(params![session, APP, name], |row| row.get(0)).optional()?;
        let old = old.map_or(0, |bytes| bytes + name.len() as i64);
        self.connection.prepare_cached(WRITE)?.execute(params![session, APP, name, value])?;
        let size = size - old + (name.len() + value.len()) as i64;
        self.connection.prepare_cached(CHANGE)?.execute(params![session, now(), version + 1, size])?;
        Ok(run("COMMIT")?)
    }
}
