//! The other subcommands of `lemon-session`.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::build;

/// The result of a command.
#[derive(Debug)]
pub struct Output {
    /// Its exit status.
    pub status: i32,
    /// What it printed.
    pub stdout: String,
    /// What it printed to stderr.
    pub stderr: String,
}

impl Output {
    /// Expects success.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.status, 0, "{self:?}");
        self
    }

    /// The JSON objects it printed, one a line.
    pub fn json(&self) -> Vec<Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).expect("every line is JSON")).collect()
    }
}

/// `lemon-session`, to be run in a folder.
pub fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(build::command());
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    command
}

/// Runs `lemon-session` in a folder.
pub fn run(folder: &Path, arguments: &[&str]) -> Output {
    let output = command(folder, arguments).output().expect("the command can be run");
    Output {
        status: output.status.code().expect("the command ends by itself"),
        stdout: String::from_utf8(output.stdout).expect("the command prints UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("the command prints UTF-8"),
    }
}
