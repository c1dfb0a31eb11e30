//! The storage URL and its options.

use std::{collections::BTreeMap, ops::Bound, path::PathBuf, time::Duration};

use lemon_session_store::{Error, Result, StorageOptions, units};
use percent_encoding::percent_decode_str;
use url::Url;

use super::{
    password::password,
    server::{Host, Server},
    tls::{SslMode, ssl_mode},
};

const OPTIONS: [&str; 10] = [
    "pool-size",
    "connect-timeout",
    "timeout",
    "sslmode",
    "sslrootcert",
    "socket",
    "password-file",
    "password-env",
    "target_session_attrs",
    "prepare",
];

impl Server {
    /// Reads `scheme://user:password@host:port,host:port/database` and the options.
    ///
    /// # Errors
    ///
    /// Fails if a part of the URL or an option is missing, unknown or wrong. Errors do not quote the URL, which may
    /// hold a password.
    pub fn parse(options: &StorageOptions, product: &'static str, default_port: u16) -> Result<Self> {
        let scheme = options.url.split_once(':').map_or("", |(scheme, _)| scheme).to_owned();
        let shape = format!("{scheme}://USER:PASSWORD@HOST:PORT/DATABASE");
        options.refuse_unknown(&OPTIONS)?;
        let wrong = |error| {
            let hint = match options.url.contains('@') {
                true => "; in a password, / is written %2F, @ is %40 and : is %3A",
                false => "",
            };
            Error::invalid(format!("the storage URL is not of the form {shape}: {error}{hint}"))
        };
        let (first, others) = split_hosts(&options.url);
        let url = Url::parse(&first).map_err(wrong)?;
        let mut given: BTreeMap<String, String> = options.options.clone();
        for (name, value) in url.query_pairs() {
            if !OPTIONS.contains(&&*name) {
                return Err(Error::invalid(format!(
                    "{name:?} is not a parameter of a {scheme}: URL: it takes {}",
                    OPTIONS.join(", ")
                )));
            }
            if given.insert(name.to_string(), value.into_owned()).is_some() {
                return Err(Error::invalid(format!(
                    "{name} is given twice: give it once, in the storage URL or beside it"
                )));
            }
        }

        let decode = |part: &str, what: &str| {
            percent_decode_str(part).decode_utf8().map(|text| text.into_owned()).map_err(|_| {
                Error::invalid(format!("the {what} in the storage URL is not percent-encoded UTF-8: {shape}"))
            })
        };
        let socket = given.remove("socket").map(PathBuf::from);
        let host = |url: &Url| {
            let name = match url.host_str().filter(|host| !host.is_empty()) {
                // An IPv6 address is in brackets.
                Some(host) => decode(host.trim_start_matches('[').trim_end_matches(']'), "host")?,
                None if socket.is_some() => "localhost".to_owned(),
                None => return Err(Error::invalid(format!("the storage URL names no host: {shape}"))),
            };
            Ok(Host { name, port: url.port().unwrap_or(default_port) })
        };
        let mut hosts = vec![host(&url)?];
        for other in others {
            hosts.push(host(&Url::parse(&format!("{scheme}://{other}")).map_err(wrong)?)?);
        }
        if hosts.len() > 1 && socket.is_some() {
            return Err(Error::invalid("a socket leads to one server: the storage URL then names one host"));
        }
        let writable = match given.remove("target_session_attrs").as_deref() {
            None => hosts.len() > 1,
            Some("any") => false,
            Some("read-write") => true,
            Some(other) => {
                return Err(Error::invalid(format!("target_session_attrs is {other:?}: it is any or read-write")));
            }
        };
        let database = decode(url.path().trim_start_matches('/'), "name of the database")?;
        if database.is_empty() || database.contains('/') {
            return Err(Error::invalid(format!("the storage URL names no database after the host: {shape}")));
        }
        let user = decode(url.username(), "name of the user")?;
        if user.is_empty() {
            return Err(Error::invalid(format!("the storage URL names no user: {shape}")));
        }
        let in_url = url.password().map(|password| decode(password, "password")).transpose()?;

        let prepare = match given.remove("prepare").as_deref() {
            None | Some("yes") => true,
            Some("no") => false,
            Some(other) => return Err(Error::invalid(format!("prepare is {other:?}: it is yes or no"))),
        };

        Ok(Self {
            product,
            hosts,
            writable,
            prepare,
            socket,
            user,
            password: password(in_url, given.remove("password-file"), given.remove("password-env"))?,
            database,
            table: options.table.clone(),
            sslmode: given.remove("sslmode").map_or(Ok(SslMode::Prefer), |mode| ssl_mode(&mode))?,
            sslrootcert: given.remove("sslrootcert").map(PathBuf::from),
            pool_size: given.remove("pool-size").map_or(Ok(10), |size| pool_size(&size))?,
            connect_timeout: seconds(&mut given, "connect-timeout", 5)?,
            timeout: seconds(&mut given, "timeout", 10)?,
        })
    }
}

/// The URL with the first of its hosts, and the others. A comma separates them.
fn split_hosts(url: &str) -> (String, Vec<&str>) {
    let start = url.find("://").map_or(url.len(), |at| at + 3);
    let end = url[start..].find(['/', '?', '#']).map_or(url.len(), |at| start + at);
    let start = url[start..end].rfind('@').map_or(start, |at| start + at + 1);
    let mut hosts = url[start..end].split(',');
    let first = hosts.next().unwrap_or_default();
    (format!("{}{first}{}", &url[..start], &url[end..]), hosts.collect())
}

fn pool_size(size: &str) -> Result<usize> {
    let valid = size.parse().ok().filter(|size| (1..=10_000).contains(size));
    valid.ok_or_else(|| {
        Error::invalid(format!("pool-size is {size:?}: it has to be a number of connections from 1 to 10000"))
    })
}

fn seconds(given: &mut BTreeMap<String, String>, name: &str, default: u64) -> Result<Duration> {
    let Some(text) = given.remove(name) else { return Ok(Duration::from_secs(default)) };
    let range = (Bound::Excluded(Duration::ZERO), Bound::Included(Duration::from_secs(86_400)));
    units::duration_within(name, &text, range, "more than 0, and at most a day").map_err(Error::invalid)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(url: &str) -> Result<Server> {
        Server::parse(&StorageOptions::new(url), "PostgreSQL", 5432)
    }

    #[test]
    fn url_may_name_several_hosts_of_which_a_writable_one_is_used() {
        let server = parsed("postgres://u:p%40@a:1,[::1],c.example:3/d?timeout=2").expect("a server");
        assert_eq!(server.address(), "a:1, [::1]:5432, c.example:3");
        assert_eq!((server.user.as_str(), server.database.as_str(), server.timeout.as_secs()), ("u", "d", 2));
        assert!(server.writable);
        assert!(!parsed("postgres://u@a,b/d?target_session_attrs=any").expect("a server").writable);
        let server = parsed("postgres://u@a/d").expect("a server");
        assert_eq!((server.address(), server.writable), ("a:5432".to_owned(), false));
        for url in ["u@a,,b/d", "u@a,b:port/d", "u@a,b/d?socket=/s", "u@a/d?target_session_attrs=standby"] {
            assert!(parsed(&format!("postgres://{url}")).is_err_and(|error| error.is_invalid()), "{url}");
        }
    }
}
