//! The store that a command works on, from its flags and lemon.ini.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use anyhow::Result;
use lemon_session_host::{
    bindings::lemon::session::types::Location,
    store::{self, TableName, suggest::did_you_mean},
    stores::Storage,
};

use crate::{Usage, config::Config, drivers, output};

#[derive(Clone, clap::Args)]
#[group(skip)]
pub struct Args {
    /// The store: its URL, or its name if lemon.ini has a section [storage.NAME]. Default: the URL in lemon.ini, or else
    /// sqlite:sessions.db.
    #[arg(long, help_heading = "Storage", value_name = "URL|NAME")]
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
        if let Some(store) = &self.storage {
            config.storage = named(&config, store)?;
        }
        if let Some(table) = &self.table {
            config.storage.options.table.clone_from(table);
        }
        Ok(config)
    }

    /// A command on the same store, as a line for a shell; or on a named store or table of lemon.ini.
    pub fn command(&self, words: &[&str], storage: Option<&str>, table: Option<&str>) -> String {
        let config = self.config.as_deref().map(Path::to_string_lossy);
        let flags = [
            ("--storage", storage.or(self.storage.as_deref())),
            // The flag is about the store that the flags name.
            ("--table", table.or(self.table.as_ref().filter(|_| storage.is_none()).map(TableName::as_str))),
            ("--config", config.as_deref()),
        ];
        let flags = flags.into_iter().filter_map(|(flag, value)| Some([flag, value?])).flatten();
        output::command(words.iter().copied().chain(flags))
    }
}

/// The store that a flag names, by its name in lemon.ini or by its URL. Options of a URL, a password-file for example, are those
/// of the section that has this URL.
pub fn named(config: &Config, store: &str) -> Result<Storage> {
    if let Some(storage) = config.storages.get(store) {
        return Ok(storage.clone());
    }
    if !store.contains(':') {
        let what = format!(
            "{store:?} is neither a storage URL, such as sqlite:sessions.db, nor the name of a store in lemon.ini"
        );
        let names = config.storages.keys().map(String::as_str);
        let hint = if config.storages.is_empty() { String::new() } else { did_you_mean(store, names) };
        return Err(Usage(what + &hint).into());
    }
    let configured = std::iter::once(&config.storage).chain(config.storages.values());
    Ok(match configured.into_iter().find(|storage| storage.options.url == store) {
        Some(storage) => storage.clone(),
        None => {
            let mut storage = Storage::new(store);
            storage.options.table.clone_from(&config.storage.options.table);
            storage
        }
    })
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
    let stores = config.stores(&drivers::registry());
    // Errors about its options name the line in lemon.ini.
    let driver = stores.driver(&Location::default()).await?.clone();
    Ok(Store { driver, table: config.storage.options.table, remember: config.settings.remember_ended })
}

impl Store {
    /// Closes the store and returns `code`.
    pub async fn close(self, code: ExitCode) -> Result<ExitCode> {
        self.driver.close().await?;
        Ok(code)
    }
}
