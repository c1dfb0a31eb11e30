//! Sessions that are bound to a device, with a client that signs as a browser does.

use std::{process::Command, thread::sleep, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use lemon_session_tests::{Client, Launch, Reply, Server, Storage, proxy, storage::KINDS};
use ring::{
    rand::SystemRandom,
    rsa::KeyPair as RsaKeyPair,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaPublicKeyComponents,
    },
};
use serde_json::{Value, json};

const SETTINGS: &str = "[session]\ndevice-bound = 3s\nrenew-grace = 0\n[server]\ntrusted-proxies = 127.0.0.1\n";
/// How long a bound cookie is valid by these settings, and a little more.
const LIFETIME: Duration = Duration::from_millis(3100);

fn serve(storage: &Storage) -> Server {
    Launch::new("counter").ini(SETTINGS).storage(storage).start()
}

fn start() -> Server {
    Launch::new("counter").ini(SETTINGS).start()
}

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The key of a device.
enum Key {
    Es256(EcdsaKeyPair),
    Rs256(RsaKeyPair),
}

impl Key {
    fn es256() -> Self {
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).expect("a key");
        Self::Es256(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.as_ref(), &random).expect("a key"))
    }

    /// `None` without OpenSSL: ring makes no keys of RSA.
    fn rs256() -> Option<Self> {
        if !proxy::is_there("openssl", &["version"]) {
            return None;
        }
        let arguments = ["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-outform", "DER"];
        let key = Command::new("openssl").args(arguments).output().expect("openssl makes a key").stdout;
        // As PKCS #8 or as PKCS #1: versions of OpenSSL differ.
        let key = RsaKeyPair::from_pkcs8(&key).or_else(|_| RsaKeyPair::from_der(&key));
        Some(Self::Rs256(key.expect("a key")))
    }

    fn algorithm(&self) -> &'static str {
        match self {
            Self::Es256(_) => "ES256",
            Self::Rs256(_) => "RS256",
        }
    }

    fn jwk(&self) -> Value {
        match self {
            Self::Es256(key) => {
                let point = key.public_key().as_ref();
                json!({ "kty": "EC", "crv": "P-256", "x": encoded(&point[1..33]), "y": encoded(&point[33..]) })
            }
            Self::Rs256(key) => {
                let RsaPublicKeyComponents::<Vec<u8>> { n, e } = key.public().into();
                json!({ "kty": "RSA", "n": encoded(n), "e": encoded(e) })
            }
        }
    }

    fn signed(&self, header: &Value, payload: &Value) -> String {
        let message = format!("{}.{}", encoded(header.to_string()), encoded(payload.to_string()));
        let signature = match self {
            Self::Es256(key) => key.sign(&SystemRandom::new(), message.as_bytes()).expect("signed").as_ref().to_vec(),
            Self::Rs256(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                let random = SystemRandom::new();
                key.sign(&RSA_PKCS1_SHA256, &random, message.as_bytes(), &mut signature).expect("signed");
                signature
            }
        };
        format!("{message}.{}", encoded(signature))
    }

    /// The proof of a challenge; with the key that it names, at a registration.
    fn proof(&self, challenge: &str, names_key: bool) -> String {
        let mut header = json!({ "typ": "dbsc+jwt", "alg": self.algorithm() });
        if names_key {
            header["jwk"] = self.jwk();
        }
        self.signed(&header, &json!({ "jti": challenge }))
    }
}

/// The first text between quotation marks after `key`.
fn quoted<'a>(field: &'a str, key: &str) -> &'a str {
    field.split_once(&format!("{key}\"")).expect("it is there").1.split('"').next().expect("a text")
}

/// The first cookie that a response sets, as a request brings it.
fn cookie(reply: &Reply) -> String {
    reply.headers("set-cookie")[0].split(';').next().expect("a cookie").to_owned()
}

fn challenge(reply: &Reply) -> String {
    quoted(reply.headers("secure-session-challenge")[0], "").to_owned()
}

/// A browser, as the draft has it.
struct Browser {
    key: Key,
    session: String,
    bound: String,
    register: String,
    refresh: String,
    identifier: String,
    challenge: String,
}

