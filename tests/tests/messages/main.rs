//! docs/messages.md: wrong uses of the command, and the message that each gets. `make messages` writes it.

mod cases;

use std::{
    env, fs,
    net::TcpListener,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
    process::{Command, Stdio},
    sync::LazyLock,
    thread,
};

use cases::{Case, Needs, SECTIONS, Section};
use lemon_session_tests::build::{self, root};
use tempfile::TempDir;

const INTRODUCTION: &str = "\
# Messages

What the command says to wrong uses of it. `make messages` writes this page by making each mistake, and a test compares what the
command says now. The number in brackets is the exit status: 2 for wrong usage, 1 for a failure. The folder has these files:
`visits.wasm`, an application; `page.wasm`, one that needs the module `login.wasm`; `session.wasm`, the session component;
`store.wasm`, a provider; `core.wasm`, a core module; `newer.wasm`, a component of WASI 0.4; and `notes.txt`.
";

/// Where the folder of the site is, as the page tells it.
const SITE: &str = "/srv/site";
/// The port that another program listens on.
const TAKEN: &str = "8080";

/// The files that every case can use.
static FILES: LazyLock<TempDir> = LazyLock::new(|| {
    let folder = TempDir::with_prefix("lemon-session-files-").unwrap();
    let file = |name: &str| folder.path().join(name);
    for (name, component) in [("visits", "visits"), ("page", "auth_page"), ("login", "auth_module")] {
        fs::copy(build::component(component), file(&format!("{name}.wasm"))).unwrap();
    }
    fs::copy(root().join("host/embed/lemon_session.wasm"), file("session.wasm")).unwrap();
    fs::copy(root().join("host/command/providers/files.wasm"), file("store.wasm")).unwrap();
    fs::write(file("core.wasm"), b"\0asm\x01\0\0\0").unwrap();
    fs::write(file("newer.wasm"), exporting("wasi:http/handler@0.4.0")).unwrap();
    fs::write(file("notes.txt"), "Dear diary,\n".repeat(100)).unwrap();
    folder
});

/// A component that exports an empty instance under this name.
fn exporting(name: &str) -> Vec<u8> {
    let length = u8::try_from(name.len()).unwrap();
    let export = [&[1, 0, length], name.as_bytes(), &[5, 0, 0]].concat();
    let section = |id: u8, body: &[u8]| [&[id, u8::try_from(body.len()).unwrap()], body].concat();
    [b"\0asm\x0d\0\x01\0".to_vec(), section(5, &[1, 1, 0]), section(11, &export)].concat()
}

/// Makes the mistake; returns what a terminal would show, or `None` if this machine lacks what it takes.
fn make(case: &Case, taken: u16) -> Option<String> {
    let folder = TempDir::with_prefix("lemon-session-messages-").unwrap();
    for file in fs::read_dir(FILES.path()).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), folder.path().join(file.file_name())).unwrap();
    }
    if !case.ini.is_empty() {
        fs::write(folder.path().join("lemon.ini"), case.ini).unwrap();
    }
    let mut shown = String::new();
    let mut commands = case.commands.lines().peekable();
    while let Some(command) = commands.next() {
        let (output, status) = run(command, case.needs, folder.path(), taken)?;
        shown += &format!("$ {command}\n{output}");
        if commands.peek().is_none() {
            assert_ne!(status, 0, "{}: it is no mistake: {output}", case.title);
            check(case.title, &output);
            shown += &format!("[{status}]\n");
        }
    }
    Some(shown)
}

