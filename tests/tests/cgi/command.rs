//! `lemon-session cgi`, request by request.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::PathBuf,
    process::{Command, Stdio},
};

use lemon_session_tests::{
    build,
    cgi::{Cgi, outcome, print},
};

fn rogue(path: &str) -> Cgi {
    Cgi::new("rogue-cgi").target(path, "")
}

/// A program that prints this, to the byte.
fn printing(text: &str) -> Cgi {
    let target = print(text);
    let (path, query) = target.split_once('?').unwrap();
    Cgi::new("rogue-cgi").target(path, query)
}

#[test]
fn both_kinds_of_applications_print_the_same_pages() {
    for component in ["visits-cgi", "visits"] {
        let cgi = Cgi::new(component);
        let first = cgi.get();
        assert!(first.body.contains("This is your first visit"), "{first:?}");
        let cookie = first.set_cookie();
        let cgi = cgi.variable("HTTP_COOKIE", format!("visits={}", cookie.value));
        let back = cgi.get();
        assert!(back.body.contains("variable1: Python Rules!"), "{back:?}");
        let forged = cgi.clone().variable("REQUEST_METHOD", "POST").variable("HTTP_SEC_FETCH_SITE", "cross-site").get();
        assert_eq!(forged.status, 403, "{forged:?}");
        let deleted = cgi.variable("REQUEST_METHOD", "POST").get();
        assert!(deleted.body.contains("Session Deleted"), "{deleted:?}");
        assert_eq!(deleted.set_cookie().attribute("max-age"), Some("0"));
    }
}

#[test]
fn a_request_of_another_site_runs_no_application() {
    let forged = |path| rogue(path).variable("REQUEST_METHOD", "POST").variable("HTTP_ORIGIN", "https://evil.example");
    let ini = "[server]\nsame-origin = on\ncross-site = /hooks\n";
    let outcome = forged("/trap").ini(ini).run(b"");
    assert!(outcome.stderr.contains("refused, because of [server] same-origin"), "{outcome:?}");
    assert!(!outcome.stderr.contains("on purpose"), "{outcome:?}");
    assert_eq!(outcome.reply().status, 403);
    let own = forged("/deaf").variable("HTTP_ORIGIN", "https://example.org").variable("HTTP_HOST", "example.org");
    assert_eq!(own.clone().variable("HTTPS", "on").ini(ini).get().status, 200);
    assert_eq!(own.variable("HTTP_ORIGIN", "http://example.org").variable("HTTPS", "on").ini(ini).get().status, 403);
    assert_eq!(forged("/deaf").get().status, 200, "it is off unless configured");
}

#[test]
fn a_response_without_a_body_has_no_length() {
    for status in ["204 No Content", "304 Not Modified"] {
        let reply = printing(&format!("Status: {status}\nContent-Length: 5\nX-A: 1\n\n")).get();
        assert_eq!((reply.headers("content-length").len(), reply.headers("x-a")), (0, vec!["1"]), "{reply:?}");
    }
    assert_eq!(printing("Status: 404\nContent-Length: 5\n\nnone\n").get().headers("content-length"), ["5"]);
    let reply = Cgi::new("rogue").variable("SCRIPT_NAME", "").target("/no-content", "").get();
    assert_eq!((reply.status, reply.headers("content-length").len()), (204, 0), "{reply:?}");
}

#[test]
fn storage_and_config_are_those_of_serve() {
    let cgi = Cgi::new("visits-cgi").ini("[storage]\nurl = sqlite:from-ini.db\n[session.cookie]\nname = site\n");
    assert_eq!(cgi.get().set_cookie().name, "site");
    assert!(cgi.folder.path().join("from-ini.db").exists());
    cgi.clone().arg("--storage").arg("sqlite:from-flag.db").get();
    assert!(cgi.folder.path().join("from-flag.db").exists());
    fs::write(cgi.folder.path().join("other.ini"), "[storage]\nurl = sqlite:from-other.db\n").unwrap();
    cgi.clone().arg("--config").arg("other.ini").get();
    assert!(cgi.folder.path().join("from-other.db").exists());

    let broken = cgi.ini("[session]\nexpires = soon\n").run(b"");
    assert!(broken.stderr.contains("lemon.ini:2: [session] expires"), "{broken:?}");
    assert_eq!(broken.reply().status, 500);
}

