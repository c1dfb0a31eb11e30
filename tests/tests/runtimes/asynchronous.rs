//! A service of WASI 0.3 in `wasmtime serve`, with the session component of WASI 0.3 and a provider.

use std::{path::Path, process::Command};

use crate::{
    running::{Place, Running},
    site::{runtime, site},
    store::{Kind, Store},
    walks::walks,
};

/// Starts the application's twin for WASI 0.3. One instance answers up to 64 requests at once.
fn serve(application: &'static str, store: &Store) -> Running {
    let twin = match application {
        "visits" => "visits_async",
        _ => "counter_async",
    };
    let place = Place::new();
    let mut command = Command::new(runtime("wasmtime"));
    command.args(["serve", "-S", "cli", "--addr", &place.address.to_string()]);
    command.args(["--max-instance-reuse-count", "128", "--max-instance-concurrent-reuse-count", "64"]);
    match store.kind {
        Kind::Files => command.arg("--dir").arg(format!("{}::/sessions", store.folder().display())),
        Kind::Redis | Kind::Postgres => command.args(["-S", "inherit-network"]),
    };
    for (name, value) in store.variables(Path::new("/sessions")) {
        command.arg("--env").arg(format!("{name}={value}"));
    }
    command.arg(site(twin, store.kind));
    place.start(command, "Serving HTTP on ")
}

walks!(serve);
