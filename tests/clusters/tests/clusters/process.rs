//! Servers as processes of this machine: killed, suspended and started again.

use std::{
    ffi::OsStr,
    fmt::Debug,
    fs,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// A server with a folder of its own. It ends when this value is dropped, and also when the test is killed.
pub struct Process {
    pub port: u16,
    pub folder: PathBuf,
    program: Vec<String>,
    /// By how much its clock is off when it is started next, in the form that libfaketime reads.
    clock: Option<&'static str>,
    /// A shell that waits for the end of its input, and then kills the server. Then the server's process.
    running: Option<(Child, u32)>,
}

impl Process {
    /// A server that is started later.
    pub fn new(port: u16, folder: PathBuf, program: Vec<String>) -> Self {
        Self { port, folder, program, clock: None, running: None }
    }

    /// Has its clock be off by so much when it is started next: `+120s` is two minutes ahead.
    pub fn set_clock(&mut self, clock: Option<&'static str>) {
        self.clock = clock;
    }

    /// Starts it, and returns when it listens.
    pub fn start(&mut self) {
        self.start_with(&[]);
    }

    /// Starts it with more arguments. It may refuse to start shortly after it was killed: then once more.
    pub fn start_with(&mut self, arguments: &[&str]) {
        let begun = Instant::now();
        loop {
            self.spawn(arguments);
            let listens = |server: &Self| TcpStream::connect(("127.0.0.1", server.port)).is_ok();
            self.wait_for("to listen", |server| listens(server) || server.has_ended());
            if listens(self) {
                return;
            }
            self.kill();
            assert!(begun.elapsed() < Duration::from_secs(60), "the server does not start: {}", self.log());
            thread::sleep(Duration::from_millis(300));
        }
    }

    fn spawn(&mut self, arguments: &[&str]) {
        // A server that is not suspended could start new children in place of those that are killed.
        let script = "log=$1; shift; \"$@\" >>$log 2>&1 & pid=$!; echo $pid; read _; \
                      kill -STOP $pid; pkill -KILL -P $pid; kill -9 $pid; wait";
        // libfaketime shares memory with what runs as the same user.
        let (demoting, program) = self.demoting();
        let mut shell = Command::new("sh")
            .args(["-c", script, "sh"])
            .arg(self.folder.join("log"))
            .args(demoting)
            .args(self.clock.map(with_clock).into_iter().flatten())
            .args(program)
            .args(arguments)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell");
        let mut line = String::new();
        BufReader::new(shell.stdout.take().expect("its output")).read_line(&mut line).expect("the server's process");
        self.running = Some((shell, line.trim().parse().expect("the server's process")));
    }

    /// What runs the program as a user of its own, and the program.
    fn demoting(&self) -> (&[String], &[String]) {
        let demoting = self.program.iter().take_while(|word| *word == "setpriv" || word.starts_with("--")).count();
        self.program.split_at(demoting)
    }

    /// Whether it has ended by itself, and waits for the shell to notice.
    fn has_ended(&self) -> bool {
        let Some((_, process)) = &self.running else { return true };
        let state = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        state.rsplit_once(") ").is_none_or(|(_, state)| state.starts_with('Z'))
    }

    /// The last lines of its log.
    fn log(&self) -> String {
        let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().rev().take(30).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    /// Kills it, as the kernel does when it is out of memory.
    pub fn kill(&mut self) {
        if let Some((mut shell, process)) = self.running.take() {
            // Processes that are suspended are killed too.
            signal("STOP", process);
            drop(shell.stdin.take());
            shell.wait().expect("the server ends");
            // What libfaketime leaves behind.
            for name in ["faketime_shm_", "sem.faketime_sem_"] {
                let _ = fs::remove_file(format!("/dev/shm/{name}{process}"));
            }
        }
    }

    pub fn suspend(&self) {
        self.signal("STOP");
    }

    pub fn resume(&self) {
        self.signal("CONT");
    }

    /// Has its calls that wait for the disk return so much later, until that is ended.
    ///
    /// # Panics
    ///
    /// Panics if this system does not permit it, which `may_have_slow_disk` has found out.
    pub fn slow_disk(&self, late: Duration) -> SlowDisk {
        self.try_slow_disk(late).unwrap_or_else(|why| panic!("{why}"))
    }

    /// Whether this system permits that; if not, says why. strace has to be there with `CI=true`, and containers may forbid
    /// its work even then.
    pub fn may_have_slow_disk(&self) -> bool {
        if find(["strace"], "strace").is_none() {
            return false;
        }
        let attempt = self.try_slow_disk(Duration::from_micros(1));
        if let Err(why) = &attempt {
            let _ = writeln!(std::io::stderr(), "\n*** SKIPPED: slow disks: {why} ***\n");
        }
        attempt.is_ok()
    }

    /// The error is that this system does not permit it.
    fn try_slow_disk(&self, late: Duration) -> Result<SlowDisk, String> {
        let server = self.running.as_ref().expect("it runs").1;
        // strace follows children that are started later by itself.
        let children = output(&["pgrep".to_owned(), "-P".to_owned(), server.to_string()]).stdout;
        let children = String::from_utf8_lossy(&children).into_owned();
        let processes: Vec<String> =
            std::iter::once(server.to_string()).chain(children.lines().map(str::to_owned)).collect();
        let calls = self.folder.join("calls");
        let _ = fs::remove_file(&calls);
        // A user may trace what is its own, also where root may not trace what is another's.
        let mut program = self.demoting().0.to_vec();
        program.extend(words("strace -f -qq -e trace=fsync,fdatasync -o"));
        program.extend([calls.display().to_string(), "-e".to_owned()]);
        program.push(format!("inject=fsync,fdatasync:delay_exit={}", late.as_micros()));
        program.extend(processes.iter().map(|process| format!("--attach={process}")));
        let mut strace = Command::new(&program[0])
            .args(&program[1..])
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("strace was found");
        let begun = Instant::now();
        while !processes.iter().all(|process| is_traced(process)) {
            if strace.try_wait().expect("strace is ours").is_some() {
                let error = strace.wait_with_output().expect("strace is ours").stderr;
                let error = String::from_utf8_lossy(&error).trim().to_owned();
                let is_forbidden =
                    ["Operation not permitted", "Function not implemented"].map(|why| error.contains(why));
                assert!(is_forbidden.contains(&true), "{program:?}: {error}");
                return Err(error);
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "it takes too long until strace follows the server");
            thread::sleep(Duration::from_millis(20));
        }
        Ok(SlowDisk { strace, calls })
    }

    fn signal(&self, name: &str) {
        signal(name, self.running.as_ref().expect("it runs").1);
    }

    /// Waits, with a bound.
    fn wait_for(&self, what: &str, ready: impl FnMut(&Self) -> bool) {
        let is_ready = within(Duration::from_secs(60), self, ready);
        assert!(is_ready, "the server {} takes too long {what}: {}", self.port, self.log());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A server's disk is slow: strace delays its calls of fsync and fdatasync. It ends when this value is dropped, or the server ends.
pub struct SlowDisk {
    strace: Child,
    /// Where strace writes these calls.
    calls: PathBuf,
}

impl SlowDisk {
    /// Has the disk be as it was.
    ///
    /// # Panics
    ///
    /// Panics if the server has not waited for its disk meanwhile.
    pub fn end(self) {
        let calls = self.calls.clone();
        drop(self);
        let calls = fs::read_to_string(calls).expect("strace has written it");
        assert!(calls.contains("(DELAYED)"), "no call was late: {calls:?}");
    }
}

impl Drop for SlowDisk {
    fn drop(&mut self) {
        signal("TERM", self.strace.id());
        let _ = self.strace.wait();
    }
}

/// Whether all threads of a process are traced, or it has ended.
fn is_traced(process: &str) -> bool {
    let threads = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let mut states = threads.filter_map(|thread| fs::read_to_string(thread.path().join("status")).ok());
    states.all(|state| !state.contains("TracerPid:\t0\n"))
}

/// What starts a program whose clock is off by so much. Clocks that only go forward are as they are.
///
/// # Panics
///
/// Panics if libfaketime is not installed.
fn with_clock(clock: &str) -> Vec<String> {
    let folder = format!("/usr/lib/{}-linux-gnu", std::env::consts::ARCH);
    let library = format!("{folder}/faketime/libfaketimeMT.so.1");
    assert!(
        Path::new(&library).exists(),
        "{library} is not installed: tests/setup.sh installs the package libfaketime"
    );
    // Redis's jemalloc asks for the time before libfaketime is ready: it takes the allocator of the C library.
    let libraries = format!("LD_PRELOAD={library} {}/libc.so.6", folder.trim_start_matches("/usr"));
    let clock = format!("FAKETIME={clock}");
    vec!["env".to_owned(), libraries, clock, "FAKETIME_DONT_FAKE_MONOTONIC=1".to_owned()]
}

/// Checks that what a server says is the time, in seconds, is off by so much, within ten seconds.
pub fn assert_off(clock: &str, says: Option<String>) {
    let off: i64 = clock.trim_end_matches('s').parse().expect("a clock is off by seconds");
    let says: Option<i64> = says.and_then(|says| says.trim().parse().ok());
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().expect("it is after 1970").as_secs() as i64;
    assert!(
        says.is_some_and(|says| (says - now - off).abs() < 10),
        "the clock is not off by {clock}: {says:?} at {now}"
    );
}

/// Sends a signal to a process and its children.
fn signal(name: &str, process: u32) {
    let script = "kill -$1 $2; pkill -$1 -P $2";
    let sent = Command::new("sh").args(["-c", script, "sh", name, &process.to_string()]).status();
    sent.expect("a shell");
}

/// Whether something becomes ready in time.
fn within<T: ?Sized>(time: Duration, of: &T, mut ready: impl FnMut(&T) -> bool) -> bool {
    let begun = Instant::now();
    while !ready(of) {
        if begun.elapsed() > time {
            return false;
        }
        thread::sleep(Duration::from_millis(50));
    }
    true
}

pub fn wait_until(what: &str, mut ready: impl FnMut() -> bool) {
    assert!(within(Duration::from_secs(60), &(), |()| ready()), "it takes too long until {what}");
}

/// A port that is free, as is the one 10,000 above it, and outside of the range that the system assigns by itself.
pub fn free_port() -> u16 {
    static GIVEN: Mutex<Vec<u16>> = Mutex::new(Vec::new());
    let mut given = GIVEN.lock().expect("no test panics here");
    loop {
        let port = fastrand::u16(11_000..20_000);
        let is_free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
        if !given.contains(&port) && is_free(port) && is_free(port + 10_000) {
            given.push(port);
            return port;
        }
    }
}

/// Runs a program to its end, and returns what it prints.
///
/// # Panics
///
/// Panics if it fails.
pub fn run(program: &[impl AsRef<OsStr> + Debug]) -> String {
    let output = output(program);
    assert!(output.status.success(), "{program:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs a program to its end.
pub fn output(program: &[impl AsRef<OsStr> + Debug]) -> Output {
    let output = Command::new(&program[0]).args(&program[1..]).current_dir("/").stdin(Stdio::null()).output();
    output.unwrap_or_else(|error| panic!("{program:?}: {error}"))
}

/// What a server of Redis answers to a command, by redis-cli.
pub fn ask_redis(cli: &str, port: u16, command: &str) -> String {
    let port = port.to_string();
    let mut call = vec![cli, "-h", "127.0.0.1", "-p", &port];
    call.extend(command.split(' '));
    String::from_utf8_lossy(&output(&call).stdout).into_owned()
}

/// Where programs are, if all of them are installed. Otherwise the test is skipped; with `CI=true` it fails.
pub fn find<const N: usize>(programs: [&str; N], package: &str) -> Option<[String; N]> {
    find_from(programs, &format!("tests/setup.sh installs the package {package}"))
}

/// The same, with where they come from.
pub fn find_from<const N: usize>(programs: [&str; N], source: &str) -> Option<[String; N]> {
    let path = std::env::var("PATH").unwrap_or_default();
    let found = programs.map(|program| {
        // Debian's psql in the PATH is a script that takes its time to find the one in PostgreSQL's folder.
        let folders = path.split(':').chain(["/usr/sbin", "/usr/local/sbin"]).map(PathBuf::from);
        postgres().into_iter().chain(folders).map(|folder| folder.join(program)).find(|program| program.is_file())
    });
    if let Some(missing) = found.iter().position(Option::is_none) {
        let why = format!("{} is not installed: {source}", programs[missing]);
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{why}");
        // Directly to stderr: the test harness hides the output of tests that pass.
        let _ = writeln!(std::io::stderr(), "\n*** SKIPPED: {why} ***\n");
        return None;
    }
    Some(found.map(|program| program.expect("it was found").display().to_string()))
}

/// The folders in which Debian has PostgreSQL's programs, the newest first.
fn postgres() -> Vec<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = versions.map(|entry| entry.path().join("bin")).collect();
    folders.sort();
    folders.reverse();
    folders
}

/// A program as a user of its own if this is root: some servers refuse to run as root, or do not work.
pub fn demoted<'a>(user: &'a str, program: &[&'a str]) -> Vec<String> {
    let demoting = [format!("--reuid={user}"), format!("--regid={user}"), "--clear-groups".to_owned()];
    let demoting = std::iter::once("setpriv".to_owned()).chain(demoting).filter(|_| is_root());
    demoting.chain(program.iter().map(|&word| word.to_owned())).collect()
}

/// The words of a command. Two spaces enclose an empty one.
pub fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

/// A folder for a cluster, in which a user can have folders of its own.
pub fn parent(prefix: &str) -> TempDir {
    let parent = TempDir::with_prefix(prefix).expect("a folder");
    fs::set_permissions(parent.path(), fs::Permissions::from_mode(0o755)).expect("the folder is ours");
    parent
}

/// Makes a folder of a user.
pub fn folder_of(user: &str, parent: &Path, name: &str) -> PathBuf {
    let folder = folder(parent, name);
    if is_root() {
        run(&["chown", user, &folder.display().to_string()]);
    }
    folder
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

/// Makes a folder.
pub fn folder(parent: &Path, name: &str) -> PathBuf {
    let folder = parent.join(name);
    fs::create_dir(&folder).expect("a folder can be made");
    folder
}