#[test]
fn nothing_of_the_host_s_environment_leaks_into_the_guest() {
    let reply = rogue("/environment")
        .variable("SECRET", "leaked")
        .variable("PATH", "/leaked")
        .variable("HOME", "/leaked")
        .variable("AWS_SECRET_ACCESS_KEY", "leaked")
        .variable("SCRIPT_FILENAME", "/leaked")
        .variable("PATH_TRANSLATED", "/leaked")
        .variable("DOCUMENT_ROOT", "/leaked")
        .variable("REDIRECT_STATUS", "leaked")
        .variable("HTTP_AUTHORIZATION", "leaked")
        .variable("HTTP_PROXY_AUTHORIZATION", "leaked")
        .variable("HTTP_PROXY", "leaked")
        .variable("http_proxy", "leaked")
        .variable("REMOTE_USER", "leaked")
        .get();
    assert!(!reply.body.contains("leaked"), "{reply:?}");
    let checked = rogue("/environment").variable("REMOTE_USER", "alice").variable("AUTH_TYPE", "Basic").get();
    assert!(checked.body.contains("REMOTE_USER=alice\n") && checked.body.contains("AUTH_TYPE=Basic\n"), "{checked:?}");
    let arguments = rogue("/arguments").get();
    assert_eq!(arguments.body, "");
}

#[test]
fn a_query_string_is_always_set() {
    let mut cgi = rogue("/environment");
    assert!(cgi.get().body.contains("QUERY_STRING=\n"));
    cgi = cgi.variable("QUERY_STRING", "a=%20&b");
    assert!(cgi.get().body.contains("QUERY_STRING=a=%20&b\n"));
}

#[test]
fn no_more_than_content_length_is_read_of_stdin() {
    let echo = rogue("/echo").variable("REQUEST_METHOD", "POST").variable("CONTENT_TYPE", "text/plain");
    let length = |length: &str| echo.clone().variable("CONTENT_LENGTH", length);
    assert_eq!(length("5").run(b"hello and more").reply().body, "5 hello", "a longer body");
    assert_eq!(length("50").run(b"hello").reply().body, "5 hello", "a shorter body");
    assert_eq!(length("0").run(b"hello").reply().body, "0 ");
    assert_eq!(length("").run(b"hello").reply().body, "0 ");
    assert_eq!(echo.run(b"hello").reply().body, "0 ");
    for wrong in ["-1", "+5", "five", "5, 5", "99999999999999999999"] {
        assert_eq!(length(wrong).run(b"hello").reply().status, 400, "{wrong}");
    }
    let limited = length("10").ini("[server]\nbody-bytes = 9\n");
    assert_eq!(limited.run(b"0123456789").reply().status, 413);
}

#[test]
fn stdin_need_not_be_closed_and_the_body_need_not_come() {
    for (path, body, expected) in [("/echo", "hello", "5 hello"), ("/deaf", "", "well\n")] {
        let cgi = rogue(path).variable("REQUEST_METHOD", "POST").variable("CONTENT_LENGTH", "5");
        let mut child =
            cgi.command().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(body.as_bytes()).unwrap();
        let mut answer = String::new();
        child.stdout.take().unwrap().read_to_string(&mut answer).unwrap();
        assert!(answer.ends_with(expected), "{answer:?}");
        assert!(child.wait().unwrap().success(), "it has ended with its input still open");
        drop(stdin);
    }
}

