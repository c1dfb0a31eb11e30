//! The provider `redis` that is built with TLS, under `wasmtime serve`, on a Redis that speaks nothing else.

use std::{
    fs::File,
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::LazyLock,
    thread,
    time::{Duration, Instant},
};

use lemon_session_tests::{
    Client, build,
    proxy::{free_port, is_there},
};
use tempfile::TempDir;

use crate::{
    running::{Place, Running},
    site::{compose, runtime, site},
    store::Kind,
    walks::walk_three_pages,
};

/// The site of examples/visits with the provider that docs/providers.md builds.
static SITE: LazyLock<PathBuf> =
    LazyLock::new(|| compose("visits", &build::made("dist/redis_tls.wasm").display().to_string()));

/// Redis with a certificate for `localhost` from an authority of its own. It ends when it is dropped.
struct Redis {
    port: u16,
    process: Child,
    /// Its certificate, and those of its authority, `ca.pem`, and of another one, `other.pem`.
    folder: TempDir,
}

impl Redis {
    /// Returns `None` if a program that it needs is not installed, and fails in CI.
    fn start() -> Option<Self> {
        if !is_there("redis-server", &["--version"]) || !is_there("openssl", &["version"]) {
            return None;
        }
        let folder = TempDir::with_prefix("lemon-session-").expect("there is room for a folder");
        let at = folder.path();
        certify(at, "ca", "-subj /CN=Authority");
        certify(at, "other", "-subj /CN=Other");
        certify(
            at,
            "redis",
            "-subj /CN=Redis -CA ca.pem -CAkey ca.key -addext subjectAltName=DNS:localhost \
             -addext basicConstraints=critical,CA:FALSE",
        );
        let port = free_port();
        let log = File::create(at.join("log")).expect("the log can be written");
        let options = format!(
            "--port 0 --tls-port {port} --bind 127.0.0.1 --save  --tls-auth-clients no --tls-ca-cert-file ca.pem \
             --tls-cert-file redis.pem --tls-key-file redis.key"
        );
        let process = Command::new("redis-server")
            .args(options.split(' '))
            .current_dir(at)
            .stdin(Stdio::null())
            .stdout(log)
            .spawn()
            .expect("redis-server can be run");
        let mut redis = Self { port, process, folder };
        redis.wait();
        Some(redis)
    }

    fn wait(&mut self) {
        let until = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let ended = self.process.try_wait().expect("redis-server is ours");
            let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(ended.is_none() && Instant::now() < until, "redis-server does not start: {ended:?}\n{log}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn url(&self, host: &str) -> String {
        format!("rediss://{host}:{}", self.port)
    }

    /// Serves a site with these options of the storage, and with its certificates in `/certificates`.
    fn serve(&self, site: &Path, options: &[&str], variables: &[(&str, &str)]) -> Running {
        let place = Place::new();
        let mut command = Command::new(runtime("wasmtime"));
        command.args(["serve", "-S", "cli,inherit-network,allow-ip-name-lookup"]).args(options);
        command.args(["--addr", &place.address.to_string()]);
        command.arg("--dir").arg(format!("{}::/certificates", self.folder.path().display()));
        for (name, value) in variables {
            command.arg("--env").arg(format!("LEMON_SESSION_STORAGE{name}={value}"));
        }
        command.arg(site);
        place.start(command, "Serving HTTP on ")
    }

    /// What the log says after a visit to a site that cannot use its store.
    fn refusal(&self, site: &Path, variables: &[(&str, &str)]) -> String {
        let visits = self.serve(site, &[], variables);
        let reply = visits.get(&Client::new(), "/");
        assert_eq!((reply.status, reply.body.contains("certificate")), (503, false), "{reply:?}");
        visits.log()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Makes `NAME.pem` and `NAME.key`.
fn certify(folder: &Path, name: &str, options: &str) {
    let fixed = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1";
    let arguments = format!("{fixed} -keyout {name}.key -out {name}.pem {options}");
    let output = Command::new("openssl").args(arguments.split_whitespace()).current_dir(folder).output();
    let output = output.expect("openssl can be run");
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn visits_walks_its_three_pages_over_tls() {
    let Some(redis) = Redis::start() else { return };
    let variables = [("", &*redis.url("localhost")), ("_CA_FILE", "/certificates/ca.pem")];
    // A handshake for each request, and a connection that is kept for the next ones.
    for reuse in ["1", "128"] {
        walk_three_pages(&redis.serve(&SITE, &["--max-instance-reuse-count", reuse], &variables));
    }
}

#[test]
fn certificate_of_another_authority_is_refused() {
    let Some(redis) = Redis::start() else { return };
    let url = ("", &*redis.url("localhost"));
    let log = redis.refusal(&SITE, &[url, ("_CA_FILE", "/certificates/other.pem")]);
    assert!(log.contains("UnknownIssuer; no certificate in ca-file is that of its authority\n"), "{log}");
    let log = redis.refusal(&SITE, &[url]);
    assert!(log.contains("UnknownIssuer; give the certificate of its authority as ca-file\n"), "{log}");
}

#[test]
fn certificate_for_another_host_is_refused() {
    let Some(redis) = Redis::start() else { return };
    let log = redis.refusal(&SITE, &[("", &redis.url("127.0.0.1")), ("_CA_FILE", "/certificates/ca.pem")]);
    let expected = "certificate not valid for name \"127.0.0.1\"; certificate is only valid for DnsName(\"localhost\"); \
                    the host in the URL has to be a name in the certificate\n";
    assert!(log.contains(expected), "{log}");
}

#[test]
fn ca_file_that_is_wrong_is_named() {
    let Some(redis) = Redis::start() else { return };
    let url = ("", &*redis.url("localhost"));
    let log = redis.refusal(&SITE, &[url, ("_CA_FILE", "/certificates/redis.key")]);
    assert!(log.contains("LEMON_SESSION_STORAGE_CA_FILE: ca-file has no certificate"), "{log}");
    let log = redis.refusal(&SITE, &[url, ("_CA_FILE", "/elsewhere/ca.pem")]);
    assert!(log.contains("LEMON_SESSION_STORAGE_CA_FILE: ca-file /elsewhere/ca.pem cannot be read"), "{log}");
    assert!(log.contains("the runtime has to grant its directory (`wasmtime --dir "), "{log}");
}

#[test]
fn provider_without_tls_names_the_one_with_it() {
    let Some(redis) = Redis::start() else { return };
    let log = redis.refusal(&site("visits", Kind::Redis), &[("", &redis.url("localhost"))]);
    let expected = "`make dist/redis_tls.wasm` builds one with TLS, and `lemon-session compose APP.wasm --provider \
                    dist/redis_tls.wasm` joins with it\n";
    assert!(log.contains(expected), "{log}");
}
