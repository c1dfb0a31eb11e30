//! What a hostile application may do to the sessions of others, under each grant.

use std::collections::HashMap;

use lemon_session_tests::{Client, Launch, Server};
use rusqlite::{Connection, Row, types::Value};

/// A function of the manager with the owner and the session it is given, and what each grant has it answer. Under `all`
/// each finds what those before it left.
struct Call {
    function: &'static str,
    owner: Option<&'static str>,
    session: Option<&'static str>,
    owners: &'static str,
    all: &'static str,
}

const ALICE: Option<&str> = Some("alice");
const BOB: Option<&str> = Some("bob");

/// What a call is refused with, by the name of the function.
const DENIED: &str = "denied";

/// The store has two sessions of Alice, one of Bob, and an expired one.
#[rustfmt::skip]
const CALLS: [Call; 12] = [
    Call { function: "tables-exist", owner: None, session: None, owners: DENIED, all: "ok 1" },
    Call { function: "create-tables", owner: None, session: None, owners: DENIED, all: "ok 0" },
    Call { function: "count", owner: None, session: None, owners: DENIED, all: "ok 3" },
    Call { function: "list", owner: None, session: None, owners: DENIED, all: "ok 3" },
    Call { function: "list", owner: ALICE, session: None, owners: "ok 2", all: "ok 2" },
    Call { function: "cleanup", owner: None, session: None, owners: DENIED, all: "ok 1" },
    Call { function: "destroy", owner: ALICE, session: BOB, owners: "ok 0", all: "ok 0" },
    Call { function: "destroy", owner: ALICE, session: ALICE, owners: "ok 1", all: "ok 1" },
    Call { function: "destroy", owner: None, session: BOB, owners: DENIED, all: "ok 1" },
    Call { function: "destroy-owned", owner: ALICE, session: None, owners: "ok 1", all: "ok 1" },
    Call { function: "destroy-owned", owner: BOB, session: None, owners: "ok 1", all: "ok 0" },
    Call { function: "drop-tables", owner: None, session: None, owners: DENIED, all: "ok 0" },
];

impl Call {
    fn answer(&self, grant: &str) -> String {
        let answer = match grant {
            "none" => DENIED,
            "owners" => self.owners,
            _ => self.all,
        };
        if answer != DENIED {
            return format!("{answer}\n");
        }
        let with_an_owner = match (self.function, self.owner) {
            ("list" | "destroy", Some(_)) => " with an owner",
            ("list" | "destroy", None) => " without an owner",
            _ => "",
        };
        format!(
            "denied: manager.{}{with_an_owner} is refused: this application's grant is '{grant}' (the setting manager of \
             [session] and the section [session.manager] in lemon.ini)\n",
            self.function
        )
    }
}

/// Servers with an application that visitors sign in to. What a call removes, nothing else does.
fn launch(ini: &str) -> Launch {
    Launch::mounted().ini(&format!("[session]\ncleanup = 0\n{ini}")).mount("/", "counter")
}

fn store(server: &Server) -> Connection {
    Connection::open(server.launch.folder().join("sessions.db")).unwrap()
}

/// All that the store has.
fn stored(server: &Server) -> Vec<String> {
    let store = store(server);
    let mut tables = store.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").unwrap();
    let tables = tables.query_map([], |row| row.get::<_, String>(0)).unwrap().map(Result::unwrap);
    let of_table = |table: String| {
        let mut all = store.prepare(&format!("SELECT * FROM \"{table}\"")).unwrap();
        let columns = all.column_count();
        let row = |row: &Row| (0..columns).map(|column| row.get(column)).collect::<Result<Vec<Value>, _>>();
        let mut rows: Vec<_> =
            all.query_map([], row).unwrap().map(|row| format!("{table}: {:?}", row.unwrap())).collect();
        rows.sort();
        rows.insert(0, table.clone());
        rows
    };
    tables.flat_map(of_table).collect()
}

/// Has visitors begin the sessions that the calls are about, and no others be there; returns the digest of one of each
/// owner.
fn populate(server: &Server) -> HashMap<&'static str, String> {
    let store = store(server);
    for table in ["Session", "Session_variable", "Session_large", "Session_tombstone"] {
        store.execute(&format!("DELETE FROM \"{table}\""), []).unwrap();
    }
    for user in ["alice", "alice", "bob", "carol"] {
        assert_eq!(server.get(&Client::new(), &format!("/login?user={user}")).status, 200, "{}", server.log());
    }
    store.execute("UPDATE \"Session\" SET expires = 1 WHERE owner = 'carol'", []).unwrap();
    let digest = |owner: &str| -> String {
        let of_owner = "SELECT lower(hex(digest)) FROM \"Session\" WHERE owner = ?1 LIMIT 1";
        store.query_row(of_owner, [owner], |row| row.get(0)).unwrap()
    };
    HashMap::from(["alice", "bob"].map(|owner| (owner, digest(owner))))
}

/// Has the hostile application that is mounted on a path call every function.
fn assert_granted(server: &Server, path: &str, grant: &str) {
    let digests = populate(server);
    for call in CALLS {
        let mut target = format!("{path}/manager/{}?", call.function);
        if let Some(owner) = call.owner {
            target += &format!("owner={owner}&");
        }
        if let Some(owner) = call.session {
            target += &format!("digest={}", digests[owner]);
        }
        let expected = call.answer(grant);
        let before = stored(server);
        let reply = server.get(&Client::new(), &target);
        assert_eq!((reply.status, &reply.body), (200, &expected), "{grant}: {target}");
        if !expected.starts_with("ok") {
            assert_eq!(stored(server), before, "{grant}: {target}");
        }
    }
}

#[test]
fn the_grant_of_all_applications_bounds_what_each_does_to_the_sessions_of_others() {
    for grant in ["none", "owners", "all"] {
        let server = launch(&format!("manager = {grant}\n")).mount("/rogue", "rogue").start();
        assert_granted(&server, "/rogue", grant);
    }
}

#[test]
fn the_grant_of_a_mount_is_its_own() {
    let ini = "manager = all\n[session.manager]\n/none = none\n/owners = owners\n/ = none\n";
    // With a pooled session component, and with a composed one.
    for reuse in ["--reuse=1", "--reuse=2"] {
        let server =
            launch(ini).arg(reuse).mount("/none", "rogue").mount("/owners", "rogue").mount("/rest", "rogue").start();
        for (path, grant) in [("/none", "none"), ("/owners", "owners"), ("/rest", "all")] {
            assert_granted(&server, path, grant);
        }
    }
}

#[test]
fn without_a_setting_an_application_is_granted_owners() {
    assert_granted(&launch("").mount("/rogue", "rogue").start(), "/rogue", "owners");
}
