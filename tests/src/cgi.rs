//! `lemon-session cgi`, run as a web server runs it.

use std::{
    ffi::OsString,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
};

use tempfile::TempDir;

use crate::{Reply, build};

/// A CGI program in a separate folder.
#[derive(Clone)]
pub struct Cgi {
    /// `sessions.db` and `lemon.ini` are here, and compiled code in `cache`.
    pub folder: Arc<TempDir>,
    application: PathBuf,
    arguments: Vec<OsString>,
    variables: Vec<(OsString, OsString)>,
}

/// The request target at which the component `rogue-cgi` prints exactly these bytes.
pub fn print(text: &str) -> String {
    let query: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    format!("/print?{query}")
}

/// The result of a run.
#[derive(Debug)]
pub struct Outcome {
    /// Its exit status.
    pub status: i32,
    /// What it printed.
    pub stdout: Vec<u8>,
    /// What it logged.
    pub stderr: String,
}

impl Cgi {
    /// One of the components of this workspace.
    pub fn new(component: &str) -> Self {
        Self::of(&build::component(component))
    }

    /// The file that a web server would run.
    pub fn of(application: &Path) -> Self {
        let folder = TempDir::with_prefix("lemon-session-").expect("there is room for a folder");
        Self {
            folder: Arc::new(folder),
            application: application.to_owned(),
            arguments: Vec::new(),
            variables: Vec::new(),
        }
        .variable("REQUEST_METHOD", "GET")
        .variable("SERVER_NAME", "localhost")
        .variable("SERVER_PORT", "80")
        .variable("SERVER_PROTOCOL", "HTTP/1.1")
        .variable("REMOTE_ADDR", "192.0.2.7")
        .variable("SCRIPT_NAME", "/program")
    }

    /// Writes `lemon.ini`.
    pub fn ini(self, text: &str) -> Self {
        std::fs::write(self.folder.path().join("lemon.ini"), text).expect("lemon.ini can be written");
        self
    }

    /// Adds an argument in front of the application.
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Sets a variable of the environment, instead of what it was before.
    pub fn variable(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        let name = name.into();
        self.variables.retain(|(other, _)| *other != name);
        self.variables.push((name, value.into()));
        self
    }

    /// Sets PATH_INFO and QUERY_STRING.
    pub fn target(self, path: &str, query: &str) -> Self {
        self.variable("PATH_INFO", path).variable("QUERY_STRING", query)
    }

    /// The command, its arguments and its environment; nothing else of this process's environment.
    pub fn command(&self) -> Command {
        let mut command = Command::new(build::command());
        command.env_clear().envs(self.variables.iter().cloned()).current_dir(self.folder.path());
        command.arg("cgi").arg("--cache").arg(self.folder.path().join("cache"));
        command.args(&self.arguments).arg(&self.application);
        command
    }

    /// Runs it with this body on stdin.
    pub fn run(&self, body: &[u8]) -> Outcome {
        outcome(self.command(), body)
    }

    /// Runs it, and reads its answer as a web server does.
    #[track_caller]
    pub fn get(&self) -> Reply {
        self.run(b"").reply()
    }
}

/// Runs a command with this on stdin.
pub fn outcome(mut command: Command, stdin: &[u8]) -> Outcome {
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.expect("the command can be run");
    // The command may exit before it has read everything.
    let _ = child.stdin.take().expect("stdin is piped").write_all(stdin);
    let output = child.wait_with_output().expect("the command ends");
    Outcome {
        status: output.status.code().expect("the command ends by itself"),
        stdout: output.stdout,
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

impl Outcome {
    /// The response it printed.
    #[track_caller]
    pub fn reply(self) -> Reply {
        let text = String::from_utf8_lossy(&self.stdout).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no response: {self:?}"));
        let headers: Vec<(String, String)> = head
            .split("\r\n")
            .map(|line| line.split_once(": ").unwrap_or_else(|| panic!("no header: {line:?}")))
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        let status = headers.iter().find(|(name, _)| name == "status");
        let status = status.map_or(200, |(_, status)| status[..3].parse().expect("a status has three digits"));
        Reply { status, headers, body: body.to_owned() }
    }
}
