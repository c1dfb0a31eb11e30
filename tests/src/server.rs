//! `lemon-session serve`, on a free port and in a separate folder.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{Client, Reply, Storage, build};

/// Long enough for a machine that is compiling at the same time.
const PATIENCE: Duration = Duration::from_secs(120);

/// The parameters of a server to start.
#[derive(Clone)]
pub struct Launch {
    application: Option<PathBuf>,
    folder: Arc<TempDir>,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    has_admin: bool,
    has_console: bool,
    has_addr: bool,
}

impl Launch {
    /// One of the components of this workspace, with its sessions in `sessions.db` of a new folder.
    pub fn new(component: &str) -> Self {
        Self { application: Some(build::component(component)), ..Self::mounted() }
    }

    /// What the arguments mount.
    pub fn mounted() -> Self {
        let folder = TempDir::with_prefix("lemon-session-").expect("there is room for a folder");
        Self {
            application: None,
            folder: Arc::new(folder),
            arguments: Vec::new(),
            environment: Vec::new(),
            has_admin: false,
            has_console: false,
            has_addr: true,
        }
    }

    /// Another component, on the same storage and with the same settings.
    pub fn beside(&self, component: &str) -> Self {
        Self { application: Some(build::component(component)), ..self.clone() }
    }

    /// Writes `lemon.ini`.
    pub fn ini(self, text: &str) -> Self {
        fs::write(self.folder().join("lemon.ini"), text).expect("lemon.ini can be written");
        self
    }

    /// Adds an argument.
    pub fn arg(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// Mounts one of the components on a path.
    pub fn mount(self, path: &str, component: &str) -> Self {
        self.arg(&format!("--mount={path}={}", build::component(component).display()))
    }

    /// On a store other than `sessions.db`.
    pub fn storage(mut self, storage: &Storage) -> Self {
        self.arguments.extend(storage.flags().map(str::to_owned));
        self
    }

    /// Serves another file, which is the test's own.
    pub fn serving(self, application: &Path) -> Self {
        Self { application: Some(application.to_owned()), ..self }
    }

    /// Answers /healthz and /metrics.
    pub fn admin(self) -> Self {
        Self { has_admin: true, ..self.arg("--admin-addr=127.0.0.1:0") }
    }

    /// Serves the console beside /healthz and /metrics.
    pub fn console(self) -> Self {
        Self { has_console: true, ..self.admin().arg("--console") }
    }

    /// Serves the console at the admin address that `lemon.ini` says.
    pub fn console_as_configured(self) -> Self {
        Self { has_admin: true, has_console: true, ..self.arg("--console") }
    }

    /// Sets a variable of the environment.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Listens where `lemon.ini` says.
    pub fn listening_as_configured(self) -> Self {
        Self { has_addr: false, ..self }
    }

    /// Where the server runs: `sessions.db` and `lemon.ini` are here.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Another subcommand, run where the server runs.
    pub fn command(&self, arguments: &[&str]) -> crate::command::Output {
        crate::command::run(self.folder(), arguments)
    }

    /// Starts the server, and waits until it answers.
    pub fn start(self) -> Server {
        let log = self.folder().join("log");
        let mut child = Command::new(build::command())
            .arg("serve")
            .args(&self.application)
            .args(self.has_addr.then_some("--addr=127.0.0.1:0"))
            .args(&self.arguments)
            .envs(self.environment.iter().cloned())
            .current_dir(self.folder())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::options().create(true).append(true).open(&log).expect("the log can be written"))
            .spawn()
            .expect("the command can be run");

        let (sender, receiver) = mpsc::channel();
        let stdout = child.stdout.take().expect("stdout is piped");
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let mut next = || {
            let Ok(line) = receiver.recv_timeout(PATIENCE) else {
                let _ = child.kill();
                let _ = child.wait();
                panic!("the server does not start: {}", fs::read_to_string(&log).unwrap_or_default());
            };
            let address = address(&line).unwrap_or_else(|| panic!("no address in {line:?}"));
            (line, address)
        };
        let (greeting, address) = next();
        let admin = self.has_admin.then(|| next().1);
        let token = self.has_console.then(|| next().0.rsplit(' ').next().expect("a line has a last word").to_owned());
        Server { launch: self, child, address, admin, token, greeting, lines: receiver.into() }
    }
}

