//! Database servers that a test starts on free ports of this machine, in a temporary folder, and ends.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// The password of a server's only user. Letters that a URL has to encode are in it.
pub const PASSWORD: &str = "se:cret/@?";

/// A server of its own. It ends with this value, and also when the test is killed.
pub struct OwnServer {
    pub port: u16,
    pub folder: TempDir,
    program: Vec<String>,
    process: Option<Child>,
}

impl OwnServer {
    /// Starts a program that keeps its data in `folder`; `add_port` gives it its port.
    pub fn start(folder: TempDir, mut program: Vec<String>, add_port: impl Fn(&mut Vec<String>, u16)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        drop(listener);
        add_port(&mut program, port);
        let mut server = Self { port, folder, program, process: None };
        server.start_again();
        server
    }

    /// Starts it with the data that it has.
    pub fn start_again(&mut self) {
        let started = Instant::now();
        while !self.try_start() {
            let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(started.elapsed() < Duration::from_secs(120), "the server does not start: {log}");
        }
    }

    /// Whether it now listens. It refuses to start while remains of a killed one are still there.
    fn try_start(&mut self) -> bool {
        // The shell waits for its input to end, which it does with this process, however that ends.
        let script = "log=$1; shift; \"$@\" >>$log 2>&1 & pid=$!; read _; kill -9 $pid; wait";
        let child = Command::new("sh")
            .args(["-c", script, "sh"])
            .arg(self.folder.path().join("log"))
            .args(&self.program)
            .current_dir("/")
            .stdin(Stdio::piped())
            .spawn();
        self.process = Some(child.expect("a shell"));
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(20) {
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        self.kill();
        false
    }

    /// Kills it, as a power failure would.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            drop(process.stdin.take());
            process.wait().expect("the server ends");
        }
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        self.kill();
    }
}

pub fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    let folders = path.split(':').chain(["/usr/sbin", "/usr/local/sbin"]);
    folders.map(|folder| Path::new(folder).join(program)).find(|program| program.is_file())
}
