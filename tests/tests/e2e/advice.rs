//! Advice of `lemon-session doctor` is followed to the letter, and the finding is gone.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use lemon_session_tests::{
    Launch, Storage, build,
    proxy::{free_port, is_there},
};
use serde_json::Value;

/// A site whose doctor is asked.
struct Site {
    launch: Launch,
    /// What runs the command: `sh -c` with something before it.
    before: String,
    arguments: String,
}

impl Site {
    fn new() -> Self {
        let launch = Launch::mounted();
        symlink(build::command(), launch.folder().join("lemon-session")).unwrap();
        Self { launch, before: String::new(), arguments: String::new() }
    }

    fn ini(self, text: &str) -> Self {
        Self { launch: self.launch.ini(text), ..self }
    }

    fn folder(&self) -> &Path {
        self.launch.folder()
    }

    /// Runs a line of a shell in the folder; returns what it printed, whatever its exit status.
    fn run(&self, line: &str) -> String {
        let path = format!("{}:{}", self.folder().display(), std::env::var("PATH").unwrap());
        let mut shell = Command::new("sh");
        shell.args(["-c", line]).current_dir(self.folder()).env("PATH", path).stdin(Stdio::null());
        String::from_utf8(shell.output().unwrap().stdout).unwrap()
    }

    /// The advice about the findings of a check that have these words, if there are any.
    fn advice(&self, check: &str, words: &str) -> Option<String> {
        let findings = self.run(&format!("{} lemon-session doctor --json {}", self.before, self.arguments));
        let findings: Vec<Value> = findings.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(!findings.is_empty(), "the doctor says nothing");
        let found = findings.into_iter().find(|finding| {
            finding["check"] == check && finding["status"] != "ok" && finding["found"].as_str().unwrap().contains(words)
        });
        found.map(|finding| finding["advice"].as_str().expect("it has advice").to_owned())
    }

    /// The advice about a finding that is there.
    #[track_caller]
    fn advised(&self, check: &str, words: &str) -> String {
        self.advice(check, words).unwrap_or_else(|| panic!("nothing is found with {words:?}"))
    }

    #[track_caller]
    fn is_gone(&self, check: &str, words: &str) {
        if let Some(advice) = self.advice(check, words) {
            panic!("the finding with {words:?} is still there: {advice}");
        }
    }

    /// Runs the commands in an advice.
    fn follow(&self, advice: &str) {
        let commands: Vec<_> = advice.split('`').skip(1).step_by(2).collect();
        assert!(!commands.is_empty(), "no command in {advice:?}");
        for command in commands {
            // There is no one who could confirm it.
            let yes = if command.contains("tables drop") { " --yes" } else { "" };
            self.run(&format!("{command}{yes}"));
        }
    }
}

