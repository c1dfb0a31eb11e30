//! What the drivers of SQL servers share: the storage URL with its options, and the pool that calls run on.

use std::{
    collections::BTreeMap,
    fmt,
    future::Future,
    ops::{Deref, DerefMut},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use deadpool::managed::{Manager, Object, Pool, PoolError, QueueMode, TimeoutType, Timeouts};
use futures::future::BoxFuture;
use lemon_session_store::{Change, Error, Result, StorageOptions, TableName, Write, units};
use percent_encoding::percent_decode_str;
use rustls::pki_types::{CertificateDer, pem::PemObject};
use tokio::time::{Instant, timeout_at};
use url::Url;

const OPTIONS: [&str; 8] =
    ["pool-size", "connect-timeout", "timeout", "sslmode", "sslrootcert", "socket", "password-file", "password-env"];

/// A secret, which no `Debug` shows.
#[derive(Clone)]
pub struct Password(String);

impl Password {
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

/// When the connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SslMode {
    Disable,
    Prefer,
    Require,
    VerifyFull,
}

/// A server, and how to speak to it.
#[derive(Clone, Debug)]
pub struct Server {
    /// `MySQL` for example.
    pub product: &'static str,
    pub host: String,
    pub port: u16,
    pub socket: Option<PathBuf>,
    pub user: String,
    pub password: Option<Password>,
    pub database: String,
    pub table: TableName,
    pub sslmode: SslMode,
    pub sslrootcert: Option<PathBuf>,
    pub pool_size: usize,
    pub connect_timeout: Duration,
    pub timeout: Duration,
}

impl Server {
    /// Reads `scheme://user:password@host:port/database` and the options. Errors do not repeat the URL: it may hold a password.
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
                    "{name:?} is not a parameter of a {scheme}: URL: they are {}",
                    OPTIONS.join(", ")
                )));
            }
            if given.insert(name.to_string(), value.into_owned()).is_some() {
                return Err(Error::invalid(format!("{name} is given twice, in the storage URL or beside it")));
            }
        }

        let decode = |part: &str, what: &str| {
            percent_decode_str(part).decode_utf8().map(|text| text.into_owned()).map_err(|_| {
                Error::invalid(format!("the {what} in the storage URL is not UTF-8, percent-encoded: {shape}"))
            })
        };
        let socket = given.remove("socket").map(PathBuf::from);
        let host = match url.host_str().filter(|host| !host.is_empty()) {
            // An IPv6 address stands in brackets.
            Some(host) => decode(host.trim_start_matches('[').trim_end_matches(']'), "host")?,
            None if socket.is_some() => "localhost".to_owned(),
            None => return Err(Error::invalid(format!("the storage URL names no host: {shape}"))),
        };
        let database = decode(url.path().trim_start_matches('/'), "name of the database")?;
        if database.is_empty() || database.contains('/') {
            return Err(Error::invalid(format!("the storage URL names no database after the host: {shape}")));
        }
        let user = decode(url.username(), "user's name")?;
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

    /// Where the server is: `db.example.com:5432`, or its socket.
    pub fn address(&self) -> String {
        match &self.socket {
            Some(socket) => socket.display().to_string(),
            None if self.host.contains(':') => format!("[{}]:{}", self.host, self.port),
            None => format!("{}:{}", self.host, self.port),
        }
    }

    /// `PostgreSQL at db.example.com:5432, database shop, table Session`.
    pub fn summary(&self) -> String {
        format!("{} at {}, database {}, table {}", self.product, self.address(), self.database, self.table)
    }

    /// An SQL text, or several, with this table's name in place of `{table}`.
    pub fn sql(&self, text: &str) -> String {
        text.replace("{table}", self.table.as_str())
    }

    pub fn missing_tables(&self) -> Error {
        Error::missing_tables(format!(
            "the tables of {} are not there, or are older than this program: `lemon-session tables create` creates them, \
             or brings them up to date",
            self.summary()
        ))
    }

    /// Any other trouble.
    pub fn trouble(&self, what: impl fmt::Display) -> Error {
        Error::unavailable(format!("{} at {}: {what}", self.product, self.address()))
    }

    pub fn unreachable(&self, why: impl fmt::Display) -> Error {
        Error::unavailable(format!(
            "cannot connect to {} at {}: {why}. Is the server running there, and can this machine reach it? Check host, \
             port and firewall",
            self.product,
            self.address()
        ))
    }

    pub fn too_late(&self) -> Error {
        self.trouble(format_args!("no answer within {:?} (timeout)", self.timeout))
    }

    pub fn refused(&self, why: impl fmt::Display) -> Error {
        Error::invalid(format!(
            "{} at {} refuses the user {:?}: {why}. Check the user and the password (in the storage URL, password-file or \
             password-env), and from where the server lets that user in",
            self.product,
            self.address(),
            self.user
        ))
    }

    pub fn missing_database(&self) -> Error {
        Error::invalid(format!(
            "{} at {} has no database {:?}, or the user {:?} may not use it. Check the storage URL, or create it: CREATE \
             DATABASE {}",
            self.product,
            self.address(),
            self.database,
            self.user,
            self.database
        ))
    }

    pub fn newer_layout(&self, found: i64, known: i64) -> Error {
        Error::unavailable(format!(
            "the tables of {} have layout {found}, made by a newer version of this program: this one knows layouts up to \
             {known}",
            self.summary()
        ))
    }

    /// A layout that was asked for: 0 where there are no tables, and an error where this program is too old for it.
    pub fn known_layout(&self, found: Result<i64>, known: i64) -> Result<i64> {
        match found {
            Ok(layout) if layout > known => Err(self.newer_layout(layout, known)),
            Err(error) if error.is_missing_tables() => Ok(0),
            found => found,
        }
    }

    /// The certificates of `sslrootcert`, if that is given.
    pub fn root_certificates(&self) -> Result<Option<Vec<CertificateDer<'static>>>> {
        let Some(path) = &self.sslrootcert else { return Ok(None) };
        let certificates = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        match certificates {
            Ok(certificates) if !certificates.is_empty() => Ok(Some(certificates)),
            Ok(_) => Err(Error::invalid(format!("there is no PEM certificate in {path:?} (sslrootcert)"))),
            Err(error) => {
                Err(Error::invalid(format!("cannot read the certificates in {path:?} (sslrootcert): {error}")))
            }
        }
    }

    /// The pool of this server's connections. Makes the first one, so that what is wrong shows at once.
    pub async fn pool<M: Backend>(self: &Arc<Self>, manager: M) -> Result<Calls<M>> {
        let pool = Pool::builder(manager)
            .max_size(self.pool_size)
            .queue_mode(QueueMode::Lifo)
            .runtime(deadpool::Runtime::Tokio1)
            .build()
            .map_err(|error| Error::unavailable(error.to_string()))?;
        let renewed = Arc::new(Mutex::new(std::time::Instant::now()));
        let calls = Calls { pool, server: Arc::clone(self), renewed };
        calls.lease(Instant::now() + self.timeout).await?.keep();
        Ok(calls)
    }
}

