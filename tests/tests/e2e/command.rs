//! The operator's commands.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    process::{Command, Stdio},
};

use lemon_session_host::store::{Digest, Record, StorageOptions, Writes};
use lemon_session_tests::{Client, Launch, Server, build, proxy::is_there};

/// A store with this number of sessions, whose owners' names grow longer.
fn filled(sessions: u64) -> Launch {
    let launch = Launch::new("visits");
    let url = format!("sqlite:{}", launch.folder().join("sessions.db").display());
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let driver = lemon_session_tests::drivers().open(StorageOptions::new(url)).await.unwrap();
        driver.set_up().await.unwrap();
        for i in 0..sessions {
            let mut bytes = [0; 32];
            bytes[..8].copy_from_slice(&(i << 20).to_be_bytes());
            let created = now - 60 * i;
            let record = Record {
                created,
                accessed: created,
                expires: now + 1000 + i,
                absolute_expiry: None,
                rotated: created,
                owner: (i % 2 == 1).then(|| "o".repeat(1 + i as usize / 1000)),
                version: 1,
                size: 0,
            };
            driver.create(&Digest::from(bytes), &record, &Writes::default()).await.unwrap();
        }
        driver.close().await.unwrap();
    });
    launch
}

#[test]
fn tables_can_be_dropped_and_created_again() {
    let server = Server::start("visits");
    let visitor = Client::new();
    server.get(&visitor, "/");
    let launch = &server.launch;

    assert!(launch.command(&["tables", "check"]).ok().stdout.contains("exist and are up to date"));
    let dropped = launch.command(&["tables", "drop", "--yes"]).ok();
    assert_eq!(dropped.stdout, "dropped the tables of Session in SQLite in sessions.db, with 1 session\n");
    let check = launch.command(&["tables", "check"]);
    assert_eq!(check.status, 1, "{check:?}");
    assert!(check.stdout.contains("lemon-session tables create"), "{check:?}");
    assert!(launch.command(&["tables", "drop", "--yes"]).ok().stdout.contains("nothing to drop"));

    // A store without tables is an error, not a first visit.
    let reply = server.get(&visitor, "/");
    assert_eq!(reply.status, 503, "{reply:?}");

    let created = launch.command(&["tables", "create"]).ok();
    assert_eq!(created.stdout, "created the tables of Session in SQLite in sessions.db\n");
    let again = launch.command(&["tables", "create"]).ok();
    assert!(again.stdout.contains("already exist"), "{again:?}");
    assert!(server.get(&visitor, "/").body.contains("This is your first visit"));
}

