//! `wash dev` of wasmCloud.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use serde_json::json;
use url::Url;

use crate::{
    running::{Place, Running},
    site::{runtime, site},
    store::{Kind, Store},
    walks::walks,
};

/// The name of this machine's loopback in a component: 127.0.0.1 is the component's own.
const LOOPBACK: &str = "host.wasmcloud.internal";

fn serve(application: &'static str, store: &Store) -> Running {
    let place = Place::new();
    let folder = place.folder.path();
    fs::copy(site(application, store.kind), folder.join("site.wasm")).expect("there is room for a file");

    let mut variables = store.variables(Path::new("/sessions"));
    let (mut volumes, mut ports) = (Vec::new(), Vec::new());
    match store.kind {
        Kind::Files => volumes.push(json!({ "host_path": store.folder(), "guest_path": "/sessions" })),
        Kind::Redis | Kind::Postgres => {
            let (_, url) = &mut variables[0];
            let mut parsed = Url::parse(url).expect("a URL");
            parsed.set_host(Some(LOOPBACK)).expect("a host");
            ports.push(parsed.port().or(store.kind.port()));
            *url = parsed.to_string();
        }
    }
    // JSON is YAML.
    let config = json!({
        "build": { "command": "true", "component_path": "site.wasm" },
        "dev": { "address": place.address, "volumes": volumes },
        "workload": {
            "environment": { "config": variables.into_iter().collect::<BTreeMap<_, _>>() },
            "allowedHostLoopbackPorts": ports,
        },
    });
    fs::create_dir(folder.join(".wash")).expect("there is room for a folder");
    fs::write(folder.join(".wash/config.yaml"), config.to_string()).expect("there is room for a file");

    let mut command = Command::new(runtime("wash"));
    command.args(["--non-interactive", "dev"]).env("HOME", folder);
    place.start(command, "listening for HTTP requests")
}

walks!(serve);
