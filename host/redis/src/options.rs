//! The storage URL and its options.

use std::{fmt, io, time::Duration};

use lemon_session_store::{Error, Result, StorageOptions, units};
use percent_encoding::percent_decode_str;
use url::Url;

/// The options beside the URL.
const KNOWN: &[&str] = &["password-file", "password-env", "ca-file", "timeout", "replicas"];

const DEFAULT_PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);

/// Where the server or the cluster is, and how to connect to it.
pub struct Address {
    pub cluster: bool,
    pub tls: bool,
    /// The name of the primary, if `nodes` are sentinels that know its address.
    pub primary: Option<String>,
    /// The server, some nodes of the cluster, or sentinels.
    pub nodes: Vec<(String, u16)>,
    pub database: i64,
    pub username: Option<String>,
    pub password: Option<String>,
    /// Certificates (PEM) to trust instead of the system's.
    pub ca: Option<Vec<u8>>,
    pub timeout: Duration,
    /// How many replicas have to have a change before it counts as made.
    pub replicas: u32,
}

impl Address {
    pub fn new(options: &StorageOptions) -> Result<Self> {
        options.refuse_unknown(KNOWN)?;
        let mut address = Self::of_url(&options.url)?;

        let secrets = ["password-file", "password-env"].map(|name| options.options.get(name));
        let given = usize::from(address.password.is_some()) + secrets.iter().flatten().count();
        if given > 1 {
            return Err(Error::invalid(
                "the password is given more than once: give it in the URL, by password-file or by password-env",
            ));
        }
        let [file, variable] = secrets;
        if let Some(file) = file {
            let text = std::fs::read_to_string(file).map_err(|error| unreadable("password-file", file, &error))?;
            address.password = Some(text.trim_end_matches(['\r', '\n']).to_owned());
        }
        if let Some(variable) = variable {
            let value = std::env::var(variable);
            let missing = |_| {
                Error::invalid(format!(
                    "password-env names the environment variable {variable}, which is not set to text"
                ))
            };
            address.password = Some(value.map_err(missing)?);
        }
        if address.username.is_some() && address.password.is_none() {
            return Err(Error::invalid(
                "the URL names a user but no password: add it, or give password-file or password-env",
            ));
        }

        if let Some(file) = options.options.get("ca-file") {
            if !address.tls {
                return Err(Error::invalid(
                    "ca-file needs TLS: the URL then begins with rediss://, rediss+cluster:// or rediss+sentinel://",
                ));
            }
            address.ca = Some(std::fs::read(file).map_err(|error| unreadable("ca-file", file, &error))?);
        }
        if let Some(text) = options.options.get("timeout") {
            let range = Duration::from_secs(1)..=Duration::from_secs(300);
            let timeout = units::duration_within("timeout", text, range, "between 1 and 300 seconds");
            address.timeout = timeout.map_err(Error::invalid)?;
        }
        if let Some(text) = options.options.get("replicas") {
            let replicas = text.parse().ok().filter(|replicas| *replicas <= 100);
            address.replicas =
                replicas.ok_or_else(|| Error::invalid("replicas is a number of replicas from 0 to 100"))?;
        }
        Ok(address)
    }