#[test]
fn values_that_the_doctor_advises_are_not_warned_of() {
    let cases = [
        // The setting, its section, what is found, the advice, and the value as advised.
        ("session.cookie", "secure = off", "set it to on", "secure = on"),
        ("session.cookie", "http-only = no", "set it to true", "http-only = true"),
        ("session.cookie", "secure = on\nsame-site = none", "set it to lax", "secure = on\nsame-site = lax"),
        ("session.cookie", "lifetime = 60", "leave it empty", "lifetime ="),
        ("session", "max-lifetime = 0", "set it to 30d", "max-lifetime = 30d"),
        ("session", "renew-after = 1h\nrenew-grace = 0", "set it to 60s", "renew-after = 1h\nrenew-grace = 60s"),
        ("session", "renew-after = 30s\nrenew-grace = 0", "set it to 30s", "renew-after = 30s\nrenew-grace = 30s"),
        ("session", "remember-ended = 0", "set it to 24h", "remember-ended = 24h"),
        ("session", "cleanup = 0", "set it to 0.01", "cleanup = 0.01"),
        ("storage", "url = memory:", "use sqlite:sessions.db", "url = sqlite:sessions.db"),
        ("server", "trusted-proxies = ::/0", "list only the addresses of the proxies", "trusted-proxies = 192.0.2.1"),
        ("server", "admin-addr = 0.0.0.0:9090", "listen on 127.0.0.1", "admin-addr = 127.0.0.1:9090"),
        ("server", "body-rate = 0", "set it to 500", "body-rate = 500"),
        ("server", "connections-per-address = 10000", "leave it empty", "connections-per-address ="),
        (
            "server",
            "request-time = 60s\nshutdown-time = 5",
            "as long as request-time",
            "request-time = 60s\nshutdown-time = 60s",
        ),
    ];
    for (section, unwise, advice, wise) in cases {
        let last = unwise.lines().last().unwrap();
        let words = if section == "storage" { "memory:".to_owned() } else { format!("[{section}] {}", key(last)) };
        let site = Site::new().ini(&format!("[{section}]\n{unwise}\n"));
        let advised = site.advised("settings", &words);
        assert!(advised.contains(advice), "{unwise}: {advised}");
        site.ini(&format!("[{section}]\n{wise}\n")).is_gone("settings", &words);
    }

    // The advice about one setting names another.
    let site = Site::new();
    let words = "[session.cookie] secure = auto";
    assert!(site.advised("settings", words).contains("to [server] trusted-proxies"));
    site.ini("[server]\ntrusted-proxies = 127.0.0.1\n").is_gone("settings", words);

    // The smallest site has no share to speak of.
    Site::new().ini("[server]\nconnections = 1\n").is_gone("settings", "connections-per-address");
}

fn key(line: &str) -> &str {
    line.split(" =").next().unwrap()
}

#[test]
fn commands_that_the_doctor_advises_close_files_to_others() {
    let site = Site::new().ini("[storage]\nurl = redis://:secret@127.0.0.1:1/\n");
    let ini = site.folder().join("lemon.ini");
    for (mode, words) in [(0o644, "read lemon.ini"), (0o642, "change lemon.ini")] {
        fs::set_permissions(&ini, fs::Permissions::from_mode(mode)).unwrap();
        let advice = site.advised("settings", words);
        site.follow(&advice);
        site.is_gone("settings", words);
    }

    let mut site = Site::new();
    site.arguments = "--storage 'sqlite:our sessions.db'".to_owned();
    site.run("lemon-session tables create --storage 'sqlite:our sessions.db'; chmod o=r 'our sessions.db'");
    let advice = site.advised("file", "all users");
    site.follow(&advice);
    site.is_gone("file", "all users");
}

#[test]
fn commands_that_the_doctor_advises_create_tables() {
    let site = Site::new().ini(
        "[storage]\ntables = Basket\n\n[storage.archive]\nurl = sqlite:archive.db\ntables = Old\nbusy-timeout = 1s\n",
    );
    for (words, advised) in [
        ("sessions.db does not have the tables of Session", "lemon-session tables create"),
        ("sessions.db does not have the tables of Basket", "lemon-session tables create --table Basket"),
        ("archive.db does not have the tables of Session", "lemon-session tables create --storage archive"),
        ("archive.db does not have the tables of Old", "lemon-session tables create --storage archive --table Old"),
    ] {
        let advice = site.advised("tables", words);
        assert!(advice.contains(&format!("`{advised}`")), "{advice}");
        site.follow(&advice);
        site.is_gone("tables", words);
    }

    // The flags are part of the advice.
    let mut site = Site::new();
    fs::write(site.folder().join("our.ini"), "[session]\n").unwrap();
    site.arguments = "--config our.ini --storage 'sqlite:our sessions.db' --table Ours".to_owned();
    let advice = site.advised("tables", "does not have the tables of Ours");
    site.follow(&advice);
    site.is_gone("tables", "does not have the tables of Ours");
}

#[test]
fn tables_that_were_changed_are_made_anew_as_the_doctor_advises() {
    let site = Site::new();
    site.run("lemon-session tables create; sqlite3 sessions.db 'DROP INDEX Session_owner'");
    let advice = site.advised("tables", "differ");
    site.follow(&advice);
    site.is_gone("tables", "differ");
}

