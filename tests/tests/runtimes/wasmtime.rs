//! `wasmtime serve`.

use std::{path::Path, process::Command};

use crate::{
    running::{Place, Running},
    site::{runtime, site},
    store::{Kind, Store},
    walks::{visitor, walks},
};

/// Starts a site as docs/hosting.md says.
pub fn serve(application: &'static str, store: &Store) -> Running {
    let place = Place::new();
    let command = command(&place, application, store);
    place.start(command, READY)
}

/// What `wasmtime serve` logs when it listens.
const READY: &str = "Serving HTTP on ";

fn command(place: &Place, application: &'static str, store: &Store) -> Command {
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
    command
}

walks!(serve);

/// docs/performance.md lists them, and why each is made.
#[test]
fn files_take_seven_calls_of_the_host_for_a_load_and_four_for_a_save() {
    let Some(store) = Store::new(Kind::Files) else { return };
    let place = Place::new();
    let mut wasmtime = command(&place, "counter", &store);
    // One start in a hundred cleans up, which takes more calls.
    wasmtime.args(["--env", "LEMON_SESSION_CLEANUP=0"]);
    // It logs each call of the component.
    wasmtime.env("WASMTIME_LOG", "wasmtime_wasi=trace").env("NO_COLOR", "1");
    let counter = place.start(wasmtime, READY);
    let cookie = visitor(&counter);
    let calls = |path| {
        let before = counter.log().len();
        assert_eq!(counter.get_with(&cookie, path).status, 200);
        let log = counter.log();
        let called = log[before..].lines().filter(|line| line.contains("filesystem::types: call "));
        let name = |line: &str| line.split("function=\"[method]").nth(1)?.split('"').next().map(str::to_owned);
        called.filter_map(name).collect::<Vec<_>>()
    };
    let entry = "directory-entry-stream.read-directory-entry";
    let load = [
        "descriptor.open-at",
        "descriptor.read-directory",
        entry,
        entry,
        entry,
        "descriptor.open-at",
        "descriptor.read",
    ];
    let save = ["descriptor.open-at", "descriptor.write", "descriptor.rename-at", "descriptor.unlink-file-at"];
    assert_eq!(calls("/read"), load);
    assert_eq!(calls("/"), [&load[..], &save].concat());
}
