//! The operator's commands.

use std::fs;

use lemon_session_tests::{Client, Launch, Server};

#[test]
fn tables_can_be_dropped_and_created_again() {
    let server = Server::start("visits");
    let visitor = Client::new();
    server.get(&visitor, "/");
    let launch = &server.launch;

    assert!(launch.command(&["tables", "check"]).ok().stdout.contains("are there"));
    let dropped = launch.command(&["tables", "drop", "--yes"]).ok();
    assert_eq!(dropped.stdout, "dropped the tables of Session in SQLite in sessions.db, with 1 session\n");
    let check = launch.command(&["tables", "check"]);
    assert_eq!(check.status, 1, "{check:?}");
    assert!(check.stdout.contains("lemon-session tables create"), "{check:?}");
    assert!(launch.command(&["tables", "drop", "--yes"]).ok().stdout.contains("nothing to drop"));

    // A store without tables is trouble, not a first visit.
    let reply = server.get(&visitor, "/");
    assert_eq!(reply.status, 503, "{reply:?}");

    let created = launch.command(&["tables", "create"]).ok();
    assert_eq!(created.stdout, "created the tables of Session in SQLite in sessions.db\n");
    let again = launch.command(&["tables", "create"]).ok();
    assert!(again.stdout.contains("were there already"), "{again:?}");
    assert!(server.get(&visitor, "/").body.contains("This is your first visit"));
}

#[test]
fn tables_check_prints_what_differs_and_exits_with_1() {
    let launch = Launch::new("visits");
    launch.command(&["tables", "create"]).ok();
    assert!(launch.command(&["tables", "check"]).ok().stdout.contains("as they should be"));
    let database = rusqlite::Connection::open(launch.folder().join("sessions.db")).unwrap();
    database.execute_batch("DROP INDEX Session_expires").unwrap();
    let check = launch.command(&["tables", "check"]);
    assert_eq!(check.status, 1, "{check:?}");
    assert!(check.stdout.contains("  index Session (Session_expires) is missing: expires\n"), "{check:?}");
    database.execute_batch("UPDATE Session_meta SET version = 2").unwrap();
    let check = launch.command(&["tables", "check"]);
    assert_eq!(check.status, 1, "{check:?}");
    assert!(check.stderr.contains("layout 2"), "{check:?}");
}

#[test]
fn what_destroys_asks_first_and_does_nothing_where_nobody_can_answer() {
    let server = Server::start("counter");
    let visitor = Client::new();
    server.get(&visitor, "/login?user=alice");
    let digest = server.launch.command(&["list", "--json"]).ok().json()[0]["digest"].as_str().unwrap().to_owned();

    for arguments in [vec!["tables", "drop"], vec!["destroy", &digest], vec!["destroy", "--owner", "alice"]] {
        let output = server.launch.command(&arguments);
        assert_eq!(output.status, 2, "{output:?}");
        assert!(output.stderr.contains("--yes"), "{output:?}");
    }
    assert_eq!(server.launch.command(&["list", "--json"]).ok().json().len(), 1);
}

