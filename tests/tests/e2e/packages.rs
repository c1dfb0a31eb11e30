//! The packages of the command for PyPI and npm, installed into empty folders as their README says.

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use lemon_session_tests::{
    Client,
    build::{self, root},
    proxy::is_there,
};
use tempfile::TempDir;

const VERSION: &str = env!("CARGO_PKG_VERSION");

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?} cannot be run: {error}"));
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The lines of a block of the README: one installs the package, one serves.
fn example(block: usize) -> [String; 2] {
    let readme = fs::read_to_string(root().join("packaging/cli/README.md")).unwrap();
    let block = readme.split("```sh\n").nth(block).expect("the README has the block").split("```").next().unwrap();
    let lines: Vec<_> = block.lines().map(str::to_owned).collect();
    lines.try_into().expect("a line that installs, and one that serves")
}

/// An empty folder, apart from the application that the README serves, with the programs of `bin` at hand.
struct Empty {
    folder: TempDir,
    bin: &'static str,
}

impl Empty {
    fn new(bin: &'static str) -> Self {
        let folder = TempDir::with_prefix("lemon-session-installed-").unwrap();
        fs::copy(build::component("welcome"), folder.path().join("app.wasm")).unwrap();
        Self { folder, bin }
    }

    fn command(&self, line: &str) -> Command {
        let path = format!("{}:{}", self.folder.path().join(self.bin).display(), env::var("PATH").unwrap());
        let mut command = Command::new("sh");
        command.args(["-c", line]).env("PATH", path).current_dir(self.folder.path());
        command
    }

    /// Serves by this line on a free port, answers one request, and ends at a SIGTERM: to `exec` alone, or to the shell and all
    /// that it started.
    fn serves(&self, line: &str) {
        let mut command = self.command(&format!("{line} --addr 127.0.0.1:0"));
        let mut server = Ended(command.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap());
        let mut greeting = String::new();
        let stdout = server.0.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut greeting).unwrap();
        let url = greeting.strip_prefix("Serving app.wasm on ").and_then(|rest| rest.split(' ').next());
        let url = url.unwrap_or_else(|| panic!("{line}: {greeting:?}"));
        let reply = Client::new().get(url);
        assert!(reply.status == 200 && reply.set_cookie().value.len() == 43, "{reply:?}");
        assert!(self.folder.path().join("sessions.db").exists(), "sessions are where the README says");

        let process = if line.starts_with("exec ") { server.0.id().to_string() } else { format!("-{}", server.0.id()) };
        run(Command::new("kill").args(["-TERM", "--", &process]));
        let status = server.0.wait().unwrap();
        if line.starts_with("exec ") {
            assert!(status.success(), "{line}: {status}");
            assert!(std::net::TcpStream::connect(&url[7..]).is_err(), "{line}: the command has ended too");
        }
    }
}

/// A process that ends, with all that it started, when the test fails.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let group = format!("-{}", self.0.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status();
        let _ = self.0.wait();
    }
}

#[test]
fn packages_for_python_and_node_install_the_command_and_serve_as_their_readme_says() {
    if !is_there("python3", &["--version"]) || !is_there("npm", &["--version"]) {
        return;
    }
    let made = TempDir::with_prefix("lemon-session-packages-").unwrap();
    run(Command::new(root().join("packaging/packages.sh")).arg(build::command()).arg(made.path()));
    let files: Vec<PathBuf> = fs::read_dir(made.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    let named = |part: &str| {
        let file = files.iter().find(|file| file.to_string_lossy().contains(part));
        file.unwrap_or_else(|| panic!("no {part} in {files:?}")).display().to_string()
    };

    let python = Empty::new("venv/bin");
    let [install, serve] = example(1);
    let wheel = named(".whl");
    assert!(wheel.contains("-py3-none-manylinux_2_"), "{wheel} names the glibc that the command needs");
    run(&mut python.command("python3 -m venv venv"));
    run(&mut python.command(&install.replace("lemon-session-cli", &format!("--no-index {wheel}"))));
    assert_eq!(run(&mut python.command("lemon-session --version")), format!("lemon-session {VERSION}\n"));
    python.serves(&serve);

    let node = Empty::new("node_modules/.bin");
    let [install, serve] = example(2);
    fs::write(node.folder.path().join("package.json"), "{}").unwrap();
    let platform = named("lemon-session-cli-linux-");
    let launcher = named(&format!("lemon-session-cli-{VERSION}"));
    run(&mut node.command(
        &install.replace("lemon-session-cli", &format!("--offline --no-audit --no-fund {platform} {launcher}")),
    ));
    assert_eq!(run(&mut node.command("npx --no lemon-session -- --version")), format!("lemon-session {VERSION}\n"));
    node.serves(&serve);
    // As a service manager runs it, which signals the launcher alone.
    node.serves("exec lemon-session serve app.wasm");
    assert_eq!(node.command("lemon-session serve missing.wasm").output().unwrap().status.code(), Some(1));

    fs::remove_dir_all(Path::new(node.folder.path()).join("node_modules").join(platform_name(&platform))).unwrap();
    let output = node.command("lemon-session --version").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains(&platform_name(&platform)), "{said}");
}

/// The name of the package in a file.
fn platform_name(file: &str) -> String {
    let name = file.rsplit('/').next().unwrap();
    name.split(&format!("-{VERSION}")).next().unwrap().to_owned()
}
