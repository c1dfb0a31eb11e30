//! SIGHUP and SIGTERM, while requests come and go.

use std::{
    fs::{self, DirBuilder, File},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, symlink},
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use lemon_session_tests::{Client, Launch, Server, build, keep_alive::Connection, raw};
use tokio::task::JoinSet;

/// A server of a file that can be replaced.
fn start(component: &str, ini: &str) -> (Server, PathBuf) {
    let launch = Launch::new(component).ini(ini).admin();
    let file = launch.folder().join("app.wasm");
    fs::copy(build::component(component), &file).unwrap();
    (launch.serving(&file).start(), file)
}

fn install(component: &str, file: &Path) {
    fs::copy(build::component(component), file).unwrap();
}

#[test]
fn a_reload_serves_the_new_application_with_the_new_settings_on_the_same_sessions() {
    let (server, file) = start("counter", "[session.cookie]\nname = sid\n");
    let visitor = Client::new();
    server.get(&visitor, "/set?key=colour&value=red");
    install("visits", &file);
    assert_eq!(server.get(&visitor, "/get?key=colour").body, "red\n", "not before it is told to");

    fs::write(server.launch.folder().join("lemon.ini"), "[session]\nexpires = 2h\n[session.cookie]\nname = sid\n")
        .unwrap();
    assert!(server.reload().contains("reloaded"));
    let reply = server.get(&Client::new(), "/");
    assert!(reply.body.contains("This is your first visit"), "{reply:?}");
    assert!(reply.set_cookie().attribute("max-age").unwrap().parse::<u32>().unwrap() >= 7200, "{reply:?}");

    install("counter", &file);
    server.reload();
    assert_eq!(server.get(&visitor, "/get?key=colour").body, "red\n");
    assert_eq!(server.metric("reloads_total{outcome=\"done\"}"), 2.0);
}

#[test]
fn a_reload_follows_no_link_to_other_compiled_code() {
    let launch = Launch::new("visits");
    let folder = launch.folder().to_owned();
    for name in ["a", "b"] {
        DirBuilder::new().recursive(true).mode(0o700).create(folder.join(name).join("cache")).unwrap();
    }
    let link = folder.join("link");
    symlink("a", &link).unwrap();
    let server = launch.arg("--cache=link/cache").start();

    // Whatever is kept has another content in the other folder.
    let kept = fs::read_dir(folder.join("a/cache")).unwrap().map(|file| file.unwrap().file_name());
    let planted: Vec<_> = kept.map(|name| folder.join("b/cache").join(name)).collect();
    assert_eq!(planted.len(), 2, "the application and the session component: {planted:?}");
    for file in &planted {
        File::options().write(true).create_new(true).mode(0o600).open(file).unwrap().write_all(b"planted").unwrap();
    }
    fs::remove_file(&link).unwrap();
    symlink("b", &link).unwrap();

    assert!(!server.reload().contains("the reload failed"));
    assert!(server.get(&Client::new(), "/").body.contains("This is your first visit"));
    assert!(!server.log().contains("compiled code"), "{}", server.log());
    for file in &planted {
        assert_eq!(fs::read(file).unwrap(), b"planted");
    }
}

#[test]
fn requests_in_flight_end_on_what_they_began_with() {
    let (server, file) = start("counter", "");
    thread::scope(|scope| {
        let slow = scope.spawn(|| server.get(&Client::new(), "/slow-set?key=late&value=kept&ms=4000"));
        while server.metric("http_requests_in_flight") == 0.0 {
            thread::sleep(Duration::from_millis(10));
        }
        install("visits", &file);
        server.reload();
        assert!(server.get(&Client::new(), "/").body.contains("This is your first visit"));
        assert!(!slow.is_finished(), "the reload waited for a request");
        assert_eq!(slow.join().unwrap().body, "set\n");
    });
}

#[test]
fn what_cannot_be_loaded_changes_nothing_and_the_log_says_why() {
    let (server, file) = start("visits", "");
    let ini = server.launch.folder().join("lemon.ini");
    let refuse = |why: &str| {
        let said = server.reload();
        assert!(said.contains("the reload failed") && said.contains(why), "{said}");
        assert!(server.get(&Client::new(), "/").body.contains("This is your first visit"));
    };
    fs::write(&file, "not wasm").unwrap();
    refuse("not a WebAssembly component");
    install("auth_module", &file);
    refuse("wasi:http");
    fs::remove_file(&file).unwrap();
    refuse("app.wasm");
    install("visits", &file);
    fs::write(&ini, "[session]\nexpires = soon\n").unwrap();
    refuse("lemon.ini:2");
    fs::write(&ini, "[session.cookie]\nsame-site = none\n").unwrap();
    refuse("same-site");
    assert_eq!(server.metric("reloads_total{outcome=\"failed\"}"), 5.0);
    assert_eq!(server.metric("reloads_total{outcome=\"done\"}"), 0.0);

    fs::write(&ini, "").unwrap();
    assert!(!server.reload().contains("the reload failed"));
}

#[test]
fn what_takes_a_restart_is_named() {
    let (server, _) = start("visits", "[storage.archive]\nurl = memory:\n");
    fs::write(
        server.launch.folder().join("lemon.ini"),
        "[server]\nin-flight = 7\n[storage]\nurl = sqlite:other.db\n[storage.archive]\nurl = memory:\ntables = Other\n",
    )
    .unwrap();
    server.reload();
    let log = server.log();
    for section in ["[server]", "[storage]", "[storage.archive]"] {
        assert!(log.contains(&format!("{section} of lemon.ini has changed: restart the server to apply it")), "{log}");
    }
    assert!(!server.launch.folder().join("other.db").exists());
}