#[test]
fn sessions_are_listed_shown_and_destroyed() {
    let server = Server::start("counter");
    let visitors: Vec<_> = (0..5).map(|_| Client::new()).collect();
    for (i, visitor) in visitors.iter().enumerate() {
        server.get(visitor, "/set?key=colour&value=secret-red");
        if i < 2 {
            server.get(visitor, "/login?user=alice");
        }
    }
    let launch = &server.launch;

    let all = launch.command(&["list", "--json"]).ok().json();
    assert_eq!(all.len(), 5);
    let digests: Vec<_> = all.iter().map(|session| session["digest"].as_str().unwrap()).collect();
    assert!(digests.is_sorted(), "{digests:?}");
    assert_eq!(launch.command(&["list", "--json", "--owner", "alice"]).ok().json().len(), 2);
    assert_eq!(launch.command(&["list", "--owner", "nobody"]).ok().stdout, "no sessions\n");

    // Page by page they are the same.
    let page = launch.command(&["list", "--limit", "3"]).ok().stdout;
    let next = page.lines().last().and_then(|line| line.strip_prefix("There are more: --after ")).expect("a next page");
    assert_eq!(next, digests[2]);
    let rest = launch.command(&["list", "--json", "--after", next]).ok().json();
    assert_eq!(rest, all[3..]);

    let table = launch.command(&["list"]).ok().stdout;
    let header: Vec<_> = table.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(header, ["DIGEST", "OWNER", "CREATED", "LAST", "USED", "EXPIRES", "SIZE"]);
    assert_eq!(table.lines().count(), 6);
    assert!(table.contains("in 25 minutes") || table.contains("in 24 minutes"), "{table}");

    let digest = digests[0];
    let shown = launch.command(&["show", &digest[..8]]).ok().stdout;
    assert!(shown.contains(digest) && shown.contains("colour") && shown.contains("counter"), "{shown}");
    assert!(!shown.contains("secret-red"), "values are not shown: {shown}");
    let shown = &launch.command(&["show", digest, "--json"]).ok().json()[0];
    assert_eq!(shown["variables"][0]["name"], "colour");

    let destroyed = launch.command(&["destroy", digest, "--yes"]).ok();
    assert_eq!(destroyed.stdout, format!("destroyed the session {digest}\n"));
    for arguments in [["show", digest], ["destroy", digest]] {
        let output = launch.command(&arguments);
        assert_eq!(output.status, 1, "{output:?}");
        assert!(output.stderr.contains(&format!("no live session of the digest {digest}")), "{output:?}");
    }

    let live = visitors.iter().filter(|visitor| server.get(visitor, "/get?key=colour").status == 200).count();
    assert_eq!(live, 4);
}

#[test]
fn sessions_of_an_owner_are_destroyed_together() {
    let server = Server::start("counter");
    let visitors: Vec<_> = (0..3).map(|_| Client::new()).collect();
    for visitor in &visitors {
        server.get(visitor, "/login?user=alice");
    }
    let digest = server.launch.command(&["list", "--json"]).ok().json()[1]["digest"].as_str().unwrap().to_owned();

    let output = server.launch.command(&["destroy", "--owner", "alice", "--except", &digest, "--yes"]).ok();
    assert_eq!(output.stdout, "destroyed 2 sessions of alice\n");
    let left = server.launch.command(&["list", "--json"]).ok().json();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0]["digest"], digest);
}

#[test]
fn stats_count_live_sessions_and_uses_of_ended_ids() {
    let server = Server::start("counter");
    let visitor = Client::new();
    let id = server.get(&visitor, "/").set_cookie().value;
    server.get(&visitor, "/destroy");
    server.get(&Client::new(), "/");
    for _ in 0..3 {
        lemon_session_tests::client::get_with_cookie(&server.url("/none"), &format!("counter={id}"));
        lemon_session_tests::client::get_with_cookie(&server.url("/read"), &format!("counter={id}"));
    }

    let stats = &server.launch.command(&["stats", "--json"]).ok().json()[0];
    assert_eq!(stats["storage"], "SQLite in sessions.db");
    assert_eq!(stats["live"], 4, "one, and a new one for each use of the ended id: {stats}");
    assert_eq!(stats["reused"], 3, "{stats}");
    let text = server.launch.command(&["stats"]).ok().stdout;
    assert!(text.contains("live sessions") && text.contains("uses of ended ids"), "{text}");
}

#[test]
fn cleanup_says_how_many_it_removed() {
    let server = Server::start("counter");
    server.get(&Client::new(), "/");
    let removed = &server.launch.command(&["cleanup", "--json"]).ok().json()[0];
    assert_eq!(removed["removed"], 0);
    assert!(server.launch.command(&["cleanup"]).ok().stdout.starts_with("removed 0 sessions"));
}

#[test]
fn the_component_and_composed_applications_are_components() {
    let launch = Launch::new("visits");
    launch.command(&["component", "-o", "session.wasm"]).ok();
    let component = fs::read(launch.folder().join("session.wasm")).unwrap();
    assert!(component.starts_with(b"\0asm\x0d\0\x01\0"));

    let visits = lemon_session_tests::build::component("visits");
    launch.command(&["compose", visits.to_str().unwrap(), "-o", "composed.wasm"]).ok();
    let composed = fs::read(launch.folder().join("composed.wasm")).unwrap();
    assert!(composed.len() > component.len() + fs::read(&visits).unwrap().len() / 2);

    let nothing = lemon_session_tests::build::component("rogue");
    let output = launch.command(&["compose", nothing.to_str().unwrap(), "-o", "composed.wasm"]);
    assert_eq!(output.status, 1);
    assert!(output.stderr.contains("does not use sessions"), "{output:?}");
}

