//! The console in Chromium: on a phone and a wide screen, in light and dark mode, with the keyboard, with 100,000 sessions, under load
//! and with a dead store. axe-core checks each page.

use std::{
    fs,
    process::{Child, Command, Stdio},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use fantoccini::{Client, Locator, key::Key};
use lemon_session_tests::{
    Launch, Server,
    browser::{Browser, Mode},
    build,
    proxy::is_there,
};
use serde_json::{Value, json};

const SESSIONS: u32 = 100_000;

/// A server whose store has many sessions.
fn server() -> Server {
    let launch = Launch::new("counter").ini("[session]\ncleanup = 0\n").console();
    launch.command(&["tables", "create"]).ok();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let store = rusqlite::Connection::open(launch.folder().join("sessions.db")).unwrap();
    store
        .execute_batch(&format!(
            "BEGIN;
            WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {SESSIONS})
            INSERT INTO Session (digest, created, accessed, expires, rotated, owner, version, size)
                SELECT randomblob(32), {now} - i % 50000, {now} - i % 1000, {now} + 86400 + i, {now} - i % 50000,
                    CASE WHEN i % 3 THEN 'user-' || (i % 20000) END, 1, 26 FROM n;
            INSERT INTO Session_variable (session, app, name, value)
                SELECT id, CASE WHEN id % 2 THEN 'shop' ELSE 'a-forum-with-a-long-name' END, 'basket', randomblob(20) FROM Session;
            COMMIT;"
        ))
        .unwrap();
    launch.start()
}

/// Requests of many visitors, until it is dropped.
struct Load(Child);

impl Load {
    fn start(server: &Server) -> Option<Self> {
        if !is_there("wrk", &["-v"]) {
            return None;
        }
        let mut wrk = Command::new("wrk");
        wrk.args(["-t1", "-c8", "-d120s", &server.url("/")]).stdout(Stdio::null());
        Some(Self(wrk.spawn().unwrap()))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A browser at the console.
struct Walk<'a> {
    browser: &'a Browser,
    client: &'a Client,
    root: String,
    axe: &'a str,
    what: String,
}

impl Walk<'_> {
    /// Opens a page, which takes no longer than a few seconds.
    async fn open(&self, path: &str, heading: &str) {
        let begun = Instant::now();
        self.client.goto(&format!("{}{path}", self.root)).await.unwrap();
        self.await_heading(heading).await;
        assert!(begun.elapsed() < Duration::from_secs(15), "{path} took {:?}", begun.elapsed());
    }

    async fn await_heading(&self, heading: &str) {
        self.until(&format!("document.querySelector('h1')?.textContent === {}", json!(heading))).await;
    }

    async fn script(&self, script: &str) -> Value {
        self.client.execute(script, vec![]).await.unwrap()
    }

    /// Waits until an expression is true.
    #[track_caller]
    fn until(&self, expression: &str) -> impl Future<Output = ()> {
        let expression = expression.to_owned();
        async move {
            let until = Instant::now() + Duration::from_secs(30);
            // Between two pages there is no document to ask.
            while !matches!(self.client.execute(&format!("return {expression}"), vec![]).await, Ok(Value::Bool(true))) {
                let text = self.client.execute("return document.body?.innerText", vec![]).await;
                assert!(Instant::now() < until, "not {expression}, {}: {text:?}", self.what);
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }

    /// The page does not overflow, and axe-core finds nothing.
    async fn check(&self, page: &str) {
        let overflow = "const root = document.documentElement;
            return root.scrollWidth > root.clientWidth || document.body.scrollWidth > root.clientWidth
                ? [...document.querySelectorAll('*')].filter((e) => e.getBoundingClientRect().right > root.clientWidth + 1)
                    .map((e) => e.outerHTML.slice(0, 99)) : []";
        assert_eq!(self.script(overflow).await, json!([]), "{page} overflows, {}", self.what);
        self.script(self.axe).await;
        let run = "const done = arguments[0];
            axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })
                .then((found) => done({ passes: found.passes.map((rule) => rule.id), violations: found.violations.map(
                    (rule) => [rule.id, rule.help, rule.nodes.map((node) => [node.html, node.failureSummary])]) }))
                .catch((error) => done(String(error)))";
        let found = self.client.execute_async(run, vec![]).await.unwrap();
        assert_eq!(found["violations"], json!([]), "{page}, {}", self.what);
        let passes = found["passes"].as_array().expect("axe-core ran");
        assert!(passes.contains(&json!("color-contrast")) && passes.len() > 15, "{passes:?}");
    }