#[test]
fn the_write_ahead_log_is_back_when_other_programs_are_stopped() {
    let site = Site::new();
    site.run("lemon-session tables create");
    let other = rusqlite::Connection::open(site.folder().join("sessions.db")).unwrap();
    other.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(())).unwrap();
    other.execute_batch("BEGIN; SELECT count(*) FROM Session").unwrap();
    let advice = site.advised("file", "journal mode delete");
    assert!(advice.contains("stop all other programs"), "{advice}");
    drop(other);
    site.is_gone("file", "journal mode");
}

#[test]
fn limits_of_the_machine_are_kept_to_as_the_doctor_advises() {
    let mut site = Site::new();
    site.before = "ulimit -n 1000;".to_owned();
    assert!(site.advised("files", "the limit of open files is 1000").contains("or lower connections"));
    site = site.ini("[server]\nconnections = 500\n");
    site.is_gone("files", "the limit of open files");
    let mut site = Site::new();
    site.before = "ulimit -Hn 20000;".to_owned();
    site.is_gone("files", "the limit of open files");

    let mut site = Site::new();
    site.before = "ulimit -v 16000000;".to_owned();
    assert!(site.advised("memory", "not enough address space").contains("raise `ulimit -v`"));
    site.before = String::new();
    site.is_gone("memory", "not enough address space");

    let mut site = Site::new();
    fs::write(site.folder().join("no-folder"), "").unwrap();
    site.before = "XDG_CACHE_HOME=$PWD/no-folder".to_owned();
    assert!(site.advised("cache", "no cache").contains("set XDG_CACHE_HOME to a folder"));
    site.before = "XDG_CACHE_HOME=$PWD/cache".to_owned();
    site.is_gone("cache", "no cache");
}

/// A Redis whose clock is off.
struct Redis(Child);

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
        // What libfaketime leaves behind.
        for name in ["faketime_shm_", "sem.faketime_sem_"] {
            let _ = fs::remove_file(format!("/dev/shm/{name}{}", self.0.id()));
        }
    }
}

impl Redis {
    fn start(folder: &Path, port: u16, off: &str) -> Self {
        // Its jemalloc asks for the time before libfaketime is ready: it takes the allocator of the C library.
        let line = format!(
            "export LD_PRELOAD=\"$(echo /usr/lib/*/faketime/libfaketimeMT.so.1) $(echo /lib/*-linux-gnu/libc.so.6)\"; \
             FAKETIME={off} FAKETIME_DONT_FAKE_MONOTONIC=1 exec redis-server --port {port} --save '' --bind 127.0.0.1"
        );
        let child = Command::new("sh").args(["-c", &line]).current_dir(folder).stdout(Stdio::null()).spawn().unwrap();
        let server = Self(child);
        for _ in 0..600 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return server;
            }
            thread::sleep(Duration::from_millis(50));
        }
        panic!("redis-server does not listen");
    }
}

#[test]
fn clocks_that_agree_are_not_warned_of() {
    if !is_there("redis-server", &["--version"]) {
        eprintln!("\n*** SKIPPED: redis-server is not installed ***\n");
        return;
    }
    let mut site = Site::new();
    let port = free_port();
    site.arguments = format!("--storage redis://127.0.0.1:{port}/");
    for (off, is_found) in [("+10s", true), ("-1h", true), ("+0s", false)] {
        let _server = Redis::start(site.folder(), port, off);
        site.run(&format!("lemon-session tables create {}", site.arguments));
        match is_found {
            true => assert!(site.advised("clock", "differ by").contains("synchronise both"), "{off}"),
            false => site.is_gone("clock", "differ by"),
        }
    }
}