/// Runs a line of a shell; returns its output and its exit status.
fn run(line: &str, needs: Needs, folder: &Path, taken: u16) -> Option<(String, i32)> {
    let bin = folder.join(".bin");
    fs::create_dir_all(&bin).unwrap();
    let _ = symlink(build::command(), bin.join("lemon-session"));
    let line = line.replace(TAKEN, &taken.to_string());
    let mut shell = match needs {
        Needs::NoRights => ordinary(folder, &bin)?,
        Needs::Nothing => Command::new("bash"),
        Needs::Server(url) => {
            let address = url.rsplit_once("127.0.0.1:").expect("an address on this machine").1;
            let port = address.split('/').next()?.parse().expect("a port");
            std::net::TcpStream::connect(("127.0.0.1", port)).ok()?;
            Command::new("bash")
        }
    };
    let path = format!("{}:{}", bin.display(), env::var("PATH").unwrap_or_default());
    shell.args(["-o", "pipefail", "-c", &format!("exec 2>&1; {line}")]).current_dir(folder).stdin(Stdio::null());
    let output = shell.env("PATH", path).env("XDG_CACHE_HOME", folder.join(".cache")).output().unwrap();
    let text = String::from_utf8(output.stdout).expect("messages are text");
    // Of the log, only warnings and errors are messages; their times differ.
    let is_news = |line: &&str| !line.contains("Z  INFO ");
    let untimed = |line: &str| line.split_once("Z  WARN ").map_or(line.to_owned(), |(_, said)| format!("WARN {said}"));
    // The size of a component changes with its sources.
    let shown = |line: &str| match line.split_once(" (").filter(|_| line.starts_with("wrote ")) {
        Some((wrote, _)) => format!("{wrote} (…)\n"),
        None => untimed(line) + "\n",
    };
    let text: String = text.lines().filter(is_news).map(shown).collect();
    let text = text.replace(&folder.display().to_string(), SITE).replace(&taken.to_string(), TAKEN);
    Some((text, output.status.code().expect("the command ends by itself")))
}

/// A shell of a user without rights, or `None` if that user cannot run the command.
fn ordinary(folder: &Path, bin: &Path) -> Option<Command> {
    let mut shell = Command::new("bash");
    if fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0) {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
        shell = Command::new("setpriv");
        shell.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
        let mut version = Command::new("setpriv");
        version.args(shell.get_args()).arg(bin.join("lemon-session")).arg("--version");
        if !version.output().is_ok_and(|output| output.status.success()) {
            return None;
        }
        shell.arg("bash");
    }
    Some(shell)
}

/// What no message may have: a panic, a password, and the same text twice.
fn check(title: &str, output: &str) {
    for unwanted in ["panicked", "RUST_BACKTRACE", "hunter2", "Error {", "Os {"] {
        assert!(!output.contains(unwanted), "{title}: {output}");
    }
    for line in output.lines() {
        let parts: Vec<_> = line.split(": ").filter(|part| part.len() > 12).collect();
        for (i, part) in parts.iter().enumerate() {
            assert!(!parts[..i].iter().any(|before| before.contains(part)), "{title}: {part:?} is repeated: {line}");
        }
    }
    assert!(!output.trim().is_empty(), "{title}: nothing is said");
}

/// A section of the page. What cannot be tried on this machine stays as it is in `before`.
fn render(section: &Section, before: &str) -> String {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = other.local_addr().unwrap().port();
    let mut text = format!("\n## {}\n", section.title);
    for case in section.cases {
        let heading = format!("\n### {}\n\n", case.title);
        text += &heading;
        match make(case, taken) {
            Some(shown) => {
                if !case.ini.is_empty() {
                    text += &format!("```ini\n{}```\n\n", case.ini);
                }
                text += &format!("```console\n{shown}```\n");
            }
            None => {
                let line = "=".repeat(80);
                eprintln!("{line}\nSKIPPED: this machine lacks what it takes for {:?}\n{line}", case.title);
                // The folder in which the command was built may be closed to other users.
                let may_lack = matches!(case.needs, Needs::NoRights);
                assert!(may_lack || env::var("CI").as_deref() != Ok("true"), "with CI=true everything has to be there");
                let rest = before.split_once(&heading).map_or("", |(_, rest)| rest);
                text += rest.split("\n##").next().unwrap_or_default();
            }
        }
    }
    text
}

#[test]
fn every_mistake_gets_the_message_that_the_page_shows() {
    let file = root().join("docs/messages.md");
    let before = fs::read_to_string(&file).unwrap_or_default();
    let sections: Vec<_> = thread::scope(|scope| {
        let before = &before;
        let rendering = |section| scope.spawn(move || render(section, before));
        let rendering: Vec<_> = SECTIONS.iter().map(rendering).collect();
        rendering.into_iter().map(|section| section.join().unwrap()).collect()
    });
    let page = INTRODUCTION.to_owned() + &sections.concat();
    if env::var_os("LEMON_SESSION_WRITE_MESSAGES").is_some() {
        fs::write(&file, &page).unwrap();
    }
    let written = fs::read_to_string(&file).expect("docs/messages.md can be read");
    for (old, new) in written.split("\n### ").zip(page.split("\n### ")) {
        assert_eq!(old, new, "look whether the message pleases, and update docs/messages.md with `make messages`");
    }
    assert_eq!(written, page, "update docs/messages.md with `make messages`");
}
