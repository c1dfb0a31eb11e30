//! Two servers on one store: the rules hold over both as they do over one.

use std::{
    collections::BTreeSet,
    thread,
    time::{Duration, SystemTime},
};

use lemon_session_host::store::Digest;
use lemon_session_tests::{Client, Launch, Reply, Server, Storage, client::get_with_cookie};

/// How often each of 32 clients adds one.
const TIMES: u64 = 50;

/// Applications for a version of WASI. Those of both versions answer alike.
#[derive(Clone, Copy)]
struct Guests {
    counter: &'static str,
    visits: &'static str,
    ini: &'static str,
}

const WASI_0_2: Guests = Guests { counter: "counter", visits: "visits", ini: "" };

/// An instance answers sixteen requests at the same time.
const WASI_0_3: Guests =
    Guests { counter: "counter_async", visits: "visits_async", ini: "[server]\nconcurrency = 16\n" };

/// Two servers that know nothing of each other but the store.
struct Pair {
    servers: [Server; 2],
    storage: Storage,
}

impl Pair {
    fn start(application: &str, kind: &str, ini: &str) -> Option<Self> {
        let storage = Storage::new(kind)?;
        let server = || Launch::new(application).ini(ini).storage(&storage).start();
        Some(Self { servers: [server(), server()], storage })
    }

    /// A request to the server of this number: they take turns.
    fn get(&self, number: usize, path: &str, cookie: &str) -> Reply {
        get_with_cookie(&self.servers[number % 2].url(path), cookie)
    }

    /// Makes a session older than it is.
    fn age(&self, cookie: &str, seconds: u64) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let store = self.storage.open().await;
            let key = Digest::of(cookie.trim_start_matches("counter="));
            let now = SystemTime::UNIX_EPOCH.elapsed().expect("a clock").as_secs();
            let transfer = store.transfer().expect("transfer");
            let mut session = transfer.export(&key, now).await.expect("export").expect("it is live");
            session.record.created -= seconds;
            session.record.rotated -= seconds;
            assert!(transfer.import(&key, &session, Some(session.record.version), now).await.expect("import"));
            store.close().await.expect("close");
        });
    }

    fn visit(&self) -> String {
        let client = Client::new();
        assert_eq!(self.servers[0].get(&client, "/set?key=first&value=1").status, 200);
        format!("counter={}", client.cookie("counter").expect("a visit gives a cookie"))
    }
}

macro_rules! on_every_store {
    ($($rule:ident)+) => {
        $(mod $rule {
            use super::{WASI_0_2, WASI_0_3, rules::$rule};

            #[test]
            fn on_sqlite() {
                $rule(WASI_0_2, "sqlite");
            }

            #[test]
            fn on_mysql() {
                $rule(WASI_0_2, "mysql");
            }

            #[test]
            fn on_postgres() {
                $rule(WASI_0_2, "postgres");
            }

            #[test]
            fn on_redis() {
                $rule(WASI_0_2, "redis");
            }

            #[test]
            fn on_sqlite_with_wasi_0_3() {
                $rule(WASI_0_3, "sqlite");
            }

            #[test]
            fn on_postgres_with_wasi_0_3() {
                $rule(WASI_0_3, "postgres");
            }

            #[test]
            fn on_redis_with_wasi_0_3() {
                $rule(WASI_0_3, "redis");
            }
        })+
    };
}

on_every_store! {
    visits_walks_its_three_pages
    two_servers_serve_the_same_sessions
    counters_of_32_clients_of_two_servers_end_exactly
    a_logout_on_one_server_ends_what_is_in_flight_on_the_other
    a_renewal_on_one_server_is_followed_by_the_other
}

mod rules {
    use super::*;

    pub fn visits_walks_its_three_pages(guests: Guests, kind: &str) {
        let Some(pair) = Pair::start(guests.visits, kind, guests.ini) else { return };
        let visitor = Client::new();
        let page = |number: usize| pair.servers[number].get(&visitor, "/");
        assert!(page(0).body.contains("This is your first visit"));
        let back = page(1);
        assert!(back.body.contains("Welcome back") && back.body.contains("variable1: Python Rules!"), "{back:?}");
        let destroyed = pair.servers[0].post(&visitor, "/", &[]);
        assert!(destroyed.body.contains("Session Deleted"), "{destroyed:?}");
        assert!(page(1).body.contains("This is your first visit"));
    }

