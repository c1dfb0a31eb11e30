//! What the author of an application sees of `serve --dev`.

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use lemon_session_tests::{
    Client, Launch, Reply, Server, browser::Browser, build, client::get_with_cookie, proxy::free_port, raw,
};
use serde_json::Value;

/// What browsers send when they load a page.
const PAGE: (&str, &str) = ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8");
/// Long enough for a machine that is compiling at the same time.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server in development mode, of a file that can be replaced.
fn start(component: &str) -> (Server, PathBuf) {
    let launch = Launch::new(component).arg("--dev");
    let file = launch.folder().join("app.wasm");
    fs::copy(build::component(component), &file).unwrap();
    (launch.serving(&file).start(), file)
}

fn bytes(component: &str) -> Vec<u8> {
    fs::read(build::component(component)).unwrap()
}

/// Replaces a file at once, as most builds do.
fn install(bytes: &[u8], file: &Path) {
    let other = file.with_extension("new");
    fs::write(&other, bytes).unwrap();
    fs::rename(&other, file).unwrap();
}

/// Waits for something that takes a moment.
#[track_caller]
fn wait_for(what: &str, mut is_there: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is_there() {
        assert!(Instant::now() < until, "{what} does not come");
        thread::sleep(Duration::from_millis(20));
    }
}

/// What a browser gets.
fn page(server: &Server, path: &str) -> Reply {
    page_for(&Client::new(), server, path, &[])
}

/// What the browser of a visitor gets who sends more request headers. The slashes are as they are shown.
fn page_for(visitor: &Client, server: &Server, path: &str, headers: &[(&str, &str)]) -> Reply {
    let reply = visitor.get_with(&server.url(path), &[&[PAGE], headers].concat());
    Reply { body: reply.body.replace("&#x2f;", "/"), ..reply }
}

#[test]
fn an_application_that_has_changed_is_served_without_a_signal_on_the_same_sessions() {
    let (server, file) = start("counter");
    assert!(server.greeting.ends_with("(SQLite in sessions.db, for development)"), "{}", server.greeting);
    let visitor = Client::new();
    server.get(&visitor, "/set?key=colour&value=red");
    install(&bytes("visits"), &file);
    wait_for("the other application", || server.get(&Client::new(), "/").body.contains("This is your first visit"));

    // In steps, as some builds do, while a visitor comes all the time.
    let counter = bytes("counter");
    let mut steps = File::create(&file).unwrap();
    for step in counter.chunks(counter.len() / 5 + 1) {
        steps.write_all(step).unwrap();
        for _ in 0..5 {
            assert_eq!(server.get(&Client::new(), "/").status, 200);
            thread::sleep(Duration::from_millis(20));
        }
    }
    drop(steps);
    wait_for("the first application", || server.get(&visitor, "/get?key=colour").body == "red\n");
}

#[test]
fn a_change_of_the_settings_is_a_change_too() {
    let (server, _) = start("visits");
    fs::write(server.launch.folder().join("lemon.ini"), "[session]\nexpires = 2h\n").unwrap();
    let max_age = || {
        let cookie = server.get(&Client::new(), "/").set_cookie();
        cookie.attribute("max-age").unwrap().parse::<u32>().unwrap()
    };
    wait_for("the setting", || max_age() >= 7200);
}

#[test]
fn a_module_that_changes_is_loaded_with_its_application() {
    let launch = Launch::new("auth_page").arg("--dev");
    let module = launch.folder().join("auth.wasm");
    fs::copy(build::component("auth_module"), &module).unwrap();
    let server = launch.arg("--with=auth.wasm").start();
    install(b"not wasm", &module);
    wait_for("the failure", || page(&server, "/").body.contains("auth.wasm"));
    install(&bytes("auth_module"), &module);
    wait_for("the module", || page(&server, "/").status == 200);
}

#[test]
fn a_broken_file_keeps_the_last_application_and_is_shown_until_the_next_good_one() {
    let (server, file) = start("visits");
    let whole = bytes("visits");
    install(&whole[..whole.len() / 2], &file);
    wait_for("the failure", || server.log().contains("the reload failed"));

    let shown = page(&server, "/");
    assert_eq!(shown.status, 500);
    assert!(shown.body.contains("The application cannot be loaded.") && shown.body.contains("app.wasm"), "{shown:?}");
    assert!(server.get(&Client::new(), "/").body.contains("This is your first visit"), "for a script");
    let sent = Client::new().post_with(&server.url("/"), &[], &[PAGE]);
    assert_ne!(sent.status, 500, "no form is lost: {sent:?}");
    assert_eq!(server.log().matches("ERROR").count(), 1, "once, and not for each request: {}", server.log());

    install(&bytes("counter"), &file);
    wait_for("the good one", || page(&server, "/").status == 200);
    assert!(server.get(&Client::new(), "/none").body.contains("nobody"));
}

