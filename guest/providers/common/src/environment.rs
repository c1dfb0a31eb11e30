//! The settings in the environment: one variable for each key of `lemon.ini`.

use std::{collections::BTreeMap, fmt};

use lemon_session_rules::{
    Settings,
    settings::{
        Grant, InvalidSettings, Keys, Reservation,
        parse::{boolean, text},
    },
};
use lemon_session_store::{StorageOptions, TableName, suggest::closest};

/// What the name of every variable begins with.
pub const PREFIX: &str = "LEMON_SESSION_";

/// The sections of `lemon.ini`, with what the names of their keys begin with after [`PREFIX`].
const SECTIONS: [(&str, &str); 4] =
    [("session", ""), ("session.cookie", "COOKIE_"), ("session.limits", "LIMITS_"), ("storage", "STORAGE_")];

/// What a provider takes from its environment.
#[derive(Clone, Debug)]
pub struct Config {
    /// The settings of sessions.
    pub settings: Settings,
    /// `LEMON_SESSION_MANAGER`: what the application may call of `lemon:session/manager`.
    pub manager: Grant,
    /// `LEMON_SESSION_STORAGE`: the URL of the store; with its default table and the driver's options.
    pub storage: StorageOptions,
    /// `LEMON_SESSION_STORAGE_TABLES`: further tables that applications can select.
    pub tables: Vec<TableName>,
    /// `LEMON_SESSION_CREATE_TABLES`: whether tables that are missing are created.
    pub create_tables: bool,
}

impl Config {
    /// Reads the variables whose names begin with [`PREFIX`]. `storage` is the URL of the store if none is set; without one,
    /// it has to be set.
    ///
    /// # Errors
    ///
    /// Fails with all mistakes: each names the variable, and what would be right.
    pub fn read(
        variables: impl IntoIterator<Item = (String, String)>,
        storage: Option<&str>,
    ) -> Result<Self, Mistakes> {
        let mut environment = Environment::new(variables);
        let mut config = Self {
            settings: Settings::default(),
            manager: Grant::Owners,
            storage: StorageOptions::new(storage.unwrap_or_default()),
            tables: Vec::new(),
            create_tables: true,
        };
        config.read_from(&mut environment);
        let Mistakes(mistakes) = &environment.mistakes;
        if mistakes.is_empty() { Ok(config) } else { Err(environment.mistakes) }
    }

    fn read_from(&mut self, environment: &mut Environment) {
        let Self { settings, manager, storage, tables, create_tables } = self;
        let mut section = environment.section("session");
        settings.read(&mut section);
        section.read("manager", manager, Grant::parse);
        section.read("reserved", &mut settings.reserved, reservations);
        section.read("storage", &mut storage.url, text);
        section.read("create-tables", create_tables, boolean);
        settings.cookie.read(&mut environment.section("session.cookie"));
        settings.limits.read(&mut environment.section("session.limits"));
        let mut section = environment.section("storage");
        section.read("table", &mut storage.table, TableName::new);
        section.read("tables", tables, table_names);
        storage.options = section.rest();

        if storage.url.is_empty() {
            environment.mistake("session", "storage", "not set: the URL of the store");
        }
        if let Err(InvalidSettings { problems }) = settings.validate() {
            for problem in problems {
                // The key of a reserved name is the name.
                match problem.section {
                    "session.reserved" => {
                        environment.mistake("session", "reserved", &format!("{}: {}", problem.key, problem.message));
                    }
                    section => environment.mistake(section, &problem.key, &problem.message),
                }
            }
        }
        environment.refuse_unknown();
    }
}

/// `NAME=HASH`, several separated by commas.
fn reservations(value: &str) -> Result<Vec<Reservation>, String> {
    let entries = value.split(',').map(str::trim).filter(|entry| !entry.is_empty());
    let reservations = entries.map(|entry| {
        let (name, hash) = entry.rsplit_once('=').ok_or_else(|| {
            format!("{entry:?} is not NAME=HASH: a name, and the SHA-256 hash of the secret that it requires")
        })?;
        Ok(Reservation { name: name.trim().to_owned(), secret_hash: hash.trim().to_owned() })
    });
    reservations.collect()
}

