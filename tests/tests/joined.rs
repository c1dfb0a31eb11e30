//! The session component joined with the providers that ship, in a plain wasmtime: without the crate of this project's host
//! in the linker.

use std::fs;

use http::{Request, Response};
use http_body_util::{BodyExt as _, Empty};
use lemon_session_host::{
    COMPONENT,
    compose::{compose, interfaces, plug_in_provider},
};
use lemon_session_tests::{build, command};
use tempfile::TempDir;
use tokio::sync::oneshot;
use wasmtime::{
    Engine, Store,
    component::{Component, Linker, ResourceTable},
};
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{
    Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView,
    p2::bindings::{ProxyPre, http::types::Scheme},
};

fn provider(name: &str) -> Vec<u8> {
    let file = build::root().join("host/command/providers").join(name).with_extension("wasm");
    fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// What a component imports, without the versions, sorted.
fn imports(component: &[u8]) -> Vec<String> {
    let (imports, _) = interfaces(component).expect("a component");
    let mut imports: Vec<_> =
        imports.iter().map(|import| import.split('@').next().expect("a name").to_owned()).collect();
    imports.sort();
    imports
}

#[test]
fn joined_components_import_what_every_host_has_and_export_sessions() {
    let with_sockets = [&FILES[..], &SOCKETS].concat();
    for (name, expected) in [("files", &FILES[..]), ("redis", &with_sockets), ("postgres", &with_sockets)] {
        let joined = plug_in_provider(COMPONENT, &provider(name)).expect("joined");
        assert_eq!(imports(&joined), expected, "{name}");
        let (_, exports) = interfaces(&joined).expect("a component");
        let expected = ["device-bound", "manager", "sessions"].map(|name| format!("lemon:session/{name}@0.1.0"));
        assert_eq!(exports, expected, "{name}");
    }
}

const FILES: [&str; 20] = [
    "lemon:session/types",
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/insecure-seed",
    "wasi:random/random",
];
/// What the providers `redis` and `postgres` import besides.
const SOCKETS: [&str; 7] = [
    "wasi:sockets/instance-network",
    "wasi:sockets/ip-name-lookup",
    "wasi:sockets/network",
    "wasi:sockets/tcp",
    "wasi:sockets/tcp-create-socket",
    "wasi:sockets/udp",
    "wasi:sockets/udp-create-socket",
];

/// A site that any runtime could run.
struct Site {
    engine: Engine,
    page: ProxyPre<Guest>,
    folder: TempDir,
}

struct Guest {
    table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    hooks: Hooks,
}

/// The page sends no requests.
struct Hooks;

type Sent = (Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>);

impl WasiHttpHooks for Hooks {
    fn send_request(
        &mut self,
        _request: Request<WasiBody>,
        _options: Option<RequestOptions>,
        _done: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Result<Sent, Error>> + Send> {
        Box::new(async { Err(Error::HttpRequestDenied) })
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for Guest {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: &mut self.hooks }
    }
}

struct Answer {
    status: u16,
    cookie: Option<String>,
    text: String,
}

impl Site {
    fn new(component: &[u8]) -> Self {
        let engine = Engine::default();
        let component = Component::new(&engine, component).expect("it compiles");
        let mut linker = Linker::<Guest>::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).expect("WASI");
        wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker).expect("HTTP");
        let page = ProxyPre::new(linker.instantiate_pre(&component).expect("nothing is missing")).expect("a page");
        Self { engine, page, folder: TempDir::new().expect("a folder") }
    }

    /// Answers a request with a fresh instance.
    async fn answer(&self, method: &str, cookie: Option<&str>, environment: &[(&str, &str)]) -> Answer {
        let mut wasi = WasiCtx::builder();
        wasi.preopened_dir(self.folder.path(), "/sessions", FsPerms::ReadWrite).expect("a folder");
        let wasi = wasi.envs(environment).inherit_stderr().build();
        let guest = Guest { table: ResourceTable::new(), wasi, http: WasiHttpCtx::new(), hooks: Hooks };
        let mut store = Store::new(&self.engine, guest);
        let mut request = Request::builder().method(method).uri("http://localhost/");
        if let Some(cookie) = cookie {
            request = request.header("cookie", cookie);
        }
        let request = request.body(Empty::new()).expect("a request");
        let (sender, response) = oneshot::channel();
        let request = store.data_mut().http().new_incoming_request(Scheme::Http, request).expect("a request");
        let out = store.data_mut().http().new_response_outparam(sender).expect("a response");
        let page = self.page.clone();
        let running = tokio::spawn(async move {
            let page = page.instantiate_async(&mut store).await?;
            page.wasi_http_incoming_handler().call_handle(&mut store, request, out).await
        });
        let response = response.await.expect("an answer").expect("a response");
        let cookie = response
            .headers()
            .get("set-cookie")
            .map(|value| value.to_str().expect("a cookie").split(';').next().expect("a name and a value").to_owned());
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        running.await.expect("the page ends").expect("it does not trap");
        Answer { status, cookie, text: String::from_utf8(body.to_vec()).expect("a text") }
    }
}

