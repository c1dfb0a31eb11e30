//! A cache in front of the server, nginx with `proxy_cache`, shows no visitor the page of another one.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

use lemon_session_tests::{Client, Launch, Server};
use tempfile::TempDir;

/// nginx, which keeps every page that it may keep, by its path alone.
struct Cache {
    port: u16,
    nginx: Child,
    _folder: TempDir,
}

impl Cache {
    /// Starts nginx in front of a server. Returns `None` if nginx is not installed, and fails in CI.
    fn before(server: &Server) -> Option<Self> {
        if Command::new("nginx").arg("-v").output().is_err() {
            let what = "nginx is not installed: tests/setup.sh does it";
            assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{what}");
            eprintln!("\n*** SKIPPED, no cache was tested: {what} ***\n");
            return None;
        }
        let folder = TempDir::with_prefix("lemon-session-").expect("there is room for a folder");
        let path = folder.path().display();
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
        let upstream = server.url("");
        let configuration = format!(
            "daemon off; master_process off; pid {path}/pid; error_log {path}/error.log;
            events {{}}
            http {{
                access_log off;
                client_body_temp_path {path}/body; proxy_temp_path {path}/proxy; fastcgi_temp_path {path}/fastcgi;
                uwsgi_temp_path {path}/uwsgi; scgi_temp_path {path}/scgi;
                proxy_cache_path {path}/pages keys_zone=pages:1m;
                server {{
                    listen 127.0.0.1:{port};
                    location / {{
                        proxy_pass {upstream}; proxy_cache pages; proxy_cache_valid any 1h; proxy_cache_key $uri;
                    }}
                }}
            }}"
        );
        let file = folder.path().join("nginx.conf");
        fs::write(&file, configuration).expect("there is room for a file");
        let nginx = Command::new("nginx").arg("-e").arg(folder.path().join("error.log")).arg("-c").arg(&file).spawn();
        let cache = Self { port, nginx: nginx.expect("nginx starts"), _folder: folder };
        let until = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < until, "nginx listens within a minute");
            thread::sleep(Duration::from_millis(20));
        }
        Some(cache)
    }

    fn get(&self, visitor: &Client) -> String {
        visitor.get(&format!("http://127.0.0.1:{}/", self.port)).body
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        let _ = self.nginx.kill();
        let _ = self.nginx.wait();
    }
}

/// What a stranger is shown after a visitor has seen his own page, under a cache limiter.
fn shown_to_a_stranger(component: &str, limiter: &str) -> Option<String> {
    let server = Launch::new(component).ini(&format!("[session]\ncache-limiter = {limiter}\n")).start();
    let cache = Cache::before(&server)?;
    let visitor = Client::new();
    assert!(cache.get(&visitor).contains("This is your first visit"), "{}", server.log());
    for _ in 0..2 {
        assert!(cache.get(&visitor).contains("Welcome back"), "{}", server.log());
    }
    Some(cache.get(&Client::new()))
}

#[test]
fn a_cache_shows_no_stranger_the_page_of_a_visitor() {
    for component in ["visits", "visits-cgi"] {
        for limiter in ["nocache", "private", "public"] {
            let Some(page) = shown_to_a_stranger(component, limiter) else { return };
            assert!(page.contains("This is your first visit"), "{component} with {limiter}: {page}");
        }
        // The cache does keep what it may: this is what the headers are for.
        let Some(page) = shown_to_a_stranger(component, "none") else { return };
        assert!(page.contains("Welcome back"), "{component}: {page}");
    }
}