impl Browser {
    /// One that has logged in, and was asked to register a key.
    fn logged_in(server: &Server, key: Key) -> Self {
        let login = server.url("/login?user=ann&method=password");
        let reply = Client::new().get_with(&login, &[("x-forwarded-proto", "https")]);
        assert_eq!(reply.status, 200, "{reply:?}");
        let registration = reply.headers("secure-session-registration")[0];
        assert!(registration.starts_with("(ES256 RS256);"), "{registration}");
        Self {
            key,
            session: cookie(&reply),
            bound: String::new(),
            register: quoted(registration, "path=").to_owned(),
            refresh: String::new(),
            identifier: String::new(),
            challenge: quoted(registration, "challenge=").to_owned(),
        }
    }

    fn bound(server: &Server, key: Key) -> Self {
        let mut browser = Self::logged_in(server, key);
        let reply = browser.post(server, &browser.register, &browser.key.proof(&browser.challenge, true));
        browser.take(&reply);
        browser
    }

    fn post(&self, server: &Server, path: &str, proof: &str) -> Reply {
        let proof = format!("\"{proof}\"");
        let mut headers = vec![("cookie", self.session.as_str()), ("secure-session-response", &proof)];
        let identifier = format!("\"{}\"", self.identifier);
        if path == self.refresh {
            headers.push(("sec-secure-session-id", &identifier));
        }
        Client::new().post_with(&server.url(path), &[], &headers)
    }

    fn take(&mut self, reply: &Reply) {
        assert_eq!(reply.status, 200, "{reply:?}");
        let instructions: Value = serde_json::from_str(&reply.body).expect("JSON");
        let credential = &instructions["credentials"][0];
        assert_eq!((&credential["type"], &credential["name"]), (&json!("cookie"), &json!("counter-bound")));
        assert_eq!(instructions["scope"]["include_site"], false);
        let set = reply.set_cookie_line();
        assert!(set.contains(credential["attributes"].as_str().expect("attributes")), "{set}");
        assert_eq!(reply.headers("cache-control"), ["no-store"]);
        let folder = self.register.split_once("register").expect("a path").0;
        self.refresh = format!("{folder}{}", instructions["refresh_url"].as_str().expect("a URL"));
        self.identifier = instructions["session_identifier"].as_str().expect("an identifier").to_owned();
        self.bound = cookie(reply);
        self.challenge = challenge(reply);
    }

    fn ask(&self, server: &Server) -> Reply {
        let identifier = format!("\"{}\"", self.identifier);
        let headers = [("cookie", self.session.as_str()), ("sec-secure-session-id", &identifier)];
        Client::new().post_with(&server.url(&self.refresh), &[], &headers)
    }

    fn prove(&self, server: &Server) -> Reply {
        self.post(server, &self.refresh, &self.key.proof(&self.challenge, false))
    }

    /// Asks for a challenge, and signs it.
    fn refreshed(&mut self, server: &Server) {
        let reply = self.ask(server);
        assert_eq!(reply.status, 403);
        self.challenge = challenge(&reply);
        let reply = self.prove(server);
        self.take(&reply);
    }

    fn cookies(&self) -> String {
        format!("{}; {}", self.session, self.bound)
    }
}

/// The status of a page, for who has these cookies.
fn visit(server: &Server, cookies: &str) -> u16 {
    let headers = [("cookie", cookies), ("x-forwarded-proto", "https")];
    let reply = Client::new().get_with(&server.url("/set?key=a&value=b"), &headers);
    if reply.status != 200 {
        assert_eq!(reply.headers("set-cookie"), Vec::<&str>::new(), "the visitor keeps the cookie: {reply:?}");
    }
    reply.status
}

#[test]
fn a_stolen_cookie_is_worth_nothing_minutes_later_and_the_browser_goes_on() {
    for (kind, algorithm) in KINDS.into_iter().zip(["ES256", "RS256"].into_iter().cycle()) {
        let Some(storage) = Storage::new(kind) else { continue };
        let Some(key) = (if algorithm == "ES256" { Some(Key::es256()) } else { Key::rs256() }) else { continue };
        let server = serve(&storage);
        let mut browser = Browser::bound(&server, key);
        let stolen = browser.cookies();
        assert_eq!(visit(&server, &browser.session), 403, "{kind}: the session's cookie alone");
        assert_eq!(visit(&server, &stolen), 200, "{kind}");
        sleep(LIFETIME);
        assert_eq!(visit(&server, &stolen), 403, "{kind}: minutes later");
        browser.refreshed(&server);
        assert_eq!(visit(&server, &browser.cookies()), 200, "{kind}");
        assert_eq!(visit(&server, &stolen), 403, "{kind}: what was stolen is not refreshed");

        // The server is started again, and what it needs is stored with the session.
        drop(server);
        let server = serve(&storage);
        browser.refreshed(&server);
        assert_eq!(visit(&server, &browser.cookies()), 200, "{kind}");
    }
}

