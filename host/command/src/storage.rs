//! The store a command works on: from its flags and lemon.ini.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use anyhow::Result;
use lemon_session_host::store::{self, TableName};

use crate::{config::Config, drivers};

#[derive(clap::Args)]
#[group(skip)]
pub struct Args {
    /// Where the sessions are stored, if not where lemon.ini says. Without either: sqlite:sessions.db.
    #[arg(long, help_heading = "Storage", value_name = "URL")]
    storage: Option<String>,

    /// The table the sessions are stored in.
    #[arg(long, help_heading = "Storage", value_name = "NAME", value_parser = TableName::new)]
    table: Option<TableName>,

    /// The settings, if not those of lemon.ini in the current folder.
    #[arg(long, help_heading = "Storage", value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Args {
    /// The file with the settings; none where there is no lemon.ini.
    pub fn file(&self) -> Option<&Path> {
        find(self.config.as_deref())
    }

    /// The settings: of lemon.ini, overridden by the flags.
    pub fn config(&self) -> Result<Config> {
        let mut config = load(self.config.as_deref())?;
        let storage = &mut config.storage.options;
        if let Some(url) = &self.storage {
            if *url != storage.url {
                // They were meant for another store.
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

/// The settings of a file, or else of lemon.ini in the current folder if there is one.
pub fn load(file: Option<&Path>) -> Result<Config> {
    Ok(find(file).map_or_else(|| Ok(Config::default()), Config::load)?)
}

fn find(file: Option<&Path>) -> Option<&Path> {
    let here = Path::new("lemon.ini");
    file.or_else(|| here.exists().then_some(here))
}

/// The store that an operator's command works on.
pub struct Store {
    pub driver: Arc<dyn store::Store>,
    pub table: TableName,
    /// For how many seconds ended sessions are remembered.
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
    /// Closes the store, and ends the command with `code`.
    pub async fn close(self, code: ExitCode) -> Result<ExitCode> {
        self.driver.close().await?;
        Ok(code)
    }
}
