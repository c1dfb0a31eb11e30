//! Redis servers that tests start and end, on free ports of this machine and in temporary folders.

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    process::{Child, ChildStdout, Command, Stdio},
    sync::{LazyLock, Mutex},
    time::{Duration, Instant},
};

/// A server for one test. It ends when this value is dropped, and also when the test is killed.
pub struct RedisServer {
    pub port: u16,
    options: Vec<String>,
    folder: tempfile::TempDir,
    process: Option<Child>,
}

impl RedisServer {
    pub fn start(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder for a server");
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        let mut server = Self { port: free_port(), options, folder, process: None };
        server.start_again();
        server
    }

    /// A server that accepts only TLS, or none if redis-server was built without it.
    pub fn start_tls(options: &[&str]) -> Option<Self> {
        let help =
            Command::new("redis-server").args(["--port", "0", "--tls-port", "1", "--tls-cert-file", "none"]).output();
        if String::from_utf8_lossy(&help.ok()?.stdout).contains("Bad directive") {
            return None;
        }
        let port = free_port();
        let port_options = ["--port", "0", "--tls-auth-clients", "no", "--tls-port", &port.to_string()];
        let options = port_options.iter().chain(options).map(|option| (*option).to_owned()).collect();
        let folder = tempfile::tempdir().expect("a folder for a server");
        let mut server = Self { port, options, folder, process: None };
        server.start_again();
        Some(server)
    }

    /// Starts it again, with the data that it has written to disk, if any.
    pub fn start_again(&mut self) {
        // The shell waits for the end of its input, and that ends with this process, even if this process is killed.
        let script = "redis-server \"$@\" >server.log 2>&1 & pid=$!; read _; kill -9 $pid; wait";
        let child = Command::new("sh")
            .args(["-c", script, "sh", "--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", ""])
            .args(&self.options)
            .current_dir(self.folder.path())
            .stdin(Stdio::piped())
            .spawn();
        self.process = Some(child.expect("a shell"));
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let log = || std::fs::read_to_string(self.folder.path().join("server.log")).unwrap_or_default();
            assert!(started.elapsed() < Duration::from_secs(20), "redis-server does not start: {}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            drop(process.stdin.take());
            process.wait().expect("the server ends");
        }
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// Begins to record the commands that reach it.
    pub fn monitor(&self) -> Monitor {
        let child =
            Command::new("redis-cli").args(["-p", &self.port.to_string(), "monitor"]).stdout(Stdio::piped()).spawn();
        let mut child = child.expect("redis-cli, which comes with Redis");
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let first = lines.next().and_then(Result::ok);
        assert_eq!(first.as_deref(), Some("OK"), "it has begun");
        Monitor { child, lines }
    }

    /// Runs redis-cli on it and returns what it prints.
    pub fn cli(&self, arguments: &[&str]) -> String {
        cli(self.port, arguments)
    }
}

/// Records the commands that reach a server.
pub struct Monitor {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Monitor {
    /// Ends the recording and returns the commands.
    pub fn stop(mut self, server: &RedisServer) -> Vec<String> {
        const LAST: &str = "the last command";
        server.cli(&["echo", LAST]);
        let lines = self.lines.by_ref().map_while(Result::ok).take_while(|line| !line.contains(LAST)).collect();
        self.child.kill().expect("redis-cli can be ended");
        self.child.wait().expect("redis-cli ends");
        lines
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A cluster of three masters, each with a replica if there are any.
pub struct RedisCluster {
    pub nodes: Vec<RedisServer>,
}

impl RedisCluster {
    pub fn start(replicas: bool) -> Self {
        let options = ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--appendonly", "yes"];
        let nodes: Vec<_> = (0..if replicas { 6 } else { 3 }).map(|_| RedisServer::start(&options)).collect();
        let addresses: Vec<_> = nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
        let mut create = vec!["--cluster", "create"];
        create.extend(addresses.iter().map(String::as_str));
        create.extend(["--cluster-replicas", if replicas { "1" } else { "0" }, "--cluster-yes"]);
        let said = cli(nodes[0].port, &create);
        let cluster = Self { nodes };
        let ready = |node: &RedisServer| node.cli(&["cluster", "info"]).contains("cluster_state:ok");
        wait_for("the cluster", || cluster.nodes.iter().all(ready), || said.clone());
        if replicas {
            wait_for(
                "the replicas",
                || cluster.masters().iter().all(|master| cluster.replica_of(*master).is_some()),
                || said.clone(),
            );
        }
        cluster
    }

    pub fn url(&self) -> String {
        let nodes: Vec<_> = self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
        format!("redis+cluster://{}", nodes.join(","))
    }

    /// The places of the nodes that are masters now.
    pub fn masters(&self) -> Vec<usize> {
        let is_master = |place: &usize| self.nodes[*place].cli(&["role"]).starts_with("master");
        (0..self.nodes.len()).filter(is_master).collect()
    }

    /// The place of a replica that is connected to a master.
    pub fn replica_of(&self, master: usize) -> Option<usize> {
        let port = self.nodes[master].port.to_string();
        (0..self.nodes.len()).find(|place| {
            let role = self.nodes[*place].cli(&["role"]);
            let role: Vec<_> = role.lines().collect();
            role.first() == Some(&"slave") && role.get(2) == Some(&port.as_str()) && role.get(3) == Some(&"connected")
        })
    }

    /// The place of the master that has a key.
    pub fn master_of(&self, key: &str) -> usize {
        let held = |place: &usize| !self.nodes[*place].cli(&["get", key]).starts_with("MOVED");
        self.masters().into_iter().find(held).expect("a master has the key")
    }
}

pub fn wait_for(what: &str, mut ready: impl FnMut() -> bool, said: impl Fn() -> String) {
    let started = Instant::now();
    while !ready() {
        assert!(started.elapsed() < Duration::from_secs(60), "{what} does not become ready: {}", said());
        std::thread::sleep(Duration::from_millis(100));
    }
}

pub fn cli(port: u16, arguments: &[&str]) -> String {
    let output = Command::new("redis-cli").args(["-p", &port.to_string()]).args(arguments).output();
    let output = output.expect("redis-cli, which comes with Redis");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A free port that no other test was given. A node of a cluster also uses the port 10,000 above it.
fn free_port() -> u16 {
    static GIVEN: Mutex<Vec<u16>> = Mutex::new(Vec::new());
    let mut given = GIVEN.lock().expect("no test panics here");
    loop {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
        // Outside the range of ports that the system assigns by itself.
        let port = 10_000 + port % 20_000;
        let free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
        if !given.contains(&port) && free(port) && free(port + 10_000) {
            given.push(port);
            return port;
        }
    }
}

/// Whether redis-server is installed. If not, tests are skipped with a message; with `CI=true` they fail.
pub fn can_start() -> bool {
    static THERE: LazyLock<bool> = LazyLock::new(|| {
        let there = Command::new("redis-server").arg("--version").stdout(Stdio::null()).status().is_ok();
        if !there {
            skip("redis-server is not installed");
        }
        there
    });
    *THERE
}

/// Reports that tests are skipped, directly to stderr: the test harness hides the output of tests that pass.
pub fn skip(why: &str) {
    let ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(!ci, "{why}, and with CI=true no test is skipped");
    let _ = writeln!(std::io::stderr(), "\n*** SKIPPED: tests of Redis, for {why} ***\n");
}
