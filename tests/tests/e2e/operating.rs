//! docs/operating.md, followed to the letter: its blocks are taken from the document, and run on real servers. Only
//! what names this machine is replaced: ports, folders, the name and the password in the database.

use std::{
    collections::BTreeSet,
    env, fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
    thread,
    time::{Duration, Instant},
};

use lemon_session_tests::{
    Client, Launch, Server,
    build::{self, root},
    client::get_with_cookie,
    command,
    program::Program,
    proxy::{Proxy, free_port, is_there},
};
use tempfile::TempDir;
use tokio_postgres::NoTls;

const CONFIG: &str = "/etc/lemon-session/lemon.ini";

fn guide() -> String {
    fs::read_to_string(root().join("docs/operating.md")).unwrap()
}

/// The blocks of a language.
fn blocks(language: &str) -> Vec<String> {
    let fence = format!("\n```{language}\n");
    let guide = guide();
    let blocks: Vec<_> =
        guide.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap_or_default().to_owned()).collect();
    assert!(!blocks.is_empty(), "the guide has no block in {language}");
    blocks
}

fn unit() -> String {
    fs::read_to_string(root().join("packaging/lemon-session@.service")).unwrap()
}

/// The commands of the blocks in `console`, without `lemon-session`.
fn commands() -> Vec<Vec<String>> {
    let blocks = blocks("console");
    let lines = blocks.iter().flat_map(|block| block.lines());
    lines
        .map(|line| line.strip_prefix("$ lemon-session ").unwrap_or_else(|| panic!("{line:?} is no command")))
        .map(|line| line.split_whitespace().map(str::to_owned).collect())
        .collect()
}

/// A separate role and database, created by the statements of the guide. They are removed when the value is dropped.
struct Database {
    name: String,
}

/// The server that tests share, as its superuser.
static POSTGRES: LazyLock<String> = LazyLock::new(|| {
    env::var("LEMON_TEST_POSTGRES").unwrap_or_else(|_| "postgres://postgres@127.0.0.1:5432/postgres".to_owned())
});

fn execute(statements: Vec<String>) -> Result<(), tokio_postgres::Error> {
    tokio::runtime::Runtime::new().expect("a runtime").block_on(async {
        let (client, connection) = tokio_postgres::connect(&POSTGRES, NoTls).await?;
        let connection = tokio::spawn(connection);
        for statement in statements {
            client.batch_execute(&statement).await?;
        }
        drop(client);
        let _ = connection.await;
        Ok(())
    })
}

impl Database {
    fn new() -> Option<Self> {
        if let Err(error) = execute(Vec::new()) {
            let what = format!("the server LEMON_TEST_POSTGRES does not answer ({error})");
            assert_ne!(env::var("CI").as_deref(), Ok("true"), "{what}");
            eprintln!("\n*** SKIPPED: {what} ***\n");
            return None;
        }
        let database = Self { name: format!("lemon_operating_{}", std::process::id()) };
        let sql = blocks("sql").concat();
        let statements = sql.lines().map(|line| line.replace("lemon", &database.name)).collect();
        execute(statements).expect("the statements of the guide are accepted");
        Some(database)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let drop = [format!("DROP DATABASE {} WITH (FORCE)", self.name), format!("DROP ROLE {}", self.name)];
        let _ = execute(drop.into());
    }
}

/// A visitor with curl, which keeps cookies in a file, and trusts the proxy's certificate.
struct Visitor {
    jar: PathBuf,
    https: u16,
    http: u16,
}

impl Visitor {
    /// The head and the body of an answer.
    fn get(&self, url: &str) -> (String, String) {
        self.curl(&[url])
    }

    /// Presses a button of a page, as a browser does.
    fn post(&self, url: &str) -> (String, String) {
        self.curl(&["--header", &format!("Origin: {}", url.trim_end_matches('/')), "--data", "", url])
    }

    fn curl(&self, arguments: &[&str]) -> (String, String) {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--insecure", "--include", "--http1.1", "--max-time", "60"]);
        for (from, to) in [(443, self.https), (80, self.http), (self.https, self.https)] {
            curl.args(["--connect-to", &format!("example.org:{from}:127.0.0.1:{to}")]);
        }
        curl.arg("--cookie").arg(&self.jar).arg("--cookie-jar").arg(&self.jar).args(arguments);
        let output = curl.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head.to_lowercase(), body.to_owned())
    }

    fn has_cookie(&self) -> bool {
        fs::read_to_string(&self.jar).unwrap().contains("__Host-site")
    }
}