/// How connections are encrypted, when they are.
pub fn tls(server: &Server) -> Result<rustls::ClientConfig> {
    use rustls::{ClientConfig, RootCertStore, crypto::ring};

    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::invalid(format!("TLS cannot be used: {error}")))?;
    if server.sslmode != SslMode::VerifyFull {
        let verifier = Arc::new(unverified::Unverified(provider));
        return Ok(config.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth());
    }
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(certificates) = server.root_certificates()? {
        roots = RootCertStore::empty();
        for certificate in certificates {
            roots.add(certificate).map_err(|error| Error::invalid(format!("sslrootcert: {error}")))?;
        }
    }
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

/// Encryption without knowing to whom: what `sslmode` means by `prefer` and `require`.
mod unverified {
    use std::sync::Arc;

    use rustls::{
        DigitallySignedStruct, Error, SignatureScheme,
        client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
        pki_types::{CertificateDer, ServerName, UnixTime},
    };

    #[derive(Debug)]
    pub struct Unverified(pub Arc<CryptoProvider>);

    impl ServerCertVerifier for Unverified {
        fn verify_server_cert(
            &self,
            _: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: UnixTime,
        ) -> Result<ServerCertVerified, Error> {
            Ok(ServerCertVerified::assertion())
        }

        fn verify_tls12_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.0.signature_verification_algorithms.supported_schemes()
        }
    }
}

