//! The store that a command works on, from its flags and lemon.ini.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use anyhow::Result;
use lemon_session_host::store::{self, TableName};

use crate::{config::Config, drivers};

#[derive(Clone, clap::Args)]
#[group(skip)]
pub struct Args {
    /// The store's URL. Default: the URL in lemon.ini, or else sqlite:sessions.db.
    #[arg(long, help_heading = "Storage", value_name = "URL")]
    storage: Option<String>,

    /// The table that holds the sessions.
    #[arg(long, help_heading = "Storage", value_name = "NAME", value_parser = TableName::new)]
    table: Option<TableName>,

    /// The file with the settings. Default: lemon.ini in the current folder, if it exists.
    #[arg(long, help_heading = "Storage", value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Args {
    /// The file with the settings; `None` if there is no lemon.ini.
    pub fn file(&self) -> Option<&Path> {
        find(self.config.as_deref())
    }

    /// Where the settings are or would be.
    pub fn path(&self) -> &Path {
        self.config.as_deref().unwrap_or(Path::new(HERE))
    }

    /// The settings in lemon.ini, overridden by the flags.
    pub fn config(&self) -> Result<Config> {
        let mut config = load(self.config.as_deref())?;
        let storage = &mut config.storage.options;
        if let Some(url) = &self.storage {
            if *url != storage.url {
                // The options in lemon.ini belong to another store.
                storage.options.clear();
            }
            storage.url.clone_from(url);
        }
        if let Some(table) = &self.table {
            storage.table.clone_from(table);
        }
        Ok(config)
    }
}

/// The settings in a file, or else in lemon.ini in the current folder, if it exists.
pub fn load(file: Option<&Path>) -> Result<Config> {
    Ok(find(file).map_or_else(|| Ok(Config::default()), Config::load)?)
}

/// The file in the current folder.
const HERE: &str = "lemon.ini";

fn find(file: Option<&Path>) -> Option<&Path> {
    let here = Path::new(HERE);
    file.or_else(|| here.exists().then_some(here))
}

/// The store that a command works on.
pub struct Store {
    pub driver: Arc<dyn store::Store>,
    pub table: TableName,
    /// How long the tombstones of ended sessions are kept, in seconds.
    pub remember: u32,
}

/// Opens the store that the flags and lemon.ini name.
pub async fn open(args: &Args) -> Result<Store> {
    let config = args.config()?;
    let options = config.storage.options;
    let table = options.table.clone();
    let driver = drivers::registry().open(options).await?;
    Ok(Store { driver, table, remember: config.settings.remember_ended })
}

impl Store {
    /// Closes the store and returns `code`.
    pub async fn close(self, code: ExitCode) -> Result<ExitCode> {
        self.driver.close().await?;
        Ok(code)
    }
}