#[test]
fn an_application_that_is_not_built_yet_is_waited_for() {
    let launch = Launch::new("visits").arg("--dev");
    let file = launch.folder().join("app.wasm");
    let server = launch.serving(&file).start();
    let shown = page(&server, "/");
    assert!(shown.status == 500 && shown.body.contains("cannot read") && shown.body.contains("app.wasm"), "{shown:?}");
    let text = server.get(&Client::new(), "/");
    assert!(text.status == 500 && text.body.contains("The application cannot be loaded."), "{text:?}");
    install(&bytes("visits"), &file);
    wait_for("the application", || server.get(&Client::new(), "/").status == 200);
}

#[test]
fn compiled_code_of_versions_that_are_tried_is_not_kept() {
    let launch = Launch::new("visits").arg("--dev");
    let (file, cache) = (launch.folder().join("app.wasm"), launch.folder().join("cache"));
    fs::copy(build::component("visits"), &file).unwrap();
    let server = launch.arg(&format!("--cache={}", cache.display())).serving(&file).start();
    let count = || fs::read_dir(&cache).unwrap().count();
    assert_eq!(count(), 2, "the application and the session component");
    assert!(server.log().contains("compiling app.wasm (first start)…"), "{}", server.log());
    install(&bytes("counter"), &file);
    wait_for("the other application", || server.log().contains("reloaded app.wasm"));
    assert_eq!(count(), 2);
    assert!(server.log().contains("compiling app.wasm…"), "{}", server.log());
}

#[test]
fn the_page_about_a_failure_has_the_panic_the_request_and_the_names_of_variables_and_no_secret() {
    let server = Launch::new("counter").mount("/trap", "rogue").arg("--dev").start();
    let visitor = Client::new();
    server.get(&visitor, "/set?key=colour&value=ultramarine&also=shop");
    let id = visitor.cookie("session").or(visitor.cookie("counter")).expect("a cookie");
    let headers = [("authorization", "Bearer let-me-in"), ("x-fine", "shown")];
    let reply = page_for(&visitor, &server, "/trap?a=1", &headers);
    assert_eq!((reply.status, reply.headers("cache-control")), (500, vec!["no-store"]), "{reply:?}");
    assert_eq!(reply.headers("content-type"), ["text/html; charset=utf-8"]);
    assert!(reply.headers("content-security-policy").concat().starts_with("default-src 'none'"), "{reply:?}");
    for part in [
        "The application failed.",
        "panicked at tests/rogue/src/lib.rs:",
        "trapped on purpose",
        "What the application printed",
        "GET /trap?a=1",
        "x-fine",
        "shown",
        "authorization",
        "shop",
        "colour",
        "lemon-session show ",
    ] {
        assert!(reply.body.contains(part), "{part}: {}", reply.body);
    }
    for secret in [id.as_str(), &id[..16], "let-me-in", "ultramarine"] {
        assert!(!reply.body.contains(secret), "{secret}: {}", reply.body);
    }
    // What it says can be done works.
    let digest = reply.body.split_once("lemon-session show ").unwrap().1.split('<').next().unwrap();
    let shown = server.launch.command(&["show", digest]).ok();
    assert!(shown.stdout.contains("colour"), "{shown:?}");

    // The log has the number on the page.
    let number = reply.body.split_once("Request ").unwrap().1.split(',').next().unwrap();
    assert!(server.log().contains(number), "{number}: {}", server.log());
    assert_eq!(server.log().matches("ERROR").count(), 1, "{}", server.log());
}

