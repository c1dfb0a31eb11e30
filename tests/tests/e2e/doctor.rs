//! `lemon-session doctor` finds what is wrong, and says what to do.

use std::{fs, os::unix::fs::PermissionsExt as _};

use lemon_session_tests::{Launch, Server, command::Output};

/// The findings of a check.
fn findings(output: &Output, check: &str) -> Vec<(String, String)> {
    let text = |finding: &serde_json::Value| {
        (finding["status"].as_str().unwrap().to_owned(), format!("{} {}", finding["found"], finding["advice"]))
    };
    output.json().iter().filter(|finding| finding["check"] == check).map(text).collect()
}

/// The one finding of a check, with its status, that says all of `words`.
#[track_caller]
fn finds(output: &Output, check: &str, status: &str, words: &[&str]) {
    let findings = findings(output, check);
    let matching = |(found, text): &&(String, String)| found == status && words.iter().all(|word| text.contains(word));
    assert_eq!(findings.iter().filter(matching).count(), 1, "{status} of {check} with {words:?}: {findings:#?}");
}

#[test]
fn a_site_that_is_in_order_has_no_warnings() {
    let server = Launch::new("visits").ini("[server]\ntrusted-proxies = 127.0.0.1\nconnections = 100\n").start();
    let output = server.launch.command(&["doctor", "--json"]).ok();
    for check in ["settings", "tables", "storage", "file", "component", "memory", "cache", "files"] {
        assert!(findings(&output, check).iter().all(|(status, _)| status == "ok"), "{check}: {output:?}");
        assert_eq!(findings(&output, check).len(), 1, "{check}: {output:?}");
    }
    // A line each, for people.
    let text = server.launch.command(&["doctor"]).ok().stdout;
    assert!(text.lines().all(|line| line.starts_with("ok       ")), "{text}");
    let stats = &server.launch.command(&["stats", "--json"]).ok().json()[0];
    assert_eq!(stats["live"], 0, "nothing is left behind");
}

#[test]
fn a_site_that_was_not_started_yet_is_told_how_its_tables_come_to_be() {
    let output = Launch::new("visits").command(&["doctor", "--json"]).ok();
    finds(&output, "settings", "ok", &["there is no lemon.ini"]);
    finds(&output, "tables", "warning", &["lemon-session tables create", "serve"]);
}

#[test]
fn mistakes_in_the_settings_fail_with_their_lines() {
    let launch = Launch::new("visits").ini("[session]\nexpiers = 60\ncleanup = 2\n");
    let output = launch.command(&["doctor", "--json"]);
    assert_eq!(output.status, 1, "{output:?}");
    finds(&output, "settings", "fail", &["lemon.ini:2", "did you mean expires?"]);
    finds(&output, "settings", "fail", &["lemon.ini:3"]);
    finds(&output, "component", "ok", &[]);
    assert_eq!(launch.command(&["doctor", "--config", "missing.ini"]).status, 1);
}

#[test]
fn settings_that_are_possible_but_unwise_are_warned_of() {
    let unwise = [
        ("[session.cookie]\nsecure = off\n", "secure = off"),
        ("", "trusted-proxies"),
        ("[session.cookie]\nhttp-only = no\n", "http-only"),
        ("[session.cookie]\nsecure = on\nsame-site = none\n", "same-site"),
        ("[session.cookie]\nlifetime = 60\n", "1440 seconds"),
        ("[session]\nmax-lifetime = 0\n", "max-lifetime"),
        ("[session]\nrenew-after = 60\nrenew-grace = 0\n", "renew-grace"),
        ("[session]\nremember-ended = 0\n", "remember-ended"),
        ("[session]\ncleanup = 0\n", "lemon-session cleanup"),
        ("[storage]\nurl = memory:\n", "memory:"),
        ("[server]\ntrusted-proxies = 10.0.0.0/8, ::/0\n", "every client"),
        ("[server]\nshutdown-time = 5\n", "shutdown-time"),
    ];
    for (ini, warning) in unwise {
        let launch = Launch::new("visits").ini(ini);
        let output = launch.command(&["doctor", "--json"]).ok();
        finds(&output, "settings", "warning", &[warning]);
    }
}