#[test]
fn a_browser_that_knows_the_next_challenge_needs_one_request() {
    let server = start();
    let mut browser = Browser::bound(&server, Key::es256());
    for _ in 0..3 {
        let reply = browser.prove(&server);
        browser.take(&reply);
        assert_eq!(visit(&server, &browser.cookies()), 200);
    }
}

#[test]
fn of_two_tabs_that_refresh_at_once_both_go_on() {
    for kind in KINDS {
        let Some(storage) = Storage::new(kind) else { continue };
        let server = serve(&storage);
        let browser = Browser::bound(&server, Key::es256());
        let replies: Vec<Reply> = std::thread::scope(|scope| {
            let tabs: Vec<_> = (0..2).map(|_| scope.spawn(|| browser.prove(&server))).collect();
            tabs.into_iter().map(|tab| tab.join().expect("an answer")).collect()
        });
        let mut statuses: Vec<_> = replies.iter().map(|reply| reply.status).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 403], "{kind}: one challenge is worth one refresh");
        for reply in replies {
            let bound = match reply.status {
                200 => cookie(&reply),
                _ => {
                    let again = browser.post(&server, &browser.refresh, &browser.key.proof(&challenge(&reply), false));
                    assert_eq!(again.status, 200, "{kind}: {again:?}");
                    cookie(&again)
                }
            };
            assert_eq!(visit(&server, &format!("{}; {bound}", browser.session)), 200, "{kind}");
        }
    }
}

#[test]
fn a_stale_challenge_gets_one_retry() {
    let server = start();
    let mut browser = Browser::bound(&server, Key::es256());
    let used = browser.key.proof(&browser.challenge, false);
    let reply = browser.prove(&server);
    browser.take(&reply);
    let reply = browser.post(&server, &browser.refresh, &used);
    assert_eq!(reply.status, 403, "a replayed proof");
    let retry = challenge(&reply);
    let reply = browser.prove(&server);
    browser.take(&reply);
    let second = browser.post(&server, &browser.refresh, &browser.key.proof(&retry, false));
    assert_eq!(second.status, 400, "{second:?}");
    assert_eq!(visit(&server, &browser.cookies()), 200);
}

#[test]
fn what_is_not_a_proof_binds_nothing() {
    let server = start();
    let browser = Browser::logged_in(&server, Key::es256());
    let (key, other) = (&browser.key, Key::es256());
    let payload = json!({ "jti": browser.challenge });
    let header = |algorithm: &str, jwk: &Value| json!({ "typ": "dbsc+jwt", "alg": algorithm, "jwk": jwk });
    let unsigned = format!("{}.{}.", encoded(header("none", &Value::Null).to_string()), encoded(payload.to_string()));
    let wrong = [
        ("alg none", unsigned),
        ("alg none, with a signature", key.signed(&header("none", &key.jwk()), &payload)),
        ("another algorithm", key.signed(&header("HS256", &key.jwk()), &payload)),
        ("the algorithm of another key", key.signed(&header("RS256", &key.jwk()), &payload)),
        ("signed by another key", other.signed(&header("ES256", &key.jwk()), &payload)),
        ("no key", key.proof(&browser.challenge, false)),
        ("another challenge", key.proof("x", true)),
        (
            "of 9,000 bytes",
            key.signed(&header("ES256", &key.jwk()), &json!({ "jti": browser.challenge, "x": "x".repeat(9000) })),
        ),
        ("no token", "x".to_owned()),
        ("nothing", String::new()),
    ];
    for (what, proof) in wrong {
        let reply = browser.post(&server, &browser.register, &proof);
        assert_eq!(reply.status, 400, "{what}: {reply:?}");
        assert_eq!(reply.headers("set-cookie"), Vec::<&str>::new(), "{what}");
        assert_eq!(visit(&server, &browser.session), 200, "{what}: not bound");
    }
    let long = "x".repeat(60_000);
    assert!((400..500).contains(&browser.post(&server, &browser.register, &long).status), "longer than any head");
    let nobody = Browser { session: "counter=x".into(), key: Key::es256(), ..Browser::logged_in(&server, other) };
    assert_eq!(nobody.post(&server, &nobody.register, &nobody.key.proof(&nobody.challenge, true)).status, 400);

    let reply = browser.post(&server, &browser.register, &key.proof(&browser.challenge, true));
    assert_eq!(reply.status, 200, "{reply:?}");
    let reply = browser.post(&server, &browser.register, &key.proof(&browser.challenge, true));
    assert_eq!(reply.status, 400, "replayed: {reply:?}");
}

