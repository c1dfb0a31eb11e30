//! A site whose store is a component.

use lemon_session_tests::{Client, Launch};
use tempfile::TempDir;

use super::conformance::provider;

#[test]
fn visitor_walks_a_site_whose_store_is_a_component() {
    let folder = TempDir::new().expect("a folder");
    let sessions = folder.path().join("sessions");
    let url = format!("component:{}?dir={}", provider("files").display(), sessions.display());
    let storage = ["--storage", url.as_str()];
    let launch = || Launch::new("welcome").arg(storage[0]).arg(storage[1]);
    let visitor = Client::new();

    let server = launch().start();
    let first = server.get(&visitor, "/");
    assert!(first.body.contains("This is your first visit"), "{first:?}");
    let second = server.get(&visitor, "/");
    assert!(second.body.contains("The cookie <b>welcome</b> came back"), "{second:?}");
    let form = [("name", "colour"), ("type", "text"), ("value", "green")];
    assert_eq!(server.post(&visitor, "/set", &form).status, 303);
    drop(server);

    // The cookie is sent to any port of this machine.
    let server = launch().start();
    let third = server.get(&visitor, "/");
    assert!(third.body.contains("came back") && third.body.contains("green"), "it survived the restart: {third:?}");

    let command = |arguments: &[&str]| server.launch.command(&[arguments, &storage].concat());
    let listed = command(&["list", "--json"]).ok().json();
    let digest = listed[0]["digest"].as_str().expect("a digest").to_owned();
    let stats = &command(&["stats", "--json"]).ok().json()[0];
    assert_eq!((&stats["live"], &stats["reused"]), (&1.into(), &serde_json::Value::Null));
    let doctor = command(&["doctor"]).ok().stdout;
    assert!(doctor.contains("component ") && doctor.contains("stores sessions"), "{doctor}");
    let shown = command(&["show", &digest]);
    assert!(shown.status == 1 && shown.stderr.contains("cannot list the variables of a session"), "{shown:?}");
    let copied = server.launch.command(&["move", "--from", &url, "--to", "sqlite:copies.db"]);
    assert!(copied.status != 0 && copied.stderr.contains("cannot export or import sessions"), "{copied:?}");

    command(&["destroy", &digest, "--yes"]).ok();
    let last = server.get(&visitor, "/");
    assert!(!last.body.contains("green"), "the session has ended: {last:?}");
    let dropped = command(&["tables", "drop", "--yes"]).ok().stdout;
    assert!(dropped.starts_with("dropped"), "{dropped}");
}

#[test]
fn component_that_cannot_be_loaded_fails_the_start_with_the_reason() {
    let launch = Launch::new("welcome");
    for (url, part) in [
        ("component:missing.wasm", "cannot read missing.wasm"),
        ("component:missing.wasm?dirs=/tmp", "\"dirs\" is not an option of component: stores"),
    ] {
        let output = launch.command(&["list", "--storage", url]);
        assert!(output.status != 0 && output.stderr.contains(part), "{output:?}");
    }
}
