//! How a component with a provider runs on each runtime, for the person who joined them.

use std::path::Path;

use anyhow::Result;
use lemon_session_host::compose::interfaces;

use crate::providers::Provider;

/// What a component is called for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It answers HTTP requests.
    Server,
    /// It answers HTTP requests as a service of WASI 0.3.
    Service,
    /// It is a program that answers one request, for CGI.
    Program,
    /// It is called by the code of a host, for sessions.
    Library,
}

impl Kind {
    fn of(exports: &[String]) -> Self {
        let has = |interface: &str| exports.iter().any(|export| export.starts_with(interface));
        if has("wasi:http/incoming-handler@") {
            Self::Server
        } else if has("wasi:http/handler@") {
            Self::Service
        } else if has("wasi:cli/run@") {
            Self::Program
        } else {
            Self::Library
        }
    }
}

/// What the runtimes have to grant and to set for a provider.
struct Needs {
    /// A command to run first.
    first: &'static str,
    /// The options of wasmtime.
    wasmtime: &'static str,
    /// The keys of wash's configuration, beside `build`.
    wash: &'static str,
    /// The variables of jco and Node, and the options of jco.
    jco: (&'static str, &'static str),
}

const FILES: Needs = Needs {
    first: "mkdir -p sessions",
    wasmtime: "--dir sessions::/sessions",
    wash: "dev: {volumes: [{host_path: ./sessions, guest_path: /sessions}]}",
    // examples/jco/sessions.js grants the directory, which jco itself cannot.
    jco: ("SESSIONS_FOLDER=$PWD/sessions", "--jco-import sessions.js"),
};

const REDIS: Needs = Needs {
    first: "",
    wasmtime: "-S inherit-network --env LEMON_SESSION_STORAGE=redis://127.0.0.1:6379",
    wash: "workload: {environment: {config: {LEMON_SESSION_STORAGE: \"redis://host.wasmcloud.internal:6379\"}}, \
           allowedHostLoopbackPorts: [6379]}",
    jco: ("LEMON_SESSION_STORAGE=redis://127.0.0.1:6379", ""),
};

const POSTGRES: Needs = Needs {
    first: "",
    wasmtime: "-S inherit-network --env LEMON_SESSION_STORAGE=postgres://USER:PASSWORD@127.0.0.1/DATABASE",
    wash: "workload: {environment: {config: {LEMON_SESSION_STORAGE: \
           \"postgres://USER:PASSWORD@host.wasmcloud.internal/DATABASE\"}}, allowedHostLoopbackPorts: [5432]}",
    jco: ("LEMON_SESSION_STORAGE=postgres://USER:PASSWORD@127.0.0.1/DATABASE", ""),
};

/// What the provider of someone else needs is not known.
const OTHER: Needs = Needs {
    first: "",
    wasmtime: "--env LEMON_SESSION_STORAGE=URL",
    wash: "workload: {environment: {config: {LEMON_SESSION_STORAGE: \"URL\"}}}",
    jco: ("LEMON_SESSION_STORAGE=URL", ""),
};

/// Describes how `file`, the `component` that was joined with `provider`, runs on each runtime.
pub fn describe(file: &Path, component: &[u8], provider: &Provider) -> Result<String> {
    let (_, exports) = interfaces(component)?;
    let Needs { first, wasmtime, wash, jco: (variables, options) } = match provider {
        Provider::Files => FILES,
        Provider::Redis => REDIS,
        Provider::Postgres => POSTGRES,
        Provider::File(_) => OTHER,
    };
    let file = file.display();
    let lines = match Kind::of(&exports) {
        Kind::Server => vec![
            first.to_owned(),
            format!("wasmtime serve -S cli {wasmtime} {file}"),
            format!("{variables} jco serve --isolate-requests worker {options} {file}"),
            format!("wash dev    # with build: {{command: \"true\", component_path: {file}}}"),
            format!("            # and {wash} in .wash/config.yaml"),
        ],
        Kind::Service => {
            vec![first.to_owned(), format!("wasmtime serve -S cli {wasmtime} {file}    # wasmtime 46 or later")]
        }
        Kind::Program => vec![
            first.to_owned(),
            format!("wasmtime run {wasmtime} --env REQUEST_METHOD=GET {file}    # and further variables of CGI"),
        ],
        Kind::Library => vec![
            format!("jco transpile {file} -o session    # Node: import {{ sessions }}"),
            format!("wasmtime.component.Component.from_file(engine, \"{file}\")    # Python"),
            format!("wac plug application.wasm --plug {file} -o site.wasm"),
        ],
    };
    let lines = lines.iter().filter(|line| !line.is_empty());
    // Options that a provider does not need leave two spaces.
    let lines: String = lines.map(|line| format!("  {}\n", line.replace("worker  ", "worker "))).collect();
    Ok(format!(
        "It imports wasi:* alone. Ways to run it:\n\n{lines}\n\
         Settings are variables of the environment, one for each key of lemon.ini, such as LEMON_SESSION_EXPIRES=30m.\n\
         docs/providers.md has all of them, and what each runtime needs."
    ))
}