#[test]
fn only_the_key_of_the_device_refreshes() {
    let server = start();
    let mut browser = Browser::bound(&server, Key::es256());
    let thief = Key::es256();
    for proof in [thief.proof(&browser.challenge, false), thief.proof(&browser.challenge, true)] {
        let reply = browser.post(&server, &browser.refresh, &proof);
        assert_eq!(reply.status, 400, "{reply:?}");
    }
    let identifier = std::mem::replace(&mut browser.identifier, "x".into());
    let reply = browser.prove(&server);
    assert_eq!((reply.status, reply.body.contains("\"continue\":false")), (200, true), "{reply:?}");
    assert_eq!(reply.headers("set-cookie"), Vec::<&str>::new());
    browser.identifier = identifier;
    browser.refreshed(&server);
}

#[test]
fn other_sites_and_other_methods_reach_neither_endpoint_nor_application() {
    let server = start();
    let mut browser = Browser::bound(&server, Key::es256());
    let proof = browser.key.proof(&browser.challenge, false);
    let sends = |path: &str, header: (&str, &str)| {
        let headers = [
            ("cookie", browser.session.as_str()),
            ("secure-session-response", &proof),
            ("sec-secure-session-id", &browser.identifier),
            header,
        ];
        Client::new().post_with(&server.url(path), &[], &headers).status
    };
    for path in [&browser.register, &browser.refresh] {
        assert_eq!(sends(path, ("sec-fetch-site", "cross-site")), 403);
        assert_eq!(sends(path, ("origin", "https://evil.example")), 403);
        let got = Client::new().get_with(&server.url(path), &[("cookie", &browser.session)]);
        assert_eq!((got.status, got.headers("allow")), (405, vec!["POST"]));
    }
    for wrong in [
        "/.lemon-session/refresh",
        "/.lemon-session/refresh?cookie=",
        "/.lemon-session/refresh?cookie=counter&storage=x",
    ] {
        assert_eq!(sends(wrong, ("x-y", "z")), 400, "{wrong}");
    }
    let without = Client::new().post_with(&server.url(&browser.refresh), &[], &[("cookie", &browser.session)]);
    assert_eq!(without.status, 400, "a page can send no header that begins with Sec-");
    browser.refreshed(&server);
}

#[test]
fn a_body_is_not_read() {
    let server = start();
    let browser = Browser::bound(&server, Key::es256());
    let body = "x".repeat(100_000);
    let headers = [("cookie", browser.session.as_str()), ("sec-secure-session-id", &browser.identifier)];
    assert_eq!(Client::new().post_with(&server.url(&browser.refresh), &[("x", &body)], &headers).status, 403);
    assert_eq!(visit(&server, &browser.cookies()), 200, "the server goes on");
}

#[test]
fn without_the_setting_nothing_is_asked_and_the_paths_are_the_application_s() {
    let server = Launch::new("counter").ini("[server]\ntrusted-proxies = 127.0.0.1\n").start();
    let login = server.url("/login?user=ann&method=password");
    let reply = Client::new().get_with(&login, &[("x-forwarded-proto", "https")]);
    assert_eq!(reply.headers("secure-session-registration"), Vec::<&str>::new());
    let reply = Client::new().post_with(&server.url("/.lemon-session/register?cookie=counter"), &[], &[]);
    assert_eq!(reply.status, 404, "the application's answer: {reply:?}");
}

#[test]
fn the_endpoints_are_there_beside_applications_that_are_mounted_below() {
    let server = Launch::mounted().mount("/shop", "counter").ini(SETTINGS).start();
    let reply = Client::new().post_with(&server.url("/.lemon-session/register?cookie=counter"), &[], &[]);
    assert_eq!(reply.status, 400, "{reply:?}");
    assert_eq!(server.get(&Client::new(), "/").status, 404, "no application");
}