/// Starts what the unit starts.
fn serve(folder: &Path, port: u16) -> Program {
    let unit = unit();
    let start = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
    let mut words = start.split_whitespace();
    assert_eq!(words.next(), Some("/usr/bin/lemon-session"));
    let arguments = words.map(|word| match word {
        "/usr/local/lib/lemon-session/%i.wasm" => build::component("visits").display().to_string(),
        "${ADDR}" => format!("127.0.0.1:{port}"),
        CONFIG => folder.join("lemon.ini").display().to_string(),
        word => word.to_owned(),
    });
    Program::start(Command::new(build::command()).args(arguments).current_dir(folder))
}

#[test]
fn a_newcomer_who_follows_the_guide_has_a_site_behind_nginx_with_postgresql() {
    if !is_there("curl", &["--version"]) {
        return;
    }
    let Some(database) = Database::new() else { return };
    let folder = TempDir::with_prefix("lemon-session-operating-").unwrap();

    // 3. The settings.
    let ini = blocks("ini").into_iter().next().expect("the settings come first");
    let url = ini.lines().find_map(|line| line.strip_prefix("url = ")).unwrap();
    let shared = POSTGRES.split_once('@').unwrap().1.split('/').next().unwrap();
    let here = url.replace("lemon", &database.name).replace("127.0.0.1:5432", shared);
    let file = folder.path().join("lemon.ini");
    fs::write(&file, ini.replace(url, &here)).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    let run = |words: &[String]| {
        let file = file.display().to_string();
        let words: Vec<_> = words.iter().map(|word| if word == CONFIG { file.as_str() } else { word }).collect();
        command::run(folder.path(), &words).ok()
    };
    let commands = commands();
    assert_eq!(commands[0][..2], ["tables", "create"]);
    assert_eq!(commands[1][0], "doctor");
    assert!(run(&commands[0]).stdout.contains("PostgreSQL"));
    let health = run(&commands[1]).stdout;
    for check in ["settings", "tables", "storage", "clock", "component"] {
        let lines: Vec<_> = health.lines().filter(|line| line.contains(&format!(" {check} "))).collect();
        assert!(!lines.is_empty() && lines.iter().all(|line| line.starts_with("ok ")), "{check}: {health}");
    }

    // 4. The application, as the unit starts it.
    let port = free_port();
    let server = serve(folder.path(), port);

    // 5. nginx.
    let [nginx] = &blocks("nginx")[..] else { panic!("one block for nginx") };
    let (https, http) = (free_port(), free_port());
    let mut servers = nginx.clone();
    for (there, here) in [
        ("127.0.0.1:8080", server.address.to_string()),
        ("listen 443 ", format!("listen 127.0.0.1:{https} ")),
        ("listen 80;", format!("listen 127.0.0.1:{http};")),
        ("/etc/letsencrypt/live/example.org/fullchain.pem", "CERTIFICATE".to_owned()),
        ("/etc/letsencrypt/live/example.org/privkey.pem", "KEY".to_owned()),
    ] {
        assert_eq!(servers.matches(there).count(), 1, "{there}");
        servers = servers.replace(there, &here);
    }
    let Some(_proxy) = Proxy::start(&servers, "example.org", &[https, http]) else { return };

    // The site is there.
    let visitor = Visitor { jar: folder.path().join("cookies"), https, http };
    let (head, _) = visitor.get("http://example.org/?a=b");
    assert!(head.starts_with("http/1.1 301") && head.contains("location: https://example.org/?a=b"), "{head}");
    let (head, body) = visitor.get("https://example.org/");
    assert!(head.starts_with("http/1.1 200") && body.contains("This is your first visit"), "{head}\n{body}");
    let cookie = head.lines().find(|line| line.starts_with("set-cookie: __host-site=")).unwrap();
    assert!(cookie.contains("; secure") && cookie.contains("; path=/") && !cookie.contains("domain"), "{cookie}");
    assert!(visitor.has_cookie());
    assert!(visitor.get("https://example.org/").1.contains("Welcome back"));

    // An upgrade in between loses nothing.
    drop(server);
    let _server = serve(folder.path(), port);
    assert!(visitor.get("https://example.org/").1.contains("Welcome back"));

    // What the operator does now and then.
    let done: BTreeSet<_> = commands[2..].iter().map(|words| words[0].as_str()).collect();
    assert_eq!(done, BTreeSet::from(["cleanup", "destroy", "list", "owners", "stats"]));
    for words in &commands[2..] {
        let output = run(words).stdout;
        match words[0].as_str() {
            "list" => assert_eq!(output.lines().count(), 2, "{output}"),
            "stats" => {
                let live = output.lines().find_map(|line| line.strip_prefix("live sessions"));
                assert_eq!(live.map(str::trim), Some("1"), "{output}");
            }
            "owners" => assert_eq!(output, "no session has an owner\n"),
            _ => {}
        }
    }

    // Also on a port of its own, which browsers name in Origin.
    for site in ["https://example.org/".to_owned(), format!("https://example.org:{https}/")] {
        assert!(visitor.get(&site).1.contains("Welcome back"), "{site}");
        let (_, body) = visitor.post(&site);
        assert!(body.contains("Session Deleted"), "{site}: {body}");
        assert!(!visitor.has_cookie(), "curl has dropped the cookie");
        assert!(visitor.get(&site).1.contains("This is your first visit"), "{site}");
    }
}

