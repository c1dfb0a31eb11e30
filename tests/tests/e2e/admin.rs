//! Health checks and metrics, on a separate address.

use std::{
    collections::BTreeSet,
    fs,
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use lemon_session_tests::{Client, Launch, Server, build, client::get_with_cookie};

#[test]
fn sessions_are_counted_by_what_becomes_of_them() {
    let server = Launch::new("counter").ini("[session]\ncleanup = 1\n").admin().start();
    let visitor = Client::new();
    let id = server.get(&visitor, "/").set_cookie().value;
    server.get(&visitor, "/set?key=colour&value=red");
    server.get(&visitor, "/get?key=colour");
    get_with_cookie(&server.url("/read"), &format!("counter={}", "A".repeat(43)));
    server.get(&visitor, "/destroy");
    get_with_cookie(&server.url("/read"), &format!("counter={id}"));

    let expected = [
        ("sessions_started_total", 3.0),
        ("sessions_resumed_total", 3.0),
        ("sessions_refused_total{reason=\"unknown\"}", 1.0),
        ("sessions_refused_total{reason=\"ended\"}", 1.0),
        ("sessions_refused_total{reason=\"expired\"}", 0.0),
        ("sessions_ended_total{cause=\"destroyed\"}", 1.0),
        ("saves_total{outcome=\"committed\"}", 4.0),
        ("saves_total{outcome=\"failed\"}", 0.0),
        ("storage_operation_duration_seconds_count{operation=\"load\"}", 5.0),
        ("storage_operation_duration_seconds_count{operation=\"update\"}", 1.0),
        ("http_requests_total{status=\"2xx\"}", 6.0),
        ("http_request_duration_seconds_count", 6.0),
        ("http_requests_in_flight", 0.0),
        ("guests", 0.0),
        ("reloads_total{outcome=\"done\"}", 0.0),
        (concat!("build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"}"), 1.0),
    ];
    // The last bytes of an answer arrive before the server is done with it.
    await_metric(&server, "guests", 0.0);
    await_metric(&server, "http_requests_in_flight", 0.0);
    for (name, value) in expected {
        assert_eq!(server.metric(name), value, "{name}");
    }
    assert!(server.metric("storage_operation_duration_seconds_sum{operation=\"load\"}") > 0.0);
    assert!(server.metric("cleanup_last_run_timestamp_seconds") > 1.7e9);
}

#[test]
fn sessions_ended_by_their_owner_or_by_time_are_counted() {
    let server = Launch::new("counter").ini("[session]\ncleanup = 0\n").admin().start();
    let visitors: Vec<_> = (0..3).map(|_| Client::new()).collect();
    for visitor in &visitors {
        server.get(visitor, "/login?user=alice");
    }
    assert_eq!(server.get(&visitors[0], "/owner/end?user=alice&except=current").body, "2\n");
    assert_eq!(server.metric("sessions_ended_total{cause=\"owner\"}"), 2.0);

    let store = rusqlite::Connection::open(server.launch.folder().join("sessions.db")).unwrap();
    store.execute("UPDATE Session SET expires = 1", []).unwrap();
    server.get(&visitors[0], "/read");
    assert_eq!(server.metric("sessions_refused_total{reason=\"expired\"}"), 1.0);
    assert_eq!(server.metric("sessions_ended_total{cause=\"expired\"}"), 1.0);
}

#[test]
fn a_store_in_trouble_is_counted_and_makes_the_server_unwell() {
    let server = Launch::new("visits").admin().start();
    assert_eq!((server.ask("/healthz").status, server.ask("/healthz").body.as_str()), (200, "ok\n"));
    server.launch.command(&["tables", "drop", "--yes"]).ok();
    let unwell = server.ask("/healthz");
    assert_eq!(unwell.status, 503);
    assert!(unwell.body.contains("lemon-session tables create"), "{unwell:?}");

    assert_eq!(server.get(&Client::new(), "/").status, 503);
    assert_eq!(server.metric("saves_total{outcome=\"failed\"}"), 1.0);
    assert_eq!(server.metric("storage_failures_total{operation=\"create\"}"), 1.0);
    assert_eq!(server.metric("http_requests_total{status=\"5xx\"}"), 1.0);

    server.launch.command(&["tables", "create"]).ok();
    assert_eq!(server.ask("/healthz").status, 200);
}

#[test]
fn a_server_that_stops_is_unwell_while_it_finishes() {
    let server = Launch::new("counter").admin().start();
    thread::scope(|scope| {
        let slow = scope.spawn(|| server.get(&Client::new(), "/slow-set?key=late&value=kept&ms=3000"));
        await_metric(&server, "http_requests_in_flight", 1.0);
        server.terminate();
        await_until(|| server.ask("/healthz").body == "the server is stopping\n");
        assert_eq!(slow.join().unwrap().status, 200);
    });
    assert!(server.wait().success());
}

#[test]
fn nothing_that_a_client_or_an_application_chose_is_in_the_metrics() {
    let server = Launch::new("counter").admin().start();
    let visitor = Client::new();
    let id = server.get(&visitor, "/").set_cookie().value;
    server.get(&visitor, "/login?user=chosen-owner");
    server.get(&visitor, "/set?key=chosen-key&value=chosen-value");
    Client::new().get_with(&server.url("/chosen-path?chosen"), &[("chosen-header", "chosen"), ("cookie", "chosen=1")]);
    let before = series(&server);
    for i in 0..100 {
        server.get(&Client::new(), &format!("/chosen-{i}"));
    }
    let metrics = server.ask("/metrics").body;
    assert!(!metrics.contains("chosen") && !metrics.contains(&id), "{metrics}");
    assert_eq!(series(&server), before, "the number of series does not grow with what is asked");
}

fn series(server: &Server) -> BTreeSet<String> {
    let metrics = server.ask("/metrics").body;
    let lines = metrics.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.rsplit_once(' ').expect("a series has a value").0.to_owned()).collect()
}

#[test]
fn the_admin_address_answers_nothing_else_and_no_other_address_answers_it() {
    let server = Launch::new("visits").admin().start();
    let metrics = server.ask("/metrics");
    assert_eq!(metrics.headers("content-type"), ["text/plain; version=0.0.4"]);
    assert_eq!(server.ask("/").status, 404);
    let address = server.admin.unwrap();
    assert_eq!(Client::new().post(&format!("http://{address}/metrics"), &[]).status, 405);
    assert!(server.get(&Client::new(), "/metrics").body.contains("This is your first visit"));

    let without = Server::start("visits");
    assert!(without.admin.is_none());
    let from_ini = Launch::new("visits").ini(&format!("[server]\nadmin-addr = {address}\n"));
    let component = build::component("visits");
    let taken = from_ini.command(&["serve", component.to_str().unwrap(), "--addr", "127.0.0.1:0"]);
    assert_eq!(taken.status, 1);
    assert!(taken.stderr.contains(&address.to_string()), "{taken:?}");
}

#[test]
fn silent_connections_do_not_keep_an_operator_out() {
    let server = Launch::new("visits").admin().start();
    let silent: Vec<_> = (0..70).map(|_| TcpStream::connect(server.admin.unwrap()).unwrap()).collect();
    let begun = Instant::now();
    for _ in 0..10 {
        assert_eq!(server.ask("/healthz").body, "ok\n");
    }
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    drop(silent);
}

#[test]
fn an_admin_address_that_others_reach_is_warned_of() {
    let warning = "can read the metrics";
    let server = Launch::new("visits").admin().start();
    assert!(!server.log().contains(warning));
    let ini = "[server]\nadmin-addr = 0.0.0.0:0\n";
    let server = Launch::new("visits").ini(ini).start();
    let log = server.log();
    assert!(log.contains(warning) && log.contains("admin-addr is 0.0.0.0:"), "{log}");
    let doctor = server.launch.command(&["doctor"]).stdout;
    assert!(doctor.contains("[server] admin-addr = 0.0.0.0:0: everyone who can reach it"), "{doctor}");
}

#[test]
fn the_guide_explains_every_metric_and_no_other() {
    let server = Launch::new("visits").admin().start();
    // They are counted in the background.
    let counted = ["lemon_session_sessions_live ", "lemon_session_cleanup_backlog "];
    await_until(|| counted.iter().all(|name| server.ask("/metrics").body.contains(name)));
    let metrics = server.ask("/metrics").body;
    let exported: BTreeSet<_> =
        metrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).map(str::to_owned).collect();
    let guide = fs::read_to_string(build::root().join("docs/metrics.md")).unwrap();
    let explained: BTreeSet<_> = guide
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split(['`', '{']).next())
        .map(|name| format!("lemon_session_{name}"))
        .collect();
    assert_eq!(explained, exported);
}

fn await_metric(server: &Server, name: &str, value: f64) {
    await_until(|| server.metric(name) == value);
}

#[track_caller]
fn await_until(is_so: impl Fn() -> bool) {
    for _ in 0..6000 {
        if is_so() {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("that never came to be");
}
