//! The npm package of `host/node`: its own tests, and sessions that a page of express shares with a page of the command.

use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
};

use lemon_session_tests::{Client, Launch, Storage, build, client::get_with_cookie, proxy::is_there};

/// The folder of the package, built.
fn package() -> Option<PathBuf> {
    is_there("npm", &["--version"]).then(|| build::made("host/node/dist/built").ancestors().nth(2).unwrap().to_owned())
}

/// The site of the package's tests, in a process that ends when this is dropped.
struct Site {
    process: Child,
    base: String,
}

impl Site {
    fn start(storage: &Storage) -> Option<Self> {
        let Storage { url, table, .. } = storage;
        let options = serde_json::json!({
            "storage": { "url": url, "table": table },
            "app": "visits",
            "cookie": { "name": "site" },
        });
        let mut node = Command::new("node");
        node.arg("test/site.js").arg(options.to_string()).current_dir(package()?).stdout(Stdio::piped());
        let mut process = node.spawn().expect("node can be run");
        let mut base = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut base).expect("the site tells where it listens");
        Some(Self { process, base: base.trim().to_owned() })
    }

    fn get(&self, visitor: &Client, path: &str) -> String {
        let reply = visitor.get(&format!("{}{path}", self.base));
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.body
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn the_package_keeps_what_its_tests_say() {
    let Some(package) = package() else { return };
    let output = Command::new("npm").args(["test", "--silent"]).current_dir(package).output().expect("npm can be run");
    let print = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", print(&output.stdout), print(&output.stderr));
}

#[test]
fn a_page_in_node_and_a_page_of_the_command_share_a_visitor_s_session() {
    for kind in ["sqlite", "redis"] {
        let Some(storage) = Storage::new(kind) else { continue };
        let Some(node) = Site::start(&storage) else { return };
        let server = Launch::new("values").ini("[session.cookie]\nname = site\n").storage(&storage).start();
        let visitor = Client::new();
        for visit in 1..=6 {
            if visit % 2 == 1 {
                let body = node.get(&visitor, "/");
                assert_eq!(body, format!("visit {visit}, new {}", visit == 1), "{kind}");
            } else {
                let body = server.get(&visitor, "/page").body;
                assert_eq!(body, format!("This is your visit no. {visit}\n"), "{kind}: {}", server.log());
            }
        }

        // Saves of both at the same time all survive.
        thread::scope(|scope| {
            for number in 0..20 {
                let (node, server, visitor) = (&node, &server, &visitor);
                scope.spawn(move || node.get(visitor, &format!("/set/v{number}/1")));
                scope.spawn(move || assert_eq!(server.get(visitor, "/set").status, 200));
            }
        });
        let all: serde_json::Value = serde_json::from_str(&node.get(&visitor, "/all")).expect("JSON");
        assert_eq!(all.as_object().map(serde_json::Map::len), Some(21), "{kind}: {all}");

        // A login and a logout in one are those in the other.
        let old = visitor.cookie("site").expect("there is a cookie");
        assert_eq!(visitor.get(&format!("{}/login/ada", node.base)).status, 302, "{kind}");
        let new = visitor.cookie("site").expect("there is a cookie");
        assert_ne!(new, old, "{kind}");
        assert_eq!(server.get(&visitor, "/page").body, "This is your visit no. 7\n", "{kind}");
        assert_eq!(node.get(&visitor, "/logout"), "logged out", "{kind}");
        for cookie in [old, new] {
            let ended = get_with_cookie(&server.url("/page"), &format!("site={cookie}"));
            assert_eq!(ended.body, "This is your visit no. 1\n", "{kind}");
        }
    }
}
