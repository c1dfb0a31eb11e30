//! `lemon.ini`: the settings and the stores of a host in one file.

mod document;
mod hosts;
mod parse;
mod server;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, fmt, path::Path};

use document::{Document, Section};
use parse::{number, table, tables, text};

pub use hosts::host_of;
pub use server::{Server, address};

use lemon_session_host::{
    Caller, Settings, Stores,
    settings::{Grant, InvalidSettings, Reservation},
    store::Registry,
    stores::{Origin, Storage},
};
use lemon_session_rules::settings::Keys;

/// The store's URL if none is configured.
pub const DEFAULT_STORAGE: &str = "sqlite:sessions.db";

/// The contents of `lemon.ini`, with defaults for missing keys.
#[derive(Clone, Debug)]
pub struct Config {
    /// `[session]` and the sections below it.
    pub settings: Settings,
    /// `[session.limits] new-sessions`: the number of sessions that one client may create in a minute; 0 means no
    /// limit.
    pub new_sessions: u32,
    /// `[session] manager`: the functions of `lemon:session/manager` that applications may call.
    pub manager: Grant,
    /// `[session.manager]`: the same for the applications mounted on these paths.
    pub managers: BTreeMap<String, Grant>,
    /// `[storage]`: the default store.
    pub storage: Storage,
    /// `[storage.NAME]`: further stores that applications can select by name.
    pub storages: BTreeMap<String, Storage>,
    /// `[server]`: limits and addresses of the server.
    pub server: Server,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            settings: Settings::default(),
            new_sessions: 0,
            manager: Caller::default().manager,
            managers: BTreeMap::new(),
            storage: Storage::new(DEFAULT_STORAGE),
            storages: BTreeMap::new(),
            server: Server::default(),
        }
    }
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// Fails when the file cannot be read, and with all mistakes in it: each names the line, the key and a correct
    /// value.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let file = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&text, &file),
            Err(error) => Err(Error { file, mistakes: vec![Mistake { line: None, message: error.to_string() }] }),
        }
    }

    /// Reads the text of a file; `file` is its name in errors.
    ///
    /// # Errors
    ///
    /// Fails with all mistakes in the text.
    pub fn parse(text: &str, file: &str) -> Result<Self, Error> {
        let mut config = Self::default();
        let mut document = match Document::parse(text) {
            Ok(document) => document,
            Err(mistakes) => return Err(Error { file: file.to_owned(), mistakes }),
        };
        config.read(&mut document, file);
        let mistakes = document.into_mistakes();
        if mistakes.is_empty() { Ok(config) } else { Err(Error { file: file.to_owned(), mistakes }) }
    }

    /// The configured stores, not open yet.
    pub fn stores(&self, registry: &Registry) -> Stores {
        Stores::new(self.storage.clone(), self.storages.clone(), registry)
    }

    fn read(&mut self, document: &mut Document, file: &str) {
        document.section("session", |section| {
            self.settings.read(section);
            section.read("manager", &mut self.manager, Grant::parse);
        });
        document.section("session.manager", |section| {
            for (path, grant) in section.rest() {
                match Grant::parse(&grant) {
                    Ok(_) if !path.starts_with('/') => {
                        section.mistake(
                            &path,
                            format!("{path:?} is not a path of --mount, such as /shop, or / for the whole site"),
                        );
                    }
                    Ok(grant) => _ = self.managers.insert(path, grant),
                    Err(message) => section.mistake(&path, message),
                }
            }
        });
        document.section("session.cookie", |section| self.settings.cookie.read(section));
        document.section("session.limits", |section| {
            self.settings.limits.read(section);
            section.read("new-sessions", &mut self.new_sessions, number);
        });
        document.section("session.reserved", |section| {
            let reserved = section.rest().into_iter();
            self.settings.reserved = reserved.map(|(name, secret_hash)| Reservation { name, secret_hash }).collect();
        });
        document.section("storage", |section| read_storage(&mut self.storage, section, file));
        document.sections("storage.", |name, section| {
            let mut storage = Storage::new("");
            read_storage(&mut storage, section, file);
            if storage.options.url.is_empty() {
                section.mistake("url", format!("a storage needs a URL, for example url = {DEFAULT_STORAGE}"));
            }
            self.storages.insert(name.to_owned(), storage);
        });
        document.section("server", |section| self.server.read(section));
        if let Err(InvalidSettings { problems }) = self.settings.validate() {
            for problem in problems {
                document.mistake(problem.section, &problem.key, problem.message);
            }
        }
    }
}

fn read_storage(storage: &mut Storage, section: &mut Section<'_>, file: &str) {
    storage.origin =
        Origin { file: file.to_owned(), section: section.name().to_owned(), keys: section.entries().collect() };
    section.read("url", &mut storage.options.url, text);
    section.read("table", &mut storage.options.table, table);
    section.read("tables", &mut storage.tables, tables);
    // The other keys are options of the driver, which refuses unknown ones.
    storage.options.options = section.rest().into_iter().collect();
}

/// A mistake in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The line number, from 1; `None` if it is unknown.
    pub line: Option<usize>,
    /// The section and the key, the mistake, and a correct value.
    pub message: String,
}

/// All mistakes in a file; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The file.
    pub file: String,
    /// The mistakes, in the order of their lines.
    pub mistakes: Vec<Mistake>,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, Mistake { line, message }) in self.mistakes.iter().enumerate() {
            let separator = if i == 0 { "" } else { "\n" };
            match line {
                Some(line) => write!(f, "{separator}{}:{line}: {message}", self.file)?,
                None => write!(f, "{separator}{}: {message}", self.file)?,
            }
        }
        Ok(())
    }
}

impl std::error::Error for Error {}
