//! What `lemon-session new` writes: built and served by the command that it prints, and used in a browser.

use std::{fs, path::Path, process::Command, sync::OnceLock};

use fantoccini::{Client, Locator};
use lemon_session_tests::{Client as Visitor, Reply, browser::Browser, build, command, program::Program};
use tempfile::TempDir;

/// A project in a folder of its own, served.
struct Project {
    program: Program,
    folder: TempDir,
}

impl Project {
    /// Has the project written, built and served.
    fn start(language: &str) -> Self {
        let folder = TempDir::with_prefix("lemon-session-new-").unwrap();
        let printed = command::run(folder.path(), &["new", "shop", "--language", language]).ok().stdout;
        let next = printed
            .lines()
            .find_map(|line| line.trim().strip_prefix("cd shop && "))
            .expect("it prints what to do next");
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("cd shop && exec {next} ADDR=127.0.0.1:0 {}", installed(language))]);
        // What is compiled once is compiled for all runs of the tests. Not the options of a make that runs the tests.
        shell.current_dir(&folder).env("CARGO_TARGET_DIR", build::root().join("target/languages/rust"));
        shell.env_remove("MAKEFLAGS").env_remove("MAKELEVEL");
        Self { program: Program::start(&mut shell), folder }
    }

    fn get(&self, visitor: &Visitor) -> Reply {
        visitor.get(&self.program.url("/"))
    }

    /// Sends a form, and gets the page that the response leads to.
    #[track_caller]
    fn post(&self, visitor: &Visitor, path: &str, form: &[(&str, &str)]) -> Reply {
        let reply = visitor.post(&self.program.url(path), form);
        assert_eq!((reply.status, &reply.headers("location")[..]), (303, &["/"][..]), "{path}: {reply:?}");
        self.get(visitor)
    }
}

/// The tools of a language that the tests have installed already, as variables of make.
fn installed(language: &str) -> String {
    let tool = |variable: &str, file: &str| format!("{variable}='{}'", build::made(file).display());
    match language {
        "python" => tool("COMPONENTIZE_PY", "target/languages/python/bin/componentize-py"),
        "js" => tool("COMPONENTIZE_JS", "target/languages/js/node_modules/.bin/componentize-js"),
        "go" => format!("{} TOOLS=", tool("GO", &format!("{}/target/languages/go/bin/go", build::root().display()))),
        "c" => {
            let zig = build::made(&format!("{}/target/zig/bin/zig", build::root().display()));
            let js = build::made("target/languages/js/node_modules/.bin/componentize-js");
            format!("ZIG='{}' JCO='{}' TOOLS=", zig.display(), js.with_file_name("jco").display())
        }
        _ => String::new(),
    }
}

async fn walk(language: &str) {
    let project = Project::start(language);
    every_page_is_that_of_the_other_languages(&project, language);
    what_a_visitor_sends_is_escaped_and_bounded(&project, language);

    let Some(browser) = Browser::phone(360).await else { return };
    let client = &browser.client;
    client.goto(&project.program.url("/")).await.unwrap();
    browser.assert_shows("shop", "Log in to keep notes.").await;
    assert!(
        client.get_all_cookies().await.unwrap().is_empty(),
        "{language}: a visitor who does nothing has no session"
    );

    enter(client, "name", "Ada").await;
    browser.assert_shows("shop", "Welcome, Ada.").await;
    browser.assert_shows("shop", "You are logged in as Ada.").await;
    let cookie = client.get_named_cookie("shop").await.unwrap();
    assert_eq!(cookie.http_only(), Some(true), "{language}");
    client.refresh().await.unwrap();
    browser.assert_shows("shop", "You are logged in as Ada.").await;
    assert!(!text(client).await.contains("Welcome"), "{language}: the message is shown once");

    enter(client, "note", "Lemons & limes").await;
    browser.assert_shows("shop", "Your note is saved.").await;
    browser.assert_shows("shop", "Lemons & limes").await;
    client.refresh().await.unwrap();
    browser.assert_shows("shop", "Lemons & limes").await;
    assert!(!text(client).await.contains("Your note is saved."), "{language}: the message is shown once");
    let width = client.execute("return document.documentElement.scrollWidth", vec![]).await.unwrap();
    assert_eq!(width, 360, "{language}: nothing is wider than a phone");

    client.find(Locator::Css("form[action='/logout'] button")).await.unwrap().click().await.unwrap();
    browser.assert_shows("shop", "Log in to keep notes.").await;
    assert!(client.get_all_cookies().await.unwrap().is_empty(), "{language}: the browser has dropped the cookie");
    browser.close().await;
}

async fn enter(client: &Client, field: &str, value: &str) {
    let input = client.find(Locator::Css(&format!("input[name={field}]"))).await.unwrap();
    input.send_keys(value).await.unwrap();
    client.find(Locator::Css("button")).await.unwrap().click().await.unwrap();
}

async fn text(client: &Client) -> String {
    client.execute("return document.body.innerText", vec![]).await.unwrap().as_str().unwrap().to_owned()
}

