//! nginx with a self-signed certificate.

use std::{
    env, fs,
    net::{TcpListener, TcpStream},
    path::Path,
    process::{self, Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// A port that is free now, and below those that the system gives away: no connection takes it in the meantime.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let ports = 20_000..32_000;
    loop {
        // Tests of two programs begin at different ports.
        let next = process::id() * 50 + NEXT.fetch_add(1, Relaxed);
        let port = ports.start + (next % ports.len() as u32) as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Whether a program is installed. Fails in CI if it is not.
pub fn is_there(program: &str, arguments: &[&str]) -> bool {
    let found = Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !found {
        let what = format!("{program} cannot be run: tests/setup.sh installs it");
        assert_ne!(env::var("CI").as_deref(), Ok("true"), "{what}");
        eprintln!("\n*** SKIPPED: {what} ***\n");
    }
    found
}

/// nginx, which ends when it is dropped.
pub struct Proxy {
    nginx: Child,
    _folder: TempDir,
}

impl Proxy {
    /// Starts it with these servers, the lines inside `http`, once it listens on `ports`. `CERTIFICATE` and `KEY` stand
    /// for the files of a certificate for `host`. Returns `None` if nginx is not installed, and fails in CI.
    pub fn start(servers: &str, host: &str, ports: &[u16]) -> Option<Self> {
        if !is_there(nginx(), &["-v"]) || !is_there("openssl", &["version"]) {
            return None;
        }
        let folder = TempDir::with_prefix("lemon-session-nginx-").expect("there is room for a folder");
        let path = |name: &str| folder.path().join(name).display().to_string();
        certify(host, path("certificate.pem"), path("key.pem"));
        let servers = servers.replace("CERTIFICATE", &path("certificate.pem")).replace("KEY", &path("key.pem"));
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|what| format!("{what}_temp_path {};\n", path(what)))
            .concat();
        let configuration = format!(
            "daemon off;\nmaster_process off;\npid {};\nerror_log stderr warn;\nevents {{}}\nhttp {{\naccess_log off;\n\
             {temporary}{servers}\n}}\n",
            path("pid")
        );
        fs::write(folder.path().join("nginx.conf"), &configuration).expect("the folder can be written");
        let nginx = Command::new(nginx())
            .arg("-p")
            .arg(folder.path())
            .args(["-e", "stderr", "-c", &path("nginx.conf")])
            .stdin(Stdio::null())
            .spawn()
            .expect("nginx can be run");
        let mut proxy = Self { nginx, _folder: folder };
        for port in ports {
            proxy.wait_for(*port);
        }
        Some(proxy)
    }

    fn wait_for(&mut self, port: u16) {
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = self.nginx.try_wait().expect("nginx is ours");
            assert!(ended.is_none(), "nginx has ended: {ended:?}");
            assert!(begun.elapsed() < Duration::from_secs(60), "nginx does not listen on port {port}");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.nginx.kill();
        let _ = self.nginx.wait();
    }
}

/// Debian installs it in a folder that only root's PATH contains.
fn nginx() -> &'static str {
    let debian = "/usr/sbin/nginx";
    if Path::new(debian).exists() { debian } else { "nginx" }
}

fn certify(host: &str, certificate: impl AsRef<Path>, key: impl AsRef<Path>) {
    let names = format!("subjectAltName=DNS:{host},IP:127.0.0.1");
    let output = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1"])
        .args(["-subj", &format!("/CN={host}"), "-addext", &names, "-keyout"])
        .arg(key.as_ref())
        .arg("-out")
        .arg(certificate.as_ref())
        .output()
        .expect("openssl can be run");
    assert!(output.status.success(), "{output:?}");
}
