//! Servers that are killed or replaced, connections that break, slots that move.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use lemon_session_store::conformance::{CALLS, SECRET, failures};
use lemon_session_store::{DestroyCondition, Digest, Grace, LoadOutcome, Store, Stored, UpdateOutcome, registry::Open};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::{
    APP, HOUR, TRANSPORTS, create, created, created_over, found, load, now, open, open_over, own_table, put, record,
    renaming_to,
    servers::{RedisCluster, RedisServer, can_start, wait_for},
    try_open, writing,
};

/// Tasks that each save a growing number in a session and load it again, until they are stopped.
struct Load {
    stop: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<Saved>>,
}

struct Saved {
    key: Digest,
    attempted: u32,
    acknowledged: u32,
    commits: u64,
    errors: u32,
    last_error: Instant,
}

impl Load {
    async fn start(driver: &Arc<dyn Store>, tasks: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut load = Self { stop: Arc::clone(&stop), tasks: Vec::new() };
        for task in 0..tasks {
            let key = Digest::of(&format!("load {task}"));
            create(&**driver, &key, &record(), &[put("n", &0_u32.to_be_bytes())]).await;
            load.tasks.push(tokio::spawn(run(Arc::clone(driver), key, Arc::clone(&stop))));
        }
        load
    }

    async fn stop(self) -> Vec<Saved> {
        self.stop.store(true, Ordering::Relaxed);
        let mut saved = Vec::new();
        for task in self.tasks {
            saved.push(task.await.expect("no task got a wrong answer"));
        }
        saved
    }
}