fn ssl_mode(mode: &str) -> Result<SslMode> {
    Ok(match mode {
        "disable" => SslMode::Disable,
        "prefer" => SslMode::Prefer,
        "require" => SslMode::Require,
        "verify-full" => SslMode::VerifyFull,
        _ => {
            return Err(Error::invalid(format!(
                "sslmode is {mode:?}: it has to be one of disable, prefer, require, verify-full"
            )));
        }
    })
}

fn pool_size(size: &str) -> Result<usize> {
    let valid = size.parse().ok().filter(|size| (1..=10_000).contains(size));
    valid.ok_or_else(|| {
        Error::invalid(format!("pool-size is {size:?}: it has to be a number of connections from 1 to 10000"))
    })
}

fn seconds(given: &mut BTreeMap<String, String>, name: &str, default: u64) -> Result<Duration> {
    let Some(text) = given.remove(name) else { return Ok(Duration::from_secs(default)) };
    let time = units::duration(&text).map_err(|why| Error::invalid(format!("{name}: {why}")))?;
    if time.is_zero() || time > Duration::from_secs(86_400) {
        return Err(Error::invalid(format!("{name} is {text:?}: it has to be more than 0, and at most a day")));
    }
    Ok(time)
}

fn password(in_url: Option<String>, file: Option<String>, variable: Option<String>) -> Result<Option<Password>> {
    let password = match (in_url, file, variable) {
        (None, None, None) => return Ok(None),
        (Some(password), None, None) => password,
        (None, Some(file), None) => {
            let text = std::fs::read_to_string(&file)
                .map_err(|error| Error::invalid(format!("cannot read the password-file {file:?}: {error}")))?;
            text.trim_end_matches(['\r', '\n']).to_owned()
        }
        (None, None, Some(variable)) => std::env::var(&variable).map_err(|_| {
            Error::invalid(format!("password-env names the environment variable {variable}, which is not set to text"))
        })?,
        _ => {
            return Err(Error::invalid(
                "the password is given more than once: give it in the storage URL, by password-file or by password-env",
            ));
        }
    };
    Ok(Some(Password(password)))
}

/// What went wrong with a call, and what that means for its connection.
pub enum Trouble {
    /// The server has refused the call, or the connection. A connection that stood is as good as before.
    Refused(Error),
    /// The server takes no writes and has refused this one: another one is the primary by now, to which a new connection may
    /// lead.
    ReadOnly(String),
    /// The server has undone the call because of others that it met, and it can be repeated.
    Undone(String),
    /// The connection is broken, and nothing is known of the call.
    Broken(String),
}

/// The connections of one kind of server.
pub trait Backend: Manager + 'static {
    fn trouble(error: Self::Error, server: &Server) -> Trouble;

    /// Ends a connection in whatever state it is.
    fn discard(connection: Self::Type);
}

/// Whether a call may be repeated when its connection broke.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// It only reads.
    Safe,
    /// It may have written.
    Never,
}

/// What is done on a connection with an input.
pub type Call<M, I, T> =
    for<'c> fn(&'c mut <M as Manager>::Type, &'c I) -> BoxFuture<'c, Result<T, <M as Manager>::Error>>;

/// How often a call is repeated that the server has undone.
const ATTEMPTS: u32 = 8;

/// Runs calls on pooled connections.
///
/// Every call is a task of its own and runs to its end even when nobody waits for its answer any more: a request that is
/// cancelled leaves no connection in the middle of a statement, and no transaction open.
pub struct Calls<M: Backend> {
    pool: Pool<M>,
    server: Arc<Server>,
    /// Connections that were made before this are used no more.
    renewed: Arc<Mutex<std::time::Instant>>,
}

