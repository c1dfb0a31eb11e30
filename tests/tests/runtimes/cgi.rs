//! `wasmtime run` with CGI programs: a process for each request.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use lemon_session_tests::{Reply, cgi::outcome};

use crate::{
    running::comes_true,
    site::{runtime, site},
    store::{Kind, Store},
};

/// A program of CGI that is joined with a provider.
struct Program {
    wasmtime: PathBuf,
    site: PathBuf,
    store: Store,
}

impl Program {
    fn new(application: &'static str, kind: Kind) -> Option<Self> {
        let store = Store::new(kind)?;
        Some(Self { wasmtime: runtime("wasmtime"), site: site(application, kind), store })
    }

    /// A request, as a web server runs it. The compiled code is cached.
    fn request(&self, method: &str, target: &str, cookie: &str) -> Command {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut command = Command::new(&self.wasmtime);
        command.args(["run", "-C", "cache=y"]).env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"));
        match self.store.kind {
            Kind::Files => command.arg("--dir").arg(format!("{}::/sessions", self.store.folder().display())),
            Kind::Redis | Kind::Postgres => command.args(["-S", "inherit-network"]),
        };
        let request =
            [("REQUEST_METHOD", method), ("PATH_INFO", path), ("QUERY_STRING", query), ("HTTP_COOKIE", cookie)];
        let request = request.map(|(name, value)| (name, value.to_owned()));
        for (name, value) in self.store.variables(Path::new("/sessions")).into_iter().chain(request) {
            command.arg("--env").arg(format!("{name}={value}"));
        }
        command.arg(&self.site);
        command
    }

    fn get(&self, target: &str, cookie: &str) -> Reply {
        let outcome = outcome(self.request("GET", target, cookie), b"");
        // Shown when the test fails.
        eprint!("{}", outcome.stderr);
        outcome.reply()
    }

    fn visitor(&self) -> String {
        let cookie = self.get("/set?key=first&value=1", "").set_cookie();
        format!("{}={}", cookie.name, cookie.value)
    }
}

fn visits_walks_its_three_pages(kind: Kind) {
    let Some(visits) = Program::new("visits-cgi", kind) else { return };
    let first = visits.get("/", "");
    assert!(first.body.contains("This is your first visit"), "{first:?}");
    let cookie = format!("visits={}", first.set_cookie().value);
    let back = visits.get("/", &cookie);
    assert!(back.body.contains("variable1: Python Rules!"), "{back:?}");
    let destroyed = outcome(visits.request("POST", "/", &cookie), b"").reply();
    assert!(destroyed.body.contains("Session Deleted"), "{destroyed:?}");
    assert_eq!(destroyed.set_cookie().attribute("max-age"), Some("0"));
    assert!(visits.get("/", &cookie).body.contains("This is your first visit"), "an ended id leads to nothing");
}

fn processes_share_one_store(kind: Kind) {
    let Some(counter) = Program::new("counter-cgi", kind) else { return };
    fifty_parallel_requests_keep_fifty_variables(&counter);
    a_save_in_flight_at_a_logout_is_refused(&counter);
    kill_9_loses_no_acknowledged_save(&counter);
}

fn fifty_parallel_requests_keep_fifty_variables(counter: &Program) {
    let cookie = counter.visitor();
    thread::scope(|scope| {
        for n in 0..50 {
            let cookie = &cookie;
            scope.spawn(move || {
                let reply = counter.get(&format!("/slow-set?key=k{n}&value={n}&ms=100"), cookie);
                assert_eq!(reply.status, 200, "{reply:?}");
            });
        }
    });
    let expected: BTreeSet<_> = (0..50).map(|n| format!("k{n}")).chain(["first".to_owned()]).collect();
    let keys = counter.get("/keys", &cookie).body;
    assert_eq!(keys.lines().map(str::to_owned).collect::<BTreeSet<_>>(), expected);
    assert_eq!(counter.get("/get?key=k17", &cookie).body, "17\n");
}

fn a_save_in_flight_at_a_logout_is_refused(counter: &Program) {
    let cookie = counter.visitor();
    let slow = thread::scope(|scope| {
        let slow = scope.spawn(|| counter.get("/slow-set?key=late&value=1&ms=4000&begun=begun", &cookie));
        assert!(comes_true(|| counter.get("/get?key=begun", &cookie).status == 200), "the request has its session");
        assert_eq!(counter.get("/destroy", &cookie).status, 200);
        slow.join().expect("the request comes to its end")
    });
    assert_eq!(slow.status, 409, "{slow:?}");
    assert!(slow.headers("set-cookie").is_empty(), "{slow:?}");
    assert_eq!(counter.get("/get?key=first", &cookie).status, 404, "the old id leads to nothing");
}

/// Processes are killed sooner and later after their start: at some point while they save.
fn kill_9_loses_no_acknowledged_save(counter: &Program) {
    let cookie = counter.visitor();
    let stored = || counter.get("/add?key=n&delta=0", &cookie).body.trim().parse::<u64>().expect("a number");
    let mut acknowledged = 0;
    for round in 0..10 {
        let mut request = counter.request("GET", "/add?key=n&delta=1", &cookie);
        let mut child = request.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("wasmtime can be run");
        thread::sleep(Duration::from_millis(5 * round));
        child.kill().expect("the process is ours");
        let output = child.wait_with_output().expect("the process ends");
        acknowledged += u64::from(String::from_utf8_lossy(&output.stdout).starts_with("Status: 200"));
        assert_eq!(
            counter.get("/add?key=whole&delta=1", &cookie).status,
            200,
            "round {round}: what is stored is whole"
        );
        let stored = stored();
        assert!((acknowledged..=acknowledged + 1).contains(&stored), "{acknowledged} acknowledged, {stored} stored");
        acknowledged = stored;
    }
    for _ in 0..3 {
        assert_eq!(counter.get("/add?key=n&delta=1", &cookie).status, 200);
    }
    assert_eq!(stored(), acknowledged + 3);
}

#[test]
fn visits_walks_its_three_pages_on_files() {
    visits_walks_its_three_pages(Kind::Files);
}

#[test]
fn visits_walks_its_three_pages_on_redis() {
    visits_walks_its_three_pages(Kind::Redis);
}

#[test]
fn visits_walks_its_three_pages_on_postgres() {
    visits_walks_its_three_pages(Kind::Postgres);
}

#[test]
fn processes_share_one_store_of_files() {
    processes_share_one_store(Kind::Files);
}

#[test]
fn processes_share_one_store_in_redis() {
    processes_share_one_store(Kind::Redis);
}

#[test]
fn processes_share_one_store_in_postgres() {
    processes_share_one_store(Kind::Postgres);
}