#[test]
fn a_bad_header_block_is_502_and_the_log_says_why() {
    let bad = [
        ("no header\n\n", "line 1 of the header block has no colon"),
        ("Content-Type: text/plain\nX-A: a\rX-B: b\n\n", "line 2 of the header block has a control character"),
        ("Content-Type: text/plain\nX-A: a\0\n\n", "line 2 of the header block has a control character"),
        ("Content-Type: text/plain\nX\r-A: a\n\n", "line 2 of the header block has an invalid field name"),
        ("Content-Type: text/plain\nX-A: a\n folded\n\n", "line 3 of the header block has no colon"),
        ("Status: 200 OK\rX: y\n\n", "line 1 of the header block has no valid status"),
        ("Location: /a\r/b\n\n", "line 1 of the header block has a control character"),
        ("Set-Cookie: a=b\rc=d\nStatus: 200\n\n", "line 1 of the header block has a control character"),
        ("Status: 99\n\n", "line 1 of the header block has no valid status"),
        ("Content-Type: a/b\nContent-Type: c/d\n\n", "line 2 of the header block is a second content-type"),
        ("Set-Cookie: a=b\n\n", "has no Content-Type, Location or Status"),
        ("Status: 200\nContent-Length: x\n\n", "Content-Length is not a number"),
        ("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n", "NPH"),
        ("Content-Type: text/plain\r\n", "ended before the end of its header block"),
        ("", "ended before the end of its header block"),
        ("\n", "has no Content-Type, Location or Status"),
    ];
    for (text, why) in bad {
        let outcome = printing(text).run(b"");
        assert!(outcome.stderr.contains(why), "{text:?}: {outcome:?}");
        assert!(!outcome.stderr.contains("a=b"), "what a visitor may know alone is not logged: {outcome:?}");
        let reply = outcome.reply();
        assert_eq!(reply.status, 502, "{text:?}: {reply:?}");
        assert!(reply.headers("x-a").is_empty() && reply.headers("x-b").is_empty(), "{reply:?}");
    }
}

#[test]
fn an_endless_header_block_is_502() {
    let outcome = rogue("/endless-header").run(b"");
    assert!(outcome.stderr.contains("longer than [server] header-bytes allows"), "{outcome:?}");
    assert_eq!(outcome.reply().status, 502);
}

#[test]
fn status_and_headers_are_passed_on() {
    let reply = printing("Status: 404 Not Found\nContent-Type: text/plain\nX-A: 1\nx-a: 2\n\nbody").get();
    assert_eq!((reply.status, reply.body.as_str()), (404, "body"));
    assert_eq!(reply.headers("x-a"), ["1", "2"]);
    let reply = printing("Content-Type: text/plain\nSet-Cookie: a=b\nSet-Cookie: c=d\n\n").get();
    assert_eq!((reply.status, reply.headers("set-cookie")), (200, vec!["a=b", "c=d"]));
    let reply = printing("Status: 200\nTransfer-Encoding: chunked\nConnection: close\n\n").get();
    assert!(reply.headers("transfer-encoding").is_empty() && reply.headers("connection").is_empty(), "{reply:?}");
}

#[test]
fn a_local_redirect_with_a_cookie_becomes_a_client_redirect() {
    let local = printing("Location: /other?a=b\n\n").run(b"");
    assert_eq!(String::from_utf8(local.stdout).unwrap(), "Location: /other?a=b\r\n\r\n");
    let reply = printing("Location: /other\nSet-Cookie: a=b\n\n").get();
    assert_eq!(
        (reply.status, reply.headers("location"), reply.headers("set-cookie")),
        (302, vec!["/other"], vec!["a=b"])
    );
    let reply = printing("Location: http://example.com/\n\n").get();
    assert_eq!((reply.status, reply.headers("location")), (302, vec!["http://example.com/"]));
}

#[test]
fn head_is_answered_without_a_body() {
    for cgi in [Cgi::new("visits-cgi"), Cgi::new("visits")] {
        let reply = cgi.variable("REQUEST_METHOD", "HEAD").get();
        assert_eq!((reply.status, reply.body.as_str()), (200, ""));
        assert_eq!(reply.set_cookie().name, "visits");
    }
}

#[test]
fn a_body_is_as_long_as_its_content_length_says() {
    let outcome = printing("Status: 200\nContent-Length: 4\n\nbody and more").run(b"");
    assert!(outcome.stderr.contains("more than its Content-Length"), "{outcome:?}");
    assert_eq!(outcome.reply().body, "body");
    let outcome = printing("Status: 200\nContent-Length: 40\n\nbody").run(b"");
    assert!(outcome.stderr.contains("less than its Content-Length"), "{outcome:?}");
    assert_eq!(outcome.status, 1);
}

