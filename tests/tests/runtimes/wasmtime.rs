//! `wasmtime serve`.

use std::{path::Path, process::Command};

use crate::{
    running::{Place, Running},
    site::{runtime, site},
    store::{Kind, Store},
    walks::walks,
};

/// Starts a site as docs/hosting.md says.
pub fn serve(application: &'static str, store: &Store) -> Running {
    let place = Place::new();
    let mut command = Command::new(runtime("wasmtime"));
    command.args(["serve", "-S", "cli", "--addr", &place.address.to_string()]);
    match store.kind {
        Kind::Files => command.arg("--dir").arg(format!("{}::/sessions", store.folder().display())),
        Kind::Redis | Kind::Postgres => command.args(["-S", "inherit-network", "--max-instance-reuse-count", "128"]),
    };
    for (name, value) in store.variables(Path::new("/sessions")) {
        command.arg("--env").arg(format!("{name}={value}"));
    }
    command.arg(site(application, store.kind));
    place.start(command, "Serving HTTP on ")
}

walks!(serve);
