//! How sessions are stored, beyond the rules of the conformance suite.

use std::{collections::BTreeMap, sync::Arc};

use futures::StreamExt;
use lemon_session_store::{
    Change, DestroyCondition, Digest, Grace, LoadOutcome, Record, Store, TableName, UpdateOutcome,
};

use crate::{
    APP, HOUR, create, created, found, load, now, own_table, put, record, renaming_to,
    servers::{RedisCluster, RedisServer, can_start, cli},
    shared_cluster, shared_server, writing,
};

/// Creates an owner's session, changes it and rotates its id with and without a grace, and creates and ends another
/// session.
async fn use_everything(driver: &dyn Store) {
    let owned = Record { owner: Some("Ada".to_owned()), ..record() };
    create(driver, &Digest::of("a"), &owned, &[put("x", b"1")]).await;
    driver.update(&Digest::of("a"), &writing([put("y", b"2")]), None, now()).await.expect("update");
    let grace = Some(Grace { until: now() + 60, nonce: b"n".to_vec() });
    driver.update(&Digest::of("a"), &renaming_to(Digest::of("b"), grace), None, now()).await.expect("update");
    driver.update(&Digest::of("b"), &renaming_to(Digest::of("c"), None), None, now()).await.expect("update");
    let longer = Change { expires: Some(now() + 2 * HOUR), ..writing([]) };
    driver.update(&Digest::of("c"), &longer, None, now()).await.expect("update");
    create(driver, &Digest::of("d"), &record(), &[put("x", b"1")]).await;
    assert!(driver.destroy(&Digest::of("d"), &DestroyCondition::Any, now(), 100).await.expect("destroy"));
    assert_eq!(load(driver, &Digest::of("d")).await, LoadOutcome::Ended);
    assert_eq!(load(driver, &Digest::of("a")).await, LoadOutcome::Ended);
}

/// All Redis keys of a table with their time to live in seconds, on the nodes with these ports.
fn times_to_live(ports: &[u16], table: &TableName) -> BTreeMap<String, i64> {
    let mut found = BTreeMap::new();
    for port in ports {
        for key in cli(*port, &["--scan", "--pattern", &format!("{table}:*")]).lines() {
            let left = cli(*port, &["ttl", key]).trim().parse().expect("a number");
            found.insert(key.strip_prefix(&format!("{table}:")).expect("the prefix").to_owned(), left);
        }
    }
    found
}

#[tokio::test]
async fn every_key_but_the_layout_has_a_time_to_live() {
    let mut stores = Vec::new();
    let single = can_start().then(|| RedisServer::start(&[]));
    stores.extend(single.as_ref().map(|server| (server.url(), vec![server.port])));
    let ports = |cluster: &crate::servers::RedisCluster| cluster.nodes.iter().map(|node| node.port).collect();
    stores.extend(shared_cluster().map(|cluster| (cluster.url(), ports(cluster))));
    for (url, ports) in stores {
        let table = own_table();
        let driver = created(&url, &table).await;
        use_everything(&*driver).await;
        let mut left = times_to_live(&ports, &table);
        assert_eq!(left.remove("layout"), Some(-1), "the layout has no time to live");
        let entry = |name: &str| format!("s:{}", Digest::of(name).to_hex());
        let session = left[&entry("c")];
        assert!(
            (2 * 3600 + 200..=2 * 3600 + 300).contains(&session),
            "until the session's expiry and five minutes longer: {session}"
        );
        let ended = left[&entry("d")];
        assert!((300..=400).contains(&ended), "until the tombstone expires and five minutes longer: {ended}");
        let index = left["o:Ada"];
        assert!(index >= session, "an owner's index outlasts the sessions in it: {index}");
        for (name, left) in left {
            assert!((1..=4 * 3600 + 300).contains(&left), "{name} has a time to live: {left}");
        }
        driver.try_schema().expect("schema").drop_tables().await.expect("drop_tables");
        assert_eq!(times_to_live(&ports, &table), BTreeMap::new(), "nothing is left of a dropped table");
    }
}

