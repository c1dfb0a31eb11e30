//! examples/page-by-page: a site whose pages are on express, on Django, on axum and in WebAssembly. The packages are installed
//! as npm and PyPI install them, and one client carries the cookie from page to page.

use std::{
    fs::{self, File},
    process::Command,
    thread,
};

use lemon_session_tests::{
    Client, Launch, Reply, Server, Storage, build, client::get_with_cookie, command, program::Program, proxy::is_there,
};
use tempfile::TempDir;

const EXAMPLE: &str = "examples/page-by-page";

/// The pages, on one Redis.
struct Site {
    express: Program,
    django: Program,
    axum: Program,
    wasm: Server,
    logs: TempDir,
    storage: Storage,
}

impl Site {
    /// Returns `None` with a warning if Redis, npm or Python is missing, and fails in CI.
    fn start() -> Option<Self> {
        let storage = Storage::new("redis")?;
        if !is_there("npm", &["--version"]) || !is_there("python3", &["--version"]) {
            return None;
        }
        let logs = TempDir::with_prefix("lemon-session-").expect("there is room for a folder");
        let start = |name: &str, mut command: Command| {
            let log = File::create(logs.path().join(name)).expect("the log can be written");
            command.env("STORAGE", &storage.url).env("TABLE", &storage.table).env("PORT", "0").stderr(log);
            Program::start(&mut command)
        };
        let mut node = Command::new("node");
        node.arg(build::made("target/page-by-page/page.mjs"));
        let mut python = Command::new(build::made("target/python/installed").with_file_name("bin/python"));
        python
            .env("LEMON_SESSION_CACHE", build::root().join("target/python/cache"))
            .arg("-Bu")
            .arg(build::root().join(EXAMPLE).join("django/page.py"));
        let axum = Command::new(build::program("page-axum"));
        let (express, django, axum) = (start("express", node), start("django", python), start("axum", axum));
        let wasm = wasm(&storage, &settings()).start();
        Some(Self { express, django, axum, wasm, logs, storage })
    }

    /// The URL of a path on each host.
    fn urls(&self, path: &str) -> [String; 4] {
        [self.express.url(path), self.django.url(path), self.axum.url(path), self.wasm.url(path)]
    }

    /// What each host shows a visitor.
    #[track_caller]
    fn all_show(&self, visitor: &Client, expected: &str) {
        for url in self.urls("/") {
            assert_eq!(shown(&visitor.get(&url)), expected, "{url}");
        }
    }