#[test]
fn a_program_that_fails_is_answered_for() {
    for (path, status) in
        [("/trap", 500), ("/grow", 500), ("/exit", 500), ("/silent", 502), ("/spin", 504), ("/sleep", 504)]
    {
        let cgi = rogue(path).ini("[server]\nrequest-time = 1s\nmemory = 32M\n");
        let outcome = cgi.run(b"");
        assert_eq!(outcome.status, 0, "the request was answered: {outcome:?}");
        let reply = outcome.reply();
        assert_eq!(reply.status, status, "{path}: {reply:?}");
        assert!(!reply.body.contains("wasm"), "the client learns nothing of the inside: {reply:?}");
    }
    let outcome = Cgi::new("rogue").target("/trap", "").run(b"");
    assert_eq!(outcome.reply().status, 200, "SCRIPT_NAME is part of the path that wasi:http has");
    let outcome = Cgi::new("rogue").variable("SCRIPT_NAME", "").target("/trap", "").run(b"");
    assert_eq!(outcome.reply().status, 500);
}

#[test]
fn a_response_is_sent_as_it_is_printed() {
    let cgi = rogue("/half-then-sleep").ini("[server]\nrequest-time = 2s\n");
    let mut child = cgi.command().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line == "half"));
    assert!(child.try_wait().unwrap().is_none(), "the program has not ended yet");
    assert_eq!(lines.count(), 0);
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

#[test]
fn https_is_believed_of_the_web_server_and_of_trusted_proxies_alone() {
    for component in ["visits-cgi", "visits"] {
        let secure = |cgi: &Cgi| cgi.get().set_cookie().attribute("secure").is_some();
        let cgi = Cgi::new(component);
        assert!(!secure(&cgi));
        assert!(secure(&cgi.clone().variable("HTTPS", "on")));
        assert!(!secure(&cgi.clone().variable("HTTPS", "off")));
        let claimed = cgi.variable("HTTP_X_FORWARDED_PROTO", "https");
        assert!(!secure(&claimed));
        assert!(secure(&claimed.ini("[server]\ntrusted-proxies = 192.0.2.0/24\n")));
    }
}

#[test]
fn the_visitor_s_address_is_that_which_a_trusted_proxy_tells() {
    let cgi = rogue("/environment").variable("HTTP_X_FORWARDED_FOR", "6.6.6.6, 203.0.113.7");
    let address = |cgi: &Cgi| {
        let body = cgi.get().body;
        let of_client = |line: &&str| line.starts_with("REMOTE_") || line.starts_with("HTTP_X_FORWARDED_FOR");
        body.lines().filter(of_client).map(str::to_owned).collect::<Vec<_>>()
    };
    let named =
        |address: &str| ["HTTP_X_FORWARDED_FOR", "REMOTE_ADDR", "REMOTE_HOST"].map(|name| format!("{name}={address}"));
    assert_eq!(address(&cgi), named("192.0.2.7"), "the web server's word alone counts");
    let cgi = cgi.ini("[server]\ntrusted-proxies = 192.0.2.7\n");
    assert_eq!(address(&cgi), named("203.0.113.7"));
    let cgi = cgi.variable("REMOTE_HOST", "proxy.example").variable("REMOTE_IDENT", "proxy");
    assert_eq!(address(&cgi), named("203.0.113.7"), "what the web server knows of the proxy is not the visitor's");
}

#[test]
fn a_file_with_a_shebang_stands_for_the_component_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("page.cgi");
    let bin = build::command().parent().unwrap();
    fs::write(&script, "#!/usr/bin/env -S lemon-session cgi --storage sqlite:page.db --cache compiled\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let run = || {
        let mut command = Command::new(&script);
        command.current_dir(folder.path()).env_clear().env("PATH", format!("{}:/usr/bin:/bin", bin.display()));
        command.env("REQUEST_METHOD", "GET");
        outcome(command, b"")
    };
    let missing = run();
    assert!(missing.stderr.contains("page.wasm, which does not exist"), "{missing:?}");
    assert_eq!(missing.reply().status, 500);

    fs::copy(build::component("visits-cgi"), folder.path().join("page.wasm")).unwrap();
    assert!(run().reply().body.contains("This is your first visit"));
    assert!(folder.path().join("page.db").exists());
}

