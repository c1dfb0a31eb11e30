//! The URL and the options of a store in SQLite.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use lemon_session_store::{Error, Result, StorageOptions, TableName, units};

use super::file::DatabaseFile;

const OPTIONS: [&str; 3] = ["synchronous", "mmap-size", "busy-timeout"];

/// The longest time that SQLite takes for `busy-timeout`.
const LONGEST: Duration = Duration::from_millis(i32::MAX as u64);

/// The file and how it is used.
#[derive(Debug)]
pub struct Options {
    /// The database file.
    pub file: Arc<DatabaseFile>,
    /// The table the sessions are kept in.
    pub table: TableName,
    /// Whether a save survives a power failure.
    pub durable: bool,
    /// How many bytes of the file are mapped into memory.
    pub mmap_size: i64,
    /// How long a save waits for other processes, and for room in the queue.
    pub busy_timeout: Duration,
}

impl Options {
    /// Reads the URL and the options beside it.
    pub fn parse(options: &StorageOptions) -> Result<Self> {
        options.refuse_unknown(&OPTIONS)?;
        let table = options.table.clone();
        if table.as_str().to_ascii_lowercase().starts_with("sqlite_") {
            return Err(Error::invalid(format!(
                "{table} cannot be the table: SQLite reserves names that begin with sqlite_"
            )));
        }
        let option = |name: &str| options.options.get(name).map(String::as_str);
        let durable = match option("synchronous").map(str::to_ascii_uppercase).as_deref() {
            None | Some("NORMAL") => false,
            Some("FULL") => true,
            Some(_) => {
                return Err(Error::invalid(
                    "synchronous is NORMAL (saves survive the end of the process) or FULL (also that of the machine)",
                ));
            }
        };
        let size = |name: &str, default: u32| match option(name) {
            None => Ok(default),
            Some(text) => units::bytes(text).map_err(|why| Error::invalid(format!("{name}: {why}"))),
        };
        let busy_timeout = match option("busy-timeout") {
            None => Duration::from_secs(5),
            Some(text) => units::duration(text)
                .and_then(|time| if time <= LONGEST { Ok(time) } else { Err(format!("{text:?} is more than 24 days")) })
                .map_err(|why| Error::invalid(format!("busy-timeout: {why}")))?,
        };
        Ok(Self {
            file: Arc::new(DatabaseFile::new(path(&options.url)?)),
            table,
            durable,
            mmap_size: size("mmap-size", 0)?.into(),
            busy_timeout,
        })
    }
}

fn path(url: &str) -> Result<PathBuf> {
    let path = url.strip_prefix("sqlite:").unwrap_or(url);
    if path == ":memory:" {
        return Err(Error::invalid(
            "SQLite in memory is not for sessions: the storage URL memory: keeps them in memory",
        ));
    }
    if path.is_empty() || path.starts_with("//") {
        return Err(Error::invalid("a storage URL of SQLite is sqlite:PATH, without // before the path"));
    }
    if let Some((_, query)) = path.split_once('?')
        && OPTIONS.iter().any(|option| query.split('=').next() == Some(option))
    {
        return Err(Error::invalid("a storage URL of SQLite is sqlite:PATH: options stand beside `url` in lemon.ini"));
    }
    let name = path;
    // The `.` keeps SQLite from reading `file:` and `:memory:` as anything but names of files.
    let path = Path::new(".").join(path);
    if path.is_dir() {
        return Err(Error::invalid(format!("{name} is a folder: the storage URL names a file in it")));
    }
    match path.parent() {
        Some(folder) if !folder.is_dir() => {
            let folder = folder.strip_prefix(".").unwrap_or(folder).display();
            Err(Error::invalid(format!("there is no folder {folder} for the database file: create it")))
        }
        _ => Ok(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str, options: &[(&str, &str)]) -> Result<Options> {
        let options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Options::parse(&StorageOptions { url: url.to_owned(), options, ..StorageOptions::default() })
    }

    fn refused(url: &str, options: &[(&str, &str)], hint: &str) {
        let error = parse(url, options).expect_err("it is refused");
        assert!(error.is_invalid(), "{error}");
        assert!(error.to_string().contains(hint), "{error}");
    }

    #[test]
    fn defaults_are_normal_and_five_seconds() {
        let options = parse("sqlite:sessions.db", &[]).expect("it is a storage URL");
        assert_eq!(options.file.path(), Path::new("./sessions.db"));
        assert!(!options.durable);
        assert_eq!(options.busy_timeout, Duration::from_secs(5));
        assert_eq!(options.file.name().to_string(), "sessions.db");
    }

    #[test]
    fn an_absolute_path_stays_one() {
        assert_eq!(
            parse("sqlite:/tmp/sessions.db", &[]).expect("it is a storage URL").file.path(),
            Path::new("/tmp/sessions.db")
        );
    }

    #[test]
    fn a_path_is_never_read_as_an_sqlite_uri() {
        assert_eq!(
            parse("sqlite:file:x?mode=memory", &[]).expect("it is a path").file.path(),
            Path::new("./file:x?mode=memory")
        );
    }

    #[test]
    fn impossible_urls_are_refused_with_what_would_be_right() {
        refused("sqlite::memory:", &[], "memory: keeps them in memory");
        refused("sqlite:", &[], "sqlite:PATH");
        refused("sqlite://sessions.db", &[], "without //");
        refused("sqlite:/tmp", &[], "/tmp is a folder");
        refused("sqlite:x?synchronous=FULL", &[], "beside `url`");
        refused("sqlite:no/such/folder/sessions.db", &[], "no folder no/such/folder");
    }

    #[test]
    fn impossible_options_are_refused_with_what_would_be_right() {
        refused("sqlite:x", &[("synchronous", "off")], "NORMAL");
        refused("sqlite:x", &[("busy-timeout", "-1")], "not a time");
        refused("sqlite:x", &[("busy-timeout", "25d")], "more than 24 days");
        refused("sqlite:x", &[("mmap-size", "1 GB")], "not a size");
        refused("sqlite:x", &[("cache", "1")], "they have synchronous, mmap-size, busy-timeout");
        assert!(parse("sqlite:x", &[("synchronous", "full")]).expect("case does not count").durable);
    }
}
