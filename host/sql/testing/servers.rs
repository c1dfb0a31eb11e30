//! Database servers that tests start and end, on free ports of this machine and in temporary folders.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// The password of a server's users. It contains characters that a URL must encode.
pub const PASSWORD: &str = "se:cret/@?";
const ENCODED_PASSWORD: &str = "se%3Acret%2F%40%3F";

/// A server for one test. It ends when this value is dropped, and also when the test is killed.
pub struct OwnServer {
    pub port: u16,
    pub folder: TempDir,
    program: Vec<String>,
    process: Option<Child>,
}

impl OwnServer {
    /// MariaDB with the users `root`, `owner` and `stranger` and a database `sessions`; none if it is not installed.
    pub fn mariadb() -> Option<Self> {
        let daemon = find("mariadbd")?;
        let folder = tempfile::tempdir().expect("a folder for a server");
        let data = folder.path().join("data").display().to_string();
        let script = folder.path().join("init.sql");
        std::fs::write(
            &script,
            format!(
                "CREATE DATABASE IF NOT EXISTS sessions;
                CREATE OR REPLACE USER owner@'127.0.0.1' IDENTIFIED BY '{PASSWORD}';
                GRANT ALL ON sessions.* TO owner@'127.0.0.1';
                CREATE OR REPLACE USER stranger@'127.0.0.1' IDENTIFIED BY '{PASSWORD}';"
            ),
        )
        .expect("a file can be written");
        let user = if is_root() { "root" } else { "" };
        let mut install = Command::new(find("mariadb-install-db")?);
        install.args(["--no-defaults", "--skip-test-db", "--auth-root-authentication-method=normal"]);
        install.arg(format!("--datadir={data}"));
        let mut program = vec![daemon.display().to_string(), "--no-defaults".to_owned(), format!("--datadir={data}")];
        if !user.is_empty() {
            install.arg(format!("--user={user}"));
            program.push(format!("--user={user}"));
        }
        let installed = install.output().expect("mariadb-install-db runs");
        assert!(installed.status.success(), "{}", String::from_utf8_lossy(&installed.stderr));
        program.extend([
            format!("--socket={}", folder.path().join("socket").display()),
            format!("--pid-file={}", folder.path().join("pid").display()),
            format!("--init-file={}", script.display()),
            // A server removes temporary tables of earlier runs from this folder, so servers must not share one.
            format!("--tmpdir={}", folder.path().display()),
            "--bind-address=127.0.0.1".to_owned(),
            "--skip-name-resolve".to_owned(),
            "--skip-log-bin".to_owned(),
        ]);
        Some(Self::start(folder, program, |program, port| program.push(format!("--port={port}"))))
    }

    /// PostgreSQL with the user `owner`, who needs a password, and a database `sessions`; none if it is not installed.
    pub fn postgres() -> Option<Self> {
        let binaries = find("postgres").map(|path| path.with_file_name("")).or_else(|| {
            let mut versions: Vec<PathBuf> =
                fs::read_dir("/usr/lib/postgresql").ok()?.flatten().map(|entry| entry.path().join("bin")).collect();
            versions.sort();
            versions.pop()
        })?;
        let folder = tempfile::tempdir().expect("a folder for a server");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("the folder is ours");
        // PostgreSQL refuses to run as root.
        let mut demoted: Vec<String> = Vec::new();
        if is_root() {
            demoted = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"].map(str::to_owned).into();
        }
        let (data, password) = (folder.path().join("data"), folder.path().join("password"));
        fs::create_dir(&data).expect("a folder can be made");
        fs::write(&password, PASSWORD).expect("a file can be written");
        if is_root() {
            let owned = Command::new("chown").arg("postgres").args([&data, &password]).status();
            assert!(owned.is_ok_and(|status| status.success()), "the folder can be given to the user postgres");
        }
        let run = |name: &str, arguments: &[&str], database: Option<&str>| {
            let program = [demoted.clone(), vec![binaries.join(name).display().to_string()]].concat();
            let mut command = Command::new(&program[0]);
            command.args(&program[1..]).args(arguments).current_dir("/").stdout(Stdio::null()).stderr(Stdio::piped());
            if database.is_some() {
                command.stdin(Stdio::piped());
            }
            let mut child = command.spawn().expect("PostgreSQL's programs run");
            if let (Some(sql), Some(mut input)) = (database, child.stdin.take()) {
                std::io::Write::write_all(&mut input, sql.as_bytes()).expect("postgres reads its input");
            }
            let done = child.wait_with_output().expect("PostgreSQL's programs end");
            assert!(done.status.success(), "{name}: {}", String::from_utf8_lossy(&done.stderr));
        };
        let (data, password) = (data.display().to_string(), password.display().to_string());
        let pwfile = format!("--pwfile={password}");
        run("initdb", &["-D", &data, "-U", "owner", "-A", "scram-sha-256", "-N", "-E", "UTF8", &pwfile], None);
        run("postgres", &["--single", "-D", &data, "postgres"], Some("CREATE DATABASE sessions;\n"));
        let socket = folder.path().join("data").display().to_string();
        let mut program = demoted;
        program.extend([
            binaries.join("postgres").display().to_string(),
            "-D".to_owned(),
            data,
            "-k".to_owned(),
            socket,
        ]);
        Some(Self::start(folder, program, |program, port| program.extend(["-p".to_owned(), port.to_string()])))
    }

    /// The URL of its database.
    pub fn url(&self, scheme: &str) -> String {
        format!("{scheme}://owner:{ENCODED_PASSWORD}@127.0.0.1:{}/sessions", self.port)
    }

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

    /// Starts it again, with its data.
    pub fn start_again(&mut self) {
        let started = Instant::now();
        while !self.try_start() {
            let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(started.elapsed() < Duration::from_secs(120), "the server does not start: {log}");
        }
    }

    /// Starts it, and returns whether it listens. It may refuse to start shortly after it was killed.
    fn try_start(&mut self) -> bool {
        // The shell waits for the end of its input, and that ends with this process, even if this process is killed.
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

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    let folders = path.split(':').chain(["/usr/sbin", "/usr/local/sbin"]);
    folders.map(|folder| Path::new(folder).join(program)).find(|program| program.is_file())
}
