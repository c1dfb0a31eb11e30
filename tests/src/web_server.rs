//! Debian's web servers that run CGI programs, each with the configuration in examples/cgi, a free port, and a separate
//! folder instead of /srv/visits.

use std::{
    env, fs,
    net::{SocketAddr, TcpStream},
    os::unix::{fs::PermissionsExt as _, net::UnixStream, process::CommandExt as _},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{Client, Reply, build, proxy::free_port};

const PATIENCE: Duration = Duration::from_secs(60);

/// Which web server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Apache, with mod_cgid.
    Apache,
    /// lighttpd, with mod_cgi.
    Lighttpd,
    /// nginx, with fcgiwrap.
    Nginx,
}

/// All of them.
pub const ALL: [Kind; 3] = [Kind::Apache, Kind::Lighttpd, Kind::Nginx];

impl Kind {
    fn programs(self) -> &'static [&'static str] {
        match self {
            Self::Apache => &["apache2"],
            Self::Lighttpd => &["lighttpd"],
            Self::Nginx => &["nginx", "fcgiwrap"],
        }
    }

    fn configuration(self) -> &'static str {
        match self {
            Self::Apache => "apache.conf",
            Self::Lighttpd => "lighttpd.conf",
            Self::Nginx => "nginx.conf",
        }
    }
}

/// A web server that runs one component, and ends when it is dropped.
pub struct WebServer {
    /// Where it listens.
    pub address: SocketAddr,
    /// The script, the component, what was stored, and the log.
    pub folder: TempDir,
    children: Vec<Child>,
}

impl WebServer {
    /// Starts it with a component at `/visits`. Returns `None` if it is not installed, and fails in CI.
    pub fn start(kind: Kind, component: &str) -> Option<Self> {
        if let Some(missing) = kind.programs().iter().find(|program| !is_installed(program)) {
            let what = format!("{missing} is not installed: tests/setup.sh does it");
            assert_ne!(env::var("CI").as_deref(), Ok("true"), "{what}");
            eprintln!("\n*** SKIPPED, nothing was tested under {kind:?}: {what} ***\n");
            return None;
        }
        let folder = TempDir::with_prefix("lemon-session-").expect("there is room for a folder");
        let path = folder.path();
        for inner in ["bin", "cache", "data", "public"] {
            fs::create_dir(path.join(inner)).expect("there is room for a folder");
        }
        fs::copy(build::component(component), path.join("visits.wasm")).expect("the component can be copied");
        let command = path.join("bin/lemon-session");
        // The user that runs the server may have no access to the build folder.
        fs::hard_link(build::command(), &command)
            .or_else(|_| fs::copy(build::command(), &command).map(drop))
            .expect("the command can be copied");

        let port = free_port();
        let place = |text: &str| {
            text.replace("/srv/visits", &path.display().to_string())
                .replace("/var/lib/visits", &path.join("data").display().to_string())
                .replace("/var/cache/visits", &path.join("cache/compiled").display().to_string())
                .replace("/usr/local/bin", &path.join("bin").display().to_string())
                .replace("/run/fcgiwrap.socket", &path.join("fcgiwrap.socket").display().to_string())
                .replace("8080", &port.to_string())
        };
        for file in ["visits.cgi", kind.configuration()] {
            let text = fs::read_to_string(build::root().join("examples/cgi").join(file)).expect("the example is there");
            fs::write(path.join(file), place(&text)).expect("there is room for a file");
        }
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(path.join("visits.cgi"), mode).expect("the file is ours");

        let mut server = Self { address: ([127, 0, 0, 1], port).into(), folder, children: Vec::new() };
        let user = give_to_www_data(server.folder.path());
        for command in server.commands(kind) {
            server.spawn(command, user);
        }
        server.wait_until_it_listens(kind);
        Some(server)
    }

