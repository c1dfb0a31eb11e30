//! What a visitor sees of a site, whatever runs it.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    thread,
};

use lemon_session_tests::{Client, client::try_get_with_cookie};

use crate::{
    running::{Running, comes_true},
    store::{Kind, Store},
};

/// The tests of a runtime that serves HTTP: a function starts it, with the name of an application and a store.
macro_rules! walks {
    ($serve:path) => {
        #[test]
        fn visits_walks_its_three_pages_on_files() {
            $crate::walks::visits_walks_its_three_pages($crate::store::Kind::Files, $serve);
        }

        #[test]
        fn visits_walks_its_three_pages_on_redis() {
            $crate::walks::visits_walks_its_three_pages($crate::store::Kind::Redis, $serve);
        }

        #[test]
        fn visits_walks_its_three_pages_on_postgres() {
            $crate::walks::visits_walks_its_three_pages($crate::store::Kind::Postgres, $serve);
        }

        #[test]
        fn two_processes_share_one_store_of_files() {
            $crate::walks::two_processes_share_one_store($crate::store::Kind::Files, $serve);
        }

        #[test]
        fn two_processes_share_one_store_in_redis() {
            $crate::walks::two_processes_share_one_store($crate::store::Kind::Redis, $serve);
        }

        #[test]
        fn two_processes_share_one_store_in_postgres() {
            $crate::walks::two_processes_share_one_store($crate::store::Kind::Postgres, $serve);
        }
    };
}
pub(crate) use walks;