#[test]
fn a_bad_lemon_ini_stops_the_start_with_file_line_and_key() {
    let visits = lemon_session_tests::build::component("visits");
    let bad = [
        ("[session]\nexpires = soon\n", "lemon.ini:2: [session] expires"),
        ("[session]\n\nexpire = 60\n", "lemon.ini:3: [session] expire"),
        ("[session.cookie]\nsame-site = none\n", "lemon.ini:2: [session.cookie] same-site"),
        ("[sessions]\n", "lemon.ini:1: [sessions]"),
        ("[storage]\ntable = Robert'); DROP TABLE\n", "lemon.ini:2: [storage] table"),
        ("[server]\nin-flight = 0\n", "lemon.ini:2: [server] in-flight"),
        ("[server]\ntrusted-proxies = proxy.example\n", "lemon.ini:2: [server] trusted-proxies"),
    ];
    for (text, complaint) in bad {
        let launch = Launch::new("visits").ini(text);
        let output = launch.command(&["serve", visits.to_str().unwrap(), "--addr", "127.0.0.1:0"]);
        assert_eq!(output.status, 1, "{text:?}: {output:?}");
        assert!(output.stderr.contains(complaint), "{text:?}: {output:?}");
        assert!(!launch.folder().join("sessions.db").exists(), "nothing was begun");
    }
}

#[test]
fn flags_override_lemon_ini() {
    let launch = Launch::new("visits").ini("[storage]\nurl = sqlite:from-ini.db\ntable = FromIni\n");
    launch.command(&["tables", "create"]).ok();
    assert!(launch.folder().join("from-ini.db").exists());

    let created = launch.command(&["tables", "create", "--storage", "sqlite:from-flag.db", "--table", "Flag"]).ok();
    assert_eq!(created.stdout, "created the tables of Flag in SQLite in from-flag.db\n");

    fs::write(launch.folder().join("other.ini"), "[storage]\nurl = sqlite:from-other.db\n").unwrap();
    launch.command(&["tables", "create", "--config", "other.ini"]).ok();
    assert!(launch.folder().join("from-other.db").exists());
    let missing = launch.command(&["tables", "create", "--config", "missing.ini"]);
    assert_eq!(missing.status, 1);
    assert!(missing.stderr.contains("missing.ini"), "{missing:?}");
}

#[test]
fn wrong_use_exits_with_2_and_help_has_an_example_each() {
    let launch = Launch::new("visits");
    for arguments in
        [&["serve"][..], &["show", "xyz"], &["destroy"], &["tables", "create", "--table", "1"], &["nothing"]]
    {
        let output = launch.command(arguments);
        assert_eq!(output.status, 2, "{output:?}");
        assert!(!output.stderr.is_empty());
    }
    let commands = [
        &["serve"][..],
        &["tables", "create"],
        &["tables", "drop"],
        &["tables", "check"],
        &["cleanup"],
        &["list"],
        &["show"],
        &["destroy"],
        &["stats"],
        &["move"],
        &["compose"],
        &["component"],
    ];
    for command in commands {
        let help = launch.command(&[command, &["--help"]].concat()).ok().stdout;
        assert!(help.contains("Example"), "{help}");
    }
}

#[test]
fn trouble_exits_with_1_and_says_what_would_be_right() {
    let launch = Launch::new("visits");
    for (url, why) in [("nonsense:there", "sqlite:"), ("sqlite:missing/folder/sessions.db", "missing/folder")] {
        let output = launch.command(&["stats", "--storage", url]);
        assert_eq!(output.status, 1, "{output:?}");
        assert!(output.stderr.contains(why), "{output:?}");
    }
    let output = launch.command(&["stats"]);
    assert_eq!(output.status, 1, "{output:?}");
    assert!(output.stderr.contains("lemon-session tables create"), "{output:?}");
}
