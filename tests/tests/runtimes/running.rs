//! A runtime that serves a site.

use std::{
    fs::{self, File},
    net::SocketAddr,
    os::unix::process::CommandExt as _,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use lemon_session_tests::{Client, Reply, client::get_with_cookie, proxy::free_port};
use tempfile::TempDir;

/// Long enough for a machine that is compiling at the same time.
const PATIENCE: Duration = Duration::from_secs(120);

/// Waits until `condition` is met. Returns false when it takes too long.
pub fn comes_true(condition: impl Fn() -> bool) -> bool {
    let until = Instant::now() + PATIENCE;
    while !condition() {
        if Instant::now() > until {
            return false;
        }
        thread::sleep(Duration::from_millis(20));
    }
    true
}

/// A runtime, with all processes it started. They end when it is dropped.
pub struct Running {
    address: SocketAddr,
    child: Child,
    /// It runs here, and its log is here.
    folder: TempDir,
}

/// A free port and an empty folder for a runtime.
pub struct Place {
    pub address: SocketAddr,
    pub folder: TempDir,
}

impl Place {
    pub fn new() -> Self {
        let folder = TempDir::with_prefix("lemon-session-").expect("there is room for a folder");
        Self { address: ([127, 0, 0, 1], free_port()).into(), folder }
    }

    /// Starts the runtime, and waits until it logs that it is `ready`.
    pub fn start(self, mut command: Command, ready: &str) -> Running {
        let Self { address, folder } = self;
        let log = File::create(folder.path().join("log")).expect("the log can be written");
        command
            .current_dir(folder.path())
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file can be shared"))
            .stderr(log);
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?} cannot be run: {error}"));
        let mut running = Running { address, child, folder };
        let until = Instant::now() + PATIENCE;
        while !running.log().contains(ready) {
            let ended = running.child.try_wait().expect("the runtime is ours");
            assert!(ended.is_none() && Instant::now() < until, "{command:?} does not start: {ended:?}");
            thread::sleep(Duration::from_millis(20));
        }
        running
    }
}

impl Running {
    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// A visit by a client.
    pub fn get(&self, visitor: &Client, path: &str) -> Reply {
        visitor.get(&self.url(path))
    }

    /// A visit with this Cookie header.
    pub fn get_with(&self, cookie: &str, path: &str) -> Reply {
        get_with_cookie(&self.url(path), cookie)
    }

    /// Kills it and all that it started with SIGKILL.
    pub fn kill(&mut self) {
        let group = format!("-{}", self.child.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status();
        let _ = self.child.wait();
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).expect("the log can be read")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            eprintln!("the log of {}:\n{}", self.address, self.log());
        }
    }
}