    async fn press(&self, keys: &str) {
        self.client.active_element().await.unwrap().send_keys(keys).await.unwrap();
    }

    async fn sign_in(&self, token: &str) {
        self.open("/", "Sign in").await;
        self.check("the sign-in").await;
        // The field has the focus.
        self.press(&format!("{token}{}", char::from(Key::Enter))).await;
        self.await_heading("Overview").await;
    }
}

#[tokio::test]
async fn chromium_shows_it_in_each_width_and_mode_under_load() {
    let cases = [(360, Mode::Light), (360, Mode::Dark), (1280, Mode::Light), (1280, Mode::Dark)];
    let Some(first) = Browser::start().await else { return };
    first.close().await;
    let axe = fs::read_to_string(build::made("target/browser/node_modules/axe-core/axe.min.js")).unwrap();
    let server = server();
    let load = Load::start(&server);
    for (width, mode) in cases {
        let browser = Browser::of_width(width, mode).await.expect("it started before");
        let what = format!("{width} pixels, {mode:?}");
        let root = format!("http://{}/console", server.admin.unwrap());
        let walk = Walk { browser: &browser, client: &browser.client, root, axe: &axe, what };
        shows_all(&walk, &server, mode, load.is_some()).await;
        browser.close().await;
    }
    drop(load);

    server.launch.command(&["tables", "drop", "--yes"]).ok();
    let browser = Browser::of_width(360, Mode::Light).await.expect("it started before");
    let root = format!("http://{}/console", server.admin.unwrap());
    let what = "with a dead store".to_owned();
    let walk = Walk { browser: &browser, client: &browser.client, root, axe: &axe, what };
    walk.sign_in(server.token.as_deref().unwrap()).await;
    walk.until("document.body.innerText.includes('the tables of the sessions are missing')").await;
    walk.check("the overview").await;
    walk.open("/sessions", "The session store failed").await;
    walk.check("the sessions").await;
    browser.close().await;
}

async fn shows_all(walk: &Walk<'_>, server: &Server, mode: Mode, is_loaded: bool) {
    walk.sign_in(server.token.as_deref().unwrap()).await;
    let dark = walk.script("return matchMedia('(prefers-color-scheme: dark)').matches").await;
    assert_eq!(dark, json!(matches!(mode, Mode::Dark)), "{}", walk.what);
    // Chromium keeps the cookie of http://127.0.0.1, although it is Secure.
    let cookie = &walk.client.get_all_cookies().await.unwrap()[0];
    assert!(cookie.name().starts_with("__Host-lemon-console-") && cookie.secure() == Some(true), "{cookie}");

    walk.until("document.querySelectorAll('#charts figure canvas').length === 8").await;
    walk.until("document.getElementById('stream').textContent === 'live' && points.length > 1").await;
    // Counted within the last minute.
    walk.until("points.at(-1).live >= 100000").await;
    if is_loaded {
        walk.until("points.at(-1).started > 0 && points.at(-1).committed > 0 && points.at(-1).p95 > 0").await;
    }
    walk.check("the overview").await;

    walk.open("/sessions", "Sessions").await;
    assert_eq!(walk.script("return document.querySelectorAll('tbody tr').length").await, json!(50));
    walk.check("the sessions").await;
    walk.client.find(Locator::Id("owner")).await.unwrap().send_keys("user-1").await.unwrap();
    walk.press(&char::from(Key::Enter).to_string()).await;
    walk.until("location.search.includes('owner=user-1') && document.querySelectorAll('tbody tr').length > 2").await;
    walk.check("the sessions of an owner").await;
    walk.client.find(Locator::LinkText("End all sessions of this owner…")).await.unwrap().click().await.unwrap();
    walk.await_heading("End all sessions of an owner").await;
    walk.check("the confirmation").await;
    walk.client.find(Locator::LinkText("Cancel")).await.unwrap().click().await.unwrap();
    walk.await_heading("Sessions").await;
    walk.client.find(Locator::Css("tbody a.digest")).await.unwrap().click().await.unwrap();
    walk.await_heading("Session").await;
    walk.check("a session").await;
    walk.open("/sessions?app=shop&digest=abc", "Sessions").await;
    walk.check("a search that is refused").await;
    walk.open("/owners", "Owners and applications").await;
    walk.check("the owners").await;
    walk.open("/doctor", "Doctor").await;
    walk.client.find(Locator::Css("main button")).await.unwrap().click().await.unwrap();
    walk.until("document.querySelector('.findings') !== null").await;
    walk.check("the doctor").await;
    walk.open("/nothing", "Not Found").await;
    walk.check("a page that is missing").await;
}

