//! `jco serve`.

use std::{fs, path::Path, process::Command};

use lemon_session_tests::build::root;

use crate::{
    running::{Place, Running},
    site::{runtime, site},
    store::{Kind, Store},
    walks::walks,
};

/// Each request gets a worker: without them, the requests of one process wait for each other. A component sees the environment
/// of the machine and its network, but no directory without examples/jco/sessions.js.
fn serve(application: &'static str, store: &Store) -> Running {
    let place = Place::new();
    let mut command = Command::new(runtime("jco"));
    command.args([
        "serve",
        "--isolate-requests",
        "worker",
        "--isolate-worker-pool-size",
        "8",
        "--jco-dir",
        "transpiled",
    ]);
    if store.kind == Kind::Files {
        // There, it finds the same module as jco.
        let transpiled = place.folder.path().join("transpiled");
        fs::create_dir(&transpiled).expect("there is room for a folder");
        let module = "sessions.js";
        fs::copy(root().join("examples/jco").join(module), transpiled.join(module)).expect("there is room for a file");
        command.arg("--jco-import").arg(transpiled.join(module)).env("SESSIONS_FOLDER", store.folder());
    }
    command
        .args(["--host", "127.0.0.1", "--port", &place.address.port().to_string()])
        .arg(site(application, store.kind))
        .envs(store.variables(Path::new("/sessions")));
    place.start(command, "Server listening @ ")
}

walks!(serve);