#[test]
fn the_addresses_of_the_guide_are_those_of_the_unit() {
    let guide = guide();
    assert!(unit().contains("Environment=ADDR=127.0.0.1:8080\n") && guide.contains("server 127.0.0.1:8080;"));
    for path in ["/usr/local/lib/lemon-session/", "/etc/lemon-session/lemon.ini"] {
        assert!(unit().contains(path) && guide.contains(path), "{path}");
    }
}

#[test]
fn the_defaults_in_the_guide_are_the_defaults() {
    let example = fs::read_to_string(root().join("examples/lemon.ini")).unwrap();
    let guide = guide();
    let table = guide.split("## Sizing").nth(1).unwrap().split("\n\n").nth(1).unwrap();
    let rows: Vec<_> = table.lines().skip(2).map(|row| row.split('|').map(str::trim).collect::<Vec<_>>()).collect();
    assert_eq!(rows.len(), 8);
    for row in rows {
        let line = format!("\n# {} = {}\n", row[1], row[2]);
        assert!(example.contains(&line), "{line}");
    }
}

#[test]
fn a_log_in_json_has_the_fields_that_the_guide_names() {
    let guide = guide();
    let server = Launch::new("counter").arg("--log-format").arg("json").start();
    let visitor = Client::new();
    let id = server.get(&visitor, "/").set_cookie().value;
    server.get(&visitor, "/destroy");
    get_with_cookie(&server.url("/read"), &format!("counter={id}"));
    server.launch.command(&["tables", "drop", "--yes"]).ok();
    assert_eq!(server.get(&Client::new(), "/read").status, 503);

    let log = format!("{}\n{}", server.greeting, server.log());
    let lines: Vec<serde_json::Value> =
        log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect();
    for line in &lines {
        for field in ["timestamp", "level", "target", "message"] {
            assert!(line[field].is_string(), "{field}: {line}");
            assert!(guide.contains(&format!("`{field}`")), "{field}");
        }
    }
    assert!(lines[0]["message"].as_str().unwrap().starts_with("Serving counter.wasm on http://"), "{}", lines[0]);
    assert_eq!(lines[0]["address"], server.address.to_string());
    assert!(guide.contains("`address`"));
    let ended = "the id of a session that has ended was presented";
    let line = lines.iter().find(|line| line["message"] == ended).unwrap_or_else(|| panic!("{log}"));
    assert_eq!(line["session"].as_str().unwrap().len(), 8, "{line}");
    let missing = lines.iter().find(|line| line["error"].is_string()).unwrap_or_else(|| panic!("{log}"));
    assert_eq!(missing["level"], "ERROR");
    assert!(!log.contains(&id));
    for named in [ended, "`session`", "`error`", "`request`", "`application`"] {
        assert!(guide.contains(named), "{named}");
    }
}

#[test]
fn the_recipe_for_errors_finds_them() {
    if !is_there("jq", &["--version"]) {
        return;
    }
    let blocks = blocks("sh");
    let recipe: Vec<_> = blocks.iter().filter(|block| block.contains("jq ")).collect();
    let [recipe] = recipe[..] else { panic!("one block with jq") };
    let server = Launch::new("rogue").arg("--log-format=json").start();
    assert_eq!(server.get(&Client::new(), "/trap").status, 500);
    let folder = server.launch.folder();
    let journal = format!("Starting lemon-session@rogue.service...\n{}\n{}", server.greeting, server.log());
    fs::write(folder.join("journal"), journal).unwrap();
    // Instead of the journal of this machine.
    let here = recipe.replace("journalctl -u 'lemon-session@*' -o cat", "cat journal");
    assert_ne!(*recipe, here);
    let output = Command::new("sh").args(["-ec", &here]).current_dir(folder).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let errors: Vec<serde_json::Value> =
        serde_json::Deserializer::from_slice(&output.stdout).into_iter().map(Result::unwrap).collect();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0]["message"].as_str().unwrap().contains("trapped on purpose"), "{errors:?}");
}