async fn run(driver: Arc<dyn Store>, key: Digest, stop: Arc<AtomicBool>) -> Saved {
    let mut saved = Saved { key, attempted: 0, acknowledged: 0, commits: 0, errors: 0, last_error: Instant::now() };
    while !stop.load(Ordering::Relaxed) {
        saved.attempted += 1;
        match driver.update(&key, &writing([put("n", &saved.attempted.to_be_bytes())]), None, now()).await {
            Ok(UpdateOutcome::Committed(_)) => {
                saved.acknowledged = saved.attempted;
                saved.commits += 1;
            }
            Ok(other) => panic!("a save is committed or an error, not {other:?}"),
            Err(_) => {
                saved.errors += 1;
                saved.last_error = Instant::now();
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        match driver.load(&key, APP, now(), u32::MAX).await {
            Ok(LoadOutcome::Found(_)) | Err(_) => {}
            Ok(other) => panic!("a live session is found or an error, not {other:?}"),
        }
        // Blocking calls never wait, and without this the runtime's timers would not run.
        tokio::task::yield_now().await;
    }
    saved
}

async fn stored(driver: &dyn Store, key: &Digest) -> u32 {
    match &found(driver, key).await.variables[0].value {
        Stored::Inline(bytes) => u32::from_be_bytes(bytes.as_slice().try_into().expect("four bytes")),
        Stored::Large(_) => panic!("four bytes are inline"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn server_killed_in_a_load_loses_no_acknowledged_save_and_is_found_again() {
    if !can_start() {
        return;
    }
    for open in TRANSPORTS {
        server_is_killed_in_a_load(open).await;
    }
}

async fn server_is_killed_in_a_load(open: Open) {
    let mut server = RedisServer::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    let driver = created_over(open, &server.url(), &own_table()).await;
    let load = Load::start(&driver, 16).await;
    let mut restarted = Instant::now();
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(400)).await;
        tokio::task::block_in_place(|| server.kill());
        tokio::time::sleep(Duration::from_millis(400)).await;
        tokio::task::block_in_place(|| server.start_again());
        restarted = Instant::now();
    }
    tokio::time::sleep(Duration::from_secs(4)).await;
    let all = load.stop().await;
    assert!(all.iter().any(|saved| saved.errors > 0), "saves fail while the server is down");
    for saved in all {
        let recovered = saved.last_error.saturating_duration_since(restarted);
        assert!(recovered < Duration::from_secs(3), "recovers by itself, but only after {recovered:?}");
        let stored = stored(&*driver, &saved.key).await;
        assert!(
            (saved.acknowledged..=saved.attempted).contains(&stored),
            "{} was acknowledged, {stored} is stored, {} was attempted",
            saved.acknowledged,
            saved.attempted
        );
    }
}

/// A proxy to a server.
struct Proxy {
    port: u16,
    /// Cuts one connection when the next answer arrives.
    cut: Arc<AtomicBool>,
    /// How many bytes of that answer are passed on.
    passed: Arc<AtomicUsize>,
    /// The port of the server that new connections lead to.
    to: Arc<AtomicU16>,
}

impl Proxy {
    async fn to(port: u16) -> Self {
        let (cut, passed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let to = Arc::new(AtomicU16::new(port));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("a port").port();
        tokio::spawn({
            let (cut, passed, to) = (Arc::clone(&cut), Arc::clone(&passed), Arc::clone(&to));
            async move {
                while let Ok((client, _)) = listener.accept().await {
                    tokio::spawn(pass_on(client, to.load(Ordering::SeqCst), Arc::clone(&cut), Arc::clone(&passed)));
                }
            }
        });
        Self { port, cut, passed, to }
    }
}

async fn pass_on(client: TcpStream, to: u16, cut: Arc<AtomicBool>, passed: Arc<AtomicUsize>) {
    let server = TcpStream::connect(("127.0.0.1", to)).await.expect("the server answers");
    let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
        (client.into_split(), server.into_split());
    let requests = tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
    let mut buffer = vec![0; 65_536];
    while let Ok(size @ 1..) = from_server.read(&mut buffer).await {
        let is_cut = cut.swap(false, Ordering::SeqCst);
        let passed = if is_cut { passed.load(Ordering::SeqCst).min(size - 1) } else { size };
        if to_client.write_all(&buffer[..passed]).await.is_err() || is_cut {
            break;
        }
    }
    requests.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn connection_cut_before_the_answer_is_an_error_and_a_repeat_is_safe() {
    if !can_start() {
        return;
    }
    let server = RedisServer::start(&[]);
    for (open, part) in TRANSPORTS.into_iter().flat_map(|open| [(open, 0), (open, 9)]) {
        let Proxy { port, cut, passed, .. } = Proxy::to(server.port).await;
        passed.store(part, Ordering::SeqCst);
        let driver = created_over(open, &format!("redis://127.0.0.1:{port}"), &own_table()).await;
        let key = Digest::of("a");
        create(&*driver, &key, &record(), &[]).await;
        // From now on the server has cached the scripts, and a call is one request.
        driver.update(&key, &writing([]), None, now()).await.expect("update");
        found(&*driver, &key).await;
        for n in 0..20_u64 {
            let before = found(&*driver, &key).await.record.version;
            cut.store(true, Ordering::SeqCst);
            let save = writing([put("x", &n.to_be_bytes())]);
            let error = driver.update(&key, &save, None, now()).await.expect_err("it is unknown whether it was saved");
            assert!(!error.to_string().contains(&key.to_hex()), "{error}");
            assert_eq!(found(&*driver, &key).await.record.version, before + 1, "saved once, not twice");
            let answer = driver.update(&key, &save, None, now()).await.expect("update");
            assert_eq!(answer, UpdateOutcome::Committed(before + 2), "the driver has reconnected");

            cut.store(true, Ordering::SeqCst);
            assert!(matches!(load(&*driver, &key).await, LoadOutcome::Found(_)), "a load is repeated automatically");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_tell_no_secrets() {
    if !can_start() {
        return;
    }
    for open in TRANSPORTS {
        errors_of_a_transport_tell_no_secrets(open).await;
    }
}

async fn errors_of_a_transport_tell_no_secrets(open: Open) {
    let mut server = RedisServer::start(&["--requirepass", SECRET]);
    let (url, table) = (format!("redis://:{SECRET}@127.0.0.1:{}", server.port), own_table());
    let driver = created_over(open, &url, &table).await;
    assert_eq!(failures(&*driver).await, 0, "intact data causes no error");
    let run = |command: &[&str]| server.cli(&[&["--no-auth-warning", "-a", SECRET], command].concat());
    // Data that no driver has written: in an entry, and in an owner's index.
    let (entry, index) = (format!("{table}:s:{}", Digest::of("bad").to_hex()), format!("{table}:o:{SECRET}"));
    let mut failed = 0;
    for bad in [
        &["set", &entry, SECRET][..],
        &["hset", &entry, "expires", SECRET],
        &["hset", &entry, "expires", "99999999999", "version", SECRET, "size", SECRET],
        &["hset", &entry, "remembered", SECRET, "reused", SECRET],
        &["set", &index, SECRET],
        &["zadd", &index, "99999999999", SECRET],
    ] {
        run(bad);
        failed += failures(&*driver).await;
        run(&["del", &entry, &index]);
    }
    assert!(failed > 4, "bad data causes errors: {failed}");
    tokio::task::block_in_place(|| server.kill());
    assert_eq!(failures(&*driver).await, CALLS, "the server is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn server_that_hangs_is_waited_for_no_longer_than_the_timeout() {
    if !can_start() {
        return;
    }
    let (server, table) = (RedisServer::start(&[]), own_table());
    let driver = try_open(&server.url(), &table, &[("timeout", "1")]).await.expect("the store opens");
    driver.try_schema().expect("schema").create_tables().await.expect("create_tables");
    create(&*driver, &Digest::of("a"), &record(), &[]).await;
    server.cli(&["client", "pause", "6000", "all"]);
    let started = Instant::now();
    let key = Digest::of("a");
    let calls = (0..50).map(|_| driver.load(&key, APP, 0, 0));
    for answer in futures::future::join_all(calls).await {
        let error = answer.expect_err("a server that hangs does not answer");
        assert!(error.to_string().contains("1 seconds") || error.to_string().contains("timed out"), "{error}");
    }
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
    tokio::time::sleep(Duration::from_millis(6100).saturating_sub(started.elapsed())).await;
    found(&*driver, &Digest::of("a")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn saves_go_on_when_another_server_is_the_primary() {
    if !can_start() {
        return;
    }
    for over in TRANSPORTS {
        saves_go_on_at_another_primary(over).await;
    }
}

async fn saves_go_on_at_another_primary(over: Open) {
    let primary = RedisServer::start(&[]);
    let replica = RedisServer::start(&["--replicaof", &format!("127.0.0.1 {}", primary.port)]);
    let proxy = Proxy::to(primary.port).await;
    let table = own_table();
    let driver = created_over(over, &format!("redis://127.0.0.1:{}", proxy.port), &table).await;
    let key = Digest::of("a");
    create(&*driver, &key, &record(), &[]).await;
    wait_for("the replica", || replica.cli(&["info", "replication"]).contains("master_link_status:up"), String::new);
    assert_eq!(primary.cli(&["wait", "1", "10000"]).trim(), "1", "the replica has all data");
    replica.cli(&["replicaof", "no", "one"]);
    primary.cli(&["replicaof", "127.0.0.1", &replica.port.to_string()]);
    wait_for("the old primary", || primary.cli(&["role"]).contains("connected"), String::new);
    let save = writing([put("x", b"1")]);
    let error = driver.update(&key, &save, None, now()).await.expect_err("the proxy leads to the old primary");
    assert!(error.to_string().contains("READONLY"), "{error}");
    assert!(matches!(load(&*driver, &key).await, LoadOutcome::Found(_)), "loads still work");

    proxy.to.store(replica.port, Ordering::SeqCst);
    for saved in futures::future::join_all((0..40).map(|_| driver.update(&key, &save, None, now()))).await {
        let saved = saved.expect("a refused save is repeated over a new connection");
        assert!(matches!(saved, UpdateOutcome::Committed(_)), "{saved:?}");
    }
    let driver = open(&replica.url(), &table).await;
    assert_eq!(found(&*driver, &key).await.record.version, 41, "each save took effect once");
}

/// The change is made all the same, so it may be there afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn change_that_no_replica_has_is_an_error_if_one_has_to_have_it() {
    if !can_start() {
        return;
    }
    for transport in TRANSPORTS {
        let (primary, table, key) = (RedisServer::start(&[]), own_table(), Digest::of("a"));
        let mut replica = RedisServer::start(&["--replicaof", &format!("127.0.0.1 {}", primary.port)]);
        let is_up = || replica.cli(&["info", "replication"]).contains("master_link_status:up");
        wait_for("the replica", is_up, String::new);
        created(&primary.url(), &table).await;
        let options = [("replicas", "1"), ("timeout", "2")];
        let driver = open_over(transport, &primary.url(), &table, &options).await.expect("the store opens");
        create(&*driver, &key, &record(), &[put("x", b"1")]).await;
        assert_eq!(replica.cli(&["exists", &format!("{table}:s:{}", key.to_hex())]).trim(), "1", "the replica has it");

        tokio::task::block_in_place(|| replica.kill());
        let error = driver.update(&key, &writing([put("x", b"2")]), None, now()).await.expect_err("no replica has it");
        assert!(error.to_string().contains("has reached 0 replicas in time"), "{error}");
        assert_eq!(
            found(&*driver, &key).await.record.version,
            2,
            "loads do not wait, and the primary has made the change"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn promoted_replica_has_all_sessions() {
    if !can_start() {
        return;
    }
    let (mut primary, table) = (RedisServer::start(&[]), own_table());
    let replica = RedisServer::start(&["--replicaof", &format!("127.0.0.1 {}", primary.port)]);
    let driver = created(&primary.url(), &table).await;
    let grace = Some(Grace { until: now() + HOUR, nonce: b"nonce".to_vec() });
    for n in 0..100 {
        create(&*driver, &Digest::of(&format!("{n}")), &record(), &[put("x", b"1")]).await;
    }
    driver.update(&Digest::of("0"), &renaming_to(Digest::of("new"), grace), None, now()).await.expect("update");
    assert!(driver.destroy(&Digest::of("1"), &DestroyCondition::Any, now(), HOUR as u32).await.expect("destroy"));
    driver.update(&Digest::of("2"), &writing([put("y", b"2")]), None, now()).await.expect("update");
    wait_for("the replica", || replica.cli(&["info", "replication"]).contains("master_link_status:up"), String::new);
    assert_eq!(primary.cli(&["wait", "1", "10000"]).trim(), "1", "the replica has all data");

    tokio::task::block_in_place(|| primary.kill());
    assert!(driver.load(&Digest::of("3"), APP, now(), 0).await.is_err(), "without a server, a load fails");
    replica.cli(&["replicaof", "no", "one"]);
    let driver = open(&replica.url(), &table).await;
    assert_eq!(driver.try_inspect().expect("inspect").count(now()).await.expect("count"), 99);
    assert_eq!(found(&*driver, &Digest::of("0")).await.renewal.as_deref(), Some(&b"nonce"[..]));
    assert_eq!(load(&*driver, &Digest::of("1")).await, LoadOutcome::Ended);
    assert_eq!(found(&*driver, &Digest::of("2")).await.variables.len(), 2);
    let answer = driver.update(&Digest::of("3"), &writing([put("y", b"2")]), None, now()).await.expect("update");
    assert_eq!(answer, UpdateOutcome::Committed(2));
    let left: i64 =
        replica.cli(&["ttl", &format!("{table}:s:{}", Digest::of("4").to_hex())]).trim().parse().expect("ttl");
    assert!(left > 3600, "the session still has a time to live: {left}");
}

#[tokio::test(flavor = "multi_thread")]
async fn failover_in_a_cluster_is_survived_by_every_session() {
    if !can_start() {
        return;
    }
    let table = own_table();
    let mut cluster = tokio::task::block_in_place(|| RedisCluster::start(true));
    let driver = created(&cluster.url(), &table).await;
    let load = Load::start(&driver, 24).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let killed = Instant::now();
    tokio::task::block_in_place(|| {
        let master = cluster.master_of(&format!("{table}:s:{}", Digest::of("load 0").to_hex()));
        cluster.nodes[master].kill();
        let ready = |cluster: &RedisCluster| {
            let alive = || cluster.nodes.iter().enumerate().filter(|(place, _)| *place != master);
            cluster.masters().len() == 3
                && alive().all(|(_, node)| node.cli(&["cluster", "info"]).contains("cluster_state:ok"))
        };
        wait_for("the failover", || ready(&cluster), String::new);
    });
    let failed_over = killed.elapsed();
    tokio::time::sleep(Duration::from_secs(6)).await;
    for saved in load.stop().await {
        let recovered = saved.last_error.saturating_duration_since(killed);
        assert!(
            recovered < failed_over + Duration::from_secs(4),
            "the failover took {failed_over:?}, but there were errors for {recovered:?}"
        );
        assert!(stored(&*driver, &saved.key).await <= saved.attempted);
        assert!(saved.acknowledged > 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn slot_that_moves_in_a_load_disturbs_no_call() {
    if !can_start() {
        return;
    }
    let table = own_table();
    let cluster = tokio::task::block_in_place(|| RedisCluster::start(false));
    let driver = created(&cluster.url(), &table).await;
    let load = Load::start(&driver, 8).await;
    let pause = || std::thread::sleep(Duration::from_millis(300));
    tokio::task::block_in_place(|| {
        for n in [0, 1, 0, 2, 0] {
            let key = format!("{table}:s:{}", Digest::of(&format!("load {n}")).to_hex());
            let from = cluster.master_of(&key);
            let to = (from + 1) % 3;
            let (source, target) = (&cluster.nodes[from], &cluster.nodes[to]);
            let id = |node: &RedisServer| node.cli(&["cluster", "myid"]).trim().to_owned();
            let (source_id, target_id) = (id(source), id(target));
            let slot = source.cli(&["cluster", "keyslot", &key]).trim().to_owned();
            let said = |answer: String| assert_eq!(answer.trim(), "OK");
            said(target.cli(&["cluster", "setslot", &slot, "importing", &source_id]));
            said(source.cli(&["cluster", "setslot", &slot, "migrating", &target_id]));
            pause();
            said(source.cli(&["migrate", "127.0.0.1", &target.port.to_string(), "", "0", "5000", "keys", &key]));
            pause();
            said(target.cli(&["cluster", "setslot", &slot, "node", &target_id]));
            said(source.cli(&["cluster", "setslot", &slot, "node", &target_id]));
            pause();
        }
    });
    for saved in load.stop().await {
        assert_eq!(saved.errors, 0, "no call fails");
        assert_eq!(found(&*driver, &saved.key).await.record.version, 1 + saved.commits, "each save took effect once");
        assert_eq!(stored(&*driver, &saved.key).await, saved.acknowledged);
    }
}
