//! How a component with a provider runs, for the person who joined them.

use std::{fmt::Write as _, path::Path};

use anyhow::Result;
use lemon_session_host::compose::interfaces;

use crate::providers::Provider;

/// What a component is called for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It answers HTTP requests.
    Server,
    /// It is a program, for example for CGI.
    Program,
    /// It is called by the code of a host, for sessions.
    Library,
}

impl Kind {
    fn of(exports: &[String]) -> Self {
        let has = |interface: &str| exports.iter().any(|export| export.starts_with(interface));
        if has("wasi:http/incoming-handler@") {
            Self::Server
        } else if has("wasi:cli/run@") {
            Self::Program
        } else {
            Self::Library
        }
    }
}

/// What the runtime has to grant and to set for a provider.
struct Needs {
    /// The folder to make first.
    folder: bool,
    wasmtime: &'static str,
    /// The variable for a runtime that has the folders of the machine, or its network.
    variable: &'static str,
}

impl Needs {
    fn of(provider: &Provider, imports: &[String]) -> Self {
        let sockets = imports.iter().any(|import| import.starts_with("wasi:sockets/"));
        match provider {
            Provider::Files => Self {
                folder: true,
                wasmtime: "--dir sessions::/sessions",
                variable: "LEMON_SESSION_STORAGE=files:$PWD/sessions",
            },
            Provider::Redis => Self {
                folder: false,
                wasmtime: "-S tcp -S inherit-network --env LEMON_SESSION_STORAGE=redis://127.0.0.1:6379",
                variable: "LEMON_SESSION_STORAGE=redis://127.0.0.1:6379",
            },
            Provider::File(_) => Self {
                folder: false,
                wasmtime: if sockets {
                    "-S tcp -S inherit-network --env LEMON_SESSION_STORAGE=URL"
                } else {
                    "--env LEMON_SESSION_STORAGE=URL"
                },
                variable: "LEMON_SESSION_STORAGE=URL",
            },
        }
    }
}

/// Describes how `file`, the `component` that was joined with `provider`, runs on each runtime.
pub fn describe(file: &Path, component: &[u8], provider: &Provider) -> Result<String> {
    let (imports, exports) = interfaces(component)?;
    let Needs { folder, wasmtime, variable } = Needs::of(provider, &imports);
    let file = file.display();
    let mut text = "It imports wasi:* alone. Run it on one of these:\n".to_owned();
    if folder {
        text.push_str("\n  mkdir -p sessions\n");
    }
    let lines = match Kind::of(&exports) {
        Kind::Server => vec![
            ("wasmtime", format!("wasmtime serve -S cli {wasmtime} {file}")),
            ("jco", format!("{variable} jco serve --isolate-requests worker {file}")),
            ("wash", format!("wash dev, with component_path: {file} in .wash/config.yaml")),
        ],
        Kind::Program => vec![(
            "wasmtime",
            format!("wasmtime run {wasmtime} --env REQUEST_METHOD=GET {file}, and further variables of CGI"),
        )],
        Kind::Library => vec![
            ("Node", format!("npx jco transpile {file} -o session, and import {{ sessions }} of session/")),
            ("Python", format!("wasmtime.component.Component.from_file(engine, \"{file}\")")),
            ("another component", format!("wac plug application.wasm --plug {file} -o site.wasm")),
        ],
    };
    let width = lines.iter().map(|(runtime, _)| runtime.len()).max().unwrap_or_default();
    text.push('\n');
    for (runtime, line) in lines {
        writeln!(text, "  {runtime:width$}  {line}")?;
    }
    write!(
        text,
        "\nSettings are in the environment, one variable for each key of lemon.ini, such as LEMON_SESSION_EXPIRES=30m.\n\
         docs/providers.md has all of them, and more about each runtime."
    )?;
    Ok(text)
}
