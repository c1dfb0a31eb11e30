//! The steps of packaging/Dockerfile, run without a container engine: this machine's own files are the base image, under an
//! overlay that takes what the steps write.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::Command,
};

use lemon_session_tests::{Client, build, program::Program};
use tempfile::TempDir;

/// The instructions of the last stage: `RUN` and what follows it, and so on.
fn last_stage() -> Vec<(String, String)> {
    let text = fs::read_to_string(build::root().join("packaging/Dockerfile")).unwrap();
    let lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let joined = lines.join("\n").replace("\\\n", " ");
    let instructions = joined.lines().filter_map(|line| line.split_once(' '));
    let instructions: Vec<_> =
        instructions.map(|(instruction, rest)| (instruction.to_owned(), rest.trim().to_owned())).collect();
    let from = instructions.iter().rposition(|(instruction, _)| instruction == "FROM").expect("a stage begins");
    instructions[from + 1..].to_vec()
}

/// What the first stage builds, as the tests build it.
fn built(path: &str) -> PathBuf {
    match path {
        "/src/target/release/lemon-session" => build::command().to_owned(),
        "/src/target/wasm32-wasip2/component/welcome.wasm" => build::component("welcome"),
        "/etc/ssl/certs" => path.into(),
        path => panic!("the first stage does not build {path}"),
    }
}

/// A root of the image's own, in which the steps of the last stage have been run.
struct Image {
    folder: TempDir,
    environment: Vec<String>,
    user: String,
    workdir: String,
    command: Vec<String>,
}

impl Image {
    /// `None` if this user may not mount an overlay.
    fn build() -> Option<Self> {
        let folder = TempDir::with_prefix_in("lemon-session-image-", env!("CARGO_TARGET_TMPDIR")).unwrap();
        // The user of the image has to get through.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        for part in ["changes", "work", "root"] {
            fs::create_dir(folder.path().join(part)).unwrap();
        }
        let (environment, user, workdir, command) = (Vec::new(), "0:0".to_owned(), "/".to_owned(), Vec::new());
        let mut image = Self { folder, environment, user, workdir, command };
        if !image.sh("true").status().is_ok_and(|status| status.success()) {
            let line = "=".repeat(80);
            eprintln!("{line}\nSKIPPED: this user cannot mount an overlay\n{line}");
            return None;
        }
        for (instruction, rest) in last_stage() {
            match instruction.as_str() {
                "RUN" => image.run(&rest),
                "COPY" => match &rest.split_whitespace().collect::<Vec<_>>()[..] {
                    ["--from=build", source, target] => image.copy(&built(source), target),
                    [source, target] => image.copy(&build::root().join(source), target),
                    _ => panic!("COPY {rest}"),
                },
                "ENV" => image.environment.push(rest),
                "USER" => image.user = rest,
                "WORKDIR" => image.workdir = rest,
                "CMD" => image.command = serde_json::from_str(&rest).expect("the command is a list"),
                "EXPOSE" => assert_eq!(rest, "8080"),
                "VOLUME" => assert_eq!(rest, image.workdir),
                other => panic!("{other}: this test does not know it"),
            }
        }
        Some(image)
    }

    /// A command for `sh` that sees the image at `$root`. The mount ends with it.
    fn sh(&self, command: &str) -> Command {
        let script = format!(
            "mount -t overlay overlay -o lowerdir=/,upperdir=changes,workdir=work root && root=$PWD/root && {command}"
        );
        let mut unshare = Command::new("unshare");
        unshare.args(["--mount", "sh", "-ec", &script]).current_dir(self.folder.path());
        unshare
    }

    fn run(&self, step: &str) {
        let mut chroot = self.sh("exec chroot $root sh -c \"$STEP\"");
        let output = chroot.env("STEP", step).output().unwrap();
        assert!(output.status.success(), "RUN {step}: {output:?}");
    }

    fn copy(&self, source: &Path, target: &str) {
        let mut copy = self.sh("mkdir -p $(dirname $root$TARGET) && cp -r --no-target-directory $SOURCE $root$TARGET");
        let output = copy.env("SOURCE", source).env("TARGET", target).output().unwrap();
        assert!(output.status.success(), "COPY {} {target}: {output:?}", source.display());
    }

    /// Starts the command, on a free port of this machine.
    fn start(&self) -> Program {
        let command: Vec<_> = self.command.iter().map(|word| word.replace("0.0.0.0:8080", "127.0.0.1:0")).collect();
        assert_ne!(command, self.command, "it listens on the port of EXPOSE, for other machines");
        let environment = self.environment.join(" ");
        let start = format!(
            "exec chroot --userspec={} $root env -i PATH=/usr/local/bin:/usr/bin:/bin {environment} \
             sh -c 'cd {} && exec {}'",
            self.user,
            self.workdir,
            command.join(" ")
        );
        Program::start(&mut self.sh(&start))
    }
}

#[test]
fn the_container_serves_the_sample_as_a_user_of_its_own_and_keeps_sessions_in_the_volume() {
    let Some(image) = Image::build() else { return };
    let server = image.start();
    let first = Client::new().get(&server.url("/"));
    assert!(first.body.contains("This is your first visit"), "{first:?}");
    let cookie = first.set_cookie();

    let file = image.folder.path().join("changes").join(image.workdir.trim_start_matches('/')).join("sessions.db");
    let metadata = fs::metadata(&file).expect("the sessions are in the volume");
    assert_eq!(format!("{}:{}", metadata.uid(), metadata.gid()), image.user);
    assert_eq!(metadata.permissions().mode() & 0o077, 0, "and closed to others");
    let cache = image.folder.path().join("changes/var/cache/lemon-session");
    assert!(fs::read_dir(cache).unwrap().count() > 0, "compiled code is kept");
    drop(server);

    // Another container with the same volume.
    let server = image.start();
    let header = format!("{}={}", cookie.name, cookie.value);
    let back = Client::new().get_with(&server.url("/"), &[("cookie", &header)]);
    assert!(back.body.contains("</b> came back"), "the visitor is recognised: {back:?}");
}
