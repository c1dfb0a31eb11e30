//! The URL and the options of a store whose driver is a component.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use lemon_session_store::{Error, Result, StorageOptions, TableName, units};
use percent_encoding::percent_decode_str;

use crate::grants::{Grants, Peer};

/// The options, of which `env.NAME` is one for each variable.
const KNOWN: &str = "dir, connect, env.NAME, instances, memory, timeout";
const VARIABLE: &str = "env.";

/// What a provider of this project reads of its environment, and this driver sets unless the options do: its table; and that
/// it does not create tables by itself, because this host does.
const TABLE_VARIABLE: &str = "LEMON_SESSION_STORAGE_TABLE";
const CREATES_VARIABLE: (&str, &str) = ("LEMON_SESSION_CREATE_TABLES", "false");

const DEFAULT_INSTANCES: u32 = 16;
const MOST_INSTANCES: u32 = 1000;
const DEFAULT_MEMORY: u32 = 64 << 20;
const LEAST_MEMORY: u32 = 1 << 20;
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);

/// Which component it is, what it is granted, and how much it may use.
#[derive(Debug)]
pub struct Options {
    pub file: PathBuf,
    /// The table, if it is not the default one.
    pub table: Option<String>,
    pub grants: Grants,
    pub limits: Limits,
}

/// What the instances of a component may use.
#[derive(Clone, Debug)]
pub struct Limits {
    /// How many there are at the same time.
    pub instances: u32,
    /// The memory of one, in bytes.
    pub memory: usize,
    /// How long a call may take, and wait for an instance.
    pub timeout: Duration,
}

impl Options {
    /// Reads `component:FILE?NAME=VALUE&…`, and the same options beside the URL.
    pub fn parse(options: &StorageOptions) -> Result<Self> {
        let (file, given) = read(options).map_err(Error::invalid)?;
        let (mut grants, mut limits) = (Grants::default(), Limits::default());
        for (name, value) in given {
            set(&mut grants, &mut limits, &name, &value).map_err(Error::invalid)?;
        }
        let table = (options.table != TableName::default()).then(|| options.table.as_str().to_owned());
        grants.set_default(CREATES_VARIABLE.0, CREATES_VARIABLE.1);
        if let Some(table) = &table {
            grants.set_default(TABLE_VARIABLE, table);
        }
        Ok(Self { file, table, grants, limits })
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { instances: DEFAULT_INSTANCES, memory: DEFAULT_MEMORY as usize, timeout: DEFAULT_TIMEOUT }
    }
}

/// The file, and all options by name.
fn read(options: &StorageOptions) -> Result<(PathBuf, BTreeMap<String, String>), String> {
    let rest = options.url.strip_prefix("component:").unwrap_or(&options.url);
    let (file, query) = rest.split_once('?').unwrap_or((rest, ""));
    if file.is_empty() || file.starts_with("//") {
        return Err("a storage URL of a component is component:FILE?NAME=VALUE&…, without // before the file".into());
    }
    let mut given = options.options.clone();
    for option in query.split('&').filter(|option| !option.is_empty()) {
        let decoded = |text: &str| {
            let text = percent_decode_str(text).decode_utf8();
            text.map(String::from).map_err(|_| "an option in the storage URL is not UTF-8 text".to_owned())
        };
        let Some((name, value)) = option.split_once('=') else {
            return Err(format!("{option:?} in the storage URL is not an option: NAME=VALUE"));
        };
        let name = decoded(name)?;
        if given.insert(name.clone(), decoded(value)?).is_some() {
            return Err(format!("{name} is given twice: give it once, with commas between several addresses"));
        }
    }
    Ok((Path::new(file).to_owned(), given))
}