    /// Reads `redis://USER:PASSWORD@HOST:PORT/DATABASE`, `redis+cluster://USER:PASSWORD@HOST:PORT,HOST:PORT` and
    /// `redis+sentinel://USER:PASSWORD@HOST:PORT,HOST:PORT/PRIMARY/DATABASE`.
    fn of_url(url: &str) -> Result<Self> {
        let (scheme, rest) = url.split_once("://").unwrap_or((url.split(':').next().unwrap_or_default(), ""));
        let (kind, tls) = match scheme {
            "redis" => (Kind::Server, false),
            "rediss" => (Kind::Server, true),
            "redis+cluster" => (Kind::Cluster, false),
            "rediss+cluster" => (Kind::Cluster, true),
            "redis+sentinel" => (Kind::Sentinels, false),
            "rediss+sentinel" => (Kind::Sentinels, true),
            _ => {
                return Err(Error::invalid(format!(
                    "{scheme:?} is not a scheme of Redis: it is redis, redis+cluster or redis+sentinel, or for TLS rediss, \
                     rediss+cluster or rediss+sentinel"
                )));
            }
        };
        let cluster = kind == Kind::Cluster;
        let form = match kind {
            Kind::Server => format!("{scheme}://USER:PASSWORD@HOST:PORT/DATABASE"),
            Kind::Cluster => {
                format!("{scheme}://USER:PASSWORD@HOST:PORT,HOST:PORT, with one or more nodes of the cluster")
            }
            Kind::Sentinels => format!(
                "{scheme}://USER:PASSWORD@HOST:PORT,HOST:PORT/PRIMARY/DATABASE, with the hosts of sentinels and the name that \
                 they know the primary by"
            ),
        };
        let default_port = if kind == Kind::Sentinels { SENTINEL_PORT } else { DEFAULT_PORT };
        let invalid = |what: &str| Error::invalid(format!("{what}: the URL is of the form {form}"));

        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, hosts) = authority.rsplit_once('@').map_or((None, authority), |(user, hosts)| (Some(user), hosts));
        let mut nodes = Vec::new();
        for host in hosts.split(',') {
            let node = Url::parse(&format!("redis://{host}")).ok();
            let parsed = node.as_ref().and_then(|node| Some((node.host_str()?, node.port().unwrap_or(default_port))));
            let (host, port) =
                parsed.filter(|(host, _)| !host.is_empty()).ok_or_else(|| invalid("a host is missing or wrong"))?;
            nodes.push((host.trim_matches(['[', ']']).to_owned(), port));
        }
        if nodes.len() > 1 && kind == Kind::Server {
            return Err(invalid("one server has one host"));
        }

        let decoded = |text: &str| {
            let decoded = percent_decode_str(text).decode_utf8();
            decoded
                .map(|text| text.into_owned())
                .map_err(|_| invalid("user, password or primary is not percent-encoded UTF-8"))
        };
        let (username, password) = match user.map(|user| user.split_once(':').unwrap_or((user, ""))) {
            Some((username, password)) => (decoded(username)?, decoded(password)?),
            None => Default::default(),
        };
        let (primary, path) = match kind {
            Kind::Sentinels => {
                let (primary, path) = path.split_once('/').unwrap_or((path, ""));
                let primary = decoded(primary)?;
                if primary.is_empty() {
                    return Err(invalid("the name of the primary is missing"));
                }
                (Some(primary), path)
            }
            Kind::Server | Kind::Cluster => (None, path),
        };
        let database = match path {
            "" => 0,
            path if cluster => return Err(invalid(&format!("a cluster has no databases, but there is /{path}"))),
            path => path
                .parse()
                .ok()
                .filter(|database| *database >= 0)
                .ok_or_else(|| invalid("the database is a number"))?,
        };
        Ok(Self {
            cluster,
            tls,
            primary,
            nodes,
            database,
            username: Some(username).filter(|name| !name.is_empty()),
            password: Some(password).filter(|password| !password.is_empty()),
            ca: None,
            timeout: DEFAULT_TIMEOUT,
            replicas: 0,
        })
    }
}

/// What the hosts of a URL are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Server,
    Cluster,
    Sentinels,
}

/// The error for the file of an option. A component sees only what its runtime grants, and gets no other reason.
fn unreadable(option: &str, file: &str, error: &io::Error) -> Error {
    let runtime = match cfg!(target_family = "wasm") {
        true => "; the runtime has to grant its directory (`wasmtime --dir /etc/redis::/etc/redis`)",
        false => "",
    };
    Error::invalid(format!("{option} {file} cannot be read: {error}{runtime}"))
}

