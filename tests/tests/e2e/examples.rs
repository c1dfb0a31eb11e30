//! The examples for those who write servers, walked through as a visitor does.

use std::{fs, path::Path, process::Command};

use lemon_session_tests::{Client, build, program::Program};
use tempfile::TempDir;

fn embed(folder: &Path, url: &str) -> Program {
    let mut command = Command::new(build::program("embed"));
    Program::start(command.arg(build::component("visits")).args(["127.0.0.1:0", url]).current_dir(folder))
}

fn axum(folder: &Path) -> Program {
    let mut command = Command::new(build::program("axum-sessions"));
    Program::start(command.args(["127.0.0.1:0", "sqlite:sessions.db"]).current_dir(folder))
}

/// The three pages, with a restart of the server between the first two.
fn walk(start: impl Fn(&Path) -> Program, file: &str) {
    let folder = TempDir::with_prefix("lemon-session-example-").unwrap();
    let visitor = Client::new();
    let server = start(folder.path());
    let first = visitor.get(&server.url("/"));
    assert!(first.body.contains("This is your first visit"), "{first:?}");
    let cookie = first.set_cookie();
    assert_eq!(cookie.name, "visits");
    assert_eq!(first.headers("cache-control"), ["no-store"]);
    drop(server);

    let server = start(folder.path());
    // Ports differ, cookies do not know them.
    let back = Client::new().get_with(&server.url("/"), &[("cookie", &format!("visits={}", cookie.value))]);
    assert!(back.body.contains("Welcome back") && back.body.contains("Python Rules!"), "{back:?}");
    let stored = fs::read(folder.path().join(file)).unwrap();
    assert!(!stored.windows(cookie.value.len()).any(|bytes| bytes == cookie.value.as_bytes()), "the id is stored");

    let deleted = visitor.post(&server.url("/"), &[]);
    assert!(deleted.body.contains("Session Deleted"), "{deleted:?}");
    assert_eq!(deleted.set_cookie().attribute("max-age"), Some("0"));
    assert_eq!(visitor.cookie("visits"), None, "the client has dropped the cookie");
    assert!(visitor.get(&server.url("/")).body.contains("This is your first visit"));
}

#[test]
fn a_runtime_of_ones_own_has_sessions() {
    walk(|folder| embed(folder, "sqlite:sessions.db"), "sessions.db");
}

#[test]
fn a_runtime_of_ones_own_has_a_driver_of_ones_own() {
    let folder = TempDir::with_prefix("lemon-session-example-").unwrap();
    let server = embed(folder.path(), "plain:");
    let visitor = Client::new();
    assert!(visitor.get(&server.url("/")).body.contains("This is your first visit"));
    assert!(visitor.get(&server.url("/")).body.contains("Welcome back"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "they are in memory");
}

#[test]
fn a_runtime_of_ones_own_does_not_believe_what_a_client_says_of_its_connection() {
    let folder = TempDir::with_prefix("lemon-session-example-").unwrap();
    let server = embed(folder.path(), "plain:");
    let reply = Client::new().get_with(&server.url("/"), &[("x-forwarded-proto", "https")]);
    assert_eq!(reply.set_cookie().attribute("secure"), None, "{reply:?}");
}

#[test]
fn handlers_of_axum_have_sessions() {
    walk(axum, "sessions.db");
}

#[test]
fn parallel_requests_to_axum_count_each() {
    let folder = TempDir::with_prefix("lemon-session-example-").unwrap();
    let server = axum(folder.path());
    let visitor = Client::new();
    visitor.get(&server.url("/"));
    std::thread::scope(|scope| {
        for _ in 0..10 {
            scope.spawn(|| assert_eq!(visitor.post(&server.url("/count"), &[]).status, 200));
        }
    });
    assert_eq!(visitor.post(&server.url("/count"), &[]).body, "11");
}

#[test]
fn a_store_in_trouble_makes_axum_answer_503_and_set_no_cookie() {
    let folder = TempDir::with_prefix("lemon-session-example-").unwrap();
    let server = axum(folder.path());
    let visitor = Client::new();
    visitor.get(&server.url("/"));
    lemon_session_tests::command::run(folder.path(), &["tables", "drop", "--yes"]).ok();
    let reply = visitor.get(&server.url("/"));
    assert_eq!(reply.status, 503, "{reply:?}");
    assert!(reply.headers("set-cookie").is_empty() && !reply.body.contains("first visit"), "{reply:?}");
}
