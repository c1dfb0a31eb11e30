//! Values that only the visitor's cookie opens.

use std::{fs, path::Path, time::SystemTime};

use lemon_session_host::store::Digest;
use lemon_session_tests::{Client, Launch, Server, Storage, command, storage::KINDS};
use tempfile::TempDir;

const SECRET: &str = "4711-0815-secret";

fn serve(storage: &Storage, ini: &str) -> Server {
    Launch::new("counter").ini(&format!("[session]\n{ini}\n")).storage(storage).start()
}

fn has_secret(bytes: &[u8]) -> bool {
    bytes.windows(SECRET.len()).any(|part| part == SECRET.as_bytes())
}

/// Whether the store has the value as it is.
fn is_readable(storage: &Storage, id: &str) -> bool {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let store = storage.open().await;
        let now = SystemTime::UNIX_EPOCH.elapsed().expect("a clock").as_secs();
        let session = store.transfer().expect("transfer").export(&Digest::of(id), now).await.expect("export");
        let writes: Vec<_> = session.expect("it is live").variables.into_iter().collect();
        assert!(writes.iter().any(|write| write.name == "card"), "it is there");
        store.close().await.expect("close");
        writes.iter().any(|write| has_secret(write.value.as_ref().expect("a value")))
    })
}

#[test]
fn sealed_values_are_in_no_store_and_survive_logins_and_a_move() {
    for (number, kind) in KINDS.into_iter().enumerate() {
        let to = KINDS[(number + 1) % KINDS.len()];
        let (Some(from), visitor) = (Storage::new(kind), Client::new()) else { continue };
        let Some(to) = Storage::named(to, &from.table) else { continue };
        let card = |server: &Server| server.get(&visitor, "/get?key=card").body;
        let id = || visitor.cookie("counter").expect("it has a session");

        let server = serve(&from, "seal = off");
        assert_eq!(server.get(&visitor, &format!("/set?key=card&value={SECRET}")).status, 200);
        assert!(is_readable(&from, &id()), "{kind}: not sealed yet");
        drop(server);
        let server = serve(&from, "seal = on");
        assert_eq!(card(&server), format!("{SECRET}\n"), "{kind}");
        server.get(&visitor, "/set?key=card&value=other");
        server.get(&visitor, &format!("/set?key=card&value={SECRET}"));
        assert!(!is_readable(&from, &id()), "{kind}: sealed");
        let before = id();
        server.get(&visitor, "/regenerate");
        assert_ne!(id(), before);
        assert_eq!(card(&server), format!("{SECRET}\n"), "{kind}: after the login");
        drop(server);

        let folder = TempDir::new().expect("a folder");
        let arguments = ["move", "--from", &from.url, "--to", &to.url, "--table", &from.table, "--json"];
        assert_eq!(command::run(folder.path(), &arguments).ok().json()[0]["copied"], 1, "{kind}");
        assert!(!is_readable(&to, &id()), "{kind}: moved");
        assert_eq!(card(&serve(&to, "seal = on")), format!("{SECRET}\n"), "{kind}: moved");
    }
}

#[test]
fn sealed_values_are_in_no_file_of_the_store() {
    for (seal, is_found) in [("on", false), ("off", true)] {
        let storage = Storage::new("sqlite").expect("SQLite needs no server");
        let server = serve(&storage, &format!("seal = {seal}"));
        server.get(&Client::new(), &format!("/set?key=card&value={SECRET}"));
        let file = storage.url.trim_start_matches("sqlite:");
        let files = fs::read_dir(Path::new(file).parent().expect("a folder")).expect("it can be read");
        let files: Vec<_> =
            files.map(|entry| fs::read(entry.expect("a file").path()).expect("it can be read")).collect();
        assert_eq!(files.iter().any(|bytes| has_secret(bytes)), is_found, "seal = {seal}");
        drop(server);
    }
}