#[tokio::test]
async fn drop_tables_leaves_other_tables_alone() {
    for url in [shared_server().await, shared_cluster().map(|cluster| cluster.url())].into_iter().flatten() {
        let table = own_table();
        let longer = TableName::new(&format!("{table}_x")).expect("a table name");
        let (one, other) = (created(&url, &table).await, created(&url, &longer).await);
        for driver in [&one, &other] {
            create(&**driver, &Digest::of("a"), &record(), &[put("x", b"1")]).await;
        }
        one.try_schema().expect("schema").drop_tables().await.expect("drop_tables");
        assert!(!one.try_schema().expect("schema").tables_exist().await.expect("tables_exist"));
        assert_eq!(found(&*other, &Digest::of("a")).await.variables.len(), 1);
        other.try_schema().expect("schema").drop_tables().await.expect("drop_tables");
    }
}

/// The number of commands that reach the server while `done` runs, by their names. Those of scripts do not count.
fn count_commands(server: &RedisServer, done: impl FnOnce()) -> BTreeMap<String, usize> {
    let monitor = server.monitor();
    done();
    let lines = monitor.stop(server);
    let mut counts = BTreeMap::new();
    for line in lines.iter().filter(|line| line.contains("] \"") && !line.contains(" lua] ")) {
        let command = line.split("] \"").nth(1).and_then(|rest| rest.split('"').next()).expect("a command");
        *counts.entry(command.to_ascii_uppercase()).or_default() += 1;
    }
    counts
}

#[tokio::test(flavor = "multi_thread")]
async fn load_and_save_are_one_round_trip_each() {
    if !can_start() {
        return;
    }
    let server = RedisServer::start(&[]);
    let driver = created(&server.url(), &own_table()).await;
    let keys: Vec<Digest> = (0..40).map(|n| Digest::of(&n.to_string())).collect();
    let run = async |rotation: bool| {
        for (n, key) in keys[..20].iter().enumerate() {
            create(&*driver, key, &Record { owner: Some("Ada".to_owned()), ..record() }, &[put("x", b"1")]).await;
            assert!(matches!(load(&*driver, key).await, LoadOutcome::Found(_)));
            let longer = Change { expires: Some(now() + 2 * HOUR), ..writing([put("y", &[1; 5_000]), put("z", b"3")]) };
            driver.update(key, &longer, None, now()).await.expect("update");
            if rotation {
                driver.update(key, &renaming_to(keys[n + 20], None), None, now()).await.expect("update");
            }
            driver
                .destroy(if rotation { &keys[n + 20] } else { key }, &DestroyCondition::Any, now(), 0)
                .await
                .expect("destroy");
        }
    };
    // Has the server cache the scripts.
    run(false).await;
    let handle = tokio::runtime::Handle::current();
    let counts = tokio::task::block_in_place(|| count_commands(&server, || handle.block_on(run(true))));
    assert_eq!(counts, BTreeMap::from([("EVALSHA".to_owned(), 5 * 20)]), "create, load, save, rotation and destroy");
}

/// docs/drivers.md has these numbers.
#[tokio::test(flavor = "multi_thread")]
async fn calls_take_the_round_trips_that_the_guide_states() {
    if !can_start() {
        return;
    }
    let server = RedisServer::start(&[]);
    let counted = round_trips(&server.url(), &[&server]).await;
    assert_eq!(counted, [1, 1, 1, 1, 1, 1, 2, 1, 1], "on a single server");
    let cluster = tokio::task::block_in_place(|| RedisCluster::start(false));
    let counted = round_trips(&cluster.url(), &cluster.nodes.iter().collect::<Vec<_>>()).await;
    assert_eq!(counted, [2, 3, 1, 1, 4, 5, 2, 1, 1], "in a cluster");
}