fn set(grants: &mut Grants, limits: &mut Limits, name: &str, value: &str) -> Result<(), String> {
    if let Some(variable) = name.strip_prefix(VARIABLE) {
        if variable.is_empty() || variable.contains(['=', '\0']) || value.contains('\0') {
            return Err(format!("{name:?} is not an environment variable: env.NAME, without = in the name and NUL"));
        }
        grants.environment.push((variable.to_owned(), value.to_owned()));
        return Ok(());
    }
    match name {
        "dir" if value.is_empty() => return Err("dir is empty: it is the directory that the component gets".into()),
        "dir" => grants.directory = Some(value.into()),
        "connect" => {
            let peers = value.split(',').map(|peer| Peer::parse(peer.trim()));
            grants.peers = peers.collect::<Result<_, _>>()?;
        }
        "instances" => {
            let number = value.parse().ok().filter(|number| (1..=MOST_INSTANCES).contains(number));
            limits.instances =
                number.ok_or_else(|| format!("instances is {value:?}: it has to be from 1 to {MOST_INSTANCES}"))?;
        }
        "memory" => {
            let bytes = units::bytes(value).map_err(|why| format!("memory: {why}"))?;
            if bytes < LEAST_MEMORY {
                return Err(format!("memory is {value:?}: an instance needs at least 1M"));
            }
            limits.memory = bytes as usize;
        }
        "timeout" => {
            let range = Duration::from_secs(1)..=Duration::from_secs(300);
            limits.timeout = units::duration_within("timeout", value, range, "between 1 and 300 seconds")?;
        }
        _ => return Err(format!("{name:?} is not an option of component: stores: they have {KNOWN}")),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(grants: &Grants) -> Vec<(&str, &str)> {
        grants.environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    fn parse(url: &str, beside: &[(&str, &str)]) -> Result<Options> {
        let options = beside.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Options::parse(&StorageOptions { url: url.to_owned(), options, ..StorageOptions::default() })
    }

    #[test]
    fn options_are_read_from_the_url_and_from_beside_it() {
        let url = "component:a/files.wasm?dir=/srv/my%20sessions&env.URL=redis://h:1/?a%26b&memory=8M";
        let options = parse(url, &[("connect", "h:1, [::1]:2"), ("instances", "3"), ("timeout", "90s")]);
        let Options { file, table, grants, limits } = options.expect("good options");
        assert_eq!((file, table), ("a/files.wasm".into(), None));
        assert_eq!(grants.directory, Some("/srv/my sessions".into()));
        assert_eq!(variables(&grants), [("URL", "redis://h:1/?a&b"), CREATES_VARIABLE]);
        let peers: Vec<_> = grants.peers.iter().map(ToString::to_string).collect();
        assert_eq!(peers, ["h:1", "[::1]:2"]);
        assert_eq!((limits.instances, limits.memory, limits.timeout), (3, 8 << 20, Duration::from_secs(90)));
    }

    #[test]
    fn component_that_is_granted_nothing_has_the_default_limits() {
        let Options { grants, limits, .. } = parse("component:a.wasm", &[]).expect("good options");
        assert!(grants.directory.is_none() && grants.peers.is_empty());
        assert_eq!(variables(&grants), [CREATES_VARIABLE]);
        assert_eq!((limits.instances, limits.memory, limits.timeout), (16, 64 << 20, Duration::from_secs(5)));
    }

    #[test]
    fn table_is_passed_unless_it_is_the_default_one() {
        let table = TableName::new("Shop").expect("a name");
        let url = "component:a.wasm?env.LEMON_SESSION_CREATE_TABLES=true";
        let options = StorageOptions { table, ..StorageOptions::new(url) };
        let Options { table, grants, .. } = Options::parse(&options).expect("good options");
        assert_eq!(table.as_deref(), Some("Shop"));
        assert_eq!(variables(&grants), [(CREATES_VARIABLE.0, "true"), (TABLE_VARIABLE, "Shop")]);
    }

    #[test]
    fn bad_option_says_what_would_be_right() {
        for (url, beside, part) in [
            ("component:", &[][..], "component:FILE"),
            ("component://a.wasm", &[], "without //"),
            ("component:a.wasm?dir", &[], "NAME=VALUE"),
            ("component:a.wasm?dir=", &[], "dir is empty"),
            ("component:a.wasm?dirs=/a", &[], "dir, connect, env.NAME"),
            ("component:a.wasm?dir=/a&dir=/b", &[], "given twice"),
            ("component:a.wasm?dir=/a", &[("dir", "/a")], "given twice"),
            ("component:a.wasm?dir=%ff", &[], "UTF-8"),
            ("component:a.wasm", &[("connect", "")], "HOST:PORT"),
            ("component:a.wasm", &[("connect", "host")], "HOST:PORT"),
            ("component:a.wasm", &[("connect", "host:0")], "HOST:PORT"),
            ("component:a.wasm", &[("connect", "::1:1")], "[::1]:6379"),
            ("component:a.wasm", &[("connect", "redis://host:1")], "HOST:PORT"),
            ("component:a.wasm", &[("env.", "x")], "env.NAME"),
            ("component:a.wasm", &[("instances", "0")], "from 1 to 1000"),
            ("component:a.wasm", &[("memory", "64G")], "64K"),
            ("component:a.wasm", &[("memory", "64K")], "at least 1M"),
            ("component:a.wasm", &[("timeout", "0")], "between 1 and 300 seconds"),
        ] {
            let error = parse(url, beside).expect_err("bad options");
            assert!(error.is_invalid() && error.to_string().contains(part), "{url} {beside:?}: {error}");
        }
    }
}