#[test]
fn a_failure_of_the_start_is_json_too() {
    let launch = Launch::new("counter").ini("[session]\nexpires = soon\n");
    let output = launch.command(&["stats", "--log-format", "json"]);
    let line: serde_json::Value =
        serde_json::from_str(&output.stderr).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    assert_eq!((&line["level"], output.status), (&"ERROR".into(), 1), "{output:?}");
    assert!(line["message"].as_str().unwrap().contains("lemon.ini:2: [session] expires"), "{output:?}");
}

#[test]
fn the_log_says_when_the_store_is_back() {
    let server = Launch::new("counter").start();
    server.launch.command(&["tables", "drop", "--yes"]).ok();
    for _ in 0..3 {
        assert_eq!(server.get(&Client::new(), "/read").status, 503);
    }
    server.launch.command(&["tables", "create"]).ok();
    for _ in 0..3 {
        assert_eq!(server.get(&Client::new(), "/").status, 200);
    }
    let log = server.log();
    let (back, guide) = ("the session store answers again", guide());
    assert_eq!(log.matches(back).count(), 1, "{log}");
    assert!(log.contains(" after it began to fail") && guide.contains(back), "{log}");
}

#[test]
fn the_backup_of_a_file_in_use_is_whole_and_closed_to_others() {
    if !is_there("sqlite3", &["--version"]) {
        return;
    }
    let server = Server::start("counter");
    for _ in 0..3 {
        server.get(&Client::new(), "/set?key=colour&value=red");
    }
    let [backup] = &blocks("sh").into_iter().filter(|block| block.contains("sqlite3")).collect::<Vec<_>>()[..] else {
        panic!("one block about SQLite")
    };
    let folder = server.launch.folder();
    assert!(Command::new("sh").args(["-ec", backup]).current_dir(folder).status().unwrap().success());
    assert_eq!(folder.join("backup.db").metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let list = |arguments: &[&str]| server.launch.command(&[&["list", "--json"][..], arguments].concat()).ok().json();
    assert_eq!(list(&["--storage", "sqlite:backup.db"]), list(&[]));
    assert_eq!(list(&[]).len(), 3);
}

/// What a running server answers from when its file is restored: by SQLite into the file, and by another file in its
/// place.
#[test]
fn a_restored_backup_is_served_by_a_running_server() {
    if !is_there("sqlite3", &["--version"]) {
        return;
    }
    let (server, client) = (Server::start("counter"), Client::new());
    let folder = server.launch.folder();
    let set = |value: &str| assert_eq!(server.get(&client, &format!("/set?key=n&value={value}")).status, 200);
    let get = || server.get(&client, "/get?key=n").body.trim().to_owned();
    let sqlite = |statement: &str| {
        let done = Command::new("sqlite3").args(["sessions.db", statement]).current_dir(folder).status().unwrap();
        assert!(done.success(), "{statement}");
    };
    set("1");
    sqlite("VACUUM INTO 'backup.db'");
    set("2");
    assert!(guide().contains(r#"sqlite3 sessions.db ".restore backup.db""#));
    sqlite(".restore backup.db");
    assert_eq!(get(), "1");
    set("3");
    assert_eq!(get(), "3");

    fs::rename(folder.join("backup.db"), folder.join("sessions.db")).unwrap();
    let restored = Instant::now();
    while get() != "1" {
        assert!(restored.elapsed() < Duration::from_secs(20), "the server stays with the old file");
        thread::sleep(Duration::from_millis(50));
    }
    assert!(server.log().contains("sessions.db was replaced by another file"), "{}", server.log());
    set("4");
    let listed = server.launch.command(&["list", "--json"]).ok().json();
    let digest = listed[0]["digest"].as_str().unwrap();
    server.launch.command(&["destroy", digest, "--yes"]).ok();
    assert_ne!(get(), "4", "what a command ends has ended for the server");
    assert_eq!(server.launch.command(&["tables", "check"]).status, 0);
}