/// Of a create, one with an owner, a load, a save, an id rotation, one with an owner, a load through a tombstone, a
/// destroy and a load of an ended digest.
async fn round_trips(url: &str, servers: &[&RedisServer]) -> [usize; 9] {
    let table = own_table();
    let driver = created(url, &table).await;
    let handle = tokio::runtime::Handle::current();
    let mut counted = [0; 9];
    // The last round is counted. By then, every node has cached every script.
    for round in 0..40 {
        let [a, b, new, owned] = ["a", "b", "new", "owned"].map(|name| Digest::of(&format!("{round} {name}")));
        let mut call = 0;
        let mut count = |done: &mut dyn FnMut()| {
            let monitors: Vec<_> =
                if round < 39 { Vec::new() } else { servers.iter().map(|server| server.monitor()).collect() };
            done();
            let lines = monitors.into_iter().zip(servers).flat_map(|(monitor, server)| monitor.stop(server));
            let own = lines.filter(|line| line.contains(table.as_str()) && !line.contains(" lua] "));
            counted[call] = own.count();
            call += 1;
        };
        let grace = || Some(Grace { until: now() + HOUR, nonce: b"n".to_vec() });
        tokio::task::block_in_place(|| {
            let owner = Record { owner: Some("Ada".to_owned()), ..record() };
            count(&mut || handle.block_on(create(&*driver, &a, &record(), &[put("x", b"1")])));
            count(&mut || handle.block_on(create(&*driver, &b, &owner, &[put("x", b"1")])));
            count(&mut || drop(handle.block_on(found(&*driver, &b))));
            let mut update = |key: &Digest, change: Change| {
                count(&mut || {
                    let answer = handle.block_on(driver.update(key, &change, None, now())).expect("update");
                    assert!(matches!(answer, UpdateOutcome::Committed(_)), "{answer:?}");
                });
            };
            update(&b, writing([put("y", b"2")]));
            update(&a, renaming_to(new, grace()));
            update(&b, renaming_to(owned, grace()));
            count(&mut || assert!(handle.block_on(found(&*driver, &a)).renewal.is_some()));
            count(&mut || {
                assert!(handle.block_on(driver.destroy(&owned, &DestroyCondition::Any, now(), 60)).expect("destroy"))
            });
            count(&mut || assert_eq!(handle.block_on(load(&*driver, &owned)), LoadOutcome::Ended));
        });
    }
    driver.try_schema().expect("schema").drop_tables().await.expect("drop_tables");
    counted
}

#[tokio::test]
async fn server_without_memory_refuses_saves_and_keeps_sessions() {
    if !can_start() {
        return;
    }
    let server = RedisServer::start(&["--maxmemory", "20mb", "--maxmemory-policy", "noeviction"]);
    let driver = created(&server.url(), &own_table()).await;
    create(&*driver, &Digest::of("a"), &record(), &[put("x", b"1")]).await;
    let mut stored = Vec::new();
    let error = loop {
        let key = Digest::of(&stored.len().to_string());
        match driver.create(&key, &record(), &[put("large", &[7; 500_000])].into()).await {
            Ok(_) => stored.push(key),
            Err(error) => break error,
        }
        assert!(stored.len() < 100, "20 MB are full at some time");
    };
    assert!(error.to_string().contains("maxmemory"), "{error}");
    let large = writing([put("y", &[7; 1_000_000])]);
    let error = driver.update(&Digest::of("a"), &large, None, now()).await.expect_err("full");
    assert!(error.to_string().contains("maxmemory"), "{error}");
    assert_eq!(found(&*driver, &Digest::of("a")).await.record.version, 1, "nothing was written");
    for key in &stored {
        assert_eq!(found(&*driver, key).await.variables.len(), 1, "every session that was stored still exists");
    }
    assert!(
        driver.destroy(&stored[0], &DestroyCondition::Any, now(), 0).await.expect("a full server still ends sessions")
    );
}