/// The pages of a visit as they are in the other languages: whichever test is first says how they are.
fn every_page_is_that_of_the_other_languages(project: &Project, language: &str) {
    static PAGES: OnceLock<Vec<String>> = OnceLock::new();
    let visitor = Visitor::new();
    let mut pages = vec![project.get(&visitor).body];
    for (path, form) in
        [("/notes", [("note", "too early")]), ("/login", [("name", " Ada ")]), ("/notes", [("note", "a < b")])]
    {
        pages.push(project.post(&visitor, path, &form).body);
    }
    pages.push(project.get(&visitor).body);
    pages.push(visitor.get(&project.program.url("/nowhere")).body);
    pages.push(project.post(&visitor, "/logout", &[]).body);
    assert!(pages[1].contains("Log in first.") && pages[2].contains("Welcome, Ada."), "{language}: {pages:#?}");
    assert!(pages[4].contains("<li>a &lt; b</li>") && !pages[4].contains("saved"), "{language}: {pages:#?}");
    assert_eq!(&pages, PAGES.get_or_init(|| pages.clone()), "{language}");
}

fn what_a_visitor_sends_is_escaped_and_bounded(project: &Project, language: &str) {
    let visitor = Visitor::new();
    let before = {
        project.post(&visitor, "/login", &[("name", "")]);
        visitor.cookie("shop").expect("a message needs a session")
    };
    let page = project.post(&visitor, "/login", &[("name", "<script>&")]).body;
    assert!(page.contains("logged in as &lt;script&gt;&amp;.") && !page.contains("<script"), "{language}: {page}");
    assert_ne!(visitor.cookie("shop").unwrap(), before, "{language}: the login gives the session a new id");
    let owned = command::run(&project.folder.path().join("shop"), &["list", "--owner", "<script>&", "--json"]).ok();
    assert_eq!(owned.json().len(), 1, "{language}: the session has an owner");

    for (path, field, longest, of) in [("/login", "name", 100, "a name"), ("/notes", "note", 200, "a note")] {
        for text in [String::new(), "ü".repeat(longest + 1)] {
            let page = project.post(&visitor, path, &[(field, &text)]).body;
            assert!(page.contains(&format!("Enter {of} of 1 to {longest} characters.")), "{language}: {page}");
        }
    }
    let page = project.post(&visitor, "/login", &[("name", "\u{1}Grace\u{7f}\t")]).body;
    assert!(page.contains("logged in as Grace."), "{language}: {page}");
    project.post(&visitor, "/login", &[("name", "<script>&")]);
    for _ in 0..21 {
        project.post(&visitor, "/notes", &[("note", &"ü".repeat(200))]);
    }
    assert_eq!(project.get(&visitor).body.matches("<li>").count(), 20, "{language}: the newest notes");
    let forged =
        visitor.post_with(&project.program.url("/login"), &[("name", "Eve")], &[("sec-fetch-site", "cross-site")]);
    assert_eq!(forged.status, 403, "{language}");
    assert!(forged.body.contains("the request comes from another origin"), "{language}: {}", forged.body);
    assert!(project.get(&visitor).body.contains("&lt;script&gt;"), "{language}: nothing has changed");
}

#[tokio::test]
async fn a_new_page_in_rust_builds_with_one_command_and_works() {
    walk("rust").await;
}

#[tokio::test]
async fn a_new_page_in_python_builds_with_one_command_and_works() {
    walk("python").await;
}

#[tokio::test]
async fn a_new_page_in_javascript_builds_with_one_command_and_works() {
    walk("js").await;
}

#[tokio::test]
async fn a_new_page_in_go_builds_with_one_command_and_works() {
    walk("go").await;
}

#[tokio::test]
async fn a_new_page_in_c_builds_with_one_command_and_works() {
    walk("c").await;
}

#[test]
fn a_folder_in_use_stays_as_it_is() {
    let folder = TempDir::with_prefix("lemon-session-new-").unwrap();
    let new = |arguments: &[&str]| command::run(folder.path(), &[&["new"], arguments].concat());
    let entries = |path: &Path| fs::read_dir(path).unwrap().count();

    fs::create_dir(folder.path().join("shop")).unwrap();
    fs::write(folder.path().join("shop/mine"), "mine").unwrap();
    let used = new(&["shop", "--language", "rust"]);
    assert_eq!(used.status, 1);
    assert_eq!(
        used.stderr,
        "lemon-session: the folder shop is not empty: choose another name, or remove what is in it\n"
    );
    assert_eq!((entries(folder.path()), entries(&folder.path().join("shop"))), (1, 1));

    fs::write(folder.path().join("file"), "").unwrap();
    let file = new(&["file", "--language", "rust"]);
    assert_eq!(file.stderr, "lemon-session: file exists and is not a folder\n");

    fs::remove_file(folder.path().join("shop/mine")).unwrap();
    let empty = new(&["shop", "--language", "js"]).ok();
    assert!(empty.stdout.starts_with("wrote shop, a page in JavaScript."), "{empty:?}");
    assert!(folder.path().join("shop/app.js").is_file());
    assert_eq!(entries(folder.path()), 2, "nothing else is left");
}

#[test]
fn wrong_use_is_refused_with_what_would_be_right() {
    let folder = TempDir::with_prefix("lemon-session-new-").unwrap();
    for (arguments, expected) in [
        (&["new", "shop"][..], "--language <rust|python|js|go|c>"),
        (&["new", "shop", "--language", "perl"], "invalid value 'perl' for '--language <rust|python|js|go|c>'"),
        (&["new", "--language", "rust"], "<NAME>"),
        (&["new", "My Shop", "--language", "rust"], "'M' is not a lower-case letter, a digit or a hyphen"),
        (&["new", "../shop", "--language", "rust"], "'.' is not a lower-case letter, a digit or a hyphen"),
    ] {
        let output = command::run(folder.path(), arguments);
        assert_eq!(output.status, 2, "{output:?}");
        assert!(output.stderr.contains(expected), "{expected:?} in {}", output.stderr);
    }
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
}