fn site() -> Site {
    let visits = fs::read(build::component("visits")).expect("the page");
    Site::new(&plug_in_provider(&compose(&visits).expect("composed"), &provider("files")).expect("joined"))
}

#[tokio::test]
async fn page_that_was_joined_with_the_provider_of_files_knows_its_visitor_in_another_instance() {
    let site = site();
    let first = site.answer("GET", None, &[]).await;
    assert!(first.status == 200 && first.text.contains("This is your first visit"), "{}", first.text);
    let cookie = first.cookie.expect("a cookie");

    let second = site.answer("GET", Some(&cookie), &[]).await;
    assert!(second.text.contains("Welcome back") && second.text.contains("Python Rules!"), "{}", second.text);

    let ended = site.answer("POST", Some(&cookie), &[]).await;
    assert!(ended.text.contains("Session Deleted"), "{}", ended.text);
    let after = site.answer("GET", Some(&cookie), &[]).await;
    assert!(after.text.contains("This is your first visit"), "{}", after.text);

    let wrong = site.answer("GET", None, &[("LEMON_SESSION_EXPIRES", "soon")]).await;
    assert!(wrong.status >= 500 && wrong.cookie.is_none(), "{} {}", wrong.status, wrong.text);
    let named = site.answer("GET", None, &[("LEMON_SESSION_COOKIE_NAME", "sid")]).await;
    assert!(named.cookie.expect("a cookie").starts_with("sid="), "the settings are those of the environment");
}

#[test]
fn command_joins_a_page_with_a_provider_and_tells_how_it_runs() {
    let folder = TempDir::new().expect("a folder");
    let run = |arguments: &[&str]| command::run(folder.path(), arguments);
    let visits = build::component("visits").display().to_string();

    let told = run(&["compose", &visits, "--provider", "files", "-o", "site.wasm"]).ok().stdout;
    assert!(told.starts_with("wrote site.wasm (") && told.contains("  mkdir -p sessions\n"), "{told}");
    assert!(told.contains("  wasmtime serve -S cli --dir sessions::/sessions site.wasm\n"), "{told}");
    let site = fs::read(folder.path().join("site.wasm")).expect("written");
    assert!(imports(&site).iter().all(|import| import.starts_with("wasi:") || import == "lemon:session/types"));

    let program = build::component("visits-cgi").display().to_string();
    let told = run(&["compose", &program, "--provider", "redis", "-o", "cgi.wasm"]).ok().stdout;
    assert!(told.contains("  wasmtime run -S inherit-network --env LEMON_SESSION_STORAGE=redis://"), "{told}");

    let told = run(&["component", "--provider", "files", "-o", "lemon_session_files.wasm"]).ok().stdout;
    assert!(told.contains("  jco transpile lemon_session_files.wasm "), "{told}");
    let own = build::root().join("host/command/providers/files.wasm").display().to_string();
    run(&["component", "--provider", &own, "-o", "own.wasm"]).ok();
    let written = |file: &str| fs::read(folder.path().join(file)).expect("written");
    assert!(written("own.wasm") == written("lemon_session_files.wasm"), "a provider is a file like any other");
}

#[test]
fn what_cannot_be_joined_is_an_error_that_says_why() {
    let folder = TempDir::new().expect("a folder");
    fs::write(folder.path().join("core.wasm"), b"\0asm\x01\0\0\0").expect("written");
    let (visits, none) = (build::component("visits"), build::component("rogue-cgi"));
    let (visits, none) = (visits.display().to_string(), none.display().to_string());
    for (application, provider, why) in [
        (&*visits, &*visits, "not a provider: it does not export lemon:session/storage"),
        (&visits, "core.wasm", "a core module"),
        (&visits, "file", "cannot read file; --provider takes files, redis, postgres or the file of another provider"),
        (&none, "files", "does not use sessions"),
    ] {
        let output = command::run(folder.path(), &["compose", application, "--provider", provider, "-o", "out.wasm"]);
        assert!(output.status == 1 && output.stderr.contains(why), "{output:?}");
        assert!(!folder.path().join("out.wasm").exists());
    }
}