    /// The page of each host for a request with this id.
    #[track_caller]
    fn all_refuse(&self, id: &str) {
        let cookie = format!("visitor={id}");
        for url in self.urls("/") {
            assert_eq!(get_with_cookie(&url, &cookie).body, "no session\n", "{url}");
        }
        // A session that begins in its place has another id.
        for url in self.urls("/set") {
            let form = [("name", "late"), ("value", "1")];
            let begun = Client::new().post_with(&url, &form, &[("cookie", &cookie)]).set_cookie();
            assert_ne!(begun.value, id, "{url}");
        }
        for url in self.urls("/") {
            assert_eq!(get_with_cookie(&url, &cookie).body, "no session\n", "{url}");
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if thread::panicking() {
            for name in ["express", "django", "axum"] {
                let log = fs::read_to_string(self.logs.path().join(name)).unwrap_or_default();
                eprintln!("the log of {name}:\n{log}");
            }
        }
    }
}

fn settings() -> String {
    fs::read_to_string(build::root().join(EXAMPLE).join("lemon.ini")).expect("the example has settings")
}

/// The page in WebAssembly.
fn wasm(storage: &Storage, settings: &str) -> Launch {
    Launch::new("page_wasm").ini(settings).storage(storage)
}

#[track_caller]
fn shown(reply: &Reply) -> &str {
    assert_eq!(reply.status, 200, "{reply:?}");
    &reply.body
}

#[track_caller]
fn send(visitor: &Client, url: &str, form: &[(&str, &str)]) {
    let reply = visitor.post(url, form);
    assert_eq!(reply.status, 200, "{url}: {reply:?}");
}

#[track_caller]
fn set(visitor: &Client, page: &str, name: &str, value: &str) {
    send(visitor, &format!("{page}set"), &[("name", name), ("value", value)]);
}

fn id(visitor: &Client) -> Option<String> {
    visitor.cookie("visitor")
}

#[test]
fn pages_on_four_hosts_share_a_visitor_s_session() {
    let Some(site) = Site::start() else { return };
    a_visitor_walks_over_the_hosts(&site);
    values_of_each_type_are_the_same_on_each_host(&site);
    a_login_holds_on_each_host_until_the_command_ends_it(&site);
    fifty_parallel_requests_keep_fifty_variables(&site);
}

fn a_visitor_walks_over_the_hosts(site: &Site) {
    let [express, django, axum, wasm] = site.urls("/");
    let visitor = Client::new();
    site.all_show(&visitor, "no session\n");
    assert_eq!(id(&visitor), None, "a look leaves nothing");

    set(&visitor, &express, "item", "lemon");
    let first = id(&visitor).expect("a session has a cookie");
    assert_eq!(shown(&visitor.get(&django)), "item: lemon\n");
    set(&visitor, &django, "town", "Lisbon");
    assert_eq!(shown(&visitor.get(&axum)), "item: lemon\ntown: Lisbon\n");
    set(&visitor, &axum, "item", "lime");
    site.all_show(&visitor, "item: lime\ntown: Lisbon\n");
    assert_eq!(id(&visitor).as_ref(), Some(&first), "no host gives another id");

    send(&visitor, &format!("{wasm}logout"), &[]);
    assert_eq!(id(&visitor), None, "the cookie is deleted");
    site.all_show(&visitor, "no session\n");
    site.all_refuse(&first);
}

fn values_of_each_type_are_the_same_on_each_host(site: &Site) {
    for writer in site.urls("/values") {
        let visitor = Client::new();
        for reader in site.urls("/values") {
            let all = "different: null boolean integer real text bytes list map\n";
            assert_eq!(shown(&visitor.get(&reader)), all, "{reader} before {writer}");
        }
        send(&visitor, &writer, &[]);
        for reader in site.urls("/values") {
            assert_eq!(shown(&visitor.get(&reader)), "different: none\n", "{reader} after {writer}");
        }
    }
}

fn a_login_holds_on_each_host_until_the_command_ends_it(site: &Site) {
    let visitors: Vec<_> = site
        .urls("/")
        .into_iter()
        .map(|page| {
            let visitor = Client::new();
            set(&visitor, &page, "item", "lemon");
            let before = id(&visitor).expect("a session has a cookie");
            send(&visitor, &format!("{page}login"), &[("user", "ada")]);
            assert_ne!(id(&visitor).as_ref(), Some(&before), "{page}: a login changes the id");
            site.all_show(&visitor, "item: lemon\nuser: ada\n");
            site.all_refuse(&before);
            visitor
        })
        .collect();
    let ids: Vec<_> = visitors.iter().filter_map(id).collect();
    assert_eq!(ids.len(), 4);

    let [storage, url, table, name] = site.storage.flags();
    let destroy = ["destroy", "--owner", "ada", "--yes", "--json", storage, url, table, name];
    assert_eq!(command::run(site.logs.path(), &destroy).ok().json(), [serde_json::json!({ "destroyed": 4 })]);
    for (visitor, id) in visitors.iter().zip(ids) {
        site.all_show(visitor, "no session\n");
        site.all_refuse(&id);
    }
}

fn fifty_parallel_requests_keep_fifty_variables(site: &Site) {
    let visitor = Client::new();
    let pages = site.urls("/");
    set(&visitor, &pages[0], "k00", "0");
    thread::scope(|scope| {
        for number in 1..=50 {
            let (visitor, page) = (&visitor, &pages[number % 4]);
            scope.spawn(move || set(visitor, page, &format!("k{number:02}"), &number.to_string()));
        }
    });
    let all: String = (0..=50).map(|number| format!("k{number:02}: {number}\n")).collect();
    site.all_show(&visitor, &all);
}

#[test]
fn a_page_whose_settings_differ_shares_less() {
    let Some(site) = Site::start() else { return };
    let [express, ..] = site.urls("/");
    let visitor = Client::new();
    set(&visitor, &express, "item", "lemon");
    let cookie = format!("visitor={}", id(&visitor).expect("a session has a cookie"));
    for url in site.urls("/") {
        let reply = get_with_cookie(&url, &cookie);
        assert_eq!(reply.body, "item: lemon\n");
        assert!(
            reply.headers("set-cookie").is_empty(),
            "{url}: settings that are equal need no other cookie: {reply:?}"
        );
    }

    let look = |storage: &Storage, from: &str, to: &str| {
        assert!(settings().contains(from));
        let page = wasm(storage, &settings().replace(from, to)).start();
        get_with_cookie(&page.url("/"), &cookie)
    };
    let cookie_name = look(&site.storage, "name = visitor", "name = guest");
    assert_eq!(cookie_name.body, "no session\n");
    let application = look(&site.storage, "app = shop", "app = market");
    assert_eq!(application.body, "", "there is the session, without a variable of that application");
    let table = look(&Storage::new("redis").expect("Redis is there"), "", "");
    assert_eq!(table.body, "no session\n");
    let attribute = look(&site.storage, "name = visitor", "name = visitor\nsame-site = strict");
    assert_eq!(attribute.set_cookie().attribute("samesite"), Some("Strict"), "the cookie is sent again");
    let expiry = look(&site.storage, "expires = 1h", "expires = 2h");
    assert_eq!(expiry.body, "item: lemon\n");
    // By the twentieth that a session may stay unused before its expiry is moved, a cookie lasts longer than its session.
    let max_age = expiry.set_cookie().attribute("max-age").and_then(|seconds| seconds.parse::<u64>().ok());
    assert!(max_age.is_some_and(|seconds| (7200..=7561).contains(&seconds)), "the session lasts longer: {max_age:?}");
}