#[test]
fn a_password_that_everybody_can_read_is_warned_of() {
    let launch = Launch::new("visits").ini("[storage]\nurl = postgres://lemon:secret@127.0.0.1:1/shop\n");
    let set_mode = |mode| {
        fs::set_permissions(launch.folder().join("lemon.ini"), fs::Permissions::from_mode(mode)).unwrap();
    };
    set_mode(0o644);
    let output = launch.command(&["doctor", "--json"]);
    assert!(!output.stdout.contains("secret"), "{output:?}");
    finds(&output, "settings", "warning", &["read lemon.ini", "chmod o= lemon.ini"]);
    set_mode(0o640);
    let output = launch.command(&["doctor", "--json"]);
    assert!(!output.stdout.contains("chmod"), "{output:?}");
}

#[test]
fn a_store_that_is_in_trouble_fails() {
    let launch = Launch::new("visits").ini("[storage.archive]\nurl = postgres://lemon:secret@127.0.0.1:1/shop\n");
    let output = launch.command(&["doctor", "--json"]);
    assert_eq!(output.status, 1, "{output:?}");
    finds(&output, "storage", "fail", &["127.0.0.1:1", "Is the server running"]);

    // Tables that applications ask for by name are not created by `serve`.
    let launch = Launch::new("visits").ini("[storage]\ntables = Basket\n");
    launch.command(&["tables", "create"]).ok();
    let output = launch.command(&["doctor", "--json"]);
    assert_eq!(output.status, 1, "{output:?}");
    finds(&output, "tables", "ok", &["Session"]);
    finds(&output, "tables", "fail", &["lemon-session tables create --table Basket"]);
}

#[test]
fn the_file_of_a_store_is_looked_at() {
    let server = Server::start("visits");
    let launch = &server.launch;
    let file = launch.folder().join("sessions.db");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let output = launch.command(&["doctor", "--json"]).ok();
    finds(&output, "file", "warning", &["all users", "chmod o= sessions.db"]);
    finds(&output, "file", "ok", &["of free space"]);

    let database = rusqlite::Connection::open(&file).unwrap();
    database.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
    database.execute_batch("DROP INDEX Session_expires").unwrap();
    let output = launch.command(&["doctor", "--json"]);
    assert_eq!(output.status, 1, "{output:?}");
    finds(&output, "tables", "fail", &["Session_expires"]);
    database.execute("UPDATE Session_meta SET version = 99", []).unwrap();
    let output = launch.command(&["doctor", "--json"]);
    assert_eq!(output.status, 1, "{output:?}");
    finds(&output, "storage", "fail", &["layout 99", "does not know"]);

    fs::write(launch.folder().join("broken.db"), "This is no database, whatever its name says.".repeat(100)).unwrap();
    let output = launch.command(&["doctor", "--json", "--storage", "sqlite:broken.db"]);
    assert_eq!(output.status, 1, "{output:?}");
    finds(&output, "storage", "fail", &["broken.db"]);
}

#[test]
fn what_the_machine_lacks_is_told() {
    let launch = Launch::new("visits").ini("[server]\nconnections = 1000000\n");
    let output = launch.command(&["doctor", "--json"]).ok();
    finds(&output, "files", "warning", &["LimitNOFILE", "connections"]);

    // A file in the place of a folder keeps anybody out, root as well.
    fs::write(launch.folder().join("no-folder"), "").unwrap();
    let output = std::process::Command::new(lemon_session_tests::build::command())
        .args(["doctor"])
        .current_dir(launch.folder())
        .env("XDG_CACHE_HOME", launch.folder().join("no-folder"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.lines().any(|line| line.starts_with("warning  cache") && line.contains("XDG_CACHE_HOME")), "{text}");
}