impl<M: Backend> Clone for Calls<M> {
    fn clone(&self) -> Self {
        Self { pool: self.pool.clone(), server: Arc::clone(&self.server), renewed: Arc::clone(&self.renewed) }
    }
}

impl<M: Backend> Calls<M> {
    pub fn server(&self) -> &Arc<Server> {
        &self.server
    }

    /// Runs `call` on a connection, with `input`.
    pub async fn run<I, T>(&self, repeat: Repeat, input: I, call: Call<M, I, T>) -> Result<T>
    where
        I: Send + Sync + 'static,
        T: Send + 'static,
    {
        let calls = self.clone();
        let limit = Some(self.server.timeout);
        finish(tokio::spawn(async move { calls.repeat(repeat, limit, &input, call).await })).await
    }

    /// Runs `call`, which sets up the tables, without a limit of time.
    pub async fn set_up<I, T>(&self, input: I, call: Call<M, I, T>) -> Result<T>
    where
        I: Send + Sync + 'static,
        T: Send + 'static,
    {
        let calls = self.clone();
        finish(tokio::spawn(async move { calls.repeat(Repeat::Never, None, &input, call).await })).await
    }

    pub fn close(&self) {
        self.pool.close();
    }

    async fn repeat<I, T>(&self, repeat: Repeat, limit: Option<Duration>, input: &I, call: Call<M, I, T>) -> Result<T> {
        let started = Instant::now();
        let (mut undone, mut renewed) = (0, false);
        loop {
            let mut lease = self.lease(started + self.server.timeout).await?;
            let answer = match limit {
                Some(limit) => timeout_at(started + limit, call(&mut lease, input)).await,
                None => Ok(call(&mut lease, input).await),
            };
            match answer.map(|answer| answer.map_err(|error| M::trouble(error, &self.server))) {
                Ok(Ok(answer)) => {
                    lease.keep();
                    return Ok(answer);
                }
                Ok(Err(Trouble::Refused(error))) => {
                    lease.keep();
                    return Err(error);
                }
                Ok(Err(Trouble::Undone(what))) => {
                    lease.keep();
                    undone += 1;
                    if undone == ATTEMPTS {
                        return Err(self.server.trouble(what));
                    }
                }
                Ok(Err(Trouble::ReadOnly(what))) => {
                    self.renew(lease);
                    // Nothing was done, so that any call may be repeated.
                    if renewed {
                        return Err(self.server.trouble(what));
                    }
                    renewed = true;
                }
                Ok(Err(Trouble::Broken(what))) => {
                    self.renew(lease);
                    if repeat == Repeat::Never || renewed {
                        return Err(self.server.trouble(what));
                    }
                    renewed = true;
                }
                Err(_) => {
                    return Err(self.server.too_late());
                }
            }
        }
    }

    /// Has new connections made in place of this one and those as old: the server was restarted, perhaps, or another one has
    /// taken its place.
    fn renew(&self, lease: Lease<M>) {
        let made = lease.made();
        drop(lease);
        let mut renewed = self.renewed.lock().unwrap_or_else(PoisonError::into_inner);
        // Unless somebody else has had them made since.
        if made >= *renewed {
            *renewed = std::time::Instant::now();
            self.pool.retain(|_, _| false);
        }
    }

    async fn lease(&self, until: Instant) -> Result<Lease<M>> {
        let server = &self.server;
        let lease = loop {
            let timeouts = Timeouts {
                wait: Some(until.saturating_duration_since(Instant::now())),
                create: Some(server.connect_timeout),
                recycle: Some(server.connect_timeout),
            };
            match self.pool.timeout_get(&timeouts).await.map(|connection| Lease(Some(connection))) {
                Ok(lease) if lease.made() < *self.renewed.lock().unwrap_or_else(PoisonError::into_inner) => drop(lease),
                lease => break lease,
            }
        };
        match lease {
            Ok(lease) => Ok(lease),
            Err(PoolError::Backend(error)) => Err(match M::trouble(error, server) {
                Trouble::Refused(error) => error,
                Trouble::ReadOnly(why) | Trouble::Undone(why) | Trouble::Broken(why) => server.unreachable(why),
            }),
            Err(PoolError::Timeout(TimeoutType::Wait)) => Err(Error::unavailable(format!(
                "all {} connections to {} at {} are in use, and none became free within {:?} (pool-size, timeout)",
                server.pool_size,
                server.product,
                server.address(),
                server.timeout
            ))),
            Err(PoolError::Timeout(_)) => {
                Err(server.unreachable(format_args!("no answer within {:?} (connect-timeout)", server.connect_timeout)))
            }
            Err(PoolError::Closed) => Err(Error::unavailable("the store has been closed")),
            Err(PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_)) => {
                Err(server.trouble("the pool of connections is not set up as it should be"))
            }
        }
    }
}