#[test]
fn clients_that_read_no_pages_get_text_and_without_dev_everyone_does() {
    let server = Launch::new("rogue").arg("--dev").start();
    for accept in ["application/json", "*/*", "text/html;q=0"] {
        let reply = Client::new().get_with(&server.url("/trap"), &[("accept", accept)]);
        assert_eq!(reply.headers("content-type"), ["text/plain; charset=utf-8"], "{accept}");
        assert!(!reply.body.contains("panicked"), "{accept}: {reply:?}");
    }
    let server = Launch::new("rogue").start();
    let reply = page(&server, "/trap");
    assert_eq!((reply.status, reply.headers("content-type")), (500, vec!["text/plain; charset=utf-8"]));
    assert!(!reply.body.contains("panicked"), "{reply:?}");
}

#[test]
fn the_page_says_what_failed_and_what_can_be_done_for_each_kind_of_application() {
    let rogue = Launch::new("rogue").arg("--dev").ini("[server]\nrequest-time = 1s\nmemory = 32M\n").start();
    for (path, status, parts) in [
        ("/silent", 500, ["it returned without a response", "every way through the handler"]),
        ("/grow", 500, ["it reached [server] memory", "raise [server] memory in lemon.ini"]),
        ("/sleep", 504, ["The application did not answer in time.", "raise request-time in lemon.ini"]),
    ] {
        let reply = page(&rogue, path);
        assert_eq!(reply.status, status, "{reply:?}");
        assert!(parts.iter().all(|part| reply.body.contains(part)), "{path}: {}", reply.body);
    }
    for component in ["rogue-cgi", "service", "service_cgi"] {
        let server = Launch::new(component).arg("--dev").start();
        let body = page(&server, "/trap").body;
        assert!(body.contains("What the application printed"), "{component}: {body}");
        assert!(body.contains("panicked at tests/") && body.contains("on purpose"), "{component}: {body}");
    }
}

#[test]
fn the_page_escapes_what_a_client_and_an_application_choose() {
    let server = Launch::new("counter").mount("/trap", "rogue").arg("--dev").start();
    let visitor = Client::new();
    server.get(&visitor, "/set?key=%3Cb%3Ename%3C%2Fb%3E&value=1");
    let id = visitor.cookie("session").or(visitor.cookie("counter")).expect("a cookie");
    let request = format!(
        "GET /trap HTTP/1.1\r\nHost: {}\r\nAccept: text/html\r\nX-Evil: <script>alert(2)</script>\r\n\
         Cookie: <script>a={id}\r\nConnection: close\r\n\r\n",
        server.address
    );
    let answer = raw::send(server.address, request.as_bytes());
    assert_eq!(raw::status(&answer), 500);
    assert!(!answer.contains("<script") && !answer.contains("<b>"), "{answer}");
    assert!(answer.contains("&lt;script&gt;alert(2)") && answer.contains("&lt;b&gt;name&lt;&#x2f;b&gt;"), "{answer}");
}

#[test]
fn a_cookie_that_leads_nowhere_and_a_store_that_fails_are_explained() {
    let server = Launch::new("rogue").arg("--dev").start();
    let ended = "A".repeat(43);
    let ask = || page_for(&Client::new(), &server, "/trap", &[("cookie", &format!("sid={ended}"))]).body;
    let body = ask();
    assert!(body.contains("leads to no live session") && !body.contains(&ended), "{body}");
    assert!(page(&server, "/trap").body.contains("no cookie with the id of a session"));
    server.launch.command(&["tables", "drop", "--yes"]).ok();
    let body = ask();
    assert!(body.contains("is not known") && body.contains("trapped on purpose"), "{body}");
}

