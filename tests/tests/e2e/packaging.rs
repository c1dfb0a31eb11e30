//! What is installed on a machine.

use std::{fs, os::unix::fs::symlink, path::Path, process::Command};

use lemon_session_tests::{
    build::{self, root},
    proxy::is_there,
};
use tempfile::TempDir;

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The unit with the command that was built, as systemd looks whether it is there.
fn unit(folder: &Path) -> String {
    let text = fs::read_to_string(root().join("packaging/lemon-session@.service")).unwrap();
    let text = text.replace("/usr/bin/lemon-session", &build::command().display().to_string());
    fs::write(folder.join("lemon-session@.service"), text).unwrap();
    let unit = folder.join("lemon-session@visits.service");
    symlink("lemon-session@.service", &unit).unwrap();
    unit.display().to_string()
}

#[test]
fn systemd_finds_nothing_wrong_with_the_unit_and_little_exposed() {
    if !is_there("systemd-analyze", &["--version"]) {
        return;
    }
    let folder = TempDir::with_prefix("lemon-session-unit-").unwrap();
    let unit = unit(folder.path());
    let output = Command::new("systemd-analyze").args(["verify", "--man=no", &unit]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(!String::from_utf8_lossy(&output.stderr).contains("lemon-session@"), "{output:?}");

    // In tenths: 10 is called OK, 50 is medium, most services have 90.
    run(Command::new("systemd-analyze").args(["security", "--offline=true", "--threshold=15", "--no-pager", &unit]));
}

#[test]
fn the_unit_limits_what_the_service_takes_of_the_machine() {
    let unit = fs::read_to_string(root().join("packaging/lemon-session@.service")).unwrap();
    let (_, service) = unit.split_once("\n[Service]\n").unwrap();
    for limit in ["MemoryMax=80%", "TasksMax=1024", "LimitNOFILE=16384", "UMask=0077"] {
        assert!(service.lines().any(|line| line == limit), "{limit}");
    }
}

#[test]
fn the_packages_hold_what_an_operator_needs() {
    let folder = TempDir::with_prefix("lemon-session-package-").unwrap();
    run(Command::new(root().join("packaging/package.sh")).arg(build::command()).arg(folder.path()));
    let made = |extension: &str| {
        let files = fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().path());
        files.into_iter().find(|file| file.to_string_lossy().ends_with(extension)).expect("it was made")
    };
    let needed = [
        "etc/lemon-session/lemon.ini",
        "usr/bin/lemon-session",
        "lib/systemd/system/lemon-session@.service",
        "usr/lib/sysusers.d/lemon-session.conf",
        "usr/share/man/man1/lemon-session.1.gz",
        "usr/share/man/man1/lemon-session-serve.1.gz",
        "usr/share/bash-completion/completions/lemon-session",
        "usr/share/zsh/vendor-completions/_lemon-session",
        "usr/share/fish/vendor_completions.d/lemon-session.fish",
        "usr/share/doc/lemon-session/operating.md",
    ];
    let tarball = run(Command::new("tar").arg("-tzf").arg(made(".tar.gz")));
    for file in needed {
        assert!(tarball.lines().any(|line| line.ends_with(&format!("/{file}"))), "{file}: {tarball}");
    }

    if !is_there("dpkg-deb", &["--version"]) {
        return;
    }
    let package = made(".deb");
    let root = folder.path().join("root");
    run(Command::new("dpkg-deb").arg("-x").arg(&package).arg(&root));
    for file in needed {
        assert!(root.join(file).exists(), "{file}");
    }
    assert_eq!(run(Command::new(root.join("usr/bin/lemon-session")).arg("--version")), version());
    let information = run(Command::new("dpkg-deb").arg("--field").arg(&package));
    assert!(information.contains("Package: lemon-session\n") && information.contains("libc6 (>= 2."), "{information}");
    let control = folder.path().join("control");
    run(Command::new("dpkg-deb").arg("-e").arg(&package).arg(&control));
    assert_eq!(fs::read_to_string(control.join("conffiles")).unwrap(), "/etc/lemon-session/lemon.ini\n");
    for script in ["postinst", "prerm", "postrm"] {
        run(Command::new("sh").arg("-n").arg(control.join(script)));
    }
}

fn version() -> String {
    format!("lemon-session {}\n", env!("CARGO_PKG_VERSION"))
}