async fn finish<T>(call: impl Future<Output = Result<Result<T>, tokio::task::JoinError>>) -> Result<T> {
    call.await
        .unwrap_or_else(|_| Err(Error::unavailable("the call was broken off: this program is ending, or has a fault")))
}

/// A connection that goes back to the pool only by [`Lease::keep`]: one that is dropped in the middle of a call is ended.
struct Lease<M: Backend>(Option<Object<M>>);

impl<M: Backend> Deref for Lease<M> {
    type Target = M::Type;

    fn deref(&self) -> &M::Type {
        self.0.as_ref().expect("a lease holds its connection until it ends")
    }
}

impl<M: Backend> DerefMut for Lease<M> {
    fn deref_mut(&mut self) -> &mut M::Type {
        self.0.as_mut().expect("a lease holds its connection until it ends")
    }
}

impl<M: Backend> Lease<M> {
    /// When the connection was made.
    fn made(&self) -> std::time::Instant {
        Object::metrics(self.0.as_ref().expect("a lease holds its connection until it ends")).created
    }

    fn keep(mut self) {
        self.0.take();
    }
}

impl<M: Backend> Drop for Lease<M> {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            M::discard(Object::take(connection));
        }
    }
}

/// What differs where the tables are not there, or wait to be brought up to date.
pub fn other_layout(found: i64, known: usize) -> Option<String> {
    match found {
        0 => Some("the tables are not there".to_owned()),
        found if found != known as i64 => {
            Some(format!("the tables have layout {found}, and this version's is {known}"))
        }
        _ => None,
    }
}

/// The longest name, application or owner that fits the index of every server: 255 characters of four bytes.
const LONGEST_NAME: usize = 1020;
/// The longest nonce of a grace.
const LONGEST_NONCE: usize = 255;

fn fits(what: &str, bytes: usize, most: usize) -> Result<()> {
    if bytes > most {
        return Err(Error::unavailable(format!(
            "the {what} has {bytes} bytes: an SQL server's index takes {most} at most"
        )));
    }
    Ok(())
}

pub fn check_owner(owner: Option<&str>) -> Result<()> {
    fits("owner of a session", owner.map_or(0, str::len), LONGEST_NAME)
}

pub fn check_writes(writes: &[Write]) -> Result<()> {
    for write in writes {
        fits("name of an application", write.app.len(), LONGEST_NAME)?;
        fits("name of a variable", write.name.len(), LONGEST_NAME)?;
    }
    Ok(())
}

pub fn check_change(change: &Change) -> Result<()> {
    for app in &change.clears {
        fits("name of an application", app.len(), LONGEST_NAME)?;
    }
    check_writes(&change.writes)?;
    check_owner(change.owner.as_ref().and_then(Option::as_deref))?;
    let grace = change.rename.as_ref().and_then(|rename| rename.grace.as_ref());
    fits("nonce of a grace", grace.map_or(0, |grace| grace.nonce.len()), LONGEST_NONCE)
}

/// Until when a key that `change` ends is known: through its grace, and remembered after it.
pub fn known_until(change: &Change, now: u64) -> u64 {
    let grace = change.rename.as_ref().and_then(|rename| rename.grace.as_ref());
    grace.map_or(now, |grace| grace.until).saturating_add(change.remember.into())
}