/// The address in `Serving visits.wasm on http://127.0.0.1:8080 (SQLite in sessions.db)`.
fn address(greeting: &str) -> Option<SocketAddr> {
    // In JSON, a quotation mark can follow; in the line about the console, a path.
    greeting.split_once("http://")?.1.split(['"', ' ', '/']).next()?.parse().ok()
}

/// A server that ends when it is dropped.
pub struct Server {
    /// How it was started.
    pub launch: Launch,
    /// Where it listens.
    pub address: SocketAddr,
    /// Where it answers /healthz and /metrics, if it does.
    pub admin: Option<SocketAddr>,
    /// The token of the console, if it serves one.
    pub token: Option<String>,
    /// What it printed first.
    pub greeting: String,
    lines: Mutex<mpsc::Receiver<String>>,
    child: Child,
}

impl Server {
    /// Serves one of the components of this workspace.
    pub fn start(component: &str) -> Self {
        Launch::new(component).start()
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// A visit by a client.
    pub fn get(&self, client: &Client, path: &str) -> Reply {
        client.get(&self.url(path))
    }

    /// A form that a client sends.
    pub fn post(&self, client: &Client, path: &str, form: &[(&str, &str)]) -> Reply {
        client.post(&self.url(path), form)
    }

    /// Asks for /healthz or /metrics.
    pub fn ask(&self, path: &str) -> Reply {
        let address = self.admin.expect("the server was started with an admin address");
        Client::new().get(&format!("http://{address}{path}"))
    }

    /// The value of a metric, as `http_requests_total{status="2xx"}`.
    #[track_caller]
    pub fn metric(&self, name: &str) -> f64 {
        let metrics = self.ask("/metrics").body;
        let prefix = format!("lemon_session_{name} ");
        let value = metrics.lines().find_map(|line| line.strip_prefix(&prefix));
        value.unwrap_or_else(|| panic!("no {name} in {metrics}")).parse().expect("a metric is a number")
    }

    /// Waits for the next line that it prints.
    #[track_caller]
    pub fn line(&self) -> String {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.recv_timeout(PATIENCE).expect("the server prints another line")
    }

    /// What it logged, and those before it on the same storage.
    pub fn log(&self) -> String {
        fs::read_to_string(self.launch.folder().join("log")).expect("the log can be read")
    }

    /// The bytes of memory it has in use.
    pub fn memory(&self) -> u64 {
        self.bytes("VmRSS:")
    }

    /// The bytes of memory that it has for itself: without those of files, which it shares with other processes.
    pub fn own_memory(&self) -> u64 {
        self.bytes("RssAnon:")
    }

    /// The bytes of address space that it has reserved.
    pub fn address_space(&self) -> u64 {
        self.bytes("VmSize:")
    }

    fn bytes(&self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("the process is there");
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a process has memory");
        let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
        kilobytes * 1024
    }

    /// Kills it with SIGKILL.
    pub fn kill(mut self) -> Launch {
        self.child.kill().expect("the server is ours");
        self.child.wait().expect("the server is ours");
        self.launch.clone()
    }

    /// Tells it to stop.
    pub fn terminate(&self) {
        self.signal("TERM");
    }

    /// Tells the server to reload, waits for the result, and returns its log line.
    pub fn reload(&self) -> String {
        let before = self.log().len();
        self.signal("HUP");
        let until = Instant::now() + PATIENCE;
        loop {
            let log = self.log();
            let is_result = |line: &&str| line.contains("reloaded") || line.contains("the reload failed");
            let said = log[before..].split_inclusive('\n').filter(|line| line.ends_with('\n')).find(is_result);
            if let Some(said) = said {
                return said.to_owned();
            }
            assert!(Instant::now() < until, "the server does not reload");
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args([&format!("-{signal}"), &pid]).status().expect("kill can be run");
        assert!(status.success(), "the server is ours");
    }

    /// Waits until it has stopped by itself.
    pub fn wait(mut self) -> ExitStatus {
        self.child.wait().expect("the server is ours")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("the log of {}:\n{}", self.greeting, self.log());
        }
    }
}