#[test]
fn flags_behind_the_application_are_refused_and_words_of_a_query_are_no_flags() {
    let with = |query: &str, word: &str| {
        let cgi = Cgi::new("visits-cgi").variable("QUERY_STRING", query);
        let mut command = cgi.command();
        command.arg(word);
        outcome(command, b"")
    };
    for query in ["", "a=b"] {
        let refused = with(query, "--help");
        assert_eq!(refused.status, 2, "{refused:?}");
        assert!(refused.stderr.contains("pass all flags before it"), "{refused:?}");
    }
    assert!(with("--help", "--help").reply().body.contains("first visit"));
}

#[test]
fn without_a_request_it_says_who_runs_it() {
    let launch = lemon_session_tests::Launch::new("visits");
    let outcome = launch.command(&["cgi", "visits.wasm"]);
    assert_eq!(outcome.status, 2);
    assert!(outcome.stderr.contains("a web server runs `cgi`"), "{outcome:?}");
}

#[test]
fn compiled_code_is_kept_for_its_user_alone() {
    let cgi = Cgi::new("visits-cgi");
    let cache = cgi.folder.path().join("cache");
    cgi.get();
    let files = || -> Vec<_> { fs::read_dir(&cache).unwrap().map(|file| file.unwrap().path()).collect() };
    let kept = files();
    assert_eq!(kept.len(), 2, "the application and the session component: {kept:?}");
    assert_eq!(cache.metadata().unwrap().mode() & 0o777, 0o700);
    let written = |file: &PathBuf| file.metadata().unwrap().mtime_nsec();
    let before: Vec<_> = kept.iter().map(written).collect();
    cgi.get();
    assert_eq!(kept.iter().map(written).collect::<Vec<_>>(), before, "they were used");
    assert_eq!(files().len(), 2);

    for file in &kept {
        assert_eq!(file.metadata().unwrap().mode() & 0o777, 0o600);
        fs::write(file, "broken").unwrap();
        assert!(cgi.get().body.contains("first visit"), "what is broken is made anew");
        assert!(fs::read(file).unwrap().len() > 1000);
    }

    fs::set_permissions(&cache, fs::Permissions::from_mode(0o777)).unwrap();
    let outcome = cgi.run(b"");
    assert!(outcome.stderr.contains("closed to others"), "{outcome:?}");
    assert_eq!(outcome.reply().status, 200);
}

#[test]
fn requests_at_the_same_time_keep_what_they_store() {
    let cgi = Cgi::new("counter").variable("SCRIPT_NAME", "");
    let cookie = cgi.get().set_cookie();
    let cgi = cgi.variable("HTTP_COOKIE", format!("counter={}", cookie.value));
    std::thread::scope(|scope| {
        for key in 0..8 {
            let cgi = cgi.clone().target("/set", &format!("key=k{key}&value={key}"));
            scope.spawn(move || assert_eq!(cgi.get().status, 200));
        }
    });
    for key in 0..8 {
        assert_eq!(cgi.clone().target("/get", &format!("key=k{key}")).get().body, format!("{key}\n"));
    }
}

#[test]
fn the_log_of_the_database_stays_short_though_no_request_closes_it() {
    let cgi = Cgi::new("counter").variable("SCRIPT_NAME", "");
    let cookie = cgi.get().set_cookie();
    let cgi = cgi.variable("HTTP_COOKIE", format!("counter={}", cookie.value));
    let value = "x".repeat(60_000);
    let mut longest = 0;
    for round in 0..250 {
        let reply = cgi.clone().target("/set", &format!("key=k&value={round}{value}")).get();
        assert_eq!(reply.status, 200, "{reply:?}");
        let log = fs::metadata(cgi.folder.path().join("sessions.db-wal")).unwrap();
        longest = longest.max(log.len());
    }
    assert!((1 << 20..12 << 20).contains(&longest), "{longest} bytes, of 15 million that were written");
}
