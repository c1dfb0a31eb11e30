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

fn packaging(file: &str) -> String {
    fs::read_to_string(root().join("packaging").join(file)).unwrap()
}

/// An instance of a template, with the command that was built, as systemd looks whether it is there.
fn instance(folder: &Path, template: &str) -> String {
    let text = packaging(template).replace("/usr/bin/lemon-session", &build::command().display().to_string());
    fs::write(folder.join(template), text).unwrap();
    let unit = folder.join(template.replace('@', "@visits"));
    symlink(template, &unit).unwrap();
    unit.display().to_string()
}

#[test]
fn systemd_finds_nothing_wrong_with_the_units_and_little_exposed() {
    if !is_there("systemd-analyze", &["--version"]) {
        return;
    }
    let folder = TempDir::with_prefix("lemon-session-unit-").unwrap();
    let services =
        ["lemon-session@.service", "lemon-session-cleanup@.service"].map(|unit| instance(folder.path(), unit));
    let timer = instance(folder.path(), "lemon-session-cleanup@.timer");
    for unit in services.iter().chain([&timer]) {
        let output = Command::new("systemd-analyze").args(["verify", "--man=no", unit]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert!(!String::from_utf8_lossy(&output.stderr).contains("lemon-session"), "{output:?}");
    }
    for service in services {
        // In tenths: 10 is called OK, 50 is medium, most services have 90.
        run(Command::new("systemd-analyze").args([
            "security",
            "--offline=true",
            "--threshold=15",
            "--no-pager",
            &service,
        ]));
    }
}

/// The settings of a unit's section `[Service]`.
fn service(unit: &str) -> Vec<String> {
    let text = packaging(unit);
    let (_, service) = text.split_once("\n[Service]\n").unwrap();
    let lines = service.lines().take_while(|line| !line.starts_with('['));
    lines.filter(|line| line.contains('=') && !line.starts_with('#')).map(str::to_owned).collect()
}

#[test]
fn the_unit_limits_what_the_service_takes_of_the_machine() {
    let service = service("lemon-session@.service");
    for limit in ["MemoryMax=80%", "TasksMax=1024", "LimitNOFILE=16384", "UMask=0077"] {
        assert!(service.iter().any(|line| line == limit), "{limit}");
    }
}

#[test]
fn the_cleanup_runs_as_the_service_does() {
    let (serves, cleans) = (service("lemon-session@.service"), service("lemon-session-cleanup@.service"));
    assert!(cleans.contains(&"User=lemon-%i".to_owned()), "it can open the service's files");
    let own = cleans.iter().filter(|line| !serves.contains(line)).collect::<Vec<_>>();
    let command = "ExecStart=/usr/bin/lemon-session cleanup --config /etc/lemon-session/lemon.ini";
    assert_eq!(own, ["Type=oneshot", command]);
}

#[test]
fn the_packages_hold_what_an_operator_needs() {
    let folder = TempDir::with_prefix("lemon-session-package-").unwrap();
    let package = root().join("packaging/package.sh");
    run(Command::new(package).arg(build::command()).arg(build::component("welcome")).arg(folder.path()));
    let made = |extension: &str| {
        let files = fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().path());
        files.into_iter().find(|file| file.to_string_lossy().ends_with(extension)).expect("it was made")
    };
    let needed = [
        "etc/lemon-session/lemon.ini",
        "usr/bin/lemon-session",
        "lib/systemd/system/lemon-session@.service",
        "lib/systemd/system/lemon-session-cleanup@.service",
        "lib/systemd/system/lemon-session-cleanup@.timer",
        "usr/share/lemon-session/welcome.wasm",
        "usr/share/lemon-session/dashboard.json",
        "usr/share/lemon-session/alerts.yml",
        "usr/lib/sysusers.d/lemon-session.conf",
        "usr/share/man/man1/lemon-session.1.gz",
        "usr/share/man/man1/lemon-session-serve.1.gz",
        "usr/share/man/man5/lemon.ini.5.gz",
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
    check_links(&root.join("usr/share/doc/lemon-session"));
    let information = run(Command::new("dpkg-deb").arg("--field").arg(&package));
    assert!(information.contains("Package: lemon-session\n") && information.contains("libc6 (>= 2."), "{information}");
    let control = folder.path().join("control");
    run(Command::new("dpkg-deb").arg("-e").arg(&package).arg(&control));
    assert_eq!(fs::read_to_string(control.join("conffiles")).unwrap(), "/etc/lemon-session/lemon.ini\n");
    for script in ["postinst", "prerm", "postrm"] {
        run(Command::new("sh").arg("-n").arg(control.join(script)));
    }
}

/// Every link of a guide, outside of code, leads to a guide in the folder, or to another site.
fn check_links(folder: &Path) {
    let guides = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let guides = guides.filter(|file| file.extension().is_some_and(|extension| extension == "md")).collect::<Vec<_>>();
    assert!(guides.len() > 10, "{guides:?}");
    for guide in guides {
        let text = fs::read_to_string(&guide).unwrap();
        let prose: String = text.split('`').step_by(2).collect();
        for link in prose.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap_or_default();
            let is_there = file.is_empty() || file.starts_with("https://") || folder.join(file).is_file();
            assert!(is_there, "{}: {link}", guide.display());
        }
    }
}

fn version() -> String {
    format!("lemon-session {}\n", env!("CARGO_PKG_VERSION"))
}