/// Names separated by commas.
fn table_names(value: &str) -> Result<Vec<TableName>, String> {
    value.split(',').map(str::trim).filter(|name| !name.is_empty()).map(TableName::new).collect()
}

/// The name of the variable for a key of a section.
pub fn variable(section: &str, key: &str) -> String {
    let within = SECTIONS.iter().find(|(name, _)| *name == section).map_or("", |(_, within)| within);
    format!("{PREFIX}{within}{}", key.to_uppercase().replace('-', "_"))
}

/// All mistakes in the environment; at least one where it is an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mistakes(pub Vec<String>);

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("; "))
    }
}

impl std::error::Error for Mistakes {}

/// The variables that are being read. One that is never read is a mistake.
struct Environment {
    variables: BTreeMap<String, String>,
    known: Vec<String>,
    mistakes: Mistakes,
}

impl Environment {
    fn new(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let variables = variables.into_iter().filter(|(name, _)| name.starts_with(PREFIX)).collect();
        Self { variables, known: Vec::new(), mistakes: Mistakes::default() }
    }

    fn section(&mut self, name: &'static str) -> Section<'_> {
        Section { name, environment: self }
    }

    fn mistake(&mut self, section: &str, key: &str, message: &str) {
        self.mistakes.0.push(format!("{}: {message}", variable(section, key)));
    }

    fn refuse_unknown(&mut self) {
        // Without what all of them begin with, which would make all of them alike.
        let known: Vec<_> = self.known.iter().map(|name| &name[PREFIX.len()..]).collect();
        for name in self.variables.keys() {
            let message = match closest(&name[PREFIX.len()..], known.iter().copied()) {
                _ if *name == variable("session.limits", "new-sessions") => {
                    "a component does not know the address of a client; limit new sessions in front of it".to_owned()
                }
                Some(known) => format!("there is no such setting; did you mean {PREFIX}{known}?"),
                None => format!("there is no such setting; the choices after {PREFIX} are {}", known.join(", ")),
            };
            self.mistakes.0.push(format!("{name}: {message}"));
        }
    }
}

/// The variables of one section of `lemon.ini`.
struct Section<'a> {
    name: &'static str,
    environment: &'a mut Environment,
}

impl Section<'_> {
    /// The variables of this section that were not read, by their keys.
    fn rest(&mut self) -> BTreeMap<String, String> {
        let prefix = variable(self.name, "");
        let variables = &mut self.environment.variables;
        let rest: Vec<_> = variables.keys().filter(|name| name.starts_with(&prefix)).cloned().collect();
        let key = |name: &str| name[prefix.len()..].to_lowercase().replace('_', "-");
        rest.iter().filter_map(|name| Some((key(name), variables.remove(name)?))).collect()
    }
}

impl Keys for Section<'_> {
    fn read<T>(&mut self, key: &'static str, target: &mut T, parse: impl FnOnce(&str) -> Result<T, String>) {
        let name = variable(self.name, key);
        let value = self.environment.variables.remove(&name);
        self.environment.known.push(name);
        match value.map(|value| parse(&value)) {
            None => {}
            Some(Ok(value)) => *target = value,
            Some(Err(message)) => self.environment.mistake(self.name, key, &message),
        }
    }
}

/// The names of all variables, apart from the driver's options.
pub fn names() -> Vec<String> {
    let mut environment = Environment::new([]);
    let mut config = Config {
        settings: Settings::default(),
        manager: Grant::Owners,
        storage: StorageOptions::new("memory:"),
        tables: Vec::new(),
        create_tables: true,
    };
    config.read_from(&mut environment);
    environment.known
}