#[tokio::test]
async fn everything_is_reached_with_the_keyboard() {
    let Some(browser) = Browser::of_width(360, Mode::Light).await else { return };
    let server = Launch::new("counter").console().start();
    for user in ["alice", "bob"] {
        server.get(&lemon_session_tests::Client::new(), &format!("/login?user={user}"));
    }
    let root = format!("http://{}/console", server.admin.unwrap());
    let walk = Walk { browser: &browser, client: &browser.client, root, axe: "", what: "with the keyboard".to_owned() };
    walk.open("/", "Sign in").await;
    walk.press(&format!("{}{}", server.token.as_deref().unwrap(), char::from(Key::Enter))).await;
    walk.await_heading("Overview").await;
    let (tab, enter) = (char::from(Key::Tab).to_string(), char::from(Key::Enter).to_string());

    for (path, heading) in [("/", "Overview"), ("/sessions", "Sessions"), ("/owners", "Owners and applications")] {
        walk.open(path, heading).await;
        walk.script("window.reached = new Set(); window.unseen = [];").await;
        let count = walk.script("return document.querySelectorAll('a[href], button, input').length").await;
        for _ in 0..count.as_u64().unwrap() {
            walk.press(&tab).await;
            walk.script(
                "const element = document.activeElement; reached.add(element);
                if (getComputedStyle(element).outlineStyle === 'none') unseen.push(element.outerHTML);",
            )
            .await;
        }
        let missed = "return [...document.querySelectorAll('a[href], button, input')].filter((e) => !reached.has(e))
            .map((e) => e.outerHTML)";
        assert_eq!(walk.script(missed).await, json!([]), "{path}");
        assert_eq!(walk.script("return unseen").await, json!([]), "{path}: the focus is seen");
    }

    // The first stop leads past the navigation.
    walk.open("/owners", "Owners and applications").await;
    walk.press(&tab).await;
    assert_eq!(walk.script("return document.activeElement.textContent").await, json!("Skip to the content"));
    walk.press(&enter).await;
    walk.until("document.activeElement.id === 'main'").await;
    walk.press(&tab).await;
    walk.press(&tab).await;
    assert_eq!(
        walk.script("return document.activeElement.getAttribute('aria-label')").await,
        json!("End all sessions of alice")
    );
    walk.press(&enter).await;
    walk.await_heading("End all sessions of an owner").await;
    for _ in 0..20 {
        walk.press(&tab).await;
        if walk.script("return document.activeElement.textContent").await == json!("End 1 session") {
            break;
        }
    }
    walk.press(&enter).await;
    walk.browser.assert_shows("", "Ended 1 session of alice.").await;
    browser.close().await;
}
