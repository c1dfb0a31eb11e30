//! The providers that an application can be joined with: `--provider files`, `redis`, `postgres` or a file.

use std::{convert::Infallible, fs, path::PathBuf, str::FromStr};

use anyhow::{Context as _, Result};

/// The provider of `guest/providers/files`.
const FILES: &[u8] = include_bytes!("../providers/files.wasm");
/// The provider of `guest/providers/redis`.
const REDIS: &[u8] = include_bytes!("../providers/redis.wasm");
/// The provider of `guest/providers/postgres`.
const POSTGRES: &[u8] = include_bytes!("../providers/postgres.wasm");

/// A store as a component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Provider {
    /// A directory.
    Files,
    /// Redis or Valkey.
    Redis,
    /// PostgreSQL.
    Postgres,
    /// A component of someone else.
    File(PathBuf),
}

impl FromStr for Provider {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text {
            "files" => Self::Files,
            "redis" => Self::Redis,
            "postgres" => Self::Postgres,
            path => Self::File(path.into()),
        })
    }
}

impl Provider {
    /// Joins the session component, or an application that has it, with this provider.
    pub fn join(&self, component: &[u8]) -> Result<Vec<u8>> {
        let read;
        let (provider, name) = match self {
            Self::Files => (FILES, "files".to_owned()),
            Self::Redis => (REDIS, "redis".to_owned()),
            Self::Postgres => (POSTGRES, "postgres".to_owned()),
            Self::File(path) => {
                let here = path.display();
                read = fs::read(path).with_context(|| {
                    format!(
                        "cannot read {here}; --provider takes files, redis, postgres or the file of another provider"
                    )
                })?;
                (&read[..], here.to_string())
            }
        };
        lemon_session_host::compose::plug_in_provider(component, provider)
            .with_context(|| format!("cannot join with the provider {name}"))
    }
}
