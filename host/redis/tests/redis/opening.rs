//! Opening a store.

use std::{
    net::TcpListener,
    process::Command,
    time::{Duration, Instant},
};

use lemon_session_redis::Redis;
use lemon_session_store::{Digest, registry::Open};

use crate::{
    TRANSPORTS, create, created, found, open_over, own_table, put, record,
    servers::{RedisServer, can_start, skip},
    shared_cluster, shared_server, try_open,
};

async fn refusal(url: &str, options: &[(&str, &str)]) -> String {
    refusal_over(Redis::open, url, options).await
}

async fn refusal_over(open: Open, url: &str, options: &[(&str, &str)]) -> String {
    match open_over(open, url, &own_table(), options).await {
        Ok(_) => panic!("{url} opens"),
        Err(error) => {
            let mut text = format!("{error} {error:?}");
            let mut source = std::error::Error::source(&error);
            while let Some(error) = source {
                text += &format!(" {error} {error:?}");
                source = error.source();
            }
            assert!(!text.contains("secret"), "no password in an error: {text}");
            error.to_string()
        }
    }
}

#[tokio::test]
async fn wrong_password_says_what_to_check_and_no_password() {
    if !can_start() {
        return;
    }
    let server = RedisServer::start(&["--requirepass", "top-secret"]);
    for user in ["", ":wrong-secret@", "nobody:wrong-secret@"] {
        let url = format!("redis://{user}127.0.0.1:{}", server.port);
        let refused = refusal(&url, &[]).await;
        assert!(refused.contains("check user and password"), "{refused}");
        assert!(refused.contains(&format!("127.0.0.1:{}", server.port)), "{refused}");
    }

    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("password");
    std::fs::write(&file, "top-secret\n").expect("written");
    let options = [("password-file", file.to_str().expect("a path"))];
    let driver = try_open(&server.url(), &own_table(), &options).await.expect("the right password opens");
    assert!(!driver.summary().contains("secret"), "{}", driver.summary());
    driver.try_schema().expect("schema").create_tables().await.expect("create_tables");
    let url = format!("redis://:top-secret@127.0.0.1:{}", server.port);
    let driver = try_open(&url, &own_table(), &[]).await.expect("the right password opens");
    assert_eq!(driver.summary(), format!("Redis at 127.0.0.1:{}", server.port));
}

#[tokio::test]
async fn missing_permission_says_so_and_no_key() {
    if !can_start() {
        return;
    }
    let server = RedisServer::start(&["--user", "app", "on", ">secret", "~Other:*", "+@all"]);
    let table = own_table();
    created(&server.url(), &table).await;
    let url = format!("redis://app:secret@127.0.0.1:{}", server.port);
    let driver = try_open(&url, &table, &[]).await.expect("the password is right");
    let key = Digest::of("a");
    let error = driver.load(&key, "shop", 1, 0).await.expect_err("the user lacks the permission");
    assert!(error.to_string().contains("NOPERM"), "{error}");
    assert!(!format!("{error:?}").contains(&key.to_hex()), "{error:?}");
}

#[tokio::test]
async fn unreachable_server_is_an_error_within_seconds() {
    let closed = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
    let silent = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let silent = silent.local_addr().map(|address| (address.port(), silent)).expect("a port");
    for port in [closed, silent.0] {
        for scheme in ["redis", "redis+cluster"] {
            let started = Instant::now();
            let refused = refusal(&format!("{scheme}://:secret@127.0.0.1:{port}"), &[("timeout", "1")]).await;
            assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
            assert!(refused.contains(&format!("127.0.0.1:{port}")), "{refused}");
        }
    }
    let refused = refusal(&format!("redis://127.0.0.1:{closed}"), &[]).await;
    assert!(refused.contains("check host, port and firewall"), "{refused}");
}

#[tokio::test]
async fn wrong_kind_of_server_is_refused_with_the_right_url() {
    if let Some(cluster) = shared_cluster() {
        let refused = refusal(&cluster.nodes[0].url(), &[]).await;
        assert!(refused.contains("redis+cluster://"), "{refused}");
    }
    if let Some(url) = shared_server().await {
        let refused = refusal(url.replace("redis://", "redis+cluster://").trim_end_matches('/'), &[]).await;
        assert!(refused.contains("redis://"), "{refused}");
    }
    if can_start() {
        let primary = RedisServer::start(&[]);
        let replica = RedisServer::start(&["--replicaof", &format!("127.0.0.1 {}", primary.port)]);
        let refused = refusal(&replica.url(), &[]).await;
        assert!(refused.contains("primary"), "{refused}");
    }
}