/// Starts a runtime with the site of an application on a store.
type Serve = fn(&'static str, &Store) -> Running;

/// The page of examples/visits: first visit, welcome back, destroyed, and first visit again.
pub fn visits_walks_its_three_pages(kind: Kind, serve: Serve) {
    let Some(store) = Store::new(kind) else { return };
    walk_three_pages(&serve("visits", &store));
}

/// The same, where the site runs already.
pub fn walk_three_pages(visits: &Running) {
    let visitor = Client::new();
    let first = visits.get(&visitor, "/");
    assert_eq!(first.status, 200, "{first:?}");
    assert!(first.body.contains("This is your first visit"), "{first:?}");
    let cookie = first.set_cookie();
    assert!(cookie.attribute("httponly").is_some(), "{cookie:?}");
    let back = visits.get(&visitor, "/");
    assert!(back.body.contains("Welcome back") && back.body.contains("variable1: Python Rules!"), "{back:?}");
    let destroyed = visitor.post(&visits.url("/"), &[]);
    assert!(destroyed.body.contains("Session Deleted"), "{destroyed:?}");
    assert_eq!(destroyed.set_cookie().attribute("max-age"), Some("0"));
    let old = visits.get_with(&format!("visits={}", cookie.value), "/");
    assert!(old.body.contains("This is your first visit"), "{old:?}");
    assert_ne!(old.set_cookie().value, cookie.value, "an ended id is not given a second life");
}

/// A visitor of examples/counter whose session is stored; the value of the Cookie header.
pub fn visitor(counter: &Running) -> String {
    let client = Client::new();
    let reply = counter.get(&client, "/set?key=first&value=1");
    assert_eq!(reply.status, 200, "{reply:?}");
    format!("counter={}", client.cookie("counter").expect("a visit gives a cookie"))
}

/// Two processes of one runtime on one store: each knows what the other stored, and the rules hold over both.
pub fn two_processes_share_one_store(kind: Kind, serve: Serve) {
    let Some(store) = Store::new(kind) else { return };
    let mut counters = [serve("counter", &store), serve("counter", &store)];
    fifty_parallel_requests_keep_fifty_variables(&counters);
    a_save_in_flight_at_a_logout_is_refused(&counters);
    kill_9_loses_no_acknowledged_save(&mut counters);
}

fn fifty_parallel_requests_keep_fifty_variables(counters: &[Running; 2]) {
    let cookie = &visitor(&counters[0]);
    thread::scope(|scope| {
        for n in 0..50 {
            let counter = &counters[n % 2];
            scope.spawn(move || {
                let reply = counter.get_with(cookie, &format!("/slow-set?key=k{n}&value={n}&ms=100"));
                assert_eq!(reply.status, 200, "{reply:?}");
            });
        }
    });
    let keys = |counter: &Running| counter.get_with(cookie, "/keys").body;
    let expected: BTreeSet<_> = (0..50).map(|n| format!("k{n}")).chain(["first".to_owned()]).collect();
    for counter in counters {
        assert_eq!(keys(counter).lines().map(str::to_owned).collect::<BTreeSet<_>>(), expected);
    }
    for n in [0, 17, 49] {
        assert_eq!(counters[n % 2].get_with(cookie, &format!("/get?key=k{n}")).body, format!("{n}\n"));
    }
}

/// The request is in one process, the logout in the other.
fn a_save_in_flight_at_a_logout_is_refused(counters: &[Running; 2]) {
    let cookie = visitor(&counters[0]);
    let slow = thread::scope(|scope| {
        let slow = scope.spawn(|| counters[0].get_with(&cookie, "/slow-set?key=late&value=1&ms=4000&begun=begun"));
        assert!(
            comes_true(|| counters[1].get_with(&cookie, "/get?key=begun").status == 200),
            "the request has its session"
        );
        assert_eq!(counters[1].get_with(&cookie, "/destroy").status, 200);
        slow.join().expect("the request comes to its end")
    });
    assert_eq!(slow.status, 409, "{slow:?}");
    assert!(slow.body.contains("the session has ended"), "{slow:?}");
    assert!(slow.headers("set-cookie").is_empty(), "no session is made up in its place: {slow:?}");
    for counter in counters {
        assert_eq!(counter.get_with(&cookie, "/get?key=first").status, 404, "the old id leads to nothing");
    }
}

/// The first process is killed in the middle of a load; the second one tells what is stored.
fn kill_9_loses_no_acknowledged_save(counters: &mut [Running; 2]) {
    let cookies: Vec<_> = (0..4).map(|_| visitor(&counters[0])).collect();
    let acknowledged: Vec<AtomicU64> = cookies.iter().map(|_| AtomicU64::new(0)).collect();
    let [first, second] = counters;
    let (url, killed) = (first.url("/set?also=other&key=n&value="), AtomicBool::new(false));
    let loaded = thread::scope(|scope| {
        for (cookie, acknowledged) in cookies.iter().zip(&acknowledged) {
            scope.spawn(|| {
                while !killed.load(Relaxed) {
                    let value = acknowledged.load(Relaxed) + 1;
                    match try_get_with_cookie(&format!("{url}{value}"), cookie) {
                        Some(reply) if reply.status == 200 => acknowledged.store(value, Relaxed),
                        // The process is gone.
                        _ => return,
                    }
                }
            });
        }
        // Each client is in the middle of its second save, or a later one.
        let loaded = comes_true(|| acknowledged.iter().all(|saves| saves.load(Relaxed) > 0));
        first.kill();
        killed.store(true, Relaxed);
        loaded
    });
    assert!(loaded, "there was a load to interrupt");
    for (cookie, acknowledged) in cookies.iter().zip(&acknowledged) {
        let read = |path| second.get_with(cookie, path).body;
        // A server may complete the save that was in flight between the two reads.
        let is_whole = || read("/get?key=n") == read("/app?name=other&key=n");
        assert!(comes_true(is_whole), "both variables of a save, or none");
        let (promised, stored) = (acknowledged.load(Relaxed), read("/get?key=n").trim().parse().unwrap_or(0));
        // The save that was in flight happened or did not.
        assert!((promised..=promised + 1).contains(&stored), "{promised} promised, {stored} stored");
        let next = second.get_with(cookie, "/set?key=after&value=1");
        assert_eq!(next.status, 200, "the session can be changed after the kill: {next:?}");
    }
}
