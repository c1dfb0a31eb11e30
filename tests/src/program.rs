//! Other servers than `lemon-session serve`, which end with their test.

use std::{
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    os::unix::process::CommandExt as _,
    process::{Child, Command, Stdio},
};

/// A server that ends when it is dropped.
pub struct Program {
    /// Where it listens.
    pub address: SocketAddr,
    child: Child,
}

impl Program {
    /// Starts it, and waits until it prints the URL it serves on.
    pub fn start(command: &mut Command) -> Self {
        // A group of its own, which ends with it: the program may be a make that runs the server.
        let mut child = command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program can be run");
        let mut lines = BufReader::new(child.stdout.take().expect("stdout is piped")).lines().map_while(Result::ok);
        let address = lines.find_map(|line| {
            let url = line.split_once("http://")?.1.split_whitespace().next()?;
            url.trim_end_matches('/').parse().ok()
        });
        // It may print more, and must not wait for a reader.
        std::thread::spawn(move || lines.for_each(drop));
        match address {
            Some(address) => Self { address, child },
            None => {
                end(&mut child);
                panic!("{command:?} does not say where it serves");
            }
        }
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// Ends a program and those that it started.
fn end(child: &mut Child) {
    let _ = Command::new("kill").args(["-KILL", "--", &format!("-{}", child.id())]).stderr(Stdio::null()).status();
    let _ = child.wait();
}