    fn commands(&self, kind: Kind) -> Vec<Command> {
        let path = self.folder.path();
        let configuration = path.join(kind.configuration());
        let command = |program: &str| {
            let mut command = Command::new(program);
            command.current_dir(path);
            command
        };
        match kind {
            Kind::Apache => {
                let mut apache = command("apache2");
                apache.arg("-f").arg(configuration).args(["-D", "FOREGROUND"]);
                vec![apache]
            }
            Kind::Lighttpd => {
                let mut lighttpd = command("lighttpd");
                lighttpd.arg("-f").arg(configuration).arg("-D");
                vec![lighttpd]
            }
            Kind::Nginx => {
                let mut wrap = command("fcgiwrap");
                wrap.args(["-f", "-c", "4", "-s"]).arg(format!("unix:{}", path.join("fcgiwrap.socket").display()));
                let mut nginx = command("nginx");
                nginx.arg("-e").arg(path.join("error.log")).arg("-c").arg(configuration).args(["-g", "daemon off;"]);
                vec![wrap, nginx]
            }
        }
    }

    fn spawn(&mut self, mut command: Command, user: Option<(u32, u32)>) {
        if let Some((user, group)) = user {
            command.uid(user).gid(group);
        }
        let bin = self.folder.path().join("bin");
        let output = fs::File::options().create(true).append(true).open(self.folder.path().join("output"));
        let output = output.expect("there is room for a file");
        command
            .process_group(0)
            .env("PATH", format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", bin.display()))
            .env("SECRET_OF_THE_SERVER", "leaked")
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("a file can be shared"))
            .stderr(output);
        self.children.push(command.spawn().expect("the server can be run"));
    }

    fn wait_until_it_listens(&self, kind: Kind) {
        let until = Instant::now() + PATIENCE;
        let socket = self.folder.path().join("fcgiwrap.socket");
        while TcpStream::connect(self.address).is_err()
            || (kind == Kind::Nginx && UnixStream::connect(&socket).is_err())
        {
            assert!(Instant::now() < until, "{kind:?} does not start: {}", self.log());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// The URL of the program and what follows it.
    pub fn url(&self, rest: &str) -> String {
        format!("http://{}/visits{rest}", self.address)
    }

    /// A visit by a client.
    pub fn get(&self, client: &Client, rest: &str) -> Reply {
        client.get(&self.url(rest))
    }

    /// What it logged, and what the program did.
    pub fn log(&self) -> String {
        let read = |file| fs::read(self.folder.path().join(file)).unwrap_or_default();
        [read("error.log"), read("output")].map(|log| String::from_utf8_lossy(&log).into_owned()).concat()
    }
}

impl Drop for WebServer {
    fn drop(&mut self) {
        // They have child processes, not all of which end with them.
        let until = Instant::now() + Duration::from_secs(10);
        for child in &mut self.children {
            end_group("-TERM", child);
            while matches!(child.try_wait(), Ok(None)) && Instant::now() < until {
                thread::sleep(Duration::from_millis(10));
            }
            end_group("-KILL", child);
            let _ = child.wait();
        }
        if thread::panicking() {
            eprintln!("the log of {}:\n{}", self.address, self.log());
        }
    }
}

/// Ends a process and all that it started.
fn end_group(signal: &str, child: &Child) {
    let group = format!("-{}", child.id());
    let _ = Command::new("kill").args([signal, "--", &group]).stderr(Stdio::null()).status();
}

fn is_installed(program: &str) -> bool {
    ["/usr/sbin", "/usr/bin", "/sbin"].iter().any(|folder| Path::new(folder).join(program).exists())
}

/// Gives a folder to the user that web servers run as, where that can be done: Apache does not run as root.
fn give_to_www_data(folder: &Path) -> Option<(u32, u32)> {
    let id = |flag| {
        let output = Command::new("id").args([flag, "www-data"]).output().ok()?;
        String::from_utf8(output.stdout).ok()?.trim().parse::<u32>().ok()
    };
    let (user, group) = (id("-u")?, id("-g")?);
    // Not the command itself, to which other folders can have hard links.
    let mut owned = vec![folder.to_owned()];
    let entries = fs::read_dir(folder).ok()?;
    owned.extend(entries.filter_map(|entry| Some(entry.ok()?.path())));
    let given = owned.iter().try_for_each(|path| std::os::unix::fs::chown(path, Some(user), Some(group)));
    given.ok().map(|()| (user, group))
}