#[test]
fn each_request_is_one_line_with_what_happened_to_its_session() {
    let server = Launch::new("counter").mount("/rogue", "rogue").arg("--dev").start();
    let visitor = Client::new();
    let line = |path: &str| {
        server.get(&visitor, path);
        server.line()
    };
    let set = line("/set?key=colour&value=secret");
    let words: Vec<_> = set.split_whitespace().collect();
    let [time, "GET", "/set", "200", _duration, "4", "B", "session:", "created"] = words[..] else { panic!("{set}") };
    assert!(time.len() == 9 && time.ends_with('Z'), "{set}");
    assert!(!set.contains("secret") && !set.contains('\u{1b}'), "no query, and no colours without a terminal: {set:?}");
    assert!(line("/set?key=colour&value=blue").ends_with("session: saved"));
    assert!(line("/get?key=nothing").contains(" 404 "));
    assert!(line("/destroy").ends_with("session: destroyed"));
    assert!(line("/none").contains("/none"));

    // A reply that is never read to its end.
    let mut stream = TcpStream::connect(server.address).unwrap();
    write!(stream, "GET /rogue HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    stream.read_to_string(&mut String::new()).unwrap();
    assert!(server.line().contains("/rogue"));
    let mut stream = TcpStream::connect(server.address).unwrap();
    write!(stream, "HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    stream.read_to_string(&mut String::new()).unwrap();
    let head = server.line();
    assert!(head.contains("HEAD") && !head.contains("not complete"), "{head}");
}

#[test]
fn a_save_that_loses_a_race_is_a_conflict_in_its_line() {
    let server = Launch::new("counter").arg("--dev").start();
    let visitor = Client::new();
    server.get(&visitor, "/set?key=a&value=1");
    server.line();
    let name = if visitor.cookie("counter").is_some() { "counter" } else { "session" };
    let cookie = format!("{name}={}", visitor.cookie(name).unwrap());
    thread::scope(|scope| {
        let slow = scope
            .spawn(|| get_with_cookie(&server.url("/slow-set?key=a&value=2&ms=3000&strict=1&begun=b"), &cookie).status);
        wait_for("its first save", || get_with_cookie(&server.url("/get?key=b"), &cookie).status == 200);
        server.get(&visitor, "/set?key=a&value=3");
        assert_eq!(slow.join().unwrap(), 409);
    });
    let lines = (0..100).map(|_| server.line()).find(|line| line.contains("/slow-set")).unwrap();
    assert!(lines.contains(" 409 ") && lines.ends_with("session: saved, conflict"), "{lines}");
}

#[test]
fn in_json_every_line_on_stdout_is_an_object() {
    let server = Launch::new("counter").arg("--dev").arg("--log-format=json").start();
    let object = |line: &str| serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    assert_eq!(object(&server.greeting)["address"], server.address.to_string());
    server.post(&Client::new(), "/set?key=a&value=1", &[]);
    let line = object(&server.line());
    assert_eq!(
        (&line["method"], &line["path"], &line["status"]),
        (&"POST".into(), &"/set".into(), &200.into()),
        "{line}"
    );
    assert_eq!((&line["session"][0], &line["bytes"], &line["level"]), (&"created".into(), &4.into(), &"INFO".into()));
    for entry in server.log().lines() {
        object(entry);
    }
}

/// What a server shows on a terminal while it starts and answers one request.
fn on_a_terminal(variables: &[(&str, &str)]) -> Option<String> {
    let launch = Launch::new("visits");
    let (port, shown) = (free_port(), launch.folder().join("shown"));
    let serve = format!(
        "exec {} serve --dev {} --addr 127.0.0.1:{port} --cache cache",
        build::command().display(),
        build::component("visits").display()
    );
    if Command::new("script").arg("--version").output().is_err() {
        eprintln!("\n*** SKIPPED: script cannot be run ***\n");
        return None;
    }
    let mut terminal = Command::new("script")
        .args(["-qefc", &serve])
        .arg(&shown)
        .current_dir(launch.folder())
        .env_remove("NO_COLOR")
        .env("TERM", "xterm")
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let text = || String::from_utf8_lossy(&fs::read(&shown).unwrap_or_default()).into_owned();
    wait_for("the greeting", || text().contains("Serving"));
    Client::new().get(&format!("http://127.0.0.1:{port}/"));
    wait_for("the line", || text().contains("GET"));
    // It passes SIGTERM on to the server, which would survive it otherwise.
    assert!(Command::new("kill").arg(terminal.id().to_string()).status().unwrap().success());
    let _ = terminal.wait();
    Some(text())
}

#[test]
fn a_terminal_shows_colours_and_what_is_being_compiled() {
    let Some(shown) = on_a_terminal(&[]) else { return };
    assert!(shown.contains("\u{1b}[32m200"), "{shown:?}");
    assert!(shown.contains("compiling visits.wasm (first start)…"), "{shown:?}");
    let plain = on_a_terminal(&[("NO_COLOR", "1")]).unwrap();
    let line = plain.lines().find(|line| line.contains("GET")).unwrap();
    assert!(!line.contains('\u{1b}'), "{line:?}");
}

#[test]
fn only_the_first_start_compiles_and_says_so() {
    let launch = Launch::new("visits").arg("--cache=cache");
    let first = launch.clone().start();
    assert_eq!(first.log().matches("compiling visits.wasm (first start)…").count(), 1, "{}", first.log());
    drop(first);
    fs::remove_file(launch.folder().join("log")).unwrap();
    let second = launch.start();
    assert!(!second.log().contains("compiling"), "{}", second.log());
}

#[test]
fn an_address_that_others_reach_is_warned_about() {
    let server =
        Launch::new("visits").arg("--dev").ini("[server]\naddr = 0.0.0.0:0\n").listening_as_configured().start();
    assert!(server.log().contains("--dev on 0.0.0.0:"), "{}", server.log());
    let (server, _) = start("visits");
    assert!(!server.log().contains("--dev on"), "{}", server.log());
}

#[test]
fn a_port_in_use_is_reported_before_anything_is_created() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let launch = Launch::new("visits");
    let component = build::component("visits");
    for flag in ["--addr", "--admin-addr"] {
        let other = if flag == "--addr" { "--admin-addr" } else { "--addr" };
        let arguments =
            ["serve", component.to_str().unwrap(), flag, &address, other, "127.0.0.1:0", "--cache", "cache"];
        let output = launch.command(&arguments);
        assert_eq!(output.status, 1, "{output:?}");
        assert!(output.stderr.contains(&address) && !output.stderr.contains("compiling"), "{output:?}");
        let created: Vec<_> = fs::read_dir(launch.folder()).unwrap().map(|file| file.unwrap().file_name()).collect();
        assert!(created.is_empty(), "{created:?}");
    }
}

#[test]
fn an_application_that_cannot_be_read_leaves_nothing_behind() {
    let launch = Launch::new("visits");
    for (file, why) in [("visit.wasm", "No such file or directory"), (".", "Is a directory")] {
        let output = launch.command(&["serve", file, "--addr", "127.0.0.1:0", "--cache", "cache"]);
        assert_eq!(output.status, 1, "{output:?}");
        assert!(output.stderr.contains(&format!("cannot read {file}: {why}")), "{output:?}");
        assert_eq!(fs::read_dir(launch.folder()).unwrap().count(), 0);
    }
}

#[test]
fn connections_wait_while_the_application_is_compiled() {
    let port = free_port();
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let launch = Launch::new("visits").arg("--cache=cache").arg(&format!("--addr={address}")).listening_as_configured();
    let folder = launch.folder().to_owned();
    let early = thread::spawn(move || {
        let until = Instant::now() + PATIENCE;
        let mut stream = loop {
            match TcpStream::connect(address) {
                Ok(stream) => break stream,
                Err(error) => assert!(Instant::now() < until, "{error}"),
            }
            thread::sleep(Duration::from_millis(1));
        };
        let is_compiled = fs::read_dir(folder.join("cache")).is_ok_and(|mut files| {
            files.any(|file| file.is_ok_and(|file| file.path().extension().is_some_and(|end| end == "cwasm")))
        });
        write!(stream, "GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        (is_compiled, answer)
    });
    let _server = launch.start();
    let (is_compiled, answer) = early.join().unwrap();
    assert!(!is_compiled, "the connection came before anything was compiled");
    assert_eq!(raw::status(&answer), 200);
    assert!(answer.contains("This is your first visit"), "{answer}");
}

#[tokio::test]
async fn on_a_phone_the_page_about_a_failure_fits_in_light_and_dark() {
    let Some(browser) = Browser::phone(360).await else { return };
    let server = Launch::new("counter").mount("/trap", "rogue").arg("--dev").start();
    let client = &browser.client;
    client.goto(&server.url("/set?key=colour_with_a_name_as_long_as_m&value=red&also=shop")).await.unwrap();
    client.goto(&server.url(&format!("/trap?{}", "long".repeat(50)))).await.unwrap();
    browser.assert_shows("500 Internal Server Error", "colour_with_a_name_as_long_as_m").await;
    browser.assert_shows("", "trapped on purpose").await;
    let widths = "return [window.innerWidth, document.documentElement.scrollWidth,
        ...[...document.querySelectorAll('body *')].map(element => Math.ceil(element.getBoundingClientRect().right))]";
    let widths: Vec<u64> = serde_json::from_value(client.execute(widths, vec![]).await.unwrap()).unwrap();
    assert_eq!(widths[0], 360);
    assert!(widths.iter().all(|right| *right <= 360), "{widths:?}");
    browser.close().await;
}