#[test]
fn a_file_on_a_disk_of_this_machine_is_not_warned_of() {
    let mut site = Site::new();
    site.run("lemon-session tables create");
    // statfs answers as for NFS.
    site.before = "strace -f -o trace -e trace=statfs -e inject=statfs:poke_exit=@arg2=6969000000000000".to_owned();
    if !site.run(&format!("{} stat -f -c %t .", site.before)).contains("6969") {
        eprintln!("\n*** SKIPPED: this user cannot trace a program, or strace is not installed ***\n");
        return;
    }
    assert!(site.advised("file", "network file system").contains("move it to a disk of this machine"));
    site.before = String::new();
    site.is_gone("file", "network file system");
}

#[test]
fn a_folder_of_the_servers_user_takes_the_database() {
    if !fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0) {
        eprintln!("\n*** SKIPPED: only root can act as another user ***\n");
        return;
    }
    let mut site = Site::new();
    fs::set_permissions(site.folder(), fs::Permissions::from_mode(0o755)).unwrap();
    site.before = "HOME=$PWD setpriv --reuid=65534 --regid=65534 --clear-groups".to_owned();
    if site.run(&format!("{} lemon-session --version", site.before)).is_empty() {
        eprintln!("\n*** SKIPPED: another user cannot run the command where it is ***\n");
        return;
    }
    let advice = site.advised("file", "cannot be created");
    assert!(advice.contains("the owner of the folder"), "{advice}");
    site.run("chown 65534 .");
    site.is_gone("file", "cannot be created");
}

#[test]
fn a_disk_with_room_again_is_not_warned_of() {
    let mut site = Site::new();
    // Of this command alone.
    site.before = "unshare --mount sh -ec 'mkdir -p disk; mount -t tmpfs -o size=400m disk disk; cp sessions.db disk; \
                   head -c $FULL /dev/zero > disk/full; exec \"$@\"' sh"
        .to_owned();
    site.run("lemon-session tables create");
    site.arguments = "--storage sqlite:disk/sessions.db".to_owned();
    let unshare = Command::new("unshare").args(["--mount", "true"]).output();
    if !unshare.is_ok_and(|output| output.status.success()) {
        eprintln!("\n*** SKIPPED: this user cannot mount a file system ***\n");
        return;
    }
    let before = site.before.clone();
    site.before = format!("FULL=300M; export FULL; {before}");
    assert!(site.advised("file", "of free space").contains("free space on the disk"));
    site.before = format!("FULL=390M; export FULL; {before}");
    assert!(site.advised("file", "of free space").contains("no session can be saved"));
    site.before = format!("FULL=1M; export FULL; {before}");
    site.is_gone("file", "of free space");
}

/// Passes on what a server says, with a delay; returns the port to connect to.
fn delayed(server: String, delay: Duration) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let server = TcpStream::connect(&server).unwrap();
            let pass = |mut from: TcpStream, mut to: TcpStream, delay| {
                thread::spawn(move || {
                    let mut bytes = vec![0; 1 << 16];
                    while let Ok(length @ 1..) = from.read(&mut bytes) {
                        thread::sleep(delay);
                        if to.write_all(&bytes[..length]).is_err() {
                            break;
                        }
                    }
                    let _ = to.shutdown(std::net::Shutdown::Both);
                });
            };
            pass(client.try_clone().unwrap(), server.try_clone().unwrap(), Duration::ZERO);
            pass(server, client, delay);
        }
    });
    port
}

#[test]
fn a_store_that_is_closer_is_not_warned_of() {
    let Some(storage) = Storage::new("postgres") else { return };
    let mut site = Site::new();
    let [_, url, _, table] = storage.flags();
    let address = url.rsplit('@').next().unwrap().split('/').next().unwrap();
    let port = delayed(address.to_owned(), Duration::from_millis(80));
    let far = url.replace(address, &format!("127.0.0.1:{port}"));
    site.run(&format!("lemon-session tables create --storage '{url}' --table {table}"));
    site.arguments = format!("--storage '{far}' --table {table}");
    assert!(site.advised("storage", "a load takes").contains("move the store closer"));
    site.arguments = format!("--storage '{url}' --table {table}");
    site.is_gone("storage", "a load takes");
}