    pub fn two_servers_serve_the_same_sessions(guests: Guests, kind: &str) {
        let Some(pair) = Pair::start(guests.counter, kind, guests.ini) else { return };
        let cookie = pair.visit();
        for round in 1..=10 {
            assert_eq!(pair.get(round, "/add?key=rounds&delta=1", &cookie).status, 200);
            let reply = pair.get(round + 1, "/get?key=rounds", &cookie);
            assert_eq!(reply.body.trim(), round.to_string());
        }
        thread::scope(|scope| {
            for n in 0..50 {
                let (pair, cookie) = (&pair, &cookie);
                scope.spawn(move || {
                    let reply = pair.get(n, &format!("/slow-set?key=k{n}&value={n}&ms=100"), cookie);
                    assert_eq!(reply.status, 200, "{reply:?}");
                });
            }
        });
        for n in 0..50 {
            // Read on the server that did not write it.
            let reply = pair.get(n + 1, &format!("/get?key=k{n}"), &cookie);
            assert_eq!((reply.status, reply.body.trim()), (200, n.to_string().as_str()));
        }
    }

    pub fn counters_of_32_clients_of_two_servers_end_exactly(guests: Guests, kind: &str) {
        let Some(pair) = Pair::start(guests.counter, kind, guests.ini) else { return };
        let cookie = pair.visit();
        thread::scope(|scope| {
            for client in 0..32 {
                let (pair, cookie) = (&pair, &cookie);
                scope.spawn(move || {
                    for n in 0..TIMES as usize {
                        let reply = pair.get(client + n, "/add?key=added&delta=1", cookie);
                        assert_eq!(reply.status, 200, "{reply:?}");
                    }
                });
            }
        });
        for number in 0..2 {
            assert_eq!(pair.get(number, "/get?key=added", &cookie).body.trim(), (32 * TIMES).to_string());
        }
    }

    pub fn a_logout_on_one_server_ends_what_is_in_flight_on_the_other(guests: Guests, kind: &str) {
        let Some(pair) = Pair::start(guests.counter, kind, guests.ini) else { return };
        for end in ["/destroy", "/login?user=ann"] {
            let cookie = pair.visit();
            let slow = thread::scope(|scope| {
                let slow = scope.spawn(|| pair.get(0, "/slow-set?key=late&value=1&ms=1500", &cookie));
                thread::sleep(Duration::from_millis(600));
                assert_eq!(pair.get(1, end, &cookie).status, 200);
                slow.join().expect("the request comes to its end")
            });
            assert_eq!(slow.status, 409, "{end}: {}", slow.body);
            assert!(slow.headers("set-cookie").is_empty(), "{end}: no session is made up in its place");
            for number in 0..2 {
                assert_eq!(pair.get(number, "/get?key=first", &cookie).status, 404, "{end}: the old id is dead");
            }
        }
    }

    pub fn a_renewal_on_one_server_is_followed_by_the_other(guests: Guests, kind: &str) {
        let ini = format!("{}[session]\nrenew-after = 1h\n", guests.ini);
        let Some(pair) = Pair::start(guests.counter, kind, &ini) else { return };
        let old = pair.visit();
        pair.age(&old, 2 * 3600);
        let followed: BTreeSet<_> = thread::scope(|scope| {
            let follow = |number| {
                let (pair, old) = (&pair, &old);
                scope.spawn(move || {
                    let reply = pair.get(number, "/get?key=first", old);
                    assert_eq!((reply.status, reply.body.trim()), (200, "1"));
                    reply.set_cookie().value
                })
            };
            let all: Vec<_> = (0..8).map(follow).collect();
            all.into_iter().map(|one| one.join().expect("the request comes to its end")).collect()
        });
        assert_eq!(followed.len(), 1, "of eight requests to two servers one renews the id, and the others follow");
        assert!(!followed.contains(old.trim_start_matches("counter=")), "it is a new id");
        let cookie = format!("counter={}", followed.first().expect("an id"));
        assert_eq!(pair.get(1, "/get?key=first", &cookie).body.trim(), "1");
    }
}
