//! The storage URL and its options.

use std::{collections::BTreeMap, ops::Bound, path::PathBuf, time::Duration};

use lemon_session_store::{Error, Result, StorageOptions, units};
use percent_encoding::percent_decode_str;
use url::Url;

use super::{
    password::password,
    server::Server,
    tls::{SslMode, ssl_mode},
};

const OPTIONS: [&str; 8] =
    ["pool-size", "connect-timeout", "timeout", "sslmode", "sslrootcert", "socket", "password-file", "password-env"];

impl Server {
    /// Reads `scheme://user:password@host:port/database` and the options.
    ///
    /// # Errors
    ///
    /// Fails if a part of the URL or an option is missing, unknown or wrong. Errors do not quote the URL, which may
    /// hold a password.
    pub fn parse(options: &StorageOptions, product: &'static str, default_port: u16) -> Result<Self> {
        let scheme = options.url.split_once(':').map_or("", |(scheme, _)| scheme).to_owned();
        let shape = format!("{scheme}://USER:PASSWORD@HOST:PORT/DATABASE");
        options.refuse_unknown(&OPTIONS)?;
        let url = Url::parse(&options.url)
            .map_err(|error| Error::invalid(format!("the storage URL is not of the form {shape}: {error}")))?;
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
        let host = match url.host_str().filter(|host| !host.is_empty()) {
            // An IPv6 address is in brackets.
            Some(host) => decode(host.trim_start_matches('[').trim_end_matches(']'), "host")?,
            None if socket.is_some() => "localhost".to_owned(),
            None => return Err(Error::invalid(format!("the storage URL names no host: {shape}"))),
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

        Ok(Self {
            product,
            host,
            port: url.port().unwrap_or(default_port),
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
