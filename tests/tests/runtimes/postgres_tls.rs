//! The provider `postgres` that is built with TLS, under `wasmtime serve`, on a PostgreSQL that lets no one in without.

#[path = "../../../host/sql/testing/servers.rs"]
#[allow(dead_code, reason = "some of it is about other servers")]
mod servers;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
};

use lemon_session_tests::{build, proxy::is_there};
use servers::OwnServer;
use tempfile::TempDir;

use crate::{
    running::comes_true,
    site::{compose, site},
    store::Kind,
    tls::{certify, refusal, serve},
    walks::walk_three_pages,
};

/// The site of examples/visits with the provider that docs/providers.md builds.
static SITE: LazyLock<PathBuf> =
    LazyLock::new(|| compose("visits", &build::made("dist/postgres_tls.wasm").display().to_string()));

/// PostgreSQL with a certificate for `localhost` from an authority of its own.
struct Postgres {
    url: String,
    _server: OwnServer,
    /// The certificates of its authority, `ca.pem`, and of another one, `other.pem`.
    folder: TempDir,
}

impl Postgres {
    /// Returns `None` if a program that it needs is not installed, and fails in CI.
    fn start() -> Option<Self> {
        if !is_there("openssl", &["version"]) {
            return None;
        }
        let Some(mut server) = OwnServer::postgres() else {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "with CI=true every server has to be there");
            eprintln!("\n*** SKIPPED: PostgreSQL is not installed ***\n");
            return None;
        };
        let folder = TempDir::with_prefix("lemon-session-").expect("there is room for a folder");
        let at = folder.path();
        certify(at, "ca", "-subj /CN=Authority");
        certify(at, "other", "-subj /CN=Other");
        certify(
            at,
            "server",
            "-subj /CN=PostgreSQL -CA ca.pem -CAkey ca.key -addext subjectAltName=DNS:localhost \
             -addext basicConstraints=critical,CA:FALSE",
        );
        let data = server.folder.path().join("data");
        for (from, to) in [("server.pem", "server.crt"), ("server.key", "server.key")] {
            let to = data.join(to);
            fs::copy(at.join(from), &to).expect("there is room for a file");
            // PostgreSQL takes no key that others can read. Where the tests run as root, it is another user.
            let owned = Command::new("chown").arg("--reference").args([&data, &to]).status();
            let closed = Command::new("chmod").arg("600").arg(&to).status();
            assert!(owned.is_ok_and(|status| status.success()) && closed.is_ok_and(|status| status.success()));
        }
        append(&data.join("postgresql.conf"), "\nssl = on\n");
        fs::write(data.join("pg_hba.conf"), "hostssl all all all scram-sha-256\n").expect("the file can be written");
        server.kill();
        fs::remove_file(server.folder.path().join("log")).expect("it has a log");
        server.start_again();
        wait(&server.folder.path().join("log"), "ready to accept connections");
        let url = server.url("postgres").replace("127.0.0.1", "localhost");
        Some(Self { url, _server: server, folder })
    }

    fn refusal(&self, site: &Path, variables: &[(&str, &str)]) -> String {
        refusal(site, self.folder.path(), &[&[("", &*self.url)], variables].concat())
    }
}

/// Waits until a log has this text: PostgreSQL listens before it is ready.
fn wait(log: &Path, text: &str) {
    let has_text = || fs::read_to_string(log).is_ok_and(|log| log.contains(text));
    assert!(comes_true(has_text), "{}", fs::read_to_string(log).unwrap_or_default());
}

fn append(file: &Path, text: &str) {
    let before = fs::read_to_string(file).expect("the file can be read");
    fs::write(file, before + text).expect("the file can be written");
}

const VERIFY: (&str, &str) = ("_SSLMODE", "verify-full");

#[test]
fn visits_walks_its_three_pages_on_postgres_over_tls() {
    let Some(postgres) = Postgres::start() else { return };
    let (url, authority) = (("", &*postgres.url), ("_SSLROOTCERT", "/certificates/ca.pem"));
    // A handshake for each request, and a connection that is kept for the next ones.
    for reuse in ["1", "128"] {
        // `prefer` encrypts as well if the server can.
        for variables in [&[url, VERIFY, authority][..], &[url, ("_SSLMODE", "require")], &[url]] {
            let options = ["--max-instance-reuse-count", reuse];
            walk_three_pages(&serve(&SITE, postgres.folder.path(), &options, variables));
        }
    }
}

#[test]
fn certificate_that_does_not_fit_is_refused() {
    let Some(postgres) = Postgres::start() else { return };
    let log = postgres.refusal(&SITE, &[VERIFY, ("_SSLROOTCERT", "/certificates/other.pem")]);
    assert!(log.contains("UnknownIssuer"), "{log}");
    let log = postgres.refusal(&SITE, &[VERIFY]);
    assert!(log.contains("UnknownIssuer"), "{log}");
    let log = postgres.refusal(&SITE, &[VERIFY, ("_SSLROOTCERT", "/elsewhere/ca.pem")]);
    assert!(log.contains("cannot read the certificates in \"/elsewhere/ca.pem\" (sslrootcert)"), "{log}");
    let by_address = [("", &*postgres.url.replace("localhost", "127.0.0.1")), VERIFY];
    let authority = ("_SSLROOTCERT", "/certificates/ca.pem");
    let log = refusal(&SITE, postgres.folder.path(), &[&by_address[..], &[authority]].concat());
    assert!(log.contains("certificate not valid for name \"127.0.0.1\""), "{log}");
}

#[test]
fn provider_without_tls_names_the_one_with_it() {
    let Some(postgres) = Postgres::start() else { return };
    let site = site("visits", Kind::Postgres);
    let log = postgres.refusal(&site, &[("_SSLMODE", "require")]);
    let expected = "`make dist/postgres_tls.wasm` builds one with TLS, and `lemon-session compose APP.wasm --provider \
                    dist/postgres_tls.wasm` joins with it\n";
    assert!(log.contains("LEMON_SESSION_STORAGE_SSLMODE: sslmode is require") && log.contains(expected), "{log}");
    let log = postgres.refusal(&site, &[]);
    assert!(log.contains("no encryption"), "the server tells why it lets no one in: {log}");
}