#[tokio::test]
async fn session_is_evicted_as_a_whole() {
    if !can_start() {
        return;
    }
    let server = RedisServer::start(&["--maxmemory", "20mb", "--maxmemory-policy", "volatile-ttl"]);
    let driver = created(&server.url(), &own_table()).await;
    let keys: Vec<Digest> = (0..300).map(|n| Digest::of(&n.to_string())).collect();
    let half = vec![7; 60_000];
    for key in &keys {
        create(&*driver, key, &record(), &[put("x", &half), put("y", &half)]).await;
    }
    let mut evicted = 0;
    for key in &keys {
        match load(&*driver, key).await {
            LoadOutcome::Found(loaded) => assert_eq!(loaded.variables.len(), 2, "a session is whole"),
            LoadOutcome::Absent => {
                evicted += 1;
                let answer = driver.update(key, &writing([put("z", b"3")]), None, now()).await.expect("update");
                assert_eq!(answer, UpdateOutcome::Gone, "a save does not recreate an evicted session");
            }
            other => panic!("an evicted session is absent, not {other:?}"),
        }
    }
    assert!(evicted > 100, "36 MB do not fit into 20: {evicted} were evicted");
    assert!(
        driver.try_schema().expect("schema").tables_exist().await.expect("tables_exist"),
        "the tables are not evicted"
    );
}

#[tokio::test]
async fn scripts_that_the_server_has_forgotten_are_sent_again() {
    if !can_start() {
        return;
    }
    let server = RedisServer::start(&[]);
    let driver = created(&server.url(), &own_table()).await;
    create(&*driver, &Digest::of("a"), &record(), &[]).await;
    for n in 0..20 {
        server.cli(&["script", "flush"]);
        let answer = driver.update(&Digest::of("a"), &writing([put("x", b"1")]), None, now()).await.expect("update");
        assert_eq!(answer, UpdateOutcome::Committed(2 + n));
        server.cli(&["script", "flush"]);
        assert_eq!(driver.fetch(&Digest::of("a"), APP, "x", now()).await.expect("fetch"), Some(b"1".to_vec()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn saves_go_on_while_all_sessions_of_an_owner_are_ended() {
    const SESSIONS: usize = 12_000;
    for url in [shared_server().await, shared_cluster().map(|cluster| cluster.url())].into_iter().flatten() {
        let driver = created(&url, &own_table()).await;
        let owned = Record { owner: Some("Ada".to_owned()), ..record() };
        let creates = (0..SESSIONS).map(|n| {
            let (driver, owned) = (Arc::clone(&driver), owned.clone());
            async move { create(&*driver, &Digest::of(&n.to_string()), &owned, &[put("x", b"1")]).await }
        });
        futures::stream::iter(creates).buffer_unordered(200).collect::<()>().await;
        let (other, save) = (Digest::of("nobody's"), writing([put("x", b"2")]));
        create(&*driver, &other, &record(), &[]).await;
        driver.update(&other, &save, None, now()).await.expect("update");
        let ending = tokio::spawn({
            let driver = Arc::clone(&driver);
            async move { driver.destroy_owned("Ada", None, now(), 60).await.expect("destroy_owned") }
        });
        let mut saves = 0;
        while !ending.is_finished() {
            driver.update(&other, &save, None, now()).await.expect("update");
            saves += 1;
        }
        assert_eq!(ending.await.expect("the task ends") as usize, SESSIONS);
        assert_eq!(driver.try_inspect().expect("inspect").count(now()).await.expect("count"), 1);
        // Most saves find their turn between two of its 120 scripts. One script for all would let one save pass, or two.
        assert!(saves >= 30, "{saves} saves were made meanwhile");
        driver.try_schema().expect("schema").drop_tables().await.expect("drop_tables");
    }
}