/// What a load met.
#[derive(Default)]
struct Load {
    stop: AtomicBool,
    answered: AtomicUsize,
    refused: AtomicUsize,
}

/// Visitors who ask again and again, until they are told to stop or find nobody who listens. Every third of them thinks
/// for a while between two requests; every fourth opens a connection for each.
async fn visitors(server: &Server, load: &Arc<Load>, reconnecting: bool) -> JoinSet<()> {
    let mut visitors = JoinSet::new();
    for n in 0..32 {
        let (address, load) = (server.address, load.clone());
        visitors.spawn(async move {
            while !load.stop.load(Relaxed) {
                let mut connection = match Connection::open(address).await {
                    Ok(connection) => connection,
                    Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                        load.refused.fetch_add(1, Relaxed);
                        return;
                    }
                    Err(error) => panic!("visitor {n}: {error}"),
                };
                loop {
                    let answer = connection.get("/", "").await.unwrap_or_else(|error| panic!("visitor {n}: {error}"));
                    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
                    load.answered.fetch_add(1, Relaxed);
                    if answer.is_last || load.stop.load(Relaxed) || (reconnecting && n % 4 == 0) {
                        break;
                    }
                    if n % 3 == 0 {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                }
            }
        });
    }
    visitors
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_when_the_server_reloads_under_load() {
    // As few guests as there may be: those of the old application and of the new one share the room.
    let (server, file) = start("visits", "[server]\nin-flight = 8\nqueue-time = 60\n");
    let server = Arc::new(server);
    let load = Arc::default();
    let visitors = visitors(&server, &load, true).await;
    for round in 0..4 {
        install(if round % 2 == 0 { "counter" } else { "visits" }, &file);
        let before = load.answered.load(Relaxed);
        let reloading = server.clone();
        let said = tokio::task::spawn_blocking(move || reloading.reload()).await.unwrap();
        assert!(!said.contains("the reload failed"), "{said}");
        while load.answered.load(Relaxed) < before + 100 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    load.stop.store(true, Relaxed);
    visitors.join_all().await;
    assert_eq!(load.refused.load(Relaxed), 0);
    let answered = load.answered.load(Relaxed) as f64;
    tokio::task::spawn_blocking(move || assert_eq!(server.metric("http_requests_total{status=\"2xx\"}"), answered))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_when_the_server_is_stopped_under_load() {
    let server = Server::start("visits");
    let load = Arc::default();
    let visitors = visitors(&server, &load, false).await;
    while load.answered.load(Relaxed) < 500 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    server.terminate();
    visitors.join_all().await;
    assert_eq!(load.refused.load(Relaxed), 32, "every visitor went on until nobody listened any more");
    assert!(tokio::task::spawn_blocking(|| server.wait()).await.unwrap().success());
}

#[test]
fn a_connection_without_a_request_does_not_hold_up_a_stop() {
    let server = Launch::new("visits").ini("[server]\nheader-time = 1d\nshutdown-time = 1d\n").start();
    let idle: Vec<_> = (0..3).map(|_| std::net::TcpStream::connect(server.address).unwrap()).collect();
    assert_eq!(server.get(&Client::new(), "/").status, 200);
    server.terminate();
    assert!(server.wait().success());
    drop(idle);
}

/// What `wrk` reports of some seconds.
fn wrk(server: &Server, seconds: u32) -> thread::JoinHandle<String> {
    let url = server.url("/");
    thread::spawn(move || {
        let output = Command::new("wrk").args(["-t1", "-c32", &format!("-d{seconds}s"), &url]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    })
}

#[test]
fn wrk_sees_no_request_fail_in_a_reload_and_a_stop() {
    if Command::new("wrk").arg("-v").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "wrk is not installed: run tests/setup.sh");
        eprintln!("SKIPPED: wrk is not installed: run tests/setup.sh");
        return;
    }
    let (server, file) = start("visits", "");
    let load = wrk(&server, 4);
    thread::sleep(Duration::from_millis(500));
    install("counter", &file);
    server.reload();
    let report = load.join().unwrap();
    assert!(!report.contains("Socket errors") && !report.contains("Non-2xx"), "{report}");

    let load = wrk(&server, 4);
    thread::sleep(Duration::from_millis(500));
    server.terminate();
    assert!(server.wait().success());
    let report = load.join().unwrap();
    // Each try to connect when nobody listens any more counts as an error of connect or write; a request that was sent and
    // not answered would be one of read or timeout.
    let errors = report.lines().find(|line| line.contains("Socket errors")).unwrap_or_else(|| panic!("{report}"));
    assert!(errors.contains(" read 0,") && errors.ends_with("timeout 0"), "{report}");
    assert!(!report.contains("Non-2xx"), "{report}");
    assert!(!report.contains(" 0 requests in"), "{report}");
}

#[test]
fn an_answer_given_while_the_server_stops_says_that_it_is_the_last() {
    let (server, _) = start("counter", "");
    let address = server.address;
    let slow = thread::spawn(move || {
        let request = format!("GET /slow-set?key=a&value=b&ms=1500 HTTP/1.1\r\nHost: {address}\r\n\r\n");
        // Answers that end at the end of the connection: it is closed behind this one.
        raw::send(address, request.as_bytes())
    });
    while server.metric("http_requests_in_flight") == 0.0 {
        thread::sleep(Duration::from_millis(10));
    }
    server.terminate();
    let answer = slow.join().unwrap();
    assert_eq!(raw::status(&answer), 200);
    assert!(answer.contains("connection: close\r\n"), "{answer}");
}
