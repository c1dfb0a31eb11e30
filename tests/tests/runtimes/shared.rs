//! Two native servers and two sites with a provider on one Redis or one PostgreSQL: the rules hold over all four.

use std::thread;

use lemon_session_tests::{Launch, Reply, Server, client::get_with_cookie};

use crate::{
    running::{Running, comes_true},
    store::{Kind, Store},
    wasmtime,
};

/// How often each of 16 clients adds one.
const TIMES: usize = 50;

/// Servers that know nothing of each other but the store.
struct Servers {
    native: [Server; 2],
    sites: [Running; 2],
    _store: Store,
}

impl Servers {
    fn start(kind: Kind) -> Option<Self> {
        let store = Store::new(kind)?;
        let native = [(); 2].map(|()| Launch::new("counter").storage(store.storage()).start());
        let sites = [(); 2].map(|()| wasmtime::serve("counter", &store));
        Some(Self { native, sites, _store: store })
    }

    /// A request to the server of this number: they take turns.
    fn get(&self, number: usize, path: &str, cookie: &str) -> Reply {
        let url = match number % 4 {
            0 | 1 => self.native[number % 4].url(path),
            _ => self.sites[number % 2].url(path),
        };
        get_with_cookie(&url, cookie)
    }

    fn visitor(&self, number: usize) -> String {
        let reply = self.get(number, "/set?key=first&value=1", "");
        format!("counter={}", reply.set_cookie().value)
    }
}

#[test]
fn native_servers_and_sites_on_one_redis_keep_the_rules_together() {
    keep_the_rules_together(Kind::Redis);
}

#[test]
fn native_servers_and_sites_on_one_postgres_keep_the_rules_together() {
    keep_the_rules_together(Kind::Postgres);
}

fn keep_the_rules_together(kind: Kind) {
    let Some(servers) = Servers::start(kind) else { return };
    each_knows_what_another_stored(&servers);
    counters_end_exactly(&servers);
    strict_counters_that_are_retried_end_exactly(&servers);
    no_logout_is_undone(&servers);
}

fn each_knows_what_another_stored(servers: &Servers) {
    let cookie = servers.visitor(0);
    for n in 0..8 {
        assert_eq!(servers.get(n, &format!("/set?key=k{n}&value={n}"), &cookie).status, 200);
        assert_eq!(servers.get(n + 1, &format!("/get?key=k{n}"), &cookie).body, format!("{n}\n"));
    }
}

fn counters_end_exactly(servers: &Servers) {
    let cookie = servers.visitor(2);
    thread::scope(|scope| {
        for client in 0..16 {
            let cookie = &cookie;
            scope.spawn(move || {
                for round in 0..TIMES {
                    let reply = servers.get(client + round, "/add?key=added&delta=1", cookie);
                    assert_eq!(reply.status, 200, "{reply:?}");
                }
            });
        }
    });
    assert_eq!(servers.get(3, "/get?key=added", &cookie).body.trim(), (16 * TIMES).to_string());
}

fn strict_counters_that_are_retried_end_exactly(servers: &Servers) {
    let cookie = servers.visitor(1);
    thread::scope(|scope| {
        for client in 0..8 {
            let cookie = &cookie;
            scope.spawn(move || {
                let mut successes = 0;
                while successes < 10 {
                    match servers.get(client, "/increment?key=strict&strict=1", cookie) {
                        Reply { status: 200, .. } => successes += 1,
                        Reply { status: 409, .. } => {}
                        reply => panic!("{reply:?}"),
                    }
                }
            });
        }
    });
    assert_eq!(servers.get(0, "/get?key=strict", &cookie).body.trim(), "80");
}

/// Requests are in flight on all servers when one of them ends the session, or gives it another id.
fn no_logout_is_undone(servers: &Servers) {
    for (ending, end) in ["/destroy", "/regenerate", "/login?user=ann", "/destroy"].into_iter().enumerate() {
        let cookie = servers.visitor(ending);
        thread::scope(|scope| {
            for n in 0..8 {
                let cookie = &cookie;
                scope.spawn(move || {
                    let path = format!("/slow-set?key=late{n}&value=1&ms=4000&begun=begun{n}");
                    let slow = servers.get(n, &path, cookie);
                    assert_eq!(slow.status, 409, "{end}: {slow:?}");
                    assert!(slow.headers("set-cookie").is_empty(), "{end}: no session is made up in its place");
                });
            }
            let begun = comes_true(|| {
                let keys = servers.get(ending, "/keys", &cookie).body;
                (0..8).all(|n| keys.lines().any(|key| key == format!("begun{n}")))
            });
            assert!(begun, "all requests have their session");
            assert_eq!(servers.get(ending, end, &cookie).status, 200);
        });
        for n in 0..4 {
            assert_eq!(servers.get(n, "/get?key=first", &cookie).status, 404, "{end}: the old id leads to nothing");
        }
    }
}