#[test]
fn tables_check_prints_what_differs_and_exits_with_1() {
    let launch = Launch::new("visits");
    launch.command(&["tables", "create"]).ok();
    assert!(launch.command(&["tables", "check"]).ok().stdout.contains("up to date"));
    let database = rusqlite::Connection::open(launch.folder().join("sessions.db")).unwrap();
    database.execute_batch("DROP INDEX Session_expires").unwrap();
    let check = launch.command(&["tables", "check"]);
    assert_eq!(check.status, 1, "{check:?}");
    assert!(check.stdout.contains("  index Session (Session_expires) is missing: expires\n"), "{check:?}");
    database.execute_batch("UPDATE Session_meta SET version = 99").unwrap();
    let check = launch.command(&["tables", "check"]);
    assert_eq!(check.status, 1, "{check:?}");
    assert!(check.stderr.contains("layout 99"), "{check:?}");
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
    let asked = server.launch.command(&["destroy", &digest]).stderr;
    assert!(asked.contains(&format!("this would end the session {digest} of alice, last used ")), "{asked}");
    assert!(asked.contains(", with 0 variables; "), "{asked}");
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
    let hint = page.lines().last().and_then(|line| line.strip_prefix("For more: lemon-session ")).expect("a next page");
    let again: Vec<_> = hint.split(' ').collect();
    assert_eq!(again[..4], ["list", "--limit", "3", "--after"]);
    assert_eq!(launch.command(&again).ok().stdout.lines().count(), 3, "the command can be repeated as it is printed");
    let next = again[4];
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
        assert!(output.stderr.contains(&format!("no live session with the digest {digest}")), "{output:?}");
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
fn without_confirmation_destroy_says_how_many_it_would_end() {
    let server = Server::start("counter");
    for _ in 0..2 {
        server.get(&Client::new(), "/login?user=alice");
    }
    let output = server.launch.command(&["destroy", "--owner", "alice"]);
    assert_eq!(output.status, 2, "{output:?}");
    assert!(output.stderr.contains("this would end 2 sessions of alice; pass --yes"), "{output:?}");
    let digest = server.launch.command(&["list", "--json"]).ok().json()[0]["digest"].as_str().unwrap().to_owned();
    let output = server.launch.command(&["destroy", "--owner", "alice", "--except", &digest]);
    assert!(output.stderr.contains("this would end 1 session of alice except"), "{output:?}");
    assert_eq!(server.launch.command(&["list", "--json"]).ok().json().len(), 2);
}

#[test]
fn owners_are_listed_by_the_number_of_their_sessions() {
    let server = Server::start("counter");
    assert_eq!(server.launch.command(&["owners"]).ok().stdout, "no session has an owner\n");
    for user in ["bob", "alice", "carol", "alice"] {
        server.get(&Client::new(), &format!("/login?user={user}"));
    }
    server.get(&Client::new(), "/");

    let owners = server.launch.command(&["owners", "--json"]).ok().json();
    let owners: Vec<_> = owners.iter().map(|owner| (owner["owner"].as_str().unwrap(), &owner["sessions"])).collect();
    assert_eq!(owners, [("alice", &2.into()), ("bob", &1.into()), ("carol", &1.into())]);
    let text = server.launch.command(&["owners", "--limit", "1"]).ok().stdout;
    assert!(
        text.contains("alice") && !text.contains("bob") && text.contains("2 more: lemon-session owners --all"),
        "{text}"
    );

    let stats = &server.launch.command(&["stats", "--full", "--json"]).ok().json()[0];
    assert_eq!((&stats["owners"], &stats["without-owner"]), (&3.into(), &1.into()), "{stats}");
    let sizes = server.launch.command(&["list", "--json"]).ok().json();
    let sizes = sizes.iter().map(|session| session["size"].as_u64().unwrap());
    assert_eq!(stats["size"], sizes.clone().sum::<u64>());
    assert_eq!(stats["largest"], sizes.max().unwrap());
}

#[test]
fn sessions_are_listed_in_the_order_that_is_asked_for() {
    let server = Server::start("counter");
    for length in [10, 1000, 100] {
        server.get(&Client::new(), &format!("/set?key=text&value={}", "x".repeat(length)));
    }
    let list = |flags: &[&str]| server.launch.command(&[&["list"], flags].concat()).ok();
    let sizes = |flags: &[&str]| {
        let sessions = list(flags).json();
        sessions.iter().map(|session| session["size"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    let largest_first = sizes(&["--sort", "size", "--json"]);
    assert!(largest_first.is_sorted_by(|a, b| a > b) && largest_first.len() == 3, "{largest_first:?}");
    assert_eq!(sizes(&["--sort", "size", "--limit", "2", "--json"]), largest_first[..2]);
    let text = list(&["--sort", "size", "--limit", "1"]).stdout;
    assert!(text.contains("2 more: lemon-session list --sort size --all"), "{text}");
    // The same sessions by application.
    let stats = &server.launch.command(&["stats", "--full", "--json"]).ok().json()[0];
    let values = stats["size"].as_u64().unwrap() - 3 * "text".len() as u64;
    let applications = serde_json::json!([{ "app": "counter", "sessions": 3, "variables": 3, "size": values }]);
    assert_eq!(stats["applications"], applications);
    let text = server.launch.command(&["stats", "--full"]).ok().stdout;
    assert!(text.contains("APPLICATION") && text.lines().last().unwrap().starts_with("counter"), "{text}");
    let expires = list(&["--sort", "expires", "--json"]).json();
    assert!(expires.is_sorted_by_key(|session| session["expires"].as_u64()), "{expires:?}");
    let output = server.launch.command(&["list", "--sort", "size", "--after", &"0".repeat(64)]);
    assert_eq!(output.status, 2, "only digests can be continued: {output:?}");
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
    assert_eq!(stats["expired"], 0, "{stats}");
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

    let nothing = lemon_session_tests::build::component("rogue-cgi");
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
        &["new"][..],
        &["serve"],
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
        &["componentize"],
        &["doctor"],
        &["completions"],
        &["man"],
    ];
    for command in commands {
        let help = launch.command(&[command, &["--help"]].concat()).ok().stdout;
        assert!(help.contains("Example"), "{help}");
    }
}

#[test]
fn trouble_exits_with_1_and_says_what_would_be_right() {
    let launch = Launch::new("visits");
    let near = "\"sqlit\" is not the scheme of a storage URL; did you mean sqlite:?";
    for (url, why) in [
        ("nonsense:there", "sqlite:"),
        ("sqlit:sessions.db", near),
        ("sqlite:missing/folder/sessions.db", "missing/folder"),
    ] {
        let output = launch.command(&["stats", "--storage", url]);
        assert_eq!(output.status, 1, "{output:?}");
        assert!(output.stderr.contains(why), "{output:?}");
    }
    let output = launch.command(&["stats"]);
    assert_eq!(output.status, 1, "{output:?}");
    assert!(output.stderr.contains("lemon-session tables create"), "{output:?}");

    let launch = launch.ini("[storage]\nurl = postgres://127.0.0.1/site\npoolsize = 3\n");
    let output = launch.command(&["stats"]);
    assert!(output.status == 1 && output.stderr.contains("; did you mean pool-size?"), "{output:?}");

    let module = lemon_session_tests::build::component("auth_module");
    let output = launch.command(&["serve", module.to_str().unwrap(), "--storage", "memory:"]);
    let said = "it exports example:auth/auth@0.1.0; if an application imports this, it is a module: pass it to --with";
    assert!(output.status == 1 && output.stderr.contains(said), "{output:?}");
}

#[test]
fn all_sessions_are_one_table_with_aligned_columns() {
    let launch = filled(10_500);
    let table = launch.command(&["list", "--all"]).ok().stdout;
    let lines: Vec<_> = table.lines().collect();
    assert_eq!(lines.len(), 10_501, "one header, and no hint at more");
    // Within what was asked for at once, columns begin at the same place; before and after, at most later.
    for part in lines[1..].chunks(10_000) {
        let begins = |line: &str| line.find(" in ").unwrap();
        assert!(part.iter().all(|line| begins(line) == begins(part[0])), "{part:#?}");
    }
    let digests: Vec<_> = lines[1..].iter().map(|line| &line[..16]).collect();
    assert!(digests.is_sorted());

    // Page by page they are the same.
    let mut paged = Vec::new();
    let mut after = Vec::new();
    loop {
        let page = launch.command(&[&["list", "--limit", "4500", "--json"][..], &after].concat()).ok().json();
        let Some(last) = page.last() else { break };
        let last = last["digest"].as_str().unwrap().to_owned();
        paged.extend(page);
        after = vec!["--after", String::leak(last)];
    }
    assert_eq!(paged, launch.command(&["list", "--all", "--json"]).ok().json());
    assert_eq!(launch.command(&["list", "--limit", "0"]).status, 2);
}

#[test]
fn who_has_read_enough_of_a_list_ends_it_without_complaints() {
    let launch = filled(5000);
    for json in [&["--json"][..], &[]] {
        let mut list = Command::new(build::command())
            .args(["list", "--all"])
            .args(json)
            .current_dir(launch.folder())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = String::new();
        BufReader::with_capacity(64, list.stdout.take().unwrap()).read_line(&mut first).unwrap();
        assert!(!first.is_empty());
        let mut complaints = String::new();
        list.stderr.take().unwrap().read_to_string(&mut complaints).unwrap();
        assert!(list.wait().unwrap().success());
        assert_eq!(complaints, "");
    }
}

#[test]
fn what_changes_something_says_so_in_json_too() {
    let launch = Launch::new("visits");
    let created = &launch.command(&["tables", "create", "--json"]).ok().json()[0];
    assert_eq!((&created["created"], &created["table"]), (&true.into(), &"Session".into()), "{created}");
    assert_eq!(launch.command(&["tables", "create", "--json"]).ok().json()[0]["created"], false);
    assert_eq!(launch.command(&["tables", "check", "--json"]).ok().json()[0]["exist"], true);

    let server = launch.start();
    for _ in 0..2 {
        server.get(&Client::new(), "/");
    }
    let digest = server.launch.command(&["list", "--json"]).ok().json()[0]["digest"].as_str().unwrap().to_owned();
    let destroyed = &server.launch.command(&["destroy", &digest, "--yes", "--json"]).ok().json()[0];
    assert_eq!(destroyed["destroyed"], 1);
    let destroyed = &server.launch.command(&["destroy", "--owner", "nobody", "--yes", "--json"]).ok().json()[0];
    assert_eq!(destroyed["destroyed"], 0);
    let dropped = &server.launch.command(&["tables", "drop", "--yes", "--json"]).ok().json()[0];
    assert_eq!((&dropped["dropped"], &dropped["sessions"]), (&true.into(), &1.into()), "{dropped}");
    let check = server.launch.command(&["tables", "check", "--json"]);
    assert_eq!((check.status, &check.json()[0]["exist"]), (1, &false.into()));
}

#[test]
fn names_cannot_control_the_operators_terminal() {
    let server = Server::start("counter");
    server.get(&Client::new(), "/login?user=alice");
    let database = rusqlite::Connection::open(server.launch.folder().join("sessions.db")).unwrap();
    database.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
    database.execute("UPDATE Session SET owner = char(27) || '[2J' || char(7)", []).unwrap();

    let listed = server.launch.command(&["list"]).ok().stdout;
    assert!(listed.contains("\\u{1b}[2J\\u{7}") && !listed.contains('\u{1b}'), "{listed}");
    let digest = listed.lines().nth(1).unwrap().split_whitespace().next().unwrap();
    let shown = server.launch.command(&["show", digest]).ok().stdout;
    assert!(!shown.contains('\u{1b}'), "{shown}");
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    if !is_there("script", &["--version"]) {
        return;
    }
    let launch = Launch::new("visits");
    launch.command(&["tables", "create"]).ok();
    fs::write(launch.folder().join("notes.txt"), "no component").unwrap();
    let on_terminal = |command: &str, no_color: Option<&str>| {
        let line = format!("{} {command}", build::command().display());
        let mut script = Command::new("script");
        script.args(["--quiet", "--command", &line, "/dev/null"]).current_dir(launch.folder()).stdin(Stdio::null());
        script.env("TERM", "xterm").env_remove("NO_COLOR").envs(no_color.map(|value| ("NO_COLOR", value)));
        String::from_utf8(script.output().unwrap().stdout).unwrap()
    };
    // What is in order, a header, an error, and the log.
    for (command, colour) in [
        ("doctor", "\u{1b}[32mok"),
        ("stats --storage sqlit:x", "\u{1b}[31mlemon-session:"),
        ("serve notes.txt --table Other", "\u{1b}["),
    ] {
        let text = on_terminal(command, None);
        assert!(text.contains(colour), "{command}: {text:?}");
        let text = on_terminal(command, Some("1"));
        assert!(!text.is_empty() && !is_coloured(&text), "{command} with NO_COLOR: {text:?}");
        let words: Vec<_> = command.split(' ').collect();
        let piped = launch.command(&words);
        assert!(!piped.stdout.contains('\u{1b}') && !piped.stderr.contains('\u{1b}'), "{command}: {piped:?}");
    }
}

/// Whether a text for terminals selects a colour or a style. Indicators move the cursor, which is not one.
fn is_coloured(text: &str) -> bool {
    let mut sequences = text.split("\u{1b}[").skip(1);
    sequences.any(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';').starts_with('m'))
}

#[test]
fn shells_complete_what_there_is() {
    let launch = Launch::new("visits");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = launch.command(&["completions", shell]).ok().stdout;
        for word in ["doctor", "cleanup", "storage", "owner"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    assert_eq!(launch.command(&["completions", "cmd"]).status, 2);

    // Bash itself completes with it.
    fs::write(launch.folder().join("completions"), launch.command(&["completions", "bash"]).ok().stdout).unwrap();
    let complete = |words: &str, last: &str| {
        let script = format!(
            "source ./completions; words=($(complete -p lemon-session)); \
             for i in ${{!words[@]}}; do [ ${{words[i]}} = -F ] && complete=${{words[i + 1]}}; done; \
             COMP_WORDS=(lemon-session {words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             $complete lemon-session '{last}' ''; echo \"${{COMPREPLY[*]}}\""
        );
        let output = Command::new("bash").args(["-c", &script]).current_dir(launch.folder()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    assert_eq!(complete("do", "do"), "doctor");
    assert_eq!(complete("tables cr", "cr"), "create");
    assert_eq!(complete("destroy --ow", "--ow"), "--owner");
}

#[test]
fn every_command_has_a_manual_page_with_its_example() {
    let launch = Launch::new("visits");
    assert!(launch.command(&["man"]).ok().stdout.contains(".TH lemon-session 1"));
    launch.command(&["man", "--output", "pages/man1"]).ok();
    let pages =
        ["serve", "tables-create", "tables-drop", "tables-check", "cleanup", "list", "show", "destroy", "stats"];
    for page in
        pages.into_iter().chain(["new", "doctor", "move", "compose", "component", "componentize", "completions", "man"])
    {
        let text = fs::read_to_string(launch.folder().join(format!("pages/man1/lemon-session-{page}.1"))).unwrap();
        assert!(text.contains(&format!(".TH lemon-session-{page} 1")), "{text}");
        assert!(text.contains("Example"), "{text}");
    }
    assert!(launch.folder().join("pages/man1/lemon-session.1").exists());
}

#[test]
fn man_finds_the_pages_of_commands_and_of_the_settings() {
    let launch = Launch::new("visits");
    launch.command(&["man", "--output", "man/man1"]).ok();
    let settings = launch.command(&["man", "lemon.ini"]).ok().stdout;
    fs::create_dir(launch.folder().join("man/man5")).unwrap();
    fs::write(launch.folder().join("man/man5/lemon.ini.5"), &settings).unwrap();
    if !is_there("man", &["--version"]) {
        return;
    }
    let man = |arguments: &[&str]| {
        let mut man = Command::new("man");
        man.args(["--manpath=man", "--warnings"]).args(arguments).current_dir(launch.folder()).env("MANWIDTH", "200");
        let output = man.output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    for (page, part) in [
        ("lemon-session", "Sessions for WebAssembly applications"),
        ("lemon-session-serve", "--mount"),
        ("lemon-session-tables-create", "Create the tables"),
        ("lemon.ini", "the settings of lemon-session"),
    ] {
        let text = man(&[page]);
        assert!(text.contains(part), "{page}: {text}");
    }
    // Each section, and each setting with its default.
    let shown = man(&["5", "lemon.ini"]);
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let shown = words(&shown);
    let example = fs::read_to_string(build::root().join("examples/lemon.ini")).unwrap();
    let mut settings = 0;
    for line in example.lines() {
        let line = line
            .strip_prefix("# ")
            .filter(|line| line.contains(" ="))
            .or(Some(line).filter(|line| line.starts_with('[')));
        let Some(line) = line else { continue };
        assert!(shown.contains(&words(line)), "{line}: {shown}");
        settings += 1;
    }
    assert!(settings > 40, "{settings}");
}
