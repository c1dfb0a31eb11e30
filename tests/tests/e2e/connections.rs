//! Clients that hold on to what they have: connections without requests, and requests whose bodies do not come. Other visitors
//! are answered all the same.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use lemon_session_tests::{Client, Launch, Server, raw};
use tokio::net::TcpSocket;

/// A connection that has sent this, and reads nothing yet.
fn send(address: SocketAddr, request: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

/// The rest of what a connection says until it is closed.
fn read(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn is_open(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    matches!(stream.peek(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock)
}

/// Asks for a page, which has to come soon.
#[track_caller]
fn answered_soon(server: &Server) {
    let begun = Instant::now();
    let reply = server.get(&Client::new(), "/");
    assert_eq!(reply.status, 200, "{reply:?}");
    assert!(begun.elapsed() < Duration::from_secs(10), "a visitor waited for {:?}", begun.elapsed());
}

#[test]
fn bodies_that_do_not_come_hold_nobody_up() {
    let server = Launch::new("rogue").ini("[server]\nin-flight = 256\nqueue-time = 1\nbody-time = 5\n").admin().start();
    let request = "POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nx";
    let mut slow: Vec<_> = (0..256).map(|_| send(server.address, request)).collect();
    while server.metric("http_requests_in_flight") < 256.0 {
        thread::sleep(Duration::from_millis(10));
    }
    for _ in 0..5 {
        answered_soon(&server);
    }
    assert_eq!(server.metric("guests"), 0.0, "no guest waits for a body");
    for stream in &mut slow {
        let answer = read(stream);
        assert!(raw::status(&answer) == 408 && answer.contains("connection: close\r\n"), "{answer}");
    }
    answered_soon(&server);
}

#[test]
fn a_body_that_comes_slowly_but_fast_enough_arrives() {
    let server = Launch::new("rogue").ini("[server]\nbody-rate = 10\nbody-time = 1\n").start();
    let mut stream =
        send(server.address, "POST /read HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 400\r\n\r\n");
    for _ in 0..8 {
        thread::sleep(Duration::from_millis(300));
        stream.write_all(&[b'x'; 50]).unwrap();
    }
    let answer = read(&mut stream);
    assert!(raw::status(&answer) == 200 && answer.ends_with("400 bytes\n"), "{answer}");
}

#[test]
fn a_long_body_that_stops_while_an_application_reads_it_is_refused() {
    for component in ["rogue", "rogue-cgi"] {
        let path = if component == "rogue" { "/read" } else { "/echo" };
        let server = Launch::new(component).ini("[server]\nbody-buffer = 1K\nbody-time = 1\n").admin().start();
        let head = format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
        let mut stream = send(server.address, &format!("{head}{}", "x".repeat(50_000)));
        let begun = Instant::now();
        let answer = read(&mut stream);
        assert!(raw::status(&answer) == 408 && answer.contains("connection: close\r\n"), "{component}: {answer}");
        assert!(begun.elapsed() < Duration::from_secs(25), "before request-time is over");
        while server.metric("guests") > 0.0 {
            assert!(begun.elapsed() < Duration::from_secs(60), "{component}: the guest stays");
            thread::sleep(Duration::from_millis(10));
        }
        assert!(!server.log().contains("ERROR"), "{}", server.log());
    }
}

#[test]
fn at_the_limit_the_connection_that_is_idle_for_longest_is_closed() {
    let ini = "[server]\nconnections = 50\nconnections-per-address = 50\nbody-time = 60\n";
    let server = Launch::new("rogue").ini(ini).admin().start();
    let busy: Vec<_> = (0..2)
        .map(|_| send(server.address, "POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nx"))
        .collect();
    let kept = TcpStream::connect(server.address).unwrap();
    let silent: Vec<_> = (0..47).map(|_| TcpStream::connect(server.address).unwrap()).collect();
    while server.metric("http_connections") < 50.0 {
        thread::sleep(Duration::from_millis(10));
    }
    // It came before the others, and has just had an answer.
    let mut kept = kept;
    kept.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let mut some = [0; 9];
    kept.read_exact(&mut some).unwrap();
    assert_eq!(&some, b"HTTP/1.1 ");

    for _ in 0..5 {
        answered_soon(&server);
    }
    assert!(server.metric("http_connections_closed_total{reason=\"idle\"}") >= 1.0);
    assert!(!is_open(&silent[0]), "the first of them was idle for longest");
    assert!(is_open(&silent[46]));
    assert!(busy.iter().all(is_open), "one that has a request is not idle");
    kept.set_nonblocking(true).unwrap();
    while kept.read(&mut [0; 4096]).is_ok_and(|length| length > 0) {}
    assert!(is_open(&kept), "one that had an answer since is not the one that was idle for longest");
}

#[test]
fn a_connection_that_waits_for_a_place_when_the_server_stops_is_answered() {
    let ini = "[server]\nconnections = 2\nconnections-per-address = 3\nbody-time = 2\n";
    let server = Launch::new("rogue").ini(ini).admin().start();
    let busy: Vec<_> =
        (0..2).map(|_| send(server.address, "POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n")).collect();
    while server.metric("http_requests_in_flight") < 2.0 {
        thread::sleep(Duration::from_millis(10));
    }
    let mut waiting = send(server.address, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    thread::sleep(Duration::from_millis(200));
    server.terminate();
    let answer = read(&mut waiting);
    assert!(answer.ends_with("well\n") && answer.contains("connection: close\r\n"), "{answer}");
    drop(busy);
    assert!(server.wait().success());
}

/// A connection from another address of this machine.
async fn from(source: &str, address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(source.parse().unwrap(), 0)).unwrap();
    let stream = socket.connect(address).await.unwrap().into_std().unwrap();
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_has_its_share_of_the_connections() {
    let body = b"POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nx";
    let get = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    for is_trusted in [false, true] {
        let trusted = if is_trusted { "trusted-proxies = 127.0.0.2\n" } else { "" };
        let server =
            Launch::new("rogue").ini(&format!("[server]\nconnections = 40\nbody-time = 60\n{trusted}")).admin().start();
        let mut busy = Vec::new();
        for _ in 0..10 {
            let mut stream = from("127.0.0.2", server.address).await;
            stream.write_all(body).unwrap();
            busy.push(stream);
        }
        let in_flight = || tokio::task::block_in_place(|| server.metric("http_requests_in_flight"));
        while in_flight() < 10.0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let mut one_more = from("127.0.0.2", server.address).await;
        let _ = one_more.write_all(get);
        let answer = read(&mut one_more);
        assert_eq!(answer.ends_with("well\n"), is_trusted, "{answer}");
        let mut other = from("127.0.0.3", server.address).await;
        other.write_all(get).unwrap();
        assert!(read(&mut other).ends_with("well\n"), "another address has its own share");

        tokio::task::block_in_place(|| {
            let refused = server.metric("http_connections_closed_total{reason=\"share\"}");
            assert_eq!(refused, if is_trusted { 0.0 } else { 1.0 });
            let log = server.log();
            assert_eq!(log.contains("127.0.0.2 has 10 connections"), !is_trusted, "{log}");
        });
        // Its own idle connection makes room.
        busy.pop();
        let idle = from("127.0.0.2", server.address).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        let mut one_more = from("127.0.0.2", server.address).await;
        one_more.write_all(get).unwrap();
        assert!(read(&mut one_more).ends_with("well\n"));
        assert_eq!(is_open(&idle), is_trusted);
    }
}

#[test]
fn a_client_without_cookies_begins_only_so_many_sessions_a_minute() {
    let ini = |limit: u32| format!("[session.limits]\nnew-sessions = {limit}\n[server]\ntrusted-proxies = 127.0.0.1\n");
    for reuse in ["--reuse=1", "--reuse=10"] {
        let server = Launch::new("counter").ini(&ini(2)).arg(reuse).admin().start();
        let visit = |client: &Client, address: &str| {
            client.get_with(&server.url("/"), &[("x-forwarded-for", &format!("6.6.6.6, {address}"))])
        };
        let visitor = Client::new();
        assert_eq!(visit(&visitor, "203.0.113.7").status, 200);
        assert_eq!(visit(&Client::new(), "203.0.113.7").status, 200);
        // One more is allowed after half a minute.
        let refused = visit(&Client::new(), "203.0.113.7");
        assert_eq!(refused.status, 429, "{refused:?}");
        assert!(refused.headers("set-cookie").is_empty(), "{refused:?}");
        assert_eq!(visit(&visitor, "203.0.113.7").status, 200, "a session that is there is used as ever");
        assert_eq!(visit(&Client::new(), "203.0.113.8").status, 200, "another client is not concerned");
        assert_eq!(visit(&Client::new(), "2001:db8::1").status, 200);
        assert_eq!(server.metric("saves_total{outcome=\"too_many\"}"), 1.0);
        assert_eq!(server.metric("sessions_started_total"), 4.0);
        let log = server.log();
        assert!(log.contains("more than 2 new sessions a minute") && log.contains("203.0.113.7"), "{log}");

        std::fs::write(server.launch.folder().join("lemon.ini"), ini(1000)).unwrap();
        assert!(server.reload().contains("reloaded"));
        for _ in 0..3 {
            assert_eq!(visit(&Client::new(), "203.0.113.9").status, 200, "a reload takes the new limit");
        }
    }
}
