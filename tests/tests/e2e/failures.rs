//! What an operator reads in the log about an application that fails: one entry, with the cause.

use std::{collections::BTreeMap, process::Command};

use lemon_session_tests::{Client, Launch, Reply, Server, build, cgi};
use serde_json::Value;

/// The entries of a log in JSON, from a level on.
fn entries(log: &str, levels: &[&str]) -> Vec<Value> {
    let entries = log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")));
    entries.filter(|entry: &Value| levels.contains(&entry["level"].as_str().unwrap())).collect()
}

fn start(component: &str, arguments: &[&str]) -> Server {
    let launch = Launch::new(component).arg("--log-format=json");
    arguments.iter().fold(launch, |launch, argument| launch.arg(argument)).start()
}

/// The number on the page for a visitor whose request failed.
#[track_caller]
fn number(reply: &Reply) -> String {
    let number = reply.body.lines().last().and_then(|line| line.strip_prefix("Request "));
    number.unwrap_or_else(|| panic!("no number: {reply:?}")).to_owned()
}

/// The only entry about a failure, and that the guest's lines are not in the log besides.
#[track_caller]
fn only_entry(log: &str, about: &str) -> Value {
    let all = entries(log, &["ERROR", "WARN", "INFO"]);
    let mut about: Vec<_> = all.iter().filter(|entry| entry["message"].as_str().unwrap().contains(about)).collect();
    assert_eq!(about.len(), 1, "{log}");
    assert_eq!(entries(log, &["ERROR"]).len(), 1, "{log}");
    assert!(!all.iter().any(|entry| entry["message"].as_str().unwrap().starts_with("note: ")), "{log}");
    about.remove(0).clone()
}

#[test]
fn a_panic_is_one_entry_with_its_request_application_and_method() {
    for (component, path, flags) in [
        ("rogue", "/trap", &[][..]),
        ("rogue", "/trap", &["--reuse=100"]),
        ("rogue-cgi", "/trap", &[]),
        ("service", "/trap", &[]),
        ("service_cgi", "/trap", &[]),
    ] {
        let server = start(component, flags);
        let reply = Client::new().post(&server.url(path), &[]);
        assert_eq!(reply.status, 500, "{component}: {reply:?}");
        let entry = only_entry(&server.log(), "on purpose");
        assert_eq!(entry["level"], "ERROR", "{entry}");
        assert_eq!(entry["request"], number(&reply), "{entry}");
        assert_eq!((&entry["application"], &entry["method"]), (&component.into(), &"POST".into()), "{entry}");
        let message = entry["message"].as_str().unwrap();
        assert!(message.starts_with("the application failed: panicked at tests/"), "{message}");
        assert!(message.ends_with(" on purpose") && !message.contains("backtrace"), "{message}");
    }
}

#[test]
fn a_panic_after_the_response_has_begun_is_one_entry_too() {
    for (component, path) in [("rogue", "/half"), ("rogue-cgi", "/half-then-trap"), ("service", "/trap?half=1")] {
        let server = start(component, &[]);
        let answer = lemon_session_tests::raw::get(server.address, path, b"");
        assert!(!answer.ends_with("0\r\n\r\n"), "{component}: {answer}");
        let entry = only_entry(&server.log(), "on purpose");
        assert!(entry["message"].as_str().unwrap().starts_with("the application was stopped: panicked at "), "{entry}");
        assert!(entry["request"].is_string() && entry["method"] == "GET", "{entry}");
    }
}

#[test]
fn backtraces_are_behind_a_flag() {
    let server = start("rogue", &["--log-backtraces"]);
    server.get(&Client::new(), "/trap");
    let entry = only_entry(&server.log(), "on purpose");
    let message = entry["message"].as_str().unwrap();
    for part in ["the application failed: panicked at ", "RUST_BACKTRACE", "wasm backtrace:", "unreachable"] {
        assert!(message.contains(part), "{part}: {message}");
    }
}

#[test]
fn an_application_that_reaches_its_memory_is_one_entry_with_the_limit() {
    let server = start("rogue", &[]);
    assert_eq!(server.get(&Client::new(), "/grow").status, 500);
    let entry = only_entry(&server.log(), "[server] memory");
    assert!(entry["message"].as_str().unwrap().contains("memory allocation of "), "{entry}");
}

#[test]
fn a_panic_of_a_program_is_one_entry_under_cgi() {
    let launch = Launch::new("rogue-cgi");
    let mut command = Command::new(build::command());
    command.args(["cgi", "--log-format=json"]).arg(build::component("rogue-cgi")).current_dir(launch.folder());
    let variables = [("REQUEST_METHOD", "PUT"), ("PATH_INFO", "/trap"), ("SERVER_PROTOCOL", "HTTP/1.1")];
    command.envs(BTreeMap::from(variables)).envs([("SERVER_NAME", "example.org"), ("SERVER_PORT", "80")]);
    let outcome = cgi::outcome(command, b"");
    let log = outcome.stderr.clone();
    let reply = outcome.reply();
    assert_eq!(reply.status, 500, "{log}");
    let entry = only_entry(&log, "trapped on purpose");
    assert_eq!((&entry["application"], &entry["method"]), (&"rogue-cgi".into(), &"PUT".into()), "{entry}");
    assert_eq!(entry["request"], number(&reply), "{entry}");
}
