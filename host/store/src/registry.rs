//! Maps storage URLs to drivers.

use std::{collections::BTreeMap, fmt, future::Future, pin::Pin, sync::Arc};

use super::{Error, Result, Store, TableName, memory, suggest::closest};

/// What a store is opened with.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct StorageOptions {
    /// The storage URL, `sqlite:sessions.db` for example. It can contain a password and does not belong in a log.
    pub url: String,
    /// The table the sessions are kept in.
    pub table: TableName,
    /// The driver's own options by name. A driver refuses options that it does not know.
    pub options: BTreeMap<String, String>,
}

impl fmt::Debug for StorageOptions {
    /// Without the URL and the options' values, which can contain passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.url.split_once(':').map_or("", |(scheme, _)| scheme);
        f.debug_struct("StorageOptions")
            .field("scheme", &scheme)
            .field("table", &self.table)
            .field("options", &self.options.keys())
            .finish_non_exhaustive()
    }
}

impl StorageOptions {
    /// A store at a URL, with the default table and no options.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), ..Self::default() }
    }

    /// Checks that all options are among the `known` ones.
    ///
    /// # Errors
    ///
    /// Fails with the name of the first option that is not.
    pub fn refuse_unknown(&self, known: &[&str]) -> Result<()> {
        let Some(name) = self.options.keys().find(|name| !known.contains(&name.as_str())) else { return Ok(()) };
        let scheme = self.url.split_once(':').map_or("", |(scheme, _)| scheme);
        Err(Error::invalid(match known {
            [] => format!("{name:?} is not an option of {scheme}: stores: they have none"),
            known => format!("{name:?} is not an option of {scheme}: stores: they have {}", known.join(", ")),
        }))
    }

    /// The option that the message of an [`Error::invalid`] is about; `None` if it is about the URL.
    pub fn mentioned(&self, message: &str) -> Option<&str> {
        let is_mentioned =
            |key: &&String| message.contains(&format!("{key:?}")) || message.starts_with(&format!("{key} "));
        self.options.keys().find(is_mentioned).map(String::as_str)
    }
}

/// A store that is being opened.
pub type Opening = Pin<Box<dyn Future<Output = Result<Arc<dyn Store>>> + Send>>;

/// Opens a store.
pub type Open = fn(StorageOptions) -> Opening;

/// Maps the schemes of storage URLs to drivers.
#[derive(Clone)]
pub struct Registry {
    drivers: BTreeMap<&'static str, Open>,
}

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}

impl Registry {
    /// A registry with only the driver `memory:`.
    pub fn new() -> Self {
        Self { drivers: memory::SCHEMES.into() }
    }

    /// Adds a driver for each of these schemes, such as the `SCHEMES` of its crate.
    ///
    /// # Errors
    ///
    /// Fails and adds none if one of the schemes has a driver already.
    pub fn register(&mut self, schemes: &[(&'static str, Open)]) -> Result<()> {
        if let Some((scheme, _)) = schemes.iter().find(|(scheme, _)| self.drivers.contains_key(scheme)) {
            return Err(Error::invalid(format!("there is a driver for {scheme}: already")));
        }
        self.drivers.extend(schemes.iter().copied());
        Ok(())
    }

    /// Opens the store that `options.url` names.
    ///
    /// # Errors
    ///
    /// Fails if no driver has the scheme of the URL, or if the driver cannot open the store.
    pub async fn open(&self, options: StorageOptions) -> Result<Arc<dyn Store>> {
        let scheme = options.url.split_once(':').map_or("", |(scheme, _)| scheme);
        let open = self.drivers.get(scheme).ok_or_else(|| {
            Error::invalid(match closest(scheme, self.drivers.keys().copied()) {
                Some(meant) => format!("{scheme:?} is not the scheme of a storage URL; did you mean {meant}:?"),
                None => {
                    let known: Vec<_> = self.drivers.keys().map(|scheme| format!("{scheme}:")).collect();
                    let known = known.join(", ");
                    format!("{scheme:?} is not the scheme of a storage URL: it begins with one of {known}")
                }
            })
        })?;
        open(options).await.map_err(|error| if error.is_invalid() { suggesting(error) } else { error })
    }
}

/// The error about an unknown option, beside the URL or in it, with the option that was probably meant. It is added here, so that drivers
/// that are compiled for WebAssembly do not contain the comparison of names.
fn suggesting(error: Error) -> Error {
    let message = error.to_string();
    let options = [": stores: they have ", " URL: it takes "];
    let meant = options.iter().find_map(|words| message.split_once(words)).and_then(|(before, known)| {
        let name = before.strip_prefix('"')?.split_once('"')?.0;
        closest(name, known.split(", "))
    });
    meant.map_or(error, |meant| Error::invalid(format!("{message}; did you mean {meant}?")))
}