/// Without user and password.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.primary {
            Some(primary) => write!(f, "Redis {primary} by the sentinels at ")?,
            None => f.write_str(if self.cluster { "Redis Cluster at " } else { "Redis at " })?,
        }
        for (number, (host, port)) in self.nodes.iter().enumerate() {
            let comma = if number > 0 { ", " } else { "" };
            match host.contains(':') {
                true => write!(f, "{comma}[{host}]:{port}")?,
                false => write!(f, "{comma}{host}:{port}")?,
            }
        }
        if self.database != 0 {
            write!(f, ", database {}", self.database)?;
        }
        if self.tls {
            f.write_str(", over TLS")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(url: &str) -> String {
        Address::of_url(url).map_or_else(|error| format!("error: {error}"), |address| address.to_string())
    }

    #[test]
    fn summary_has_host_and_port_and_no_password() {
        assert_eq!(shown("redis://localhost"), "Redis at localhost:6379");
        assert_eq!(shown("rediss://u:secret@[::1]:7000/3"), "Redis at [::1]:7000, database 3, over TLS");
        assert_eq!(shown("redis+cluster://:secret@a:1,b:2"), "Redis Cluster at a:1, b:2");
        assert_eq!(
            shown("redis+sentinel://:secret@a,b:2/main/3"),
            "Redis main by the sentinels at a:26379, b:2, database 3"
        );
    }

    #[test]
    fn user_and_password_are_percent_decoded() {
        let address = Address::of_url("redis://u%40x:p%3Aa@ss%2F@host/").expect("a good URL");
        assert_eq!(address.username.as_deref(), Some("u@x"));
        assert_eq!(address.password.as_deref(), Some("p:a@ss/"));
        assert_eq!(address.nodes, [("host".to_owned(), 6379)]);
        let address = Address::of_url("redis://:p@host").expect("a good URL");
        assert_eq!((address.username, address.password.as_deref()), (None, Some("p")));
    }

    #[test]
    fn bad_url_says_what_would_be_right_and_not_the_password() {
        for url in [
            "redis:",
            "redis:localhost",
            "redis://:secret@",
            "redis://:secret@/1",
            "redis://:secret@host:port",
            "redis://:secret@host:99999",
            "redis://:secret@host/name",
            "redis://:secret@host/-1",
            "redis://:secret@a,b",
            "redis+cluster://:secret@a,,b",
            "redis+cluster://:secret@a/1",
            "redis+sentinel://:secret@a,b",
            "redis+sentinel://:secret@a,b//1",
            "redis+sentinel://:secret@a,b/main/first",
            "redis://:secret%FF@a",
        ] {
            let shown = shown(url);
            assert!(shown.starts_with("error: ") && shown.contains("HOST:PORT"), "{url}: {shown}");
            assert!(!shown.contains("secret"), "{shown}");
        }
    }

    #[test]
    fn password_is_read_from_a_file_or_a_variable_but_given_once() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "from file\r\n").expect("written");
        let options = |url: &str, options: &[(&str, &str)]| StorageOptions {
            url: url.to_owned(),
            options: options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            ..StorageOptions::default()
        };
        let path = file.path().to_str().expect("a path");
        let address = Address::new(&options("redis://u@host", &[("password-file", path)])).expect("options");
        assert_eq!(address.password.as_deref(), Some("from file"));
        let home = std::env::var("PATH").expect("a variable that is always there");
        let address = Address::new(&options("redis://host", &[("password-env", "PATH")])).expect("options");
        assert_eq!(address.password, Some(home));

        for (url, given) in [
            ("redis://:x@host", &[("password-file", path)][..]),
            ("redis://host", &[("password-file", path), ("password-env", "PATH")]),
            ("redis://host", &[("password-file", "/nowhere/at/all")]),
            ("redis://host", &[("password-env", "LEMON_TEST_NO_SUCH_VARIABLE")]),
            ("redis://u@host", &[]),
            ("redis://host", &[("timeout", "0")]),
            ("redis://host", &[("timeout", "soon")]),
            ("redis://host", &[("replicas", "all")]),
            ("redis://host", &[("ca-file", path)]),
            ("redis://host", &[("pasword-file", path)]),
        ] {
            let error = Address::new(&options(url, given)).err().expect("bad options");
            assert!(error.is_invalid(), "{error}");
        }
    }
}