#[tokio::test]
async fn newer_layout_is_not_reported_as_missing_tables() {
    if !can_start() {
        return;
    }
    let (server, table) = (RedisServer::start(&[]), own_table());
    let driver = created(&server.url(), &table).await;
    server.cli(&["set", &format!("{table}:layout"), "2"]);
    for error in [
        driver.load(&Digest::of("a"), "shop", 1, 0).await.expect_err("another layout"),
        driver.try_schema().expect("schema").create_tables().await.expect_err("another layout"),
        driver.try_schema().expect("schema").tables_exist().await.expect_err("another layout"),
    ] {
        assert!(!error.is_missing_tables() && error.to_string().contains("\"2\""), "{error}");
    }
}

fn openssl(folder: &std::path::Path, arguments: &str) -> bool {
    let run = Command::new("openssl").args(arguments.split_whitespace()).current_dir(folder).output();
    run.is_ok_and(|output| output.status.success())
}

#[tokio::test]
async fn tls_is_spoken_and_the_certificate_checked() {
    if !can_start() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("names"), "subjectAltName=IP:127.0.0.1,DNS:redis.example").expect("written");
    let made = [
        "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -subj /CN=Test-CA -days 2",
        "req -newkey rsa:2048 -nodes -keyout key.pem -out request.pem -subj /CN=localhost",
        "x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -out cert.pem -days 2 -extfile names",
        "req -x509 -newkey rsa:2048 -nodes -keyout other.key -out other.pem -subj /CN=Other-CA -days 2",
    ];
    if !made.iter().all(|arguments| openssl(folder.path(), arguments)) {
        return skip("openssl is needed for the test of TLS");
    }
    let path = |name: &str| folder.path().join(name).to_str().expect("a path").to_owned();
    let (ca, cert, key, other_ca) = (path("ca.pem"), path("cert.pem"), path("key.pem"), path("other.pem"));
    let (torn, not_der) = (path("torn.pem"), path("not-der.pem"));
    std::fs::write(&torn, "-----BEGIN CERTIFICATE-----\nAAAA\n").expect("written");
    std::fs::write(&not_der, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").expect("written");
    let tls = RedisServer::start_tls(&["--tls-cert-file", &cert, "--tls-key-file", &key, "--tls-ca-cert-file", &ca]);
    let Some(tls) = tls else { return skip("redis-server was built without TLS") };
    let url = format!("rediss://127.0.0.1:{}", tls.port);
    let other_host = format!("rediss://localhost:{}", tls.port);

    for open in TRANSPORTS {
        let driver = open_over(open, &url, &own_table(), &[("ca-file", &ca)]).await;
        let driver = driver.expect("the certificate is trusted");
        driver.try_schema().expect("schema").create_tables().await.expect("create_tables");
        create(&*driver, &Digest::of("a"), &record(), &[put("x", &[7; 100_000])]).await;
        for _ in 0..5 {
            assert_eq!(found(&*driver, &Digest::of("a")).await.variables.len(), 1);
        }
        assert!(driver.summary().contains("TLS"));

        let refused = refusal_over(open, &url, &[]).await;
        assert!(refused.contains("UnknownIssuer; give the certificate of its authority as ca-file"), "{refused}");
        let refused = refusal_over(open, &url, &[("ca-file", &other_ca)]).await;
        assert!(refused.contains("UnknownIssuer; no certificate in ca-file is that of its authority"), "{refused}");
        let refused = refusal_over(open, &other_host, &[("ca-file", &ca)]).await;
        assert!(refused.contains("the host in the URL has to be a name in the certificate"), "{refused}");
        for (file, wrong) in [
            (&key, "ca-file has no certificate"),
            (&torn, "ca-file is not valid PEM"),
            (&not_der, "ca-file has a certificate that cannot be used"),
        ] {
            let refused = refusal_over(open, &url, &[("ca-file", file)]).await;
            assert!(refused.starts_with(wrong), "{refused}");
        }
        let plain = format!("redis://127.0.0.1:{}", tls.port);
        let refused = refusal_over(open, &plain, &[("timeout", "1")]).await;
        assert!(refused.contains("TLS") || refused.contains("did not answer"), "{refused}");
    }
}
